"""Checkpoint files: found, read without pickle, loaded strictly."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from mmwtal.utils.compat import load_from_local
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import real_path, write_atomically

BEST_ON_TEST = 'best_on_test.pth'
# What a localizer calls its guidance, hence how the names of its weights begin.
GUIDANCE = 'guidance'
# The entry with the running weights where ``state_dict`` holds their mean; of ``meta``: the mean of which iterations.
WEIGHT_AVERAGE = 'weight_average'
# The entry of ``meta`` with what ``features.json`` of the training features says of how they were made.
FEATURES = 'features'
_NAME = re.compile(r'iter_(\d+)\.pth')


def checkpoint_name(iteration: int) -> str:
    """Return the file name of the checkpoint after ``iteration`` iterations."""
    return f'iter_{iteration}.pth'


def list_checkpoints(work_dir: Path) -> list[tuple[int, Path]]:
    """Return iteration and path of the finished checkpoints of a work dir, the newest last."""
    found = [(int(match[1]), path) for path in work_dir.glob('iter_*.pth') if (match := _NAME.fullmatch(path.name))]
    return sorted(found)


def find_checkpoint(path: str | Path) -> Path:
    """Return the checkpoint that a user means: a file itself, or the newest one of a work dir.

    Raises:
        UserError: If there is none.
    """
    path = Path(path).expanduser()
    if path.is_file():
        return path
    if not path.is_dir():
        raise UserError(f'checkpoint {path}: no such file or work dir')
    checkpoints = list_checkpoints(path)
    if not checkpoints:
        raise UserError(f'work dir {path}: holds no checkpoint iter_N.pth; train first, or name a checkpoint file')
    return checkpoints[-1][1]


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU, with ``weights_only=True``.

    Raises:
        UserError: If the file is missing, truncated, needs more than tensors and plain values, or has no
            ``state_dict``.
    """
    checkpoint = load_from_local(str(find_checkpoint(path)), map_location='cpu')
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get('state_dict'), Mapping):
        raise UserError(
            f'checkpoint {path}: expected a dict with "state_dict", found {_describe(checkpoint)}; an authors\' file '
            'is converted with tools/model_converters/official.py'
        )
    others = [key for key, value in checkpoint['state_dict'].items() if not _is_weight(key, value)]
    if others:
        raise UserError(
            f'checkpoint {path}: expected "state_dict" to hold a dense tensor for each name, found something else '
            f'under {others[0]!r}; train again, or name another checkpoint'
        )
    if not isinstance(checkpoint.setdefault('meta', {}), dict):
        raise UserError(f'checkpoint {path}: expected a dict under "meta", found {_describe(checkpoint["meta"])}')
    return checkpoint


