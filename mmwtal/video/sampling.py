"""At which times of a video one looks."""

import math


def frame_times(
    duration: float, *, fps: float, max_frames: int, start: float = 0.0, end: float | None = None
) -> list[float]:
    """Return times spread evenly over a stretch: the middles of equal parts.

    Args:
        duration: Seconds of the video.
        fps: Times a second.
        max_frames: Most times; a longer stretch is sampled more thinly.
        start: Second at which the stretch begins.
        end: Second at which it ends; the video's end if not given.

    Returns:
        At least one time, ascending, all inside the stretch.

    Raises:
        ValueError: If the stretch is empty or outside the video, or nothing is to be sampled.
    """
    end = duration if end is None else end
    if not 0 <= start < end <= duration:
        raise ValueError(f'no stretch of a video of {duration:g} s: {start:g} to {end:g} s')
    if not (fps > 0 and max_frames > 0):
        raise ValueError(f'nothing to sample: fps {fps:g}, max_frames {max_frames}')
    count = max(1, min(max_frames, math.floor((end - start) * fps + 0.5)))
    part = (end - start) / count
    return [start + (number + 0.5) * part for number in range(count)]


def windows(duration: float, *, one_pass: float, window: float, overlap: float) -> list[tuple[float, float]]:
    """Return the stretches in which a long video is looked at.

    All have the same length and overlap equally, so that none is a sliver.

    Args:
        duration: Seconds of the video.
        one_pass: Seconds up to which a video is one stretch.
        window: Seconds of a stretch of a longer one.
        overlap: Least number of seconds that neighbouring stretches share.

    Returns:
        Start and end of each; together they cover the video.

    Raises:
        ValueError: If the video has no length, or a window does not get beyond its overlap.
    """
    if not duration > 0:
        raise ValueError(f'a video of {duration:g} s has no stretches')
    if not 0 <= overlap < window:
        raise ValueError(f'windows of {window:g} s cannot overlap by {overlap:g} s')
    if duration <= max(one_pass, window):
        return [(0.0, duration)]
    count = math.ceil((duration - overlap) / (window - overlap))
    step = (duration - window) / (count - 1)
    starts = [number * step for number in range(count)]
    return [(start, start + window) for start in starts[:-1]] + [(duration - window, duration)]
