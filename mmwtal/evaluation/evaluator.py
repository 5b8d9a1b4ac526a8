"""The one function that every mAP of the toolbox comes from."""

from collections.abc import Iterable

import numpy as np

from mmwtal.evaluation.detections import Detections, read_detections
from mmwtal.evaluation.functional import average_precision
from mmwtal.evaluation.functional.pairing import equal_key_pairs
from mmwtal.evaluation.ground_truth import GroundTruth, read_ground_truth
from mmwtal.evaluation.json_source import Source
from mmwtal.evaluation.protocols import Protocol, get_protocol
from mmwtal.evaluation.result import EvaluationResult
from mmwtal.evaluation.tious import parse_tious
from mmwtal.utils.errors import UserError


def evaluate(
    predictions: Source | Detections,
    ground_truth: Source | GroundTruth,
    *,
    protocol: str | Protocol,
    tious: str | Iterable[float] | None = None,
    subset: str | None = None,
) -> EvaluationResult:
    """Evaluate temporal detections by a named rule.

    Args:
        predictions: An ActivityNet result file: its path or its content; or a table.
        ground_truth: An annotation file: its path or its content; or a table, which has its subset already.
        protocol: The rule, by name or itself; see :mod:`mmwtal.evaluation.protocols`.
        tious: Thresholds as numbers or as ``'START:STOP:STEP'`` with STOP included; the rule's own by default.
        subset: Which subset of the annotation file; by default ``test`` if there is one, else the only one.

    Returns:
        mAP in percent at each threshold, with all that it depends on.

    Raises:
        UserError: If an input cannot be read or is malformed, the subset, the rule or a threshold does not exist, or
            the rule forbids unknown classes and there is one.
    """
    rule = protocol if isinstance(protocol, Protocol) else get_protocol(protocol)
    thresholds = parse_tious(rule.default_tious if tious is None else tious)
    if isinstance(ground_truth, GroundTruth):
        if subset is not None and subset != ground_truth.subset:
            raise ValueError(f'the table of ground truth holds subset {ground_truth.subset!r}, not {subset!r}')
        truth = ground_truth
    else:
        truth = read_ground_truth(ground_truth, subset)
    given = predictions if isinstance(predictions, Detections) else read_detections(predictions)

    has_class, dropped_classes = _with_ground_truth_class(given, truth, rule)
    kept = given.select(has_class)
    videos = _renumbered(kept.videos, kept.video_ids, truth.video_ids)
    segments = rule.in_unit(kept.segments)
    ambiguous = np.zeros(len(videos), dtype=bool)
    if rule.drop_ambiguous:
        stretches = rule.in_unit(truth.ambiguous_segments)
        ambiguous = _overlapping(videos, segments, truth.ambiguous_videos, stretches)
    clear = ~ambiguous
    ap = 100 * average_precision(
        det_videos=videos[clear],
        det_labels=_renumbered(kept.labels, kept.classes, truth.classes)[clear],
        det_segments=segments[clear],
        det_scores=kept.scores[clear],
        gt_videos=truth.videos,
        gt_labels=truth.labels,
        gt_segments=rule.in_unit(truth.segments),
        num_classes=len(truth.classes),
        tious=np.array(thresholds),
    )
    mean = ap.mean(axis=0)
    return EvaluationResult(
        protocol=rule.name,
        protocol_hash=rule.hash,
        unit=rule.unit,
        subset=truth.subset,
        video_list_hash=truth.video_list_hash,
        tious=thresholds,
        mAP=tuple(mean.tolist()),
        average=float(mean.mean()),
        per_class={name: tuple(row) for name, row in zip(truth.classes, ap.tolist(), strict=True)},
        num_videos=len(truth.video_ids),
        num_instances=len(truth.segments),
        num_predictions=len(given.scores),
        num_predicted_videos=len(np.unique(given.videos)),
        num_dropped_class=int((~has_class).sum()),
        num_dropped_ambiguous=int(ambiguous.sum()),
        num_outside_videos=int((videos[clear] < 0).sum()),
        dropped_classes=dropped_classes,
    )


def _with_ground_truth_class(
    given: Detections, truth: GroundTruth, rule: Protocol
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return which detections have a class of the ground truth, bool (N,), and the other classes that occur.

    Raises:
        UserError: If the rule forbids unknown classes and one occurs.
    """
    occurring = np.bincount(given.labels, minlength=len(given.classes)) > 0
    with_truth = np.array([name in truth.classes for name in given.classes], dtype=bool)
    others = tuple(
        name for name, occurs, has in zip(given.classes, occurring, with_truth, strict=True) if occurs and not has
    )
    unknown = [name for name in others if name not in truth.known_classes]
    if unknown and rule.unknown_class == 'error':
        row = int(np.flatnonzero(given.labels == given.classes.index(unknown[0]))[0])
        names = ', '.join(repr(name) for name in unknown[:5]) + (', ...' if len(unknown) > 5 else '')
        raise UserError(
            f'{given.place}: video {given.video_ids[given.videos[row]]}: protocol {rule.name!r} expects classes of the '
            f'ground truth only, found {names}; rename or remove them. Known: {", ".join(sorted(truth.known_classes))}'
        )
    return with_truth[given.labels], others


def _renumbered(column: np.ndarray, names: tuple[str, ...], new_names: tuple[str, ...]) -> np.ndarray:
    """Return a column of indices into ``names`` as indices into ``new_names``; -1 where the name is not there."""
    index_of = {name: i for i, name in enumerate(new_names)}
    return np.array([index_of.get(name, -1) for name in names], dtype=np.int64)[column]


def _overlapping(
    videos: np.ndarray, segments: np.ndarray, other_videos: np.ndarray, other_segments: np.ndarray
) -> np.ndarray:
    """Return which segments share time with another one of their video, bool (N,)."""
    touches = np.zeros(len(videos), dtype=bool)
    for rows, others in equal_key_pairs(videos, other_videos):
        a, b = segments[rows], other_segments[others]
        shared = np.minimum(a[:, 1], b[:, 1]) - np.maximum(a[:, 0], b[:, 0])
        touches[rows[shared > 0]] = True
    return touches
