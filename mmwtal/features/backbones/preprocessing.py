"""What a feature backbone wants done to frames, declared by itself, and the part of it that follows the crop."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from mmwtal.utils.errors import UserError

Scale = Literal['unit', '0-1', '0-255']
Interpolation = Literal['nearest', 'bilinear', 'bicubic', 'lanczos']

_BYTE = 255.0
# What a value of 0 to 255 becomes: value * factor + offset.
_SCALES: dict[str, tuple[float, float]] = {'unit': (2 / _BYTE, -1.0), '0-1': (1 / _BYTE, 0.0), '0-255': (1.0, 0.0)}


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How frames are made ready for a backbone: resized, cropped (both before the call), scaled and normalised.

    Args:
        crop: Side in pixels of the square that the backbone sees.
        short_side: What the shorter side is resized to before the crop, with the picture's proportions kept. None: the
            whole picture is resized to the square, whatever its proportions, and nothing is cropped.
        interpolation: How it is resized.
        scale: Range that the values 0 to 255 become: ``unit`` [-1, 1], ``0-1`` or ``0-255``.
        mean: What is subtracted of each channel after ``scale``; None for nothing.
        std: What each channel is divided by after that; None for nothing.
        flow_bound: None for pictures; for optical flow the displacement in pixels that is the largest: greater ones are
            clipped, and [-flow_bound, flow_bound] takes the place of 0 to 255.

    Raises:
        UserError: If a value is out of range.
    """

    crop: int
    short_side: int | None
    interpolation: Interpolation = 'bilinear'
    scale: Scale = 'unit'
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    flow_bound: float | None = None

    def __post_init__(self) -> None:
        for name, choices in (('scale', get_args(Scale)), ('interpolation', get_args(Interpolation))):
            if getattr(self, name) not in choices:
                found = getattr(self, name)
                raise UserError(f'{name} of a preprocessing must be one of {", ".join(choices)}, found {found!r}')
        if self.crop < 1:
            raise UserError(f'crop of a preprocessing must be above 0, found {self.crop}')
        if self.short_side is not None and self.short_side < self.crop:
            raise UserError(f'short_side {self.short_side} of a preprocessing is below its crop, {self.crop}')
        if self.flow_bound is not None and not self.flow_bound > 0:
            raise UserError(f'flow_bound of a preprocessing must be above 0, found {self.flow_bound}')
        if self.std is not None and not min(self.std) > 0:
            raise UserError(f'std of a preprocessing must be above 0, found {self.std}')

    def __call__(self, frames: Tensor | np.ndarray) -> Tensor:
        """Scale and normalise frames that are resized and cropped.

        Args:
            frames: (N, T, H, W, C). Pictures, red first, uint8 or floats of 0 to 255. Optical flow, x first, floats in
                pixels, or uint8 in which 0 to 255 stand for -flow_bound to flow_bound.

        Returns:
            (N, C, T, H, W), float32, on the frames' device.

        Raises:
            ValueError: If the shape is another.
        """
        clips = torch.as_tensor(frames)
        if clips.ndim != 5:
            raise ValueError(f'frames of clips have the shape (N, T, H, W, C), found {tuple(clips.shape)}')
        is_displacement = self.flow_bound is not None and clips.is_floating_point()
        clips = clips.permute(0, 4, 1, 2, 3).to(torch.float32, memory_format=torch.contiguous_format)
        factor, offset = _SCALES[self.scale]
        if is_displacement:
            bound = float(self.flow_bound or 0.0)
            clips = clips.clamp(-bound, bound)
            # [-bound, bound] to [0, 255] first.
            factor, offset = factor * _BYTE / (2 * bound), offset + factor * _BYTE / 2
        channels = clips.shape[1]
        mean = _of_channels(self.mean or (0.0,) * channels, channels, 'mean', clips.device)
        std = _of_channels(self.std or (1.0,) * channels, channels, 'std', clips.device)
        return clips.mul(factor / std).add_((offset - mean) / std)


def _of_channels(values: Sequence[float], channels: int, name: str, device: torch.device) -> Tensor:
    if len(values) != channels:
        raise ValueError(f'{name} of the preprocessing has {len(values)} channels, the frames have {channels}')
    return torch.tensor(values, dtype=torch.float32, device=device).view(1, channels, 1, 1, 1)
