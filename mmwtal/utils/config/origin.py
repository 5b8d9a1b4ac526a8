"""Loading a config so that each of its values can be traced to the file and line that wrote it."""

import os
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from mmwtal.utils.config.nodes import COMMAND_LINE, UNKNOWN, Key, Node, Origin, find, put
from mmwtal.utils.config.options import apply_cfg_options
from mmwtal.utils.config.source import read_source
from mmwtal.utils.errors import UserError

__all__ = ['COMMAND_LINE', 'Key', 'Origin', 'Origins', 'load_config']

# What the statements of a config file and mmengine's merging raise for a mistake in it.
_MISTAKES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


class Origins:
    """Where the values of a merged config were written.

    Args:
        root: The shadow of the config; without it every origin is 'the config', for one that was not read from a file.
        file: The config file.
    """

    def __init__(self, root: Node | None = None, file: str | None = None) -> None:
        self._root = root if root is not None else Node('dict', UNKNOWN, rest=UNKNOWN)
        self.file = file

    def value(self, path: Sequence[Key]) -> Origin:
        """Return where the value at a path of keys and indices was written; the file alone if the line is unknown."""
        return find(self._root, path)[1]

    def key(self, path: Sequence[Key]) -> Origin:
        """Return where the last key of a path was written: not where the value was, if that is a variable or a base."""
        return find(self._root, path)[0]

    def replace(self, path: Sequence[Key], origin: Origin = COMMAND_LINE) -> None:
        """Record that the value at a path was replaced after the files were read."""
        self._root = put(self._root, path, origin)


def load_config(path: str | Path, cfg_options: Mapping[str, Any] | None = None) -> tuple[Config, Origins]:
    """Read a config file with its bases, import its ``custom_imports`` and apply the command line's options.

    Args:
        path: The config file.
        cfg_options: Values by dotted key, see :func:`mmwtal.utils.config.options.apply_cfg_options`.

    Returns:
        The merged config, and where each of its values was written.

    Raises:
        UserError: Naming the file (and line) for anything that is wrong with the files, the imports or the options.
    """
    file = Path(path).expanduser()
    source = read_source(file)
    origins = Origins(source.root, str(file))
    cfg = _execute(file, source.files)
    _import_custom_modules(cfg, origins)
    for option in apply_cfg_options(cfg, cfg_options or {}):
        origins.replace(option)
    return cfg, origins


def _execute(file: Path, files: Sequence[Path]) -> Config:
    try:
        return Config.fromfile(str(file), import_custom_modules=False, lazy_import=False)
    except _MISTAKES as error:
        place = _place(error, file, files)
        raise UserError(f'{place}: the config cannot be read, {type(error).__name__}: {error}') from error


def _place(error: Exception, file: Path, files: Sequence[Path]) -> Origin:
    """Return the last line of a config file that an error passed through."""
    by_path = {os.path.abspath(known): known for known in files}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename in by_path:
            return Origin(str(by_path[frame.filename]), frame.lineno)
    return Origin(str(file))


def _import_custom_modules(cfg: Config, origins: Origins) -> None:
    wanted = cfg.get('custom_imports')
    if not wanted:
        return
    at = origins.value(('custom_imports',))
    imports = wanted.get('imports') if isinstance(wanted, dict) else None
    names = [imports] if isinstance(imports, str) else imports
    well_formed = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if names is None or not well_formed or not wanted.keys() <= {'imports', 'allow_failed_imports'}:
        raise UserError(f"{at}: custom_imports must be dict(imports=['package.module', ...]), found {wanted!r}")
    try:
        import_modules_from_strings(**wanted)
    except (ImportError, SyntaxError) as error:
        cause = error.__cause__ or error.__context__ or error
        raise UserError(f'{at}: custom_imports {imports!r} cannot be imported: {_cure(cause, names)}') from error


def _cure(cause: BaseException, names: Sequence[str]) -> str:
    """Return why modules cannot be imported, and how to mend it: the module is absent, or it is there and fails."""
    if isinstance(cause, SyntaxError):
        shown = f': {cause.text.strip()}' if cause.text and cause.text.strip() else ''
        return f'{Origin(cause.filename or "", cause.lineno)}: syntax error, {cause.msg}{shown}'
    for name in names:
        if name.endswith('.py') or '/' in name:
            module = name.removesuffix('.py').strip('./').replace('/', '.')
            return f"name the module, without .py, not its file: imports=['{module}']"
    wanted = {'.'.join(name.split('.')[:depth]) for name in names for depth in range(1, name.count('.') + 2)}
    if isinstance(cause, ModuleNotFoundError) and cause.name in wanted:
        return f'no module {cause.name} is found; the folder that holds the module or package must be on PYTHONPATH'
    frames = [frame for frame in traceback.extract_tb(cause.__traceback__) if not frame.filename.startswith('<')]
    at = f'{Origin(frames[-1].filename, frames[-1].lineno)}: ' if frames else ''
    return f'{at}{cause}'
