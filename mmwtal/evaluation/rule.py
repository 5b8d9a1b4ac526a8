"""What an evaluation rule is: one field for each way in which the published evaluators differ."""

import hashlib
import json
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np

from mmwtal.evaluation.functional.matching import Matching

_LABEL = {'rule': False}  # what names or presents a rule and does not change a result


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One evaluation rule.

    To change a rule is to publish a new ``version`` of it. Where a new rule differs from the present ones in a way that
    no field describes yet, the field is added with a default that means the behaviour so far: the hash leaves out
    fields at their default, so the hashes of published results stay as they are.

    Args:
        name: What tools and configs call it.
        source: Whose evaluator it restates.
        default_tious: Thresholds where none are given.
        version: Raised whenever what the fields mean changes.
        snippet_grid: (fps, stride) of the snippet grid that times are rounded to, in frames; None: seconds.
        drop_ambiguous: Leave out detections that overlap an ambiguous stretch of their video; or, with
            ``'false_positives'``, only those that are no true positives, at each threshold by itself.
        unknown_class: What is done about a detection whose class the ground-truth file does not know at all, or which
            is not one of ``classes``: ``'error'``, ``'drop'``, counted, or ``'warn'``, which also logs a warning. A
            class that it knows but that has no instance in the subset has no average precision, so its detections are
            always dropped, and counted.
        drop_up_to: Leave out detections of at most so many snippets on the grid; None: none.
        matching: Who chooses whom; see :func:`~mmwtal.evaluation.functional.match_detections`.
        strict: The tIoU must be above the threshold, not only reach it.
        interpolated: Interpolate the precision as PASCAL VOC 2011 does; otherwise AP is the sum of the precisions at
            the true positives over the number of positives.
        ties: Which of two equal scores ranks higher: the ``'later'`` one in the file, the ``'earlier'`` one, or the one
            whose ``'video'`` comes first in alphabetical order, then the earlier one.
        clean_ground_truth: Remove instances of no length, and of each video those that repeat another one of their
            class within a thousandth of a second at both ends.
        classes: The classes that are averaged over; empty: those with ground truth.
        all_classes_predicted: The mAP is 0 where a class has ground truth and no detection that counts.
        annotated_videos_only: Leave out detections in videos without ground truth instead of counting them as false
            positives.
        skipped_videos: Videos whose detections, but not whose ground truth, are left out.
    """

    name: str = field(metadata=_LABEL)
    source: str = field(metadata=_LABEL)
    default_tious: tuple[float, ...] = field(metadata=_LABEL)
    version: int
    snippet_grid: tuple[int, int] | None = None
    drop_ambiguous: bool | Literal['false_positives'] = False
    unknown_class: Literal['error', 'drop', 'warn'] = 'error'
    drop_up_to: int | None = None
    matching: Matching = 'best'
    strict: bool = False
    interpolated: bool = True
    ties: Literal['later', 'earlier', 'video'] = 'later'
    clean_ground_truth: bool = False
    classes: tuple[str, ...] = ()
    all_classes_predicted: bool = False
    annotated_videos_only: bool = False
    skipped_videos: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.drop_up_to is not None and self.snippet_grid is None:
            raise ValueError(f'protocol {self.name!r}: drop_up_to counts snippets and needs a snippet_grid')

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that change with the rule's behaviour, not with its name."""
        rule = {f.name: getattr(self, f.name) for f in fields(self) if f.metadata != _LABEL}
        stated = {f.name: rule[f.name] for f in fields(self) if f.name in rule and rule[f.name] != f.default}
        return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def unit(self) -> str:
        """What its segments are measured in, for people to read."""
        if self.snippet_grid is None:
            return 'seconds'
        return f'snippets of {self.snippet_grid[1]} frames at {self.snippet_grid[0]} fps, rounded'

    def in_unit(self, seconds: np.ndarray) -> np.ndarray:
        """Return segments in the rule's unit: ground truth, ambiguous stretches and detections alike.

        Published code rounds ground truth with Python's ``round(seconds * 25 / 16)``, halves to even. The same
        operations in the same order are used here, not a ``Timebase``, since the last bit decides on which side a half
        falls.

        In the published code detections are whole snippets from the start. Rounding gives exactly these back from
        seconds that were made of them, whose last bits carry noise (7 snippets come as 7.000000000000001), and it puts
        detections from elsewhere on the grid. Lengths are compared after it, so that noise cannot make a detection of
        one snippet longer than one snippet.

        Args:
            seconds: (N, 2).

        Returns:
            (N, 2), float64.
        """
        seconds = np.asarray(seconds, dtype=np.float64)
        if self.snippet_grid is None:
            return seconds
        fps, stride = self.snippet_grid
        return np.rint(seconds * fps / stride)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields and the hash."""
        return {**{f.name: getattr(self, f.name) for f in fields(self)}, 'hash': self.hash}
