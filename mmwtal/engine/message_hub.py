"""The message hub in our checkpoints: logs and run-time facts as plain values, which load without running code."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer


def plain_message_hub(state: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the state of mmengine's message hub into numbers, strings and tensors.

    The state holds ``HistoryBuffer`` objects, which mmengine 0.10.7 with torch >= 2.6 saves but cannot load:
    https://github.com/open-mmlab/mmengine/pull/1650

    Args:
        state: What ``MessageHub.state_dict()`` returns.

    Returns:
        The same entries, loadable with ``weights_only=True``; a buffer becomes ``{'values': (N,) tensor, 'counts': (N,)
        tensor, 'max_length': int}``, an array a tensor. :func:`restore_message_hub` is the inverse.

    Raises:
        TypeError: An entry is to be resumed but has no plain form.
    """
    scalars = {}
    for key, buffer in state['log_scalars'].items():
        values, counts = (torch.tensor(history) for history in buffer.data)
        scalars[key] = {'values': values, 'counts': counts, 'max_length': buffer.max_length}
    info = {key: _plain(value, key) for key, value in state['runtime_info'].items()}
    return {'log_scalars': scalars, 'runtime_info': info, 'resumed_keys': dict(state['resumed_keys'])}


def restore_message_hub(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Turn what :func:`plain_message_hub` returned into a state that ``MessageHub.load_state_dict`` takes."""
    scalars = {
        key: HistoryBuffer(entry['values'].cpu().numpy(), entry['counts'].cpu().numpy(), entry['max_length'])
        for key, entry in plain['log_scalars'].items()
    }
    return {**plain, 'log_scalars': scalars}


def _plain(value: Any, key: str) -> Any:
    # numpy's float64 is a subclass of float, but torch.load refuses it: compare the exact type.
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, np.ndarray) and value.dtype.kind in 'biuf':
        return torch.tensor(value)
    if isinstance(value, np.generic):
        return _plain(value.item(), key)
    if isinstance(value, Mapping):
        return {_plain(name, key): _plain(item, key) for name, item in value.items()}
    for kind in (tuple, list, set):
        if isinstance(value, kind):
            return kind(_plain(item, key) for item in value)
    raise TypeError(
        f"the message hub's entry {key!r} holds a {type(value).__name__}, which a checkpoint that loads with "
        'weights_only=True cannot: store numbers, strings or tensors, or pass resumed=False to update_info'
    )
