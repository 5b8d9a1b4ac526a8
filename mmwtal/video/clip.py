"""A stretch of a video as pictures: what a multimodal language model sees of it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A frame that the model sees.

    Args:
        time: Its presentation time in seconds from the beginning of the video.
        jpeg: The picture, upright, as JPEG.
    """

    time: float
    jpeg: bytes


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A stretch of a video.

    Args:
        path: The file of the whole video, for engines that send it as it is.
        start: Seconds at which the stretch begins.
        end: Seconds at which it ends.
        duration: Seconds of the whole video.
        fps: Mean frame rate of the video.
        frames: Frames of it, in the order of their times.
    """

    path: Path
    start: float
    end: float
    duration: float
    fps: float
    frames: tuple[Frame, ...]
