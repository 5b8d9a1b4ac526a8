"""Incomplete and over-complete results: how much of an action its detection leaves out, how much else it takes in.

The two go together: an attention that is open everywhere leaves nothing out, and one that is open nowhere but at the
most telling moment takes nothing else in.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mmwtal.evaluation.detections import Detections
from mmwtal.evaluation.functional.pairing import equal_key_pairs
from mmwtal.evaluation.functional.tiou import segment_tiou
from mmwtal.evaluation.ground_truth import GroundTruth

FOUND_TIOU = 0.1
"""From this tIoU on a detection is one of an instance, if a badly placed one; below it is one of the background, as in
DETAD (Alwassel et al., "Diagnosing Error in Temporal Action Detectors", ECCV 2018)."""


@dataclass(frozen=True, kw_only=True)
class Completeness:
    """Means over the instances of the ground truth; shares in [0, 1], NaN where no instance is found.

    Args:
        incompleteness: Share of an instance that its detection leaves out, over the instances that are found.
        over_completeness: Share of that detection that lies outside all instances of its class: on the background, or
            on another action.
        beyond_instance: Share of that detection that lies outside its own instance; beyond ``over_completeness`` this
            is what it shares with neighbours that it merges.
        missed: Share of the instances that no detection finds.
        num_instances: How many instances there are.
        found_tiou: Least tIoU of a detection with the instance that it is of.
    """

    incompleteness: float
    over_completeness: float
    beyond_instance: float
    missed: float
    num_instances: int
    found_tiou: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, ready for JSON, with None for NaN."""
        return {name: None if value != value else value for name, value in asdict(self).items()}


def completeness(detections: Detections, truth: GroundTruth, *, found_tiou: float = FOUND_TIOU) -> Completeness:
    """Measure how complete detections are.

    An instance is found by the detections of its video and class with a tIoU of at least ``found_tiou``; what counts
    is the one with the highest score, that with the greater tIoU among equals: what a user of the detections would be
    shown first.

    Args:
        detections: Of any classes and videos; those without ground truth do not matter.
        truth: Instances; those without length are left out.
        found_tiou: In (0, 1].
    """
    kept = truth.segments[:, 1] > truth.segments[:, 0]
    segments = truth.segments[kept]
    groups = truth.videos[kept] * len(truth.classes) + truth.labels[kept]
    det_groups = _groups(detections, truth)
    best = best_detections(
        det_segments=detections.segments,
        det_groups=det_groups,
        det_scores=detections.scores,
        gt_segments=segments,
        gt_groups=groups,
        found_tiou=found_tiou,
    )
    found = best >= 0
    chosen, instances = detections.segments[best[found]], segments[found]
    shared = np.minimum(chosen[:, 1], instances[:, 1]) - np.maximum(chosen[:, 0], instances[:, 0])
    length = chosen[:, 1] - chosen[:, 0]
    inside = covered_length(chosen, det_groups[best[found]], segments, groups)

    def mean(values: np.ndarray) -> float:
        return float(values.mean()) if len(values) else float('nan')

    return Completeness(
        incompleteness=mean(1 - shared / (instances[:, 1] - instances[:, 0])),
        over_completeness=mean(1 - inside / length),
        beyond_instance=mean(1 - shared / length),
        missed=mean(~found),
        num_instances=len(segments),
        found_tiou=found_tiou,
    )


def best_detections(
    *,
    det_segments: np.ndarray,
    det_groups: np.ndarray,
    det_scores: np.ndarray,
    gt_segments: np.ndarray,
    gt_groups: np.ndarray,
    found_tiou: float = FOUND_TIOU,
) -> np.ndarray:
    """Return the highest-scoring detection of each instance, by the tIoU among equals; -1 where none finds it, (M,).

    A detection that spans several instances may be that of each of them.

    Args:
        det_segments: (N, 2).
        det_groups: The (video, class) of each, as any integer, (N,).
        det_scores: (N,).
        gt_segments: (M, 2), in the same unit.
        gt_groups: Like ``det_groups``, (M,).
        found_tiou: Least tIoU, above 0.
    """
    best = np.full(len(gt_segments), -1)
    for instance, detection in equal_key_pairs(gt_groups, det_groups):
        tiou = segment_tiou(det_segments[detection], gt_segments[instance])
        near = tiou >= found_tiou
        instance, detection, tiou = instance[near], detection[near], tiou[near]
        order = np.lexsort((tiou, det_scores[detection], instance))
        best[instance[order]] = detection[order]  # of several rows of one instance the last, the best, stays
    return best


def covered_length(
    segments: np.ndarray, groups: np.ndarray, gt_segments: np.ndarray, gt_groups: np.ndarray
) -> np.ndarray:
    """Return how much of each segment lies inside the union of the instances of its group, (N,).

    Args:
        segments: (N, 2).
        groups: As any integer, (N,).
        gt_segments: (M, 2), in the same unit.
        gt_groups: Like ``groups``, (M,).
    """
    merged, merged_groups = _merged(gt_segments, gt_groups)
    covered = np.zeros(len(segments))
    for row, other in equal_key_pairs(groups, merged_groups):
        start = np.maximum(segments[row, 0], merged[other, 0])
        end = np.minimum(segments[row, 1], merged[other, 1])
        covered += np.bincount(row, weights=np.maximum(end - start, 0), minlength=len(segments))
    return covered


def _merged(segments: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the stretches that the segments of each group cover, apart from each other, (K, 2), and their groups."""
    if not len(segments):
        return segments, groups
    order = np.lexsort((segments[:, 0], groups))
    segments, groups = segments[order], groups[order]
    new_group = np.append(True, groups[1:] != groups[:-1])
    # Each group on a stretch of the time line of its own, where one running maximum serves all of them.
    span = segments.max() - segments.min() + 1
    shifted = segments + (np.cumsum(new_group) * span)[:, None]
    reached = np.maximum.accumulate(shifted[:, 1])
    first = np.flatnonzero(new_group | np.append(True, shifted[1:, 0] > reached[:-1]))
    return np.stack([segments[first, 0], np.maximum.reduceat(segments[:, 1], first)], axis=1), groups[first]


def _groups(detections: Detections, truth: GroundTruth) -> np.ndarray:
    """Return the (video, class) of each detection in the numbering of the ground truth, -1 for one that it lacks."""
    video_of = {name: number for number, name in enumerate(truth.video_ids)}
    label_of = {name: number for number, name in enumerate(truth.classes)}
    videos = np.array([video_of.get(name, -1) for name in detections.video_ids], dtype=np.int64)[detections.videos]
    labels = np.array([label_of.get(name, -1) for name in detections.classes], dtype=np.int64)[detections.labels]
    return np.where((videos < 0) | (labels < 0), -1, videos * len(truth.classes) + labels)
