"""Reading the frames of a video that are shown at given times, by presentation time stamps and never by counting."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from mmwtal.video.container import VideoError, file_name
from mmwtal.video.orientation import fitted_size
from mmwtal.video.source import VideoSource

# Seconds; below the unit of common containers and above the rounding of sums of their time stamps.
_SAME_TIME = 1e-6
# Frames this many seconds ahead are reached by decoding what is between; a seek decodes from a key frame on as well.
_FIRST_GAP = 2.0


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodedFrames:
    """Frames of a video.

    Args:
        asked: Seconds that were asked for, (N,).
        times: Presentation times of the frames shown then, in seconds from the first frame, (N,).
        frames: The pictures as shown, RGB, (N, H, W, 3), uint8.
        broken: Packets on the way that did not decode; the frames before them were shown on.
    """

    asked: np.ndarray
    times: np.ndarray
    frames: np.ndarray
    broken: int


class VideoReader:
    """Decodes a video in the order of time; memory does not grow with its length.

    Args:
        path: The file.
        short_side: Pixels of the shorter side of the pictures; their own size if not given.
        enlarge: Whether smaller pictures are scaled up to it too.
        threads: Threads that decode.

    Raises:
        VideoError: If the file is no video that can be decoded.
        UserError: If PyAV is not installed.
    """

    def __init__(self, path: Path, *, short_side: int | None = None, enlarge: bool = False, threads: int = 1) -> None:
        self._source = VideoSource(Path(path), threads=threads)
        #: Width and height of the pictures.
        self.size = fitted_size(self._source.size, short_side, enlarge=enlarge)
        self._gap = _FIRST_GAP if self._source.seekable else math.inf
        # Where it stands, and the frame after that.
        self._time: float
        self._frame: Any
        self._next: tuple[float, Any] | None
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.close()

    @property
    def broken(self) -> int:
        """Packets read so far that did not decode."""
        return self._source.broken

    @property
    def time(self) -> float:
        """Seconds at which the frame begins that :meth:`picture` gives."""
        return self._time

    @property
    def end(self) -> float:
        """Seconds at which the last frame ends of all read so far."""
        return self._source.end

    @property
    def own_size(self) -> tuple[int, int]:
        """Width and height of the frames as they are shown, before they are scaled."""
        return self._source.size

    def picture(self, size: tuple[int, int] | None = None, interpolation: str = 'bilinear') -> np.ndarray:
        """Return the frame at which the reader stands, RGB, (H, W, 3), uint8.

        Args:
            size: Width and height; :attr:`size` if not given.
            interpolation: How it is scaled: ``nearest``, ``bilinear``, ``bicubic`` or ``lanczos``.
        """
        return self._source.picture(self._frame, size or self.size, interpolation)

    def shown(self, times: Sequence[float]) -> Iterator[tuple[float, np.ndarray]]:
        """Yield the frame shown at each time: the last one that begins at it or before.

        Args:
            times: Seconds from the first frame, not descending.

        Yields:
            The frame's own time and the picture, RGB, (H, W, 3), uint8; the same object where a frame is shown still.

        Raises:
            VideoError: If a time is beyond the end of the video by a frame or more.
            ValueError: If times descend or are negative.
        """
        at, picture, before = -1.0, np.empty(0), 0.0
        for time in times:
            if not time >= before:
                raise ValueError(f'time {time:g} s after {before:g} s')
            before = time
            self._move(time)
            if self._time != at:
                at, picture = self._time, self.picture()
            yield at, picture

    def frames(self, start: float = 0.0, end: float | None = None) -> Iterator[tuple[float, np.ndarray]]:
        """Yield time and picture of every frame that begins in a stretch, as :meth:`shown` does."""
        self._move(start, strict=False)
        while self._time < (math.inf if end is None else end - _SAME_TIME):
            if self._time >= start - _SAME_TIME:
                yield self._time, self.picture()
            if self._next is None:
                return
            self._step()

    def resampled(self, fps: float, start: float = 0.0, end: float | None = None) -> Iterator[tuple[float, np.ndarray]]:
        """Yield time and picture as a film of a constant rate would have them: those shown at start + k / fps.

        Args:
            fps: Frames a second.
            start: Seconds of the first one.
            end: Seconds before which the last one is; the video's end if not given.
        """
        at, picture = -1.0, np.empty(0)
        for time in self.steps(fps, start, end):
            if self._time != at:
                at, picture = self._time, self.picture()
            yield time, picture

    def steps(self, fps: float, start: float = 0.0, end: float | None = None) -> Iterator[float]:
        """Yield the times of :meth:`resampled`, where the reader then stands; :meth:`picture` gives what is wanted.

        When it ends the reader stands where the last of them found it.
        """
        number = 0
        while (time := start + number / fps) < (math.inf if end is None else end) - _SAME_TIME:
            before = self._time, self._frame
            self._move(time, strict=False)
            if self._next is None and time >= self._source.end - _SAME_TIME:
                if self._time != before[0]:
                    # The file has frames after the last one that was shown.
                    self._next = self._time, self._frame
                    self._time, self._frame = before
                return
            yield time
            number += 1

    def _start(self) -> None:
        self._frames = self._source.frames()
        self._time, self._frame = next(self._frames)
        self._next = next(self._frames, None)

    def _step(self) -> None:
        if self._next is not None:
            self._time, self._frame = self._next
            self._next = next(self._frames, None)

    def _move(self, time: float, *, strict: bool = True) -> None:
        """Go on to the frame that is shown at a time."""
        if time - self._time > self._gap and self._next is not None:
            self._jump(time)
        while self._next is not None and self._next[0] <= time + _SAME_TIME:
            self._step()
        if strict and self._next is None and time >= self._source.end + self._source.frame_length:
            end = self._source.end
            raise VideoError(f'{file_name(self._source.path)} has no frame at {time:.3f} s, it ends at {end:.3f} s')

    def _jump(self, time: float) -> None:
        """Go to a key frame before a time."""
        here, back = self._time, 0.0
        while back < time:
            try:
                self._source.seek(time - back)
            except VideoError:
                self._gap = math.inf
                break
            frames = self._source.frames()
            first = next(frames, None)
            # Some indexes lead too far: to where decoding begins after the time, or to nothing that decodes.
            if first is not None and first[0] <= time + _SAME_TIME:
                self._frames, (self._time, self._frame) = frames, first
                self._next = next(frames, None)
                if self._time <= here:
                    # Nothing was gained: key frames are farther apart than was thought.
                    self._gap *= 2
                return
            back = max(1.0, 2 * back)
        self._gap *= 2
        self._source.rewind()
        self._start()


def read_frames(
    path: Path, times: Sequence[float], *, short_side: int | None = None, enlarge: bool = False, threads: int = 1
) -> DecodedFrames:
    """Read the frames that are shown at given times.

    Args:
        path: The video.
        times: Seconds from its first frame, in any order.
        short_side: Pixels of the shorter side of the pictures; their own size if not given.
        enlarge: Whether smaller pictures are scaled up to it too.
        threads: Threads that decode.

    Raises:
        VideoError: If the file is no video that can be decoded, or ends a frame or more before one of the times.
        UserError: If PyAV is not installed.
    """
    asked = np.asarray(times, dtype=np.float64)
    order = np.argsort(asked, kind='stable')
    with VideoReader(path, short_side=short_side, enlarge=enlarge, threads=threads) as reader:
        width, height = reader.size
        got, frames = np.empty(len(asked)), np.empty((len(asked), height, width, 3), dtype=np.uint8)
        for place, (time, picture) in zip(order, reader.shown(asked[order].tolist()), strict=True):
            got[place], frames[place] = time, picture
        return DecodedFrames(asked=asked, times=got, frames=frames, broken=reader.broken)


def iterate_frames(
    path: Path,
    fps: float | None = None,
    *,
    start: float = 0.0,
    end: float | None = None,
    short_side: int | None = None,
    enlarge: bool = False,
    threads: int = 1,
) -> Iterator[tuple[float, np.ndarray]]:
    """Yield time and picture of the frames of a stretch, one after the other, in bounded memory.

    Args:
        path: The video.
        fps: Rate to which it is resampled by time stamps: the frames shown at start + k / fps. Every frame at its own
            time if not given.
        start: Seconds from the first frame.
        end: Seconds before which the last one is; the video's end if not given.
        short_side: Pixels of the shorter side of the pictures; their own size if not given.
        enlarge: Whether smaller pictures are scaled up to it too.
        threads: Threads that decode.

    Yields:
        Seconds, and RGB (H, W, 3), uint8; the same object where resampling shows a frame again.

    Raises:
        VideoError: If the file is no video that can be decoded.
        UserError: If PyAV is not installed.
    """
    with VideoReader(path, short_side=short_side, enlarge=enlarge, threads=threads) as reader:
        yield from reader.frames(start, end) if fps is None else reader.resampled(fps, start, end)
