"""What a video file is: its real duration, rate and size, found without decoding it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmwtal.video.container import VideoError, open_container, packet_stamp, read_packets
from mmwtal.video.source import UNKNOWN_RATE, VideoSource

__all__ = ['ProbedVideo', 'VideoError', 'probe_video']

# Intervals between frames that differ by less are equal: containers round time stamps, Matroska to milliseconds.
_SAME_INTERVAL = 0.0021
# A file that ends this much earlier than it says was cut off: seconds, and part of the stated duration.
_MISSING_SECONDS, _MISSING_SHARE = 1.0, 0.02
_CLOCK = re.compile(r'(\d+):(\d\d):(\d\d(?:\.\d*)?)')


@dataclass(frozen=True, kw_only=True)
class ProbedVideo:
    """Facts of a video.

    Args:
        path: The file.
        duration: Seconds from the first frame that decodes to the end of the last one, from presentation time stamps.
        fps: Mean number of frames a second, from the first to the last.
        frames: Number of frames.
        width: Pixels as shown: upright, with square pixels.
        height: Pixels as shown.
        rotation: Degrees clockwise by which the stored pictures are turned to be shown: 0, 90, 180 or 270.
        codec: Name of the codec.
        variable_rate: Whether the intervals between frames differ.
        has_audio: Whether it has sound too.
        truncated: Whether the file ends before the duration that it states, or within a packet.
    """

    path: Path
    duration: float
    fps: float
    frames: int
    width: int
    height: int
    rotation: int
    codec: str
    variable_rate: bool
    has_audio: bool
    truncated: bool


def probe_video(path: Path) -> ProbedVideo:
    """Look at a video: all packets for their time stamps, and as many as give a first frame are decoded.

    Args:
        path: The file.

    Raises:
        VideoError: If it is no video, or no frame of it decodes.
        UserError: If PyAV is not installed.
    """
    path = Path(path)
    with VideoSource(path) as source:
        width, height = source.size
        rotation, codec, first = source.orientation.rotation, source.codec, source.first_pts
    with open_container(path) as container:
        stream = container.streams.best('video')
        stamps, lengths, cut = _time_stamps(container, stream)
        unit = float(stream.time_base)
        stated = _stated_duration(container, stream)
        has_audio = bool(container.streams.audio)
        rate = stream.average_rate
    # What comes before the first frame that decodes is not there for anyone who decodes the file.
    kept = stamps >= min(first, stamps.max())
    order = np.argsort(stamps[kept], kind='stable')
    times, lengths = (stamps[kept][order] - first) * unit, lengths[kept][order] * unit
    intervals = np.diff(times)
    usual = float(np.median(intervals)) if len(intervals) else float(1 / (rate or UNKNOWN_RATE))
    duration = float((times + np.where(lengths > 0, lengths, usual)).max())
    # Some containers state how long the stream is, others when it ends.
    found = max(float(np.ptp(stamps)), float(stamps.max())) * unit
    return ProbedVideo(
        path=path,
        duration=duration,
        fps=float(len(intervals) / np.ptp(times)) if len(intervals) else 1 / duration,
        frames=len(times),
        width=width,
        height=height,
        rotation=rotation,
        codec=codec,
        variable_rate=bool(np.any(np.abs(intervals - usual) > _SAME_INTERVAL)),
        has_audio=has_audio,
        truncated=cut or bool(stated - found > max(_MISSING_SECONDS, _MISSING_SHARE * stated)),
    )


def _time_stamps(container: Any, stream: Any) -> tuple[np.ndarray, np.ndarray, bool]:
    """Read all packets.

    Returns:
        Presentation time stamps and durations of the frames, (N,) each, in ticks and in the order of the file; whether
        the last packet is broken.
    """
    stamps, lengths, broken = [], [], False
    for packet in read_packets(container, stream):
        if packet is None:
            broken = True
        elif packet.size:
            broken = packet.is_corrupt
            stamp = packet_stamp(container, packet)
            if stamp is not None:
                stamps.append(stamp)
                lengths.append(packet.duration or 0)
    return np.array(stamps, dtype=np.int64), np.array(lengths, dtype=np.int64), broken


def _stated_duration(container: Any, stream: Any) -> float:
    """Return the seconds that the file says the video has, 0 if it does not say."""
    if stream.duration is not None:
        # ffmpeg shortens the duration of an AVI file that was cut, but not its number of frames.
        counted = float(stream.frames / stream.average_rate) if stream.average_rate else 0.0
        return max(float(stream.duration * stream.time_base), counted)
    clock = _CLOCK.fullmatch(stream.metadata.get('DURATION', ''))
    if clock:
        hours, minutes, seconds = (float(part) for part in clock.groups())
        return 3600 * hours + 60 * minutes + seconds
    # The duration of the whole file, which may be that of its sound.
    alone = len(container.streams) == 1
    return container.duration / 1_000_000 if alone and container.duration else 0.0
