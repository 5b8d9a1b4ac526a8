"""What an evaluation returns: numbers that never travel without their rule and their data."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

AVERAGES = {f'0.{low}:0.{high}': tuple(i / 10 for i in range(low, high + 1)) for low, high in ((1, 7), (1, 5), (3, 7))}
"""The averages over thresholds that papers on THUMOS14 report."""


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """Mean average precision under a named rule.

    Args:
        protocol: Name of the rule.
        protocol_hash: Its hash.
        unit: What the rule measures segments in.
        subset: The ground truth's subset.
        video_list: Name of the list of videos; None for the whole subset.
        video_list_hash: Hash of the ids of the videos that were evaluated.
        tious: Thresholds, K.
        mAP: Percent, K.
        average: Mean of ``mAP``.
        per_class: Class -> average precision in percent, K.
        num_videos: Videos that were evaluated.
        num_instances: Their instances, as far as the rule counts them.
        num_removed_instances: Those that it does not count.
        num_predictions: Predictions that were handed in.
        num_predicted_videos: Videos that have at least one of them.
        num_dropped_class: Of them, left out: their class has no instance in the subset.
        num_dropped_video: Of them, left out: the list of videos or the rule leaves out their video.
        num_dropped_short: Of them, left out: the rule takes them for too short.
        num_dropped_ambiguous: Of them, left out: they touch an ambiguous stretch.
        num_excused_ambiguous: Of them, no false positives where they hit nothing: they touch an ambiguous stretch.
        num_outside_videos: Of them, counted as false positives: their video is not in the subset.
        dropped_classes: The classes behind ``num_dropped_class``.
        classes_without_prediction: The classes of ``per_class`` that no prediction is left of.
    """

    protocol: str
    protocol_hash: str
    unit: str
    subset: str
    video_list: str | None
    video_list_hash: str
    tious: tuple[float, ...]
    mAP: tuple[float, ...]
    average: float
    per_class: dict[str, tuple[float, ...]]
    num_videos: int
    num_instances: int
    num_removed_instances: int
    num_predictions: int
    num_predicted_videos: int
    num_dropped_class: int
    num_dropped_video: int
    num_dropped_short: int
    num_dropped_ambiguous: int
    num_excused_ambiguous: int
    num_outside_videos: int
    dropped_classes: tuple[str, ...]
    classes_without_prediction: tuple[str, ...]

    @property
    def averages(self) -> dict[str, float]:
        """The averages of :data:`AVERAGES` whose thresholds are all there, in percent."""
        found = dict(zip(self.tious, self.mAP, strict=True))
        return {
            name: float(np.mean([found[tiou] for tiou in tious]))
            for name, tious in AVERAGES.items()
            if found.keys() >= set(tious)
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, dicts and numbers, ready for JSON."""
        content = {f.name: getattr(self, f.name) for f in fields(self)}
        content['per_class'] = {name: list(values) for name, values in self.per_class.items()}
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in content.items()}
        return {**plain, 'averages': self.averages}

    def table(self) -> str:
        """Return a text table that names the rule, the videos and the counts."""
        videos = (
            f'list {self.video_list_hash}' if self.video_list is None else f'{self.video_list}, {self.video_list_hash}'
        )
        lines = [
            f'protocol     {self.protocol} (hash {self.protocol_hash}), in {self.unit}',
            f'ground truth subset {self.subset}: {self.num_videos} videos ({videos}), '
            f'{self.num_instances} instances, {len(self.per_class)} classes',
            f'predictions  {self.num_predictions} in {self.num_predicted_videos} videos',
            *(f'             {count} {what}' for count, what in self._remarks() if count),
        ]
        others = {name: value for name, value in self.averages.items() if len(AVERAGES[name]) < len(self.tious)}
        heads = [*(f'{tiou:g}' for tiou in self.tious), 'average', *others]
        cells = [f'{value:.2f}' for value in (*self.mAP, self.average, *others.values())]
        widths = [max(len(head), len(cell)) for head, cell in zip(heads, cells, strict=True)]
        for title, row in (('tIoU', heads), ('mAP (%)', cells)):
            lines.append(f'{title:<13}' + '  '.join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
        return '\n'.join(lines)

    def _remarks(self) -> list[tuple[int, str]]:
        """Return what the rule did to instances and predictions: how many, and what."""
        return [
            (self.num_removed_instances, 'instances of the ground truth removed: repeated, without length or class'),
            (self.num_dropped_class, f'left out: no ground truth of their class ({_some(self.dropped_classes)})'),
            (self.num_dropped_video, 'left out: their video is'),
            (self.num_dropped_short, 'left out: too short'),
            (self.num_dropped_ambiguous, 'left out: they touch an ambiguous stretch'),
            (self.num_excused_ambiguous, 'touch an ambiguous stretch and are no false positives'),
            (self.num_outside_videos, 'false positives: their video is not in the subset'),
            (
                len(self.classes_without_prediction),
                f'classes without a prediction ({_some(self.classes_without_prediction)})',
            ),
        ]


def _some(names: tuple[str, ...]) -> str:
    return ', '.join(names[:5]) + (', ...' if len(names) > 5 else '')
