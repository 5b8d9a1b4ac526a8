"""One set of detections under several rules: a row a rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmwtal.evaluation.detections import Detections
from mmwtal.evaluation.evaluator import evaluate
from mmwtal.evaluation.ground_truth import GroundTruth
from mmwtal.evaluation.protocols import ALL, get_protocols
from mmwtal.evaluation.result import AVERAGES
from mmwtal.evaluation.video_lists import VideoList
from mmwtal.utils.errors import UserError

COMMON_TIOUS = '0.1:0.7:0.1'
"""Thresholds where none are given: each rule's own would not make one table."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What several rules make of one set of detections.

    Args:
        evaluations: The content of each :class:`EvaluationResult`, with the same videos and thresholds.
        not_applicable: Rule -> why it does not suit these data.
    """

    evaluations: tuple[Mapping[str, Any], ...]
    not_applicable: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, dicts and numbers, ready for JSON."""
        return {'evaluations': list(self.evaluations), 'not_applicable': dict(self.not_applicable)}

    def heading(self) -> str:
        """Return what all rows have in common."""
        first = self.evaluations[0]
        videos = first['video_list_hash']
        if first['video_list'] is not None:
            videos = f'{first["video_list"]}, {videos}'
        return (
            f'subset {first["subset"]}, {first["num_videos"]} videos (list {videos}); '
            f'{first["num_predictions"]} predictions in {first["num_predicted_videos"]} videos; mAP (%) by tIoU'
        )

    def rows(self) -> list[list[str]]:
        """Return the table's cells, the heads first."""
        first = self.evaluations[0]
        averages = [name for name in AVERAGES if name in first['averages']] or ['average']
        heads = ['protocol', 'hash', 'instances', *(f'{tiou:g}' for tiou in first['tious']), *averages]
        body = [
            [
                *(result['protocol'], result['protocol_hash'], str(result['num_instances'])),
                *(f'{value:.2f}' for value in result['mAP']),
                *(f'{result["averages"].get(name, result["average"]):.2f}' for name in averages),
            ]
            for result in self.evaluations
        ]
        return [heads, *body]

    def table(self) -> str:
        """Return a text table."""
        rows = self.rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            '  '.join(cell.ljust(width) if i < 2 else cell.rjust(width) for i, (cell, width) in enumerate(cells))
            for cells in (list(zip(row, widths, strict=True)) for row in rows)
        ]
        notes = [f'not applicable: {name}: {reason}' for name, reason in self.not_applicable.items()]
        return '\n'.join([self.heading(), *lines, *notes])

    def markdown(self) -> str:
        """Return a Markdown table under its heading."""
        heads, *body = self.rows()
        rule = ['---', '---', *('---:' for _ in heads[2:])]
        quoted = [[f'`{name}`', f'`{digits}`', *numbers] for name, digits, *numbers in body]
        lines = [f'| {" | ".join(row)} |' for row in (heads, rule, *quoted)]
        return '\n'.join([self.heading()[0].upper() + self.heading()[1:] + ':', '', *lines])


def compare_protocols(
    predictions: Detections,
    ground_truth: GroundTruth,
    *,
    protocols: str | Sequence[str],
    tious: str | Sequence[float] | None = None,
    videos: VideoList | None = None,
) -> Comparison:
    """Evaluate one set of detections by several rules.

    Args:
        predictions: The detections.
        ground_truth: The ground truth.
        protocols: Names of rules, see :func:`get_protocols`. With ``'all'`` a rule that does not suit the data is
            noted; one that is named must suit them.
        tious: See :func:`evaluate`; by default :data:`COMMON_TIOUS` for all.
        videos: See :func:`evaluate`.

    Raises:
        UserError: As :func:`evaluate` does; also if no rule suits the data.
    """
    evaluations, not_applicable = [], {}
    for rule in get_protocols(protocols):
        try:
            result = evaluate(
                predictions, ground_truth, protocol=rule, tious=COMMON_TIOUS if tious is None else tious, videos=videos
            )
        except UserError as error:
            if protocols != ALL:
                raise
            not_applicable[rule.name] = str(error)
        else:
            evaluations.append(result.to_dict())
    if not evaluations:
        raise UserError(f'no protocol suits the data: {next(iter(not_applicable.values()))}')
    return Comparison(evaluations=tuple(evaluations), not_applicable=not_applicable)
