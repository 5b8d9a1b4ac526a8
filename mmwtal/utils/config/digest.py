"""The hash by which a stored result says which config made it."""

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

# What says where files lie, how a run is started or which seed it has: the same config all the same.
_INCIDENTAL = frozenset({'work_dir', 'launcher', 'model_wrapper_cfg', 'resume', 'load_from'})


class _Absent:
    """What a key has that is not there."""

    def __repr__(self) -> str:
        return 'nothing'


_ABSENT = _Absent()


def config_content(cfg: Config) -> dict[str, Any]:
    """Return what in a config makes the result, as plain dicts, lists and values.

    Left out are helper variables (their name starts with ``_``), ``data_root`` wherever it stands, the seed, which
    results state beside the hash, and what says where files lie or how a run is started.

    Args:
        cfg: A merged config.
    """
    kept = {key: value for key, value in cfg.to_dict().items() if key not in _INCIDENTAL and not key.startswith('_')}
    kept['randomness'] = {key: value for key, value in (kept.get('randomness') or {}).items() if key != 'seed'}
    return json.loads(json.dumps(_without_data_root(kept), sort_keys=True, default=repr))


def config_sha256(cfg: Config) -> str:
    """Return the hash of :func:`config_content`.

    It is taken of a config as :func:`mmwtal.apis.settings.prepare_config` returns it, before ``'auto'`` is replaced,
    so that it can be compared with that of a config file, without data or checkpoint.
    """
    return hashlib.sha256(json.dumps(config_content(cfg), sort_keys=True).encode()).hexdigest()


def imports_sha256(cfg: Config) -> dict[str, str]:
    """Return the hash of the source of each module that a config imports with ``custom_imports``.

    That of a package covers every ``.py`` file in it. What a module imports in turn is not covered.

    Args:
        cfg: A config whose ``custom_imports`` have been imported.
    """
    names = (cfg.get('custom_imports') or {}).get('imports') or []
    hashes = {}
    for name in [names] if isinstance(names, str) else names:
        module = sys.modules.get(name)  # None: a failed import that the config allows
        folders = [Path(folder) for folder in getattr(module, '__path__', [])]
        own = getattr(module, '__file__', None)  # None: a module of the interpreter's own
        files = [(folder, path) for folder in folders for path in sorted(folder.rglob('*.py'))]
        if not folders and own is not None:
            files = [(Path(own).parent, Path(own))]
        hashes[name] = files_sha256(files)
    return hashes


def package_sha256() -> str:
    """Return the hash of mmwtal's own source, every ``.py`` file of it."""
    folder = Path(__file__).resolve().parents[2]
    return files_sha256([(folder, path) for path in sorted(folder.rglob('*.py'))])


def files_sha256(files: Sequence[tuple[Path, Path]]) -> str:
    """Return the hash of the names and the contents of files.

    Args:
        files: The folder that a file's name is taken from, and the file.
    """
    digest = hashlib.sha256()
    for folder, path in files:
        digest.update(f'{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n'.encode())
    return digest.hexdigest()


def changed_values(ours: Any, theirs: Any, path: str = '') -> Iterator[str]:
    """Yield a line for each value that differs between two contents: its dotted key, the first's and the second's."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            pair = (ours.get(key, _ABSENT), theirs.get(key, _ABSENT))
            yield from changed_values(*pair, f'{path}.{key}' if path else key)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from changed_values(*pair, f'{path}.{index}')
    elif ours != theirs:
        yield f'{path}: {ours!r}, {theirs!r}'


def _without_data_root(node: Any) -> Any:
    if isinstance(node, dict):
        return {str(key): _without_data_root(value) for key, value in node.items() if key != 'data_root'}
    if isinstance(node, list | tuple):
        return [_without_data_root(value) for value in node]
    return node
