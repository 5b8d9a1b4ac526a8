"""Times along an axis, as people read them."""

import math


def time_ticks(duration: float) -> list[float]:
    """Return round times from 0 to the end, at most eleven: of seconds, then minutes, then hours."""
    steps = [step * 10.0**power for power in range(-2, 1) for step in (1, 2, 5)] + [10.0, 15.0, 30.0]
    steps += [60.0 * minutes for minutes in (1, 2, 5, 10, 15, 30)] + [3600.0 * hours for hours in (1, 2, 5, 10, 24)]
    step = next((step for step in steps if 10 * step >= duration), math.ceil(duration / 36_000) * 3600.0)
    return [number * step for number in range(int(duration / step + 1e-9) + 1)]


def clock(time: float, duration: float) -> str:
    """Return a time of a video as people write it: seconds in a short one, else minutes and hours too."""
    if duration < 120:
        return f'{time:.6g} s'
    minutes, seconds = divmod(round(time), 60)
    if duration < 3600:
        return f'{minutes}:{seconds:02}'
    return f'{minutes // 60}:{minutes % 60:02}:{seconds:02}'
