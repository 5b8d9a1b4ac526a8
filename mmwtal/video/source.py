"""An opened video file: its packets, its frames in the order they are shown, and why a file is none."""

import stat
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

import numpy as np

from mmwtal.formats.findings import shown
from mmwtal.utils.extras import require
from mmwtal.video.orientation import Orientation, shown_size

# Demuxers of single pictures and of text art, which make "videos" of files that are none.
_NO_VIDEO_FORMATS = ('tty', 'image2')
# Time stamps after a seek are guesses in these: program streams stamp few of their packets, bare streams none.
_NO_SEEK_FORMATS = ('mpeg', 'mpegvideo', 'm4v', 'h264', 'hevc')
# A file whose demuxer fails this often without a packet in between is at its end.
_MOST_FAILURES = 100
# Parts of an MP4 file that are looked at in search of its index.
_MOST_BOXES = 10_000
# Frames a second of a file that states no rate.
UNKNOWN_RATE = 25


class VideoError(Exception):
    """A file that cannot be read as a video; the message names it and says why."""


def pyav() -> ModuleType:
    """Import PyAV.

    Raises:
        UserError: If it is not installed.
    """
    return require('av', 'priors')


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
                raise VideoError(f'{_name(path)}: no frame of its {self.codec} stream could be decoded ({found})')
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
            raise VideoError(f'{_name(self.path)}: {error.strerror}') from None

    def rewind(self) -> None:
        """Go back to the first frame."""
        self.container.close()
        self.container = open_container(self.path)
        self.stream = self._open_stream()
        self._ahead = self._last_pts = None

    def picture(self, frame: Any, size: tuple[int, int]) -> np.ndarray:
        """Return a frame as it is shown.

        Args:
            frame: A frame of this file.
            size: Width and height of the picture.

        Returns:
            RGB, (H, W, 3), uint8.
        """
        width, height = size[::-1] if self.orientation.transposed else size
        stored = frame.to_ndarray(format='rgb24', width=width, height=height, threads=1)
        return self.orientation.apply(stored)

    def _open_stream(self) -> Any:
        stream = self.container.streams.best('video')
        if stream is None or stream.disposition & self._av.stream.Disposition.attached_pic:
            audio = 'only audio' if self.container.streams.audio else 'neither video nor audio'
            raise VideoError(f'{_name(self.path)} has no video stream, {audio}')
        if stream.codec_context is None:
            raise VideoError(f'{_name(self.path)}: ffmpeg has no decoder for its video codec')
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


def open_container(path: Path) -> Any:
    """Open a file as what ffmpeg finds that it is.

    Raises:
        VideoError: If it is missing, no regular file, empty or unreadable, or no video or audio file.
        UserError: If PyAV is not installed.
    """
    av = pyav()
    try:
        status = path.stat()
    except OSError as error:
        reason = 'does not exist' if isinstance(error, FileNotFoundError) else f'cannot be read: {error.strerror}'
        raise VideoError(f'{_name(path)} {reason}') from None
    if not stat.S_ISREG(status.st_mode):
        raise VideoError(f'{_name(path)} is {"a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"}')
    if status.st_size == 0:
        raise VideoError(f'{_name(path)} is empty (0 bytes)')
    try:
        # As an address, because ffmpeg takes what stands before a colon for a protocol; and files cannot make it open
        # other addresses, as playlists do.
        container = av.open(
            f'file:{path.absolute()}', options={'protocol_whitelist': 'file'}, metadata_errors='replace'
        )
    except OSError as error:
        raise VideoError(f'{_name(path)} cannot be read: {error.strerror}') from None
    except av.FFmpegError as error:
        reason = _missing_index(path) or f'ffmpeg says: {error.strerror}'
        raise VideoError(f'{_name(path)} is no video file that can be read: {reason}') from None
    name = container.format.name
    if name in _NO_VIDEO_FORMATS or name.endswith('_pipe'):
        container.close()
        raise VideoError(f'{_name(path)} is no video file but {"text" if name == "tty" else "a picture"}')
    return container


def read_packets(container: Any, stream: Any) -> Iterator[Any | None]:
    """Yield the packets of a stream, then an empty one, which makes a decoder give its last frames.

    A failure to read one yields None; reading goes on behind it.
    """
    av = pyav()
    packets, failures = container.demux(stream), 0
    while failures < _MOST_FAILURES:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            failures += 1
            packets = container.demux(stream)
            yield None
            continue
        if packet is None:
            return
        failures = 0
        yield packet


def has_no_presentation_stamps(container: Any) -> bool:
    """Say whether a container has stamps of decoding alone; those of presentation that ffmpeg guesses are wrong."""
    return bool(container.format.name == 'avi')


def packet_stamp(container: Any, packet: Any) -> int | None:
    """Return the presentation time stamp of a packet; None if its frame is not to be shown or it has none."""
    if packet.is_discard:
        return None
    return packet.dts if packet.pts is None or has_no_presentation_stamps(container) else packet.pts


def _name(path: Path) -> str:
    return shown(str(path))


def _missing_index(path: Path) -> str:
    """Return that an MP4 or MOV file lacks its index, if it does."""
    kinds: list[bytes] = []
    size = path.stat().st_size
    with path.open('rb') as file:
        position = 0
        while position + 8 <= size and len(kinds) < _MOST_BOXES:
            file.seek(position)
            head = file.read(16)
            length, kind = int.from_bytes(head[:4], 'big'), head[4:8]
            if length == 1:
                length = int.from_bytes(head[8:16], 'big')
            kinds.append(kind)
            # Length 0: up to the end of the file.
            position = position + length if length >= 8 else size
    if kinds[:1] != [b'ftyp'] or b'moov' in kinds:
        return ''
    return 'its index (the "moov atom") is missing, so it was cut off or never finished'
