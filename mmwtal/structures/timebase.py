"""The only place where frames, snippets and seconds are converted."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Timebase:
    """The time grid of one video's snippet features.

    Snippet i stands for the seconds [b(i), b(i + 1)) with b(i) = (i stride + (window - stride) / 2) / fps, so that
    neighbouring snippets meet where their windows overlap evenly. With ``window == stride`` this is i stride / fps.

    Args:
        fps: Frames a second that ``stride`` and ``window`` count in; not necessarily the file's own frame rate.
        stride: Frames from one snippet's start to the next one's; may be fractional after resampling.
        window: Frames that a snippet sees; ``stride`` by default.
        duration: Length of the video in seconds; times are clipped to [0, duration]. None: clipped below only.

    Raises:
        ValueError: If a value is not positive.
    """

    fps: float
    stride: float
    window: float | None = None
    duration: float | None = None

    def __post_init__(self) -> None:
        for name in ('fps', 'stride', 'window', 'duration'):
            value = getattr(self, name)
            optional = name in ('window', 'duration')
            if not (optional and value is None) and not (value is not None and np.isfinite(value) and value > 0):
                raise ValueError(f'Timebase: {name} must be a positive number, found {value!r}')

    @property
    def seconds_per_snippet(self) -> float:
        """Seconds from one snippet's boundary to the next one's."""
        return self.stride / self.fps

    @property
    def _offset(self) -> float:
        window = self.stride if self.window is None else self.window
        return (window - self.stride) / 2 / self.fps

    def to_seconds(self, boundary: np.ndarray | float) -> np.ndarray:
        """Return b(boundary) in seconds, clipped to the video.

        Args:
            boundary: Snippet boundaries, any shape: a segment of the snippets s to e - 1 has the boundaries s and e.
                May be fractional.

        Returns:
            Seconds, float64, of the same shape.
        """
        seconds = np.asarray(boundary, dtype=np.float64) * self.seconds_per_snippet + self._offset
        return np.clip(seconds, 0.0, self.duration)

    def to_snippets(self, seconds: np.ndarray | float) -> np.ndarray:
        """Return the (fractional) boundary i with b(i) = seconds; the inverse of :meth:`to_seconds` before clipping.

        Args:
            seconds: Any shape.

        Returns:
            Boundaries, float64, of the same shape.
        """
        return (np.asarray(seconds, dtype=np.float64) - self._offset) / self.seconds_per_snippet

    def resampled(self, old: int, new: int) -> 'Timebase':
        """Return the time grid after ``old`` snippets were resampled to ``new`` over the same stretch of time."""
        if old == new:
            return self
        stride = self.stride * old / new
        # b(0) must stay where it was: window - stride is kept.
        window = None if self.window is None else stride + (self.window - self.stride)
        if window is not None and window <= 0:
            raise ValueError(f'Timebase: a window of {self.window} frames is too short to be resampled {old} -> {new}')
        return replace(self, stride=stride, window=window)
