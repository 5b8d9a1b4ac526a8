"""Average precision of temporal detections."""

import numpy as np

from mmwtal.evaluation.functional.matching import Matching, match_detections


def average_precision(
    *,
    det_videos: np.ndarray,
    det_labels: np.ndarray,
    det_segments: np.ndarray,
    det_scores: np.ndarray,
    gt_videos: np.ndarray,
    gt_labels: np.ndarray,
    gt_segments: np.ndarray,
    num_classes: int,
    tious: np.ndarray,
    matching: Matching = 'best',
    strict: bool = False,
    interpolated: bool = True,
    excused: np.ndarray | None = None,
) -> np.ndarray:
    """Return the average precision of every class at every tIoU threshold.

    Interpolated as in PASCAL VOC 2011, precision at a recall is the best precision at that recall or beyond, and AP is
    the area below. Not interpolated, AP is the sum of the precisions at the true positives over the number of
    positives.

    Detections are ranked by descending score. Among equal scores the later row comes first: that is
    ``argsort(kind='stable')[::-1]``, which is what the published ``argsort()[::-1]`` does wherever it is defined.

    Args:
        det_videos: Video of each detection, int, (N,). A video without ground truth makes false positives.
        det_labels: Class of each detection in 0 ... C - 1, int, (N,).
        det_segments: Start and end, (N, 2), any one unit.
        det_scores: Finite, (N,).
        gt_videos: (M,), in the same numbering.
        gt_labels: (M,).
        gt_segments: (M, 2), in the same unit.
        num_classes: C.
        tious: Thresholds in (0, 1], (K,).
        matching: See :func:`match_detections`.
        strict: See :func:`match_detections`.
        interpolated: Which of the two averages.
        excused: Detections that are no false positives where they are no true positives: they then do not count at all.
            Bool, (N,).

    Returns:
        AP in [0, 1], float64, (C, K); 0 for a class without detections, NaN for one without ground truth.
    """
    order = len(det_scores) - 1 - np.lexsort((-det_scores[::-1].astype(np.float64), det_labels[::-1]))
    det_labels = det_labels[order].astype(np.int64)
    all_videos = np.concatenate([det_videos[order], gt_videos]).astype(np.int64)
    lowest = all_videos.min(initial=0)
    span = all_videos.max(initial=0) - lowest + 1
    groups = np.concatenate([det_labels, gt_labels]).astype(np.int64) * span + (all_videos - lowest)
    true_positive = match_detections(
        det_segments[order],
        groups[: len(order)],
        gt_segments,
        groups[len(order) :],
        np.asarray(tious),
        matching=matching,
        strict=strict,
    )
    counted = None if excused is None else true_positive | ~excused[order, None]

    num_positives = np.bincount(gt_labels.astype(np.int64), minlength=num_classes)
    bounds = np.searchsorted(det_labels, np.arange(num_classes + 1))
    ap = np.full((num_classes, len(tious)), np.nan)
    for label in np.flatnonzero(num_positives):
        rows = slice(bounds[label], bounds[label + 1])
        precision = _precision(true_positive[rows], None if counted is None else counted[rows])
        if interpolated:
            precision = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
        # Recall rises by 1 / num_positives at each true positive and nowhere else.
        ap[label] = np.sum(precision, axis=0, where=true_positive[rows]) / num_positives[label]
    return ap


def _precision(true_positive: np.ndarray, counted: np.ndarray | None) -> np.ndarray:
    """Return the precision of one class down to each rank, (n, K), from bool (n, K); None: every rank counts."""
    hits = np.cumsum(true_positive, axis=0)
    if counted is None:
        return hits / np.arange(1, len(true_positive) + 1)[:, None]
    return hits / np.maximum(np.cumsum(counted, axis=0), 1)
