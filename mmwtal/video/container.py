"""A file as ffmpeg opens it, its packets, and why a file is no video."""

import stat
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from mmwtal.formats.findings import shown
from mmwtal.utils.extras import require

# Demuxers of single pictures and of text art, which make "videos" of files that are none.
_NO_VIDEO_FORMATS = ('tty', 'image2')
# A file whose demuxer fails this often without a packet in between is at its end.
_MOST_FAILURES = 100
# Parts of an MP4 file that are looked at in search of its index.
_MOST_BOXES = 10_000


class VideoError(Exception):
    """A file that cannot be read as a video; the message names it and says why."""


def pyav() -> ModuleType:
    """Import PyAV.

    Raises:
        UserError: If it is not installed.
    """
    return require('av', 'priors')


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
        raise VideoError(f'{file_name(path)} {reason}') from None
    if not stat.S_ISREG(status.st_mode):
        raise VideoError(f'{file_name(path)} is {"a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"}')
    if status.st_size == 0:
        raise VideoError(f'{file_name(path)} is empty (0 bytes)')
    try:
        # As an address, because ffmpeg takes what stands before a colon for a protocol; and files cannot make it open
        # other addresses, as playlists do.
        container = av.open(
            f'file:{path.absolute()}', options={'protocol_whitelist': 'file'}, metadata_errors='replace'
        )
    except OSError as error:
        raise VideoError(f'{file_name(path)} cannot be read: {error.strerror}') from None
    except av.FFmpegError as error:
        reason = _missing_index(path) or f'ffmpeg says: {error.strerror}'
        raise VideoError(f'{file_name(path)} is no video file that can be read: {reason}') from None
    name = container.format.name
    if name in _NO_VIDEO_FORMATS or name.endswith('_pipe'):
        container.close()
        raise VideoError(f'{file_name(path)} is no video file but {"text" if name == "tty" else "a picture"}')
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


def file_name(path: Path) -> str:
    """Return a path as messages show it."""
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