def read_resumable(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint that a training is to continue from; see :func:`read_checkpoint`.

    Raises:
        UserError: Also if it holds weights only.
    """
    checkpoint = read_checkpoint(path)
    iteration = checkpoint['meta'].get('iter')
    states = [key for key in ('optimizer', 'message_hub') if not isinstance(checkpoint.get(key), Mapping)]
    if states or not isinstance(iteration, int) or iteration < 0:
        lacks = ', '.join(states) or 'the iteration (meta.iter)'
        raise UserError(
            f'checkpoint {path}: cannot be resumed, it lacks {lacks}, as a converted one does; to start from its '
            f'weights, leave --resume out and give --cfg-options load_from={path}'
        )
    return checkpoint


def check_state_dict(model: Module, state_dict: Mapping[str, Tensor], source: str | Path) -> None:
    """Check that a state dict fits a model exactly.

    Raises:
        UserError: Listing every missing key, unexpected key and differing shape.
    """
    own = model.state_dict()
    lines = [f'  missing: {key} {tuple(value.shape)}' for key, value in own.items() if key not in state_dict]
    lines += [f'  unexpected: {key} {tuple(value.shape)}' for key, value in state_dict.items() if key not in own]
    lines += [
        f'  shape of {key}: the model has {tuple(value.shape)}, the checkpoint {tuple(state_dict[key].shape)}'
        for key, value in own.items()
        if key in state_dict and state_dict[key].shape != value.shape
    ]
    if lines:
        shown = '\n'.join(lines[:20] + ([f'  ... and {len(lines) - 20} more'] if len(lines) > 20 else []))
        raise UserError(
            f'checkpoint {source} does not fit the model of the config (the config it was trained with?):\n{shown}'
        )


def is_guidance(name: str) -> bool:
    """Tell whether a weight of a localizer is its guidance's, which only training needs."""
    return name.startswith(f'{GUIDANCE}.')


def without_guidance(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checkpoint without the weights of guidance, and otherwise the same."""
    weights = {name: value for name, value in checkpoint['state_dict'].items() if not is_guidance(name)}
    return {**checkpoint, 'state_dict': weights}


def load_weights(model: Module, checkpoint: Mapping[str, Any], source: str | Path) -> None:
    """Load a checkpoint's weights into a model, all of them or none.

    Raises:
        UserError: If they do not fit; see :func:`check_state_dict`.
    """
    check_state_dict(model, checkpoint['state_dict'], source)
    model.load_state_dict(checkpoint['state_dict'])


def load_matching(model: Module, checkpoint: Mapping[str, Any], source: str | Path) -> str:
    """Load those weights of a checkpoint that a model has in the same shape: the start of a fine-tuning.

    Returns:
        A report: how much was loaded, and every weight that was not, with the reason.

    Raises:
        UserError: If no weight fits.
    """
    own, given = model.state_dict(), checkpoint['state_dict']
    fitting = {key: value for key, value in given.items() if key in own and own[key].shape == value.shape}
    if not fitting:
        raise UserError(f'checkpoint {source}: none of its {len(given)} weights fits the model; is it of another kind?')
    model.load_state_dict(fitting, strict=False)
    lines = [f'{source}: loaded {len(fitting)} of the {len(own)} weights of the model']
    # Guidance has hundreds of weights, and that a checkpoint of a base model has none of them is the rule.
    anew, unused = _only_one_guided(own, given), _only_one_guided(given, own)
    if anew:
        lines.append(f'  the guidance starts anew: its {anew} weights are not in the checkpoint')
    if unused:
        lines.append(f'  not used, the model has no guidance: {unused} weights')
    for key, value in own.items():
        if key not in given and not (anew and is_guidance(key)):
            lines.append(f'  starts anew, not in the checkpoint: {key} {tuple(value.shape)}')
        elif key in given and key not in fitting:
            shapes = f'{tuple(value.shape)}, in the checkpoint {tuple(given[key].shape)}'
            lines.append(f'  starts anew, other shape: {key} {shapes}')
    for key in given:
        if key not in own and not (unused and is_guidance(key)):
            lines.append(f'  not used, the model has no such weight: {key}')
    return '\n'.join(lines)


def check_output(path: Path, source: Path, *, overwrite: bool) -> None:
    """Check where a checkpoint that is made from another file is to go.

    Raises:
        UserError: If it is the input or a folder, or exists and may not be overwritten.
    """
    if real_path(path) == real_path(source):
        raise UserError(f'{path}: OUT is IN, which is never replaced; choose another name')
    if path.is_dir():
        raise UserError(f'{path} is a folder: name a file for the checkpoint')
    if path.exists() and not overwrite:
        raise UserError(f'{path} exists already; choose another name or give --overwrite')


def write_checkpoint(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint so that the path holds the old file, none, or the whole new one at any time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: torch.save(dict(checkpoint), file))


def _only_one_guided(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> int:
    """Return the number of weights of guidance in one state dict if the other has none, else 0."""
    return 0 if any(map(is_guidance, other)) else sum(map(is_guidance, one))


def _is_weight(key: object, value: object) -> bool:
    return isinstance(key, str) and isinstance(value, Tensor) and value.layout == torch.strided


def _describe(value: object) -> str:
    if isinstance(value, dict):
        return f'a dict with {len(value)} keys such as {", ".join(map(repr, list(value)[:3]))}'
    return f'a {type(value).__name__}'
