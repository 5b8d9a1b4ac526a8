"""Weights and clips of the golden numbers of I3D, and files as the published ones are."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from mmwtal.features.backbones.i3d import InceptionI3D

# What the published files hold besides: a classifier of 400 classes.
CLASSIFIER = {'logits.conv3d.weight': (400, 1024, 1, 1, 1), 'logits.conv3d.bias': (400,)}


def shapes(modality: str) -> dict[str, tuple[int, ...]]:
    own = InceptionI3D(modality=modality).state_dict()
    return {**{name: tuple(value.shape) for name, value in own.items()}, **CLASSIFIER}


def recipe_weights(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """Draw weights, by name in alphabetical order, with which no layer fades or explodes."""
    draws = np.random.RandomState(seed)
    weights = {}
    for name in sorted(shapes):
        shape = shapes[name]
        if name.endswith('num_batches_tracked'):
            weights[name] = torch.tensor(0)
            continue
        value = draws.standard_normal(shape).astype(np.float32)
        if name.endswith('running_var'):
            value = np.abs(value) + np.float32(0.5)
        elif name.endswith(('running_mean', 'bias')):
            value = value * np.float32(0.1)
        elif name.endswith('bn.weight'):
            value = value * np.float32(0.1) + 1
        else:
            value = value * np.float32(np.sqrt(2 / np.prod(shape[1:])))
        weights[name] = torch.from_numpy(value.astype(np.float32))
    return weights


def recipe_clips(shape: list[int], seed: int) -> Tensor:
    return torch.from_numpy(np.random.RandomState(seed).uniform(-1, 1, shape).astype(np.float32))


class OldTensor:
    """A tensor that is pickled as torch before 0.4 did it, which wrote the published files."""

    def __init__(self, value: Tensor) -> None:
        self.value = value

    def __reduce__(self):
        value = self.value
        return torch._utils._rebuild_tensor, (
            value._typed_storage(),
            value.storage_offset(),
            tuple(value.shape),
            value.stride(),
        )


def write_published_file(path, weights: Mapping[str, Tensor]) -> None:
    """Write weights in the form of 2017: no archive, old tensors, no counters."""
    old = {name: OldTensor(value) for name, value in weights.items() if not name.endswith('num_batches_tracked')}
    torch.save(old, path, _use_new_zipfile_serialization=False)
