"""One stream of features: a backbone on a device, and the snippets of several videos through it at once."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mmwtal.features.backbones.base import BaseFeatureBackbone
from mmwtal.features.reading import StreamFrames, StreamReading
from mmwtal.utils.errors import UserError
from mmwtal.video.flow import FlowMethod

Crop = Literal['center', 'ten']
DTYPES: Mapping[str, torch.dtype] = {
    'float32': torch.float32,
    'float16': torch.float16,
    'bfloat16': torch.bfloat16,
}


class StreamNetwork:
    """The network of a stream.

    Args:
        name: The stream's name.
        backbone: The network.
        flow: Where its optical flow comes from; None for pictures.
        frames: How many frames of a snippet it sees.
        crop: ``center``: the square in the centre of the pictures; ``ten``: the mean over the squares in the centre and
            the corners, and their mirror images.

    Raises:
        UserError: If the backbone does not take such frames.
    """

    def __init__(
        self, *, name: str, backbone: BaseFeatureBackbone, flow: FlowMethod | None, frames: int, crop: Crop
    ) -> None:
        backbone.check_window(frames)
        kind = type(backbone).__name__
        channels = 3 if flow is None else 2
        if backbone.channels != channels:
            of_it = 'pictures (no flow=...)' if flow is None else f'the flow of {type(flow).__name__}'
            raise UserError(
                f'stream {name!r}: {kind} takes {backbone.channels} channels, found {of_it}, which has {channels}'
            )
        preprocessing = backbone.preprocessing
        if crop == 'ten' and preprocessing.short_side is None:
            raise UserError(f"stream {name!r}: {kind} sees whole pictures, of which crop='ten' has none: take 'center'")
        self.name, self.backbone, self.flow, self.frames, self.crop = name, backbone, flow, frames, crop
        self._device, self._dtype = torch.device('cpu'), torch.float32

    @property
    def identity(self) -> dict[str, Any]:
        """What the features depend on, as JSON can hold it."""
        return {
            'backbone': dict(self.backbone.identity),
            'flow': None if self.flow is None else dict(self.flow.identity),
            'frames': self.frames,
        }

    @property
    def reading(self) -> StreamReading:
        """What is to be read of a video."""
        wanted = self.backbone.preprocessing
        return StreamReading(
            name=self.name,
            short_side=wanted.short_side,
            crop=wanted.crop,
            whole=self.crop == 'ten',
            interpolation=wanted.interpolation,
            frames=self.frames,
            flow=self.flow,
        )

    def move(self, device: torch.device, dtype: torch.dtype) -> None:
        """Bring the network to a device."""
        self._device, self._dtype = device, dtype
        self.backbone.to(device=device, dtype=dtype)

    @torch.inference_mode()
    def features(self, parts: Sequence[StreamFrames]) -> np.ndarray:
        """Return the features of snippets of several videos, in one batch.

        Args:
            parts: Frames and snippets of each.

        Returns:
            (N, D), float32, one part after the other.
        """
        moved = [
            (torch.from_numpy(one.pictures).to(self._device), torch.from_numpy(one.index).to(self._device))
            for one in parts
        ]
        crops = [_crops(pictures, self.backbone.preprocessing.crop, self.crop) for pictures, _ in moved]
        total: Tensor | None = None
        number = 0
        for views in zip(*crops, strict=True):
            clips = [view[index] for view, (_, index) in zip(views, moved, strict=True)]
            vectors = self._through(torch.cat(clips) if len(clips) > 1 else clips[0])
            total = vectors if total is None else total + vectors
            number += 1
        assert total is not None
        return (total / number).cpu().numpy()

    def _through(self, clips: Tensor) -> Tensor:
        """Return the vectors of clips (N, T, H, W, C), float32."""
        ready = self.backbone.preprocessing(clips if clips.dtype == torch.uint8 else clips.float())
        return self.backbone(ready.to(self._dtype)).float()


def _crops(pictures: Tensor, side: int, crop: Crop) -> Iterator[Tensor]:
    """Yield the squares of pictures (M, H, W, C)."""
    if crop == 'center':
        yield pictures
        return
    height, width = pictures.shape[1:3]
    down, right = height - side, width - side
    for top, left in ((down // 2, right // 2), (0, 0), (0, right), (down, 0), (down, right)):
        square = pictures[:, top : top + side, left : left + side]
        yield square
        mirrored = square.flip(2)
        # What moves to the right moves to the left in a mirror.
        yield mirrored * mirrored.new_tensor([-1, 1]) if mirrored.shape[3] == 2 else mirrored
