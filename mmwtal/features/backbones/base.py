"""The frame of every feature backbone: clips in, one vector each out."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor, nn

from mmwtal.features.backbones.preprocessing import Preprocessing
from mmwtal.utils.errors import UserError

__all__ = ['RANDOM', 'BaseFeatureBackbone', 'Preprocessing', 'every']

#: What :attr:`BaseFeatureBackbone.identity` names as the weights of a network that has none of a file.
RANDOM = 'random'


class BaseFeatureBackbone(nn.Module, ABC):
    """A network that turns clips into vectors; registered in ``FEATURE_BACKBONES``, one file each.

    It is built in evaluation mode on the CPU in float32. The caller moves it (``to(device)``, ``to(dtype)``), gives it
    clips of that device and dtype, and decides about gradients.

    Args:
        width: D, the length of a vector.
        channels: C of a clip: 3 for pictures, 2 for optical flow.
        frames: T of the clips that it takes; None for any.
        preprocessing: What is done to frames before.
        weights: Hash of the weights, or :data:`RANDOM`.
        least_frames: The fewest frames of a clip, where ``frames`` is None.
        settings: The other settings that vectors depend on, as JSON can hold them.
    """

    def __init__(
        self,
        *,
        width: int,
        channels: int,
        frames: int | None,
        preprocessing: Preprocessing,
        weights: str,
        least_frames: int = 1,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.width = width
        self.channels = channels
        self.frames = frames
        self.least_frames = least_frames
        self.preprocessing = preprocessing
        self._weights = weights
        self._settings = dict(settings or {})

    @property
    def identity(self) -> Mapping[str, Any]:
        """What vectors depend on, as JSON can hold it: class, settings, preprocessing, and the weights' hash."""
        identity = {
            'type': type(self).__name__,
            **self._settings,
            'preprocessing': asdict(self.preprocessing),
            'weights': self._weights,
        }
        # Equal to what is read back of a file, with lists for tuples.
        return json.loads(json.dumps(identity))

    def check_window(self, window: int) -> None:
        """Check that clips of ``window`` frames are what this backbone takes.

        Raises:
            UserError: If they are not.
        """
        name = type(self).__name__
        if self.frames is not None and window != self.frames:
            raise UserError(
                f'{name} takes clips of {self.frames} frames, found window={window}: set window accordingly'
            )
        if window < self.least_frames:
            raise UserError(f'{name} takes clips of {self.least_frames} frames and more, found window={window}')

    @abstractmethod
    def forward(self, clips: Tensor) -> Tensor:
        """Return a vector a clip.

        Args:
            clips: (N, C, T, H, W), as :attr:`preprocessing` returns them.

        Returns:
            (N, D).
        """


def every(clips: Tensor, interval: int) -> Tensor:
    """Return the middle frame of each ``interval`` frames of clips (N, C, T, H, W)."""
    return clips[:, :, (interval - 1) // 2 :: interval]
