"""Frames of a video as JPEG, which every server of a multimodal model takes."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmwtal.video.clip import Clip, Frame
from mmwtal.video.reader import VideoReader


@dataclass(frozen=True, kw_only=True)
class ClipRequest:
    """What to read of a video; can be pickled.

    Args:
        path: The file.
        duration: Seconds of the whole video.
        fps: Its mean frame rate.
        start: Seconds at which the stretch begins.
        end: Seconds at which it ends.
        times: Seconds at which it is looked at, not descending.
        short_side: Pixels of the shorter side of larger pictures; None leaves all as they are.
        quality: Of JPEG, 1 to 100.
    """

    path: Path
    duration: float
    fps: float
    start: float
    end: float
    times: tuple[float, ...]
    short_side: int | None = None
    quality: int = 90


def encode_jpeg(picture: np.ndarray, *, quality: int = 90) -> bytes:
    """Return a picture as JPEG.

    Args:
        picture: RGB, (H, W, 3), uint8.
        quality: 1 to 100.
    """
    done, data = cv2.imencode('.jpg', picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f'no JPEG can hold a picture of shape {picture.shape}')
    return data.tobytes()


def read_clip(request: ClipRequest) -> Clip:
    """Read a stretch of a video, one picture in memory at a time.

    Returns:
        The frames shown at the times, with their own presentation times; one that is shown at several times is there
        once.

    Raises:
        VideoError: If the file is no video that can be decoded, or ends a frame or more before one of the times.
        UserError: If PyAV is not installed.
    """
    frames: list[Frame] = []
    with VideoReader(request.path, short_side=request.short_side) as reader:
        for time, picture in reader.shown(request.times):
            if not frames or time > frames[-1].time:
                frames.append(Frame(time=time, jpeg=encode_jpeg(picture, quality=request.quality)))
    stretch = {'start': request.start, 'end': request.end, 'duration': request.duration, 'fps': request.fps}
    return Clip(path=request.path, frames=tuple(frames), **stretch)
