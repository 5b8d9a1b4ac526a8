"""What a picture of the actions in a video shows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from mmwtal.formats.action_texts import Action

#: Classes that are shown at most; a picture of more is not read.
MOST_CLASSES = 8
# A class is not shown if its best score is below this part of the best of its model in the video.
_LEAST_SHARE = 0.05


@dataclass(frozen=True, kw_only=True)
class TimelineRow:
    """Actions from one source.

    Args:
        name: Whose they are.
        actions: They, in any order.
        known: Whether they are the ground truth, which has no scores.
    """

    name: str
    actions: Sequence[Action]
    known: bool = False

    def share(self, action: Action) -> float:
        """Return the score of one of its actions as a part of the best, from 0 to 1.

        Where the best is 0 or below, all are low and the same: the model is sure of nothing.
        """
        best = max(one.score for one in self.actions)
        return max(action.score, 0.0) / best if best > 0 else 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class TimelineCurve:
    """A value over time.

    Args:
        name: What it is.
        times: Seconds, ascending, (T,).
        values: (T,).
        label: The class that it belongs to; None if it is of all classes.
        bounds: The values at the bottom and the top.
    """

    name: str
    times: np.ndarray
    values: np.ndarray
    label: str | None = None
    bounds: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Timeline:
    """What a picture shows.

    Args:
        video: The video's id.
        duration: Its seconds.
        rows: Actions of each source.
        curves: Values over time.
        thumbnails: Frames of equal parts of the video, in order, RGB (H, W, 3), uint8, of one shape.
        note: Words below the title.
    """

    video: str
    duration: float
    rows: Sequence[TimelineRow]
    curves: Sequence[TimelineCurve] = ()
    thumbnails: Sequence[np.ndarray] = ()
    note: str = ''
    classes: list[str] = field(init=False)
    left_out: list[str] = field(init=False)

    def __post_init__(self) -> None:
        if not self.duration > 0:
            raise ValueError(f'{self.video}: a video of {self.duration:g} s')
        ordered = list(_by_weight(self.rows))
        object.__setattr__(self, 'classes', ordered[:MOST_CLASSES])
        labels = dict.fromkeys(one.label for row in self.rows for one in row.actions)
        object.__setattr__(self, 'left_out', [label for label in labels if label not in self.classes])


def _by_weight(rows: Sequence[TimelineRow]) -> Iterator[str]:
    """Yield the classes: those that are known in the order of their first action, then others by their best score."""
    known = sorted((one for row in rows if row.known for one in row.actions), key=lambda one: one.start)
    first = dict.fromkeys(one.label for one in known)
    yield from first
    shares: dict[str, float] = {}
    for row in rows:
        for one in row.actions:
            if not row.known and one.label not in first:
                shares[one.label] = max(shares.get(one.label, 0.0), row.share(one))
    yield from sorted((label for label in shares if shares[label] >= _LEAST_SHARE), key=lambda one: -shares[one])
