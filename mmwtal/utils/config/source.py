"""Reads a config file and its bases as text, and tells what is wrong with them before any of them is run."""

import ast
import os
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from mmwtal.utils.config.nodes import Node, Origin, merge
from mmwtal.utils.config.tracker import BASE, Tracker
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import real_path

# mmengine replaces {{$NAME:default}} before it parses; unlike its other templates this one need not be valid Python.
_ENVIRONMENT_VARIABLE = re.compile(r'\{\{[\'"]?\s*\$\w+\s*:[^{}]*\}\}')


@dataclass(frozen=True)
class Source:
    """What is known of a config file from its text.

    Attributes:
        root: Where each value was written, bases merged.
        files: The file and all its bases.
    """

    root: Node
    files: tuple[Path, ...]


def read_source(file: Path) -> Source:
    """Read a config file and its bases.

    Args:
        file: A text config with the suffix ``.py``.

    Raises:
        UserError: Naming the file and, where there is one, the line: a file that is missing or no text config, not
            UTF-8, bad syntax, a base that is missing or inherits from the file, a key that two bases set.
    """
    return _read(file, heirs=(), asked_by='')


def _read(file: Path, heirs: tuple[Path, ...], asked_by: str) -> Source:
    if real_path(file) in heirs:
        raise UserError(f'{asked_by}the base {file} inherits from this file in turn; remove one of the two')
    module = _parse(file, asked_by)
    _check_dialect(file, module)
    base, files = Node('dict', Origin(str(file)), rest=Origin(str(file))), [file]
    for path, at in _bases(file, module):
        source = _read(path, (*heirs, real_path(file)), f'{at}: ')
        for key in sorted(base.entries.keys() & source.root.entries.keys(), key=str):
            places = f'{base.entries[key].origin} and {source.root.entries[key].origin}'
            raise UserError(
                f"{at}: two bases of this file set '{key}' ({places}), and bases are not merged with each other; let "
                f'one base inherit from the other, or rename the key in one to a helper variable (_{key}) that this '
                f'file uses as {{{{_base_._{key}}}}}'
            )
        base = replace(base, entries={**base.entries, **source.root.entries})
        files.extend(source.files)
    own = Tracker(str(file), base).track(module)
    return Source(merge(own, base), tuple(files))


def _parse(file: Path, asked_by: str) -> ast.Module:
    if file.suffix != '.py':
        raise UserError(f'{asked_by}config {file}: expected a text config with the suffix .py')
    try:
        content = file.read_bytes()
    except OSError as error:
        kind = 'base config' if asked_by else 'config'
        raise UserError(f'{asked_by}{kind} {file} cannot be read: {error.strerror}') from error
    try:
        text = content.decode('utf-8')
    except UnicodeDecodeError as error:
        line = content.count(b'\n', 0, error.start) + 1
        found = content[error.start]
        raise UserError(f'{file}:{line}: not UTF-8 (byte 0x{found:02x}); save the config as UTF-8') from error
    try:
        return ast.parse(_ENVIRONMENT_VARIABLE.sub('None', text))
    except SyntaxError as error:
        shown = f': {error.text.strip()}' if error.text and error.text.strip() else ''
        raise UserError(f'{file}:{error.lineno or 1}: syntax error, {error.msg}{shown}') from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise UserError(f'{file}: cannot be parsed as Python: {error or "it is nested too deeply"}') from error


def _check_dialect(file: Path, module: ast.Module) -> None:
    for node in ast.walk(module):
        match node:
            case ast.ImportFrom(level=level, module=name):
                imported = [name or ''] if level == 0 else ['.']
            case ast.Import(names=names):
                imported = [alias.name for alias in names]
            case _:
                continue
        for name in imported:
            if name.partition('.')[0] not in sys.stdlib_module_names:
                raise UserError(
                    f'{Origin(str(file), node.lineno)}: a config may import from the standard library only; inherit '
                    "with _base_ = [...], name a class by a dotted type='package.module.Class', and import modules "
                    "that register classes with custom_imports = dict(imports=['package.module'])"
                )


def _bases(file: Path, module: ast.Module) -> list[tuple[Path, Origin]]:
    for statement in module.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == BASE:
                break
    else:
        return []
    at = Origin(str(file), value.lineno)
    try:
        written = ast.literal_eval(value)
    except ValueError as error:
        raise UserError(f'{at}: _base_ must be a path or a list of paths, written out') from error
    places = [part.lineno for part in value.elts] if isinstance(value, ast.List) else [value.lineno]
    paths = written if isinstance(written, list) else [written]
    for path in paths:
        if not isinstance(path, str) or '::' in path:
            raise UserError(f'{at}: _base_ must hold paths relative to this file, found {path!r}')
    return [(_relative(file, path), Origin(str(file), line)) for path, line in zip(paths, places, strict=True)]


def _relative(file: Path, path: str) -> Path:
    return Path(os.path.normpath(file.parent / path))
