"""Reading the frames and the flow of a video's snippets, in stretches; what a decoding process does.

Nothing here imports torch, so that such a process is small and starts quickly.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from mmwtal.features.snippets import SnippetGrid
from mmwtal.video.flow import FlowMethod, FlowOfVideo
from mmwtal.video.orientation import fitted_size
from mmwtal.video.reader import VideoReader


@dataclass(frozen=True, kw_only=True)
class StreamReading:
    """What one stream sees of a video.

    Args:
        name: Its name.
        short_side: Pixels of the shorter side of its pictures; None: they are squeezed into the square.
        crop: Side of the square.
        whole: Whether the whole pictures are wanted instead of the square in their centre.
        interpolation: How pictures are scaled.
        frames: How many frames of a snippet it sees.
        flow: None for pictures.
    """

    name: str
    short_side: int | None
    crop: int
    whole: bool
    interpolation: str
    frames: int
    flow: FlowMethod | None = None

    def size(self, own: tuple[int, int]) -> tuple[int, int]:
        """Return width and height to which pictures are scaled."""
        if self.short_side is None:
            return self.crop, self.crop
        return fitted_size(own, self.short_side, enlarge=True)


@dataclass(frozen=True, kw_only=True)
class ReadingPlan:
    """How videos are read; can be pickled.

    Args:
        streams: What each stream sees.
        fps: Rate to which videos are resampled by their time stamps.
        grid: Which frames make a snippet.
        snippets: How many are read at a time.
    """

    streams: tuple[StreamReading, ...]
    fps: float
    grid: SnippetGrid
    snippets: int


@dataclass(frozen=True, kw_only=True)
class VideoEnd:
    """What is known of a video when it has been read.

    Args:
        frames: Number of frames of the resampled video.
        duration: Seconds from the first frame to the end of the last.
        broken: Packets that did not decode.
    """

    frames: int
    duration: float
    broken: int


@dataclass(frozen=True, kw_only=True, eq=False)
class StreamFrames:
    """The frames of some snippets, each frame once.

    Args:
        pictures: (M, H, W, C): RGB uint8, or flow float16 in pixels.
        index: Which of them make each snippet, (N, T), int64.
    """

    pictures: np.ndarray
    index: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Stretch:
    """Some snippets of a video.

    Args:
        streams: Their frames by stream.
        snippets: How many snippets.
        seconds: Up to where the video has been read.
        end: What is known at its end, with the last ones; else None.
    """

    streams: dict[str, StreamFrames]
    snippets: int
    seconds: float
    end: VideoEnd | None = None


@dataclass(frozen=True, kw_only=True)
class StretchRequest:
    """Asks for the next stretch of a video; can be pickled.

    Args:
        path: Its file.
        plan: How it is read.
        number: How many stretches of it were read before.
    """

    path: Path
    plan: ReadingPlan
    number: int


class VideoDecoder:
    """Keeps the video open between its stretches; lives in a decoding process."""

    def __init__(self) -> None:
        # Each process decodes one video at a time and the machine's cores are shared among the processes.
        cv2.setNumThreads(1)
        self._path: Path | None = None
        self._number = 0
        self._stretches: Iterator[Stretch] = iter(())

    def read(self, request: StretchRequest) -> Stretch:
        """Return a stretch; a video that is asked for out of turn, as after a crash, is read from its beginning again.

        Raises:
            VideoError: If the video cannot be read.
        """
        if (self._path, self._number) != (request.path, request.number):
            self._stretches = islice(read_stretches(request.path, request.plan), request.number, None)
        # Until it worked: an error leaves nothing to go on with.
        self._path = None
        stretch = next(self._stretches)
        if stretch.end is None:
            self._path, self._number = request.path, request.number + 1
        else:
            self._stretches = iter(())  # which closes the file
        return stretch


def read_stretch(decoder: VideoDecoder, request: StretchRequest) -> Stretch:
    """Read a stretch; what a :class:`~mmwtal.offline.pool.WorkerPool` calls."""
    return decoder.read(request)


def read_stretches(path: Path, plan: ReadingPlan) -> Iterator[Stretch]:
    """Yield the snippets of a video, ``plan.snippets`` at a time; memory does not grow with its length.

    The flow of a frame is that to the next one; the last frame has the flow of the one before, and the only frame of a
    video none.

    Raises:
        VideoError: If the file is no video that can be decoded, or has no flow where that is read.
        UserError: If PyAV is not installed.
    """
    grid, done, seconds = plan.grid, 0, 0.0
    with VideoReader(path) as reader:
        pictures = _Pictures(reader)
        kept = [_keeper(stream, pictures, path, plan) for stream in plan.streams]
        frames = 0
        for seconds in reader.steps(plan.fps):
            for one in kept:
                one.add(frames)
            frames += 1
            # The flow of the newest frame is not known yet; and one snippet stays for the end of the video.
            while grid.whole(frames - 1) > done + plan.snippets:
                end = done + plan.snippets
                yield Stretch(
                    streams={one.stream.name: one.take(done, end) for one in kept}, snippets=end - done, seconds=seconds
                )
                done = end
        for one in kept:
            one.finish(frames)
        facts = VideoEnd(frames=frames, duration=reader.end, broken=reader.broken)
        total = grid.count(frames)
        while done < total:
            end = min(done + plan.snippets, total)
            streams = {one.stream.name: one.take(done, end) for one in kept}
            last = facts if end == total else None
            yield Stretch(streams=streams, snippets=end - done, seconds=facts.duration, end=last)
            done = end


class _Pictures:
    """The pictures of the frame at which a reader stands, each size made once for all streams."""

    def __init__(self, reader: VideoReader) -> None:
        self._reader = reader
        self._made: dict[tuple[tuple[int, int], str], tuple[float, np.ndarray]] = {}

    def get(self, stream: StreamReading) -> np.ndarray:
        """Return the picture that a stream sees, whole; the same object where resampling shows a frame again."""
        key = stream.size(self._reader.own_size), stream.interpolation
        made = self._made.get(key)
        if made is None or made[0] != self._reader.time:
            made = self._made[key] = self._reader.time, self._reader.picture(*key)
        return made[1]


class _Keeper(ABC):
    """The frames of a stream that coming snippets need, by number."""

    def __init__(self, stream: StreamReading, grid: SnippetGrid, pictures: _Pictures) -> None:
        self.stream, self._grid, self.pictures = stream, grid, pictures
        self._residues = frozenset((grid.frames_of(0, 1, stream.frames) % grid.stride).ravel().tolist())
        self.frames: dict[int, np.ndarray] = {}
        self.last: int | None = None

    @abstractmethod
    def add(self, number: int) -> None:
        """Take note of the frame at which the reader stands."""

    @abstractmethod
    def finish(self, total: int) -> None:
        """Keep the last frame, whatever its number: padding shows it."""

    def take(self, first: int, end: int) -> StreamFrames:
        """Return the frames of snippets, and forget what no later one needs."""
        numbers = self._grid.frames_of(first, end, self.stream.frames)
        if self.last is not None:
            numbers = np.minimum(numbers, self.last)
        unique, index = np.unique(numbers, return_inverse=True)
        taken = StreamFrames(
            pictures=np.stack([self.frames[number] for number in unique.tolist()]), index=index.reshape(numbers.shape)
        )
        for number in [number for number in self.frames if number < end * self._grid.stride]:
            # Padding still shows the last frame.
            if number != self.last:
                del self.frames[number]
        return taken

    def needed(self, number: int) -> bool:
        """Say whether some snippet may see a frame."""
        return number % self._grid.stride in self._residues

    def cropped(self, picture: np.ndarray) -> np.ndarray:
        """Return the part of a picture that is kept, (H, W, C), without the rest of it in memory."""
        if self.stream.whole:
            return picture
        top, left = ((side - self.stream.crop) // 2 for side in picture.shape[:2])
        return picture[top : top + self.stream.crop, left : left + self.stream.crop].copy()


class _PictureKeeper(_Keeper):
    def add(self, number: int) -> None:
        if self.needed(number):
            self.frames[number] = self.cropped(self.pictures.get(self.stream))

    def finish(self, total: int) -> None:
        self.last = total - 1
        if self.last not in self.frames:
            self.frames[self.last] = self.cropped(self.pictures.get(self.stream))


class _FlowKeeper(_Keeper):
    def __init__(self, stream: StreamReading, grid: SnippetGrid, pictures: _Pictures, flow: FlowOfVideo) -> None:
        super().__init__(stream, grid, pictures)
        self._flow = flow
        self._pair: tuple[np.ndarray | None, np.ndarray | None] = (None, None)

    def add(self, number: int) -> None:
        self._pair = self._pair[1], self.pictures.get(self.stream)
        if number > 0 and self.needed(number - 1):
            self.frames[number - 1] = self._newest(number - 1)

    def finish(self, total: int) -> None:
        self.last = total - 1
        if total == 1:
            picture = self.pictures.get(self.stream)
            self.frames[0] = self.cropped(np.zeros((*picture.shape[:2], 2), dtype=np.float16))
        else:
            before = self.frames.get(total - 2)
            self.frames[self.last] = self._newest(total - 2) if before is None else before

    def _newest(self, number: int) -> np.ndarray:
        earlier, later = self._pair
        assert earlier is not None
        assert later is not None
        return self.cropped(self._flow.after(number, earlier, later)).astype(np.float16)


def _keeper(stream: StreamReading, pictures: _Pictures, path: Path, plan: ReadingPlan) -> _Keeper:
    if stream.flow is None:
        return _PictureKeeper(stream, plan.grid, pictures)
    return _FlowKeeper(stream, plan.grid, pictures, stream.flow.of_video(path, plan.fps))
