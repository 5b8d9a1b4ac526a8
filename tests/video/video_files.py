"""Small video files whose every frame shows its own number, and files that are broken in known ways."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

WIDTH, HEIGHT = 64, 48
UNIT = Fraction(1, 1000)


def picture(number: int) -> np.ndarray:
    """Ten cells, five in a row, white where a bit of the number is set; the first two tell what is up."""
    bits = [1, 0, *((number >> bit) & 1 for bit in range(8))]
    cells = np.array(bits, dtype=np.uint8).reshape(2, 5) * 255
    grey = np.kron(cells, np.ones((HEIGHT // 2, WIDTH // 5 + 1), dtype=np.uint8))[:, :WIDTH]
    return np.repeat(grey[:, :, None], 3, axis=2)


def number_of(shown: np.ndarray) -> int:
    """Read the number of an upright picture."""
    height, width = shown.shape[:2]
    rows, columns = (np.arange(2) + 0.5) * height / 2, (np.arange(5) + 0.5) * width * (WIDTH // 5 + 1) / WIDTH
    bits = (shown[rows.astype(int)[:, None], np.minimum(columns, width - 1).astype(int)].mean(axis=-1) > 128).reshape(
        -1
    )
    assert bits[:2].tolist() == [True, False], 'not upright'
    return int((bits[2:] << np.arange(8)).sum())


def write_video(
    path: Path,
    *,
    stamps: Sequence[int] = range(0, 4000, 100),
    codec: str = 'libx264',
    format: str | None = None,
    options: dict[str, str] | None = None,
    rotation: int = 0,
    sound: bool = False,
    aspect: Fraction | None = None,
    muxing: dict[str, str] | None = None,
) -> Path:
    """Write frames 0, 1, ... at given milliseconds; a key frame every ten.

    ``rotation`` is by how many degrees anticlockwise a player turns them, which makes them upright.
    """
    import av

    made = {'g': '10', 'keyint_min': '10', 'sc_threshold': '0', 'preset': 'ultrafast', 'crf': '18', **(options or {})}
    if codec != 'libx264':
        made = {key: value for key, value in made.items() if key in ('g', 'bf')}
    step = int(np.median(np.diff(stamps))) if len(stamps) > 1 else 100
    with av.open(f'file:{path.absolute()}', 'w', format=format, options=muxing or {}) as container:
        stream = container.add_stream(codec, rate=Fraction(1000, step), options=made)
        stream.width, stream.height = (HEIGHT, WIDTH) if rotation % 180 else (WIDTH, HEIGHT)
        stream.pix_fmt = 'yuv420p'
        fine = codec == 'libx264' and path.suffix != '.avi'
        stream.codec_context.time_base = UNIT if fine else Fraction(step, 1000)
        stream.codec_context.thread_count = 1
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        audio = container.add_stream('aac', rate=8000) if sound else None
        for number, stamp in enumerate(stamps):
            stored = np.ascontiguousarray(np.rot90(picture(number % 256), -rotation // 90))
            frame = av.VideoFrame.from_ndarray(stored, format='rgb24')
            frame.pts, frame.time_base = stamp, UNIT
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio:
            _add_sound(container, audio, len(stamps) * step / 1000)
    return path


def write_sound(path: Path) -> Path:
    """Write a file of a second of silence."""
    import av

    with av.open(str(path), 'w') as container:
        _add_sound(container, container.add_stream('aac', rate=8000), 1.0)
    return path


def _add_sound(container: object, stream: object, seconds: float) -> None:
    import av

    for start in range(0, int(seconds * 8000), 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), dtype=np.float32), format='fltp', layout='mono')
        frame.sample_rate, frame.pts, frame.time_base = 8000, start, Fraction(1, 8000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def cut(source: Path, path: Path, share: float) -> Path:
    """Write the first part of a file."""
    content = source.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def patched(source: Path, path: Path, old: bytes, new: bytes) -> Path:
    """Write a file with some bytes of another replaced by as many."""
    content = source.read_bytes()
    assert old in content
    assert len(old) == len(new)
    path.write_bytes(content.replace(old, new))
    return path


def scratched(source: Path, path: Path, start: float, end: float) -> Path:
    """Write a file with a stretch of its MP4 media data overwritten, given as parts of it."""
    content = bytearray(source.read_bytes())
    first = content.index(b'mdat') + 4
    length = int.from_bytes(content[first - 8 : first - 4], 'big') - 8
    stretch = slice(first + int(start * length), first + int(end * length))
    content[stretch] = b'\xa5' * (stretch.stop - stretch.start)
    path.write_bytes(content)
    return path
