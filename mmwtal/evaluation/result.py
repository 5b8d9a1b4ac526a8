"""What an evaluation returns: numbers that never travel without their rule and their data."""

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """Mean average precision under a named rule.

    Args:
        protocol: Name of the rule.
        protocol_hash: Its hash.
        unit: What the rule measures segments in.
        subset: The ground truth's subset.
        video_list_hash: Hash of the subset's video ids.
        tious: Thresholds, K.
        mAP: Percent, K.
        average: Mean of ``mAP``.
        per_class: Class -> average precision in percent, K.
        num_videos: Videos of the subset.
        num_instances: Instances of the subset.
        num_predictions: Predictions that were handed in.
        num_predicted_videos: Videos that have at least one of them.
        num_dropped_class: Of them, left out: their class has no instance in the subset.
        num_dropped_ambiguous: Of them, left out: they touch an ambiguous stretch.
        num_outside_videos: Of them, counted as false positives: their video is not in the subset.
        dropped_classes: The classes behind ``num_dropped_class``.
    """

    protocol: str
    protocol_hash: str
    unit: str
    subset: str
    video_list_hash: str
    tious: tuple[float, ...]
    mAP: tuple[float, ...]
    average: float
    per_class: dict[str, tuple[float, ...]]
    num_videos: int
    num_instances: int
    num_predictions: int
    num_predicted_videos: int
    num_dropped_class: int
    num_dropped_ambiguous: int
    num_outside_videos: int
    dropped_classes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, dicts and numbers, ready for JSON."""
        content = {f.name: getattr(self, f.name) for f in fields(self)}
        content['per_class'] = {name: list(values) for name, values in self.per_class.items()}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in content.items()}

    def table(self) -> str:
        """Return a text table that names the rule, the videos and the counts."""
        lines = [
            f'protocol     {self.protocol} (hash {self.protocol_hash}), in {self.unit}',
            f'ground truth subset {self.subset}: {self.num_videos} videos (list {self.video_list_hash}), '
            f'{self.num_instances} instances, {len(self.per_class)} classes',
            f'predictions  {self.num_predictions} in {self.num_predicted_videos} videos',
        ]
        if self.num_dropped_class:
            names = ', '.join(self.dropped_classes[:5]) + (', ...' if len(self.dropped_classes) > 5 else '')
            lines.append(f'             {self.num_dropped_class} left out: no ground truth of their class ({names})')
        if self.num_dropped_ambiguous:
            lines.append(f'             {self.num_dropped_ambiguous} left out: they touch an ambiguous stretch')
        if self.num_outside_videos:
            lines.append(f'             {self.num_outside_videos} false positives: their video is not in the subset')
        heads = [f'{tiou:g}' for tiou in self.tious] + ['average']
        cells = [f'{value:.2f}' for value in (*self.mAP, self.average)]
        widths = [max(len(head), len(cell)) for head, cell in zip(heads, cells, strict=True)]
        for title, row in (('tIoU', heads), ('mAP (%)', cells)):
            lines.append(f'{title:<13}' + '  '.join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
        return '\n'.join(lines)
