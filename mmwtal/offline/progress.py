"""How far a job is: one line that is redrawn on a terminal, plain lines now and then elsewhere."""

import shutil
import time
from collections import Counter
from collections.abc import Callable
from typing import TextIO, get_args

from mmwtal.offline.job import State

_REDRAW_SECONDS = 0.2
_LINE_SECONDS = 10.0


class Progress:
    """Counts videos by their state and shows them with rate and remaining time.

    Args:
        total: How many videos there are to do.
        stream: Where to; None for nowhere.
        clock: Seconds of a clock that never goes back.
    """

    def __init__(
        self, total: int, *, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.counts: Counter[State] = Counter()
        self._total, self._stream, self._clock = total, stream, clock
        self._terminal = stream is not None and stream.isatty()
        self._start = clock()
        self._shown = self._start

    def done(self, state: State) -> None:
        """Count a video."""
        self.counts[state] += 1
        if self._clock() - self._shown >= (_REDRAW_SECONDS if self._terminal else _LINE_SECONDS):
            self._show()

    def note(self, text: str) -> None:
        """Show a line of its own, such as that a server is out of reach."""
        self._write(f'\r\x1b[K{text}\n' if self._terminal else f'{text}\n')

    def close(self) -> None:
        """Show the last state."""
        self._show()
        if self._terminal:
            self._write('\n')

    def line(self) -> str:
        """Return what is shown: done of all, by state, rate and remaining time."""
        done, seconds = self.counts.total(), self._clock() - self._start
        parts = [f'{done}/{self._total} videos', counted(self.counts)]
        if done and seconds > 0:
            rate = done / seconds
            parts.append(f'{rate:.1f}/s' if rate >= 1 else f'{60 * rate:.1f}/min')
            if done < self._total:
                parts.append(f'{_duration((self._total - done) / rate)} left')
        return ', '.join(filter(None, parts))

    def _show(self) -> None:
        self._shown = self._clock()
        # A line that wraps could not be redrawn.
        line = self.line()[: shutil.get_terminal_size().columns - 1] if self._terminal else self.line()
        self._write(f'\r\x1b[K{line}' if self._terminal else f'{line}\n')

    def _write(self, text: str) -> None:
        if self._stream is not None:
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):
                # The terminal is closed, or the disk of a log is full: the work goes on unseen.
                self._stream = None


def counted(counts: Counter[State]) -> str:
    """Return the counts as text, states without videos left out: "12 ok, 1 failed"."""
    return ', '.join(f'{counts[state]} {state}' for state in get_args(State) if counts[state])


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f'{days} d {hours} h'
    if hours:
        return f'{hours} h {minutes} min'
    return f'{minutes} min {rest} s' if minutes else f'{rest} s'
