"""Which frames of a video make a snippet."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from mmwtal.utils.errors import UserError

Partial = Literal['drop', 'pad']


@dataclass(frozen=True, kw_only=True)
class SnippetGrid:
    """Snippet i of a video consists of the frames i stride to i stride + window - 1 of the resampled video.

    Args:
        window: Frames of a snippet.
        stride: Frames from the start of a snippet to that of the next one.
        partial: What becomes of frames at the end that do not fill a snippet: ``drop`` leaves them out, ``pad`` makes
            further snippets until every frame is in one, which see the last frame (with its flow) again and again. A
            video shorter than a snippet is one that is padded, by either rule.

    Raises:
        UserError: If a value is out of range.
    """

    window: int = 16
    stride: int = 16
    partial: Partial = 'drop'

    def __post_init__(self) -> None:
        if self.window < 1 or self.stride < 1:
            raise UserError(f'window and stride are frames, 1 at least, found {self.window} and {self.stride}')
        if self.partial not in get_args(Partial):
            raise UserError(f'partial must be one of {", ".join(get_args(Partial))}, found {self.partial!r}')

    def count(self, frames: int) -> int:
        """Return the number of snippets of a video of so many frames, of which there is at least one."""
        beyond = max(frames - self.window, 0)
        whole = beyond // self.stride
        return 1 + whole + (self.partial == 'pad' and beyond % self.stride > 0)

    def whole(self, frames: int) -> int:
        """Return how many snippets are complete once so many frames are there."""
        return 0 if frames < self.window else 1 + (frames - self.window) // self.stride

    def frames_of(self, first: int, end: int, seen: int) -> np.ndarray:
        """Return the frames of snippets.

        Args:
            first: The first snippet.
            end: The one after the last.
            seen: How many frames of each are looked at: those in the middle of as many equal parts.

        Returns:
            Numbers of frames, (end - first, seen), int64, not limited by the video's end.
        """
        offsets = ((np.arange(seen) + 0.5) * self.window / seen).astype(np.int64)
        return np.arange(first, end, dtype=np.int64)[:, None] * self.stride + offsets
