"""Made-up films to measure extraction on."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np


def write_film(path: Path, *, seconds: float, fps: int = 25, size: tuple[int, int] = (640, 360)) -> Path:
    """Write a film in which a textured field moves under a still one; H.264 with a key frame every ten seconds.

    Args:
        path: The file.
        seconds: Its length.
        fps: Frames a second.
        size: Width and height.
    """
    import av

    width, height = size
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 8 + 8, width // 8 + 8, 3), dtype=np.uint8)
    field = cv2.resize(coarse, (width + 64, height + 64), interpolation=cv2.INTER_CUBIC)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=fps, options={'preset': 'veryfast', 'g': str(10 * fps)})
        stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
        stream.codec_context.time_base = Fraction(1, fps)
        for number in range(round(seconds * fps)):
            x, y = (round(32 + 31 * wave(number / speed)) for wave, speed in ((np.sin, 11), (np.cos, 17)))
            picture = field[y : y + height, x : x + width].copy()
            picture[: height // 4] = field[: height // 4, :width]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format='rgb24')
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
