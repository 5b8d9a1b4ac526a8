"""Weights of feature backbones from files: read without running any code in them, and refused where they do not fit."""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmwtal.utils.compat import DAMAGED, load_from_local
from mmwtal.utils.errors import UserError

_SHOWN = 3
# A count that torch keeps since 0.4.1; older files lack it, and evaluation does not use it.
_COUNTER = 'num_batches_tracked'


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, the number that sha256sum prints.

    Raises:
        OSError: If the file cannot be read.
    """
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def tensors_sha256(module: nn.Module) -> str:
    """Return a SHA-256 of a module's tensors with their names, the same however they are stored in files."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}\0'.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def warn_of_random_weights(backbone: str, seed: int, *, remedy: str = 'set weights to a file') -> None:
    """Log that a backbone has random weights, and how it gets real ones."""
    print_log(
        f'{backbone} has random weights (seed {seed}), for trying only: its features mean nothing; {remedy} for real '
        'ones',
        logger='current',
        level=logging.WARNING,
    )


class _Nothing:
    """Stands for an object of a checkpoint that is no tensor: nothing is made of what the file says of it."""

    def __new__(cls, *_args: Any, **_options: Any) -> '_Nothing':
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_options: Any) -> None:
        pass

    def __setstate__(self, _state: Any) -> None:
        pass


def _stand_ins(path: Path) -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """Return a class that does nothing for each name that a checkpoint asks for and torch does not admit."""
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
    except DAMAGED:
        # Of an older format, or no checkpoint: loading it will tell.
        return []
    parts = [name.rpartition('.') for name in names]
    return [type(name, (_Nothing,), {'__module__': module}) for module, _, name in parts]


def read_state(path: Path, *, remedy: str) -> tuple[dict[str, Tensor], str]:
    """Read the named tensors of a checkpoint.

    mmengine stores its message hub and its arrays of numpy beside them. Nothing of the kind is made, and no code that a
    file names is run: whatever torch does not admit with ``weights_only=True`` becomes an object without content.

    Args:
        path: A file with a ``state_dict``, at its top or under that name; a ``module.`` before all names is left out.
        remedy: How the user gets a file that fits, the end of each message.

    Returns:
        The tensors, on the CPU, and the file's SHA-256.

    Raises:
        UserError: If the file is absent, damaged, holds other objects than tensors, or no named tensors.
    """
    path = path.expanduser()
    with torch.serialization.safe_globals(_stand_ins(path)):
        content = load_from_local(str(path), map_location='cpu', remedy=remedy)
    if isinstance(content, Mapping):
        content = content.get('state_dict', content)
    if not isinstance(content, Mapping) or not content:
        raise UserError(f'checkpoint {path} holds no named tensors; {remedy}')
    state = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if len(state) < len(content):
        odd = next(name for name, value in content.items() if not isinstance(value, Tensor))
        raise UserError(f'checkpoint {path} holds no named tensors alone: {odd!r} is none; {remedy}')
    if all(name.startswith('module.') for name in state):
        state = {name.removeprefix('module.'): value for name, value in state.items()}
    return state, file_sha256(path)


def load_state(
    module: nn.Module, state: Mapping[str, Tensor], *, path: Path, remedy: str, unused: Sequence[str] = ()
) -> None:
    """Give a module the tensors of a checkpoint; every one must be there, none be left, and the shapes equal.

    Args:
        module: What gets them.
        state: The tensors by name.
        path: The file, for messages.
        remedy: How the user gets a file that fits, the end of the message.
        unused: Beginnings of names that the module has no place for and that may be there.

    Raises:
        UserError: If they do not fit; the message names what is missing, unexpected and of another shape.
    """
    own = module.state_dict()
    given = {name: value for name, value in state.items() if not name.startswith(tuple(unused))}
    missing = [name for name in own if name not in given and not name.endswith(_COUNTER)]
    unexpected = [name for name in given if name not in own]
    reshaped = [
        f'{name} {tuple(given[name].shape)} for {tuple(value.shape)}'
        for name, value in own.items()
        if name in given and given[name].shape != value.shape
    ]
    faults = [
        f'{len(names)} {what} ({", ".join(names[:_SHOWN])}{", ..." if len(names) > _SHOWN else ""})'
        for what, names in (('missing', missing), ('unexpected', unexpected), ('of another shape', reshaped))
        if names
    ]
    if faults:
        raise UserError(f'checkpoint {path} does not fit, of {len(own)} tensors: {"; ".join(faults)}; {remedy}')
    module.load_state_dict({**own, **given})
