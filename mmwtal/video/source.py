"""An opened video file: its frames in the order they are shown, upright."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from mmwtal.video.container import (
    VideoError,
    file_name,
    has_no_presentation_stamps,
    open_container,
    packet_stamp,
    pyav,
    read_packets,
)
from mmwtal.video.orientation import Orientation, shown_size

__all__ = ['UNKNOWN_RATE', 'VideoError', 'VideoSource']

# Time stamps after a seek are guesses in these: program streams stamp few of their packets, bare streams none.
_NO_SEEK_FORMATS = ('mpeg', 'mpegvideo', 'm4v', 'h264', 'hevc')
# Frames a second of a file that states no rate.
UNKNOWN_RATE = 25


class VideoSource:
    """A video file, opened at its first frame that decodes, which is time 0.

    Args:
        path: The file.
        threads: Threads that decode.

    Raises:
        VideoError: If it is no video that can be decoded.
        UserError: If PyAV is not installed.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        self.path = path
        #: Packets that did not decode, and failures to read one.
        self.broken = 0
        self._threads = threads
        self._start_pts: int | None = None
        self._end_pts: int | None = None
        self._last_pts: int | None = None
        self._delay: int | None = None
        self._av = pyav()
        self.container = open_container(path)
        try:
            self.stream = self._open_stream()
            #: Mean number of seconds for which a frame is shown.
            self.frame_length = float(1 / (self.stream.average_rate or UNKNOWN_RATE))
            self._ahead: Any = next(self._decoded(), None)
            if self._ahead is None:
                found = f'{self.broken} packets failed' if self.broken else 'there are none'
                raise VideoError(f'{file_name(path)}: no frame of its {self.codec} stream could be decoded ({found})')
        except BaseException:
            self.container.close()
            raise
        self._first_pts: int = self._ahead.pts
        self.orientation = Orientation.of(self._ahead)
        aspect = self.stream.sample_aspect_ratio
        #: Width and height as shown: upright, with square pixels.
        self.size = shown_size(self._ahead.width, self._ahead.height, aspect, self.orientation)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self.container.close()

    @property
    def codec(self) -> str:
        """The name of the codec."""
        return str(self.stream.codec_context.name)

    @property
    def first_pts(self) -> int:
        """The presentation time stamp of time 0."""
        return self._first_pts

    @property
    def end(self) -> float:
        """Seconds at which the last frame ends of all packets read so far."""
        return self.seconds(self._first_pts if self._end_pts is None else self._end_pts)

    @property
    def seekable(self) -> bool:
        """Whether time stamps are right after a seek."""
        return self.container.format.name not in _NO_SEEK_FORMATS

    def seconds(self, pts: int) -> float:
        """Return the time of a presentation time stamp."""
        return float((pts - self._first_pts) * self.stream.time_base)

    def frames(self) -> Iterator[tuple[float, Any]]:
        """Yield time and frame from where the file stands, in the order of their times; each frame once.

        Frames whose time stamps go back are left out.
        """
        last = None
        for frame in self._from_here():
            if last is None or frame.pts > last:
                last = frame.pts
                yield self.seconds(frame.pts), frame

    def seek(self, time: float) -> None:
        """Go to the last key frame that the file's index knows before a time, or somewhere near it.

        Raises:
            VideoError: If the file has no index that serves for it; it then stands nowhere in particular.
        """
        target = self._first_pts + int(time / self.stream.time_base)
        self._ahead = self._last_pts = None
        try:
            self.container.seek(target, stream=self.stream, backward=True)
        except self._av.FFmpegError as error:
            raise VideoError(f'{file_name(self.path)}: {error.strerror}') from None

    def rewind(self) -> None:
        """Go back to the first frame."""
        self.container.close()
        self.container = open_container(self.path)
        self.stream = self._open_stream()
        self._ahead = self._last_pts = None

    def picture(self, frame: Any, size: tuple[int, int], interpolation: str = 'bilinear') -> np.ndarray:
        """Return a frame as it is shown.

        Args:
            frame: A frame of this file.
            size: Width and height of the picture.
            interpolation: How it is scaled: ``nearest``, ``bilinear``, ``bicubic`` or ``lanczos``.

        Returns:
            RGB, (H, W, 3), uint8.
        """
        width, height = size[::-1] if self.orientation.transposed else size
        how = interpolation.upper()
        stored = frame.to_ndarray(format='rgb24', width=width, height=height, threads=1, interpolation=how)
        return self.orientation.apply(stored)

    def _open_stream(self) -> Any:
        stream = self.container.streams.best('video')
        if stream is None or stream.disposition & self._av.stream.Disposition.attached_pic:
            audio = 'only audio' if self.container.streams.audio else 'neither video nor audio'
            raise VideoError(f'{file_name(self.path)} has no video stream, {audio}')
        if stream.codec_context is None:
            raise VideoError(f'{file_name(self.path)}: ffmpeg has no decoder for its video codec')
        stream.codec_context.thread_count = self._threads
        if self._threads > 1:
            stream.codec_context.thread_type = 'AUTO'
        return stream

    def _from_here(self) -> Iterator[Any]:
        if self._ahead is not None:
            ahead, self._ahead = self._ahead, None
            yield ahead
        yield from self._decoded()

    def _decoded(self) -> Iterator[Any]:
        """Yield the frames that decode and have a time stamp."""
        for packet in read_packets(self.container, self.stream):
            if packet is None:
                self.broken += 1
                continue
            self._note_end(packet)
            try:
                frames = self.stream.codec_context.decode(packet)
            except self._av.FFmpegError:
                self.broken += 1
                continue
            for frame in frames:
                frame.pts = self._frame_stamp(frame)
                if frame.pts is not None:
                    self._last_pts = frame.pts
                    yield frame

    def _note_end(self, packet: Any) -> None:
        stamp = packet_stamp(self.container, packet)
        if stamp is not None:
            end = stamp + (packet.duration or self._frame_ticks)
            self._start_pts = stamp if self._start_pts is None else self._start_pts
            self._end_pts = end if self._end_pts is None else max(self._end_pts, end)

    def _frame_stamp(self, frame: Any) -> int | None:
        """Return when a frame is shown, in ticks; None if that is unknown, as of some after a seek."""
        by_order = has_no_presentation_stamps(self.container)
        stamp = frame.dts if by_order or frame.pts is None else frame.pts
        if stamp is None:
            # The frames that a decoder keeps back for the end.
            return None if self._last_pts is None else self._last_pts + self._frame_ticks
        if not by_order:
            return int(stamp)
        # Frames come in their order, each with the stamp of the packet that made it come: later by what is kept back.
        if self._delay is None:
            self._delay = stamp - (self._start_pts or 0)
        return int(stamp - self._delay)

    @property
    def _frame_ticks(self) -> int:
        return max(1, round(self.frame_length / self.stream.time_base))
