"""The one function that every mAP of the toolbox comes from."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mmwtal.evaluation.counted import CountedDetections, counted_detections, counted_ground_truth
from mmwtal.evaluation.detections import Detections, read_detections
from mmwtal.evaluation.functional import average_precision
from mmwtal.evaluation.ground_truth import GroundTruth, read_ground_truth
from mmwtal.evaluation.json_source import Source
from mmwtal.evaluation.protocols import get_protocol
from mmwtal.evaluation.result import EvaluationResult
from mmwtal.evaluation.rule import Protocol
from mmwtal.evaluation.tious import parse_tious
from mmwtal.evaluation.video_lists import VideoList, get_video_list


def evaluate(
    predictions: Source | Detections,
    ground_truth: Source | GroundTruth,
    *,
    protocol: str | Protocol,
    tious: str | Iterable[float] | None = None,
    subset: str | None = None,
    videos: str | Path | VideoList | None = None,
) -> EvaluationResult:
    """Evaluate temporal detections by a named rule.

    Args:
        predictions: An ActivityNet result file: its path or its content; or a table.
        ground_truth: An annotation file: its path or its content; or a table, which has its subset already.
        protocol: The rule, by name or itself; see :mod:`mmwtal.evaluation.protocols`.
        tious: Thresholds as numbers or as ``'START:STOP:STEP'`` with STOP included; the rule's own by default.
        subset: Which subset of the annotation file; by default ``test`` if there is one, else the only one.
        videos: Which of the subset's videos: a list's name or file, see :mod:`mmwtal.evaluation.video_lists`, or
            itself; by default all. Detections in the others are left out.

    Returns:
        mAP in percent at each threshold, with all that it depends on.

    Raises:
        UserError: If an input cannot be read or is malformed, the subset, the rule, the list of videos or a threshold
            does not exist, the list or the rule does not suit the ground truth, or the rule forbids unknown classes and
            there is one.
    """
    rule = protocol if isinstance(protocol, Protocol) else get_protocol(protocol)
    thresholds = parse_tious(rule.default_tious if tious is None else tious)
    listed = videos if isinstance(videos, VideoList) or videos is None else get_video_list(videos)
    if isinstance(ground_truth, GroundTruth):
        if subset is not None and subset != ground_truth.subset:
            raise ValueError(f'the table of ground truth holds subset {ground_truth.subset!r}, not {subset!r}')
        complete = ground_truth
    else:
        complete = read_ground_truth(ground_truth, subset)
    given = predictions if isinstance(predictions, Detections) else read_detections(predictions)

    selected = complete if listed is None else listed.apply(complete)
    truth = counted_ground_truth(selected, rule)
    left_out = frozenset() if listed is None else listed.left_out_of(complete)
    counted = counted_detections(given, truth, rule, left_out=left_out)
    ap = _average_precision(counted, truth, rule, thresholds)
    without = _classes_without_detection(counted, truth)
    mean = ap.mean(axis=0)
    if rule.all_classes_predicted and without:
        mean = np.zeros_like(mean)
    return EvaluationResult(
        protocol=rule.name,
        protocol_hash=rule.hash,
        unit=rule.unit,
        subset=truth.subset,
        video_list=None if listed is None else listed.name,
        video_list_hash=truth.video_list_hash,
        tious=thresholds,
        mAP=tuple(mean.tolist()),
        average=float(mean.mean()),
        per_class={name: tuple(row) for name, row in zip(truth.classes, ap.tolist(), strict=True)},
        num_videos=len(truth.video_ids),
        num_instances=len(truth.segments),
        num_removed_instances=len(selected.segments) - len(truth.segments),
        num_predictions=len(given.scores),
        num_predicted_videos=len(np.unique(given.videos)),
        num_dropped_class=counted.dropped['class'],
        num_dropped_video=counted.dropped['video'],
        num_dropped_short=counted.dropped.get('short', 0),
        num_dropped_ambiguous=counted.dropped.get('ambiguous', 0),
        num_excused_ambiguous=0 if counted.excused is None else int(counted.excused.sum()),
        num_outside_videos=int((counted.videos < 0).sum()),
        dropped_classes=counted.dropped_classes,
        classes_without_prediction=without,
    )


def _average_precision(
    counted: CountedDetections, truth: GroundTruth, rule: Protocol, tious: tuple[float, ...]
) -> np.ndarray:
    """Return the AP in percent of each class at each threshold, (C, K); 0 for a class without ground truth."""
    ap = average_precision(
        det_videos=counted.videos,
        det_labels=counted.labels,
        det_segments=counted.segments,
        det_scores=counted.scores,
        gt_videos=truth.videos,
        gt_labels=truth.labels,
        gt_segments=rule.in_unit(truth.segments),
        num_classes=len(truth.classes),
        tious=np.array(tious),
        matching=rule.matching,
        strict=rule.strict,
        interpolated=rule.interpolated,
        excused=counted.excused,
    )
    return 100 * np.nan_to_num(ap)


def _classes_without_detection(counted: CountedDetections, truth: GroundTruth) -> tuple[str, ...]:
    empty = np.bincount(counted.labels, minlength=len(truth.classes)) == 0
    return tuple(name for name, is_empty in zip(truth.classes, empty, strict=True) if is_empty)
