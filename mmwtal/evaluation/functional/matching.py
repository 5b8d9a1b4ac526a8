"""Assigning detections to ground truth, for all videos, classes and tIoU thresholds at once."""

import numpy as np

from mmwtal.evaluation.functional.pairing import equal_key_pairs
from mmwtal.evaluation.functional.tiou import segment_tiou

_INSERTION_SORTED = 16  # numpy's quicksort sorts up to so many by insertion, which keeps the order of equals


def match_detections(
    det_segments: np.ndarray,
    det_groups: np.ndarray,
    gt_segments: np.ndarray,
    gt_groups: np.ndarray,
    tious: np.ndarray,
) -> np.ndarray:
    """Tell which detections are true positives, by the rule of ActivityNet's evaluator.

    In order of descending score, a detection takes the free ground truth of its group with which its tIoU is greatest,
    if that is at least the threshold; a ground truth serves one detection. Equal tIoUs are told apart as there, see
    :func:`_as_published`.

    One detection after the other would be a loop over all of them. But since every ground truth prefers the detection
    of higher score, the greedy result is the one stable matching between the two sides, so deferred acceptance (Gale
    and Shapley, 1962) finds it: in each round all detections without a ground truth ask for their next best one, and
    each ground truth keeps the best that ever asked. There are about as many rounds as ground truths that a detection
    overlaps.

    Args:
        det_segments: (N, 2), **in the order in which detections are served**, within each group at least.
        det_groups: The (video, class) of each, as any integer, (N,).
        gt_segments: (M, 2), in the same unit.
        gt_groups: Like ``det_groups``, (M,).
        tious: Thresholds in (0, 1], (K,).

    Returns:
        True positives, bool, (N, K).
    """
    tious = np.asarray(tious, dtype=np.float64)
    num_tious = len(tious)
    det, gt, tiou = _candidates(det_segments, det_groups, gt_segments, gt_groups, tious.min())
    # An asker is one detection at one threshold: number det * K + k. Its candidates are a run of rows, sorted by tIoU.
    num_candidates = np.bincount(det, minlength=len(det_segments))
    first = np.cumsum(num_candidates) - num_candidates
    enough = np.zeros((len(det_segments), num_tious), dtype=np.int64)
    for k, threshold in enumerate(tious):
        enough[:, k] = np.bincount(det[tiou >= threshold], minlength=len(det_segments))
    cursor = np.repeat(first[:, None], num_tious, axis=1)
    stop = (cursor + enough).ravel()
    cursor = cursor.ravel()

    nobody = len(stop)
    holder = np.full(len(gt_segments) * num_tious, nobody, dtype=np.int64)
    asking = np.flatnonzero(cursor < stop)
    while len(asking):
        wanted = gt[cursor[asking]] * num_tious + asking % num_tious
        before = holder[wanted]
        # Within one threshold a lower number is a detection that is served earlier.
        np.minimum.at(holder, wanted, asking)
        after = holder[wanted]
        displaced = np.unique(before[(before != after) & (before != nobody)])
        asking = np.concatenate([asking[after != asking], displaced])
        cursor[asking] += 1
        asking = asking[cursor[asking] < stop[asking]]

    true_positive = np.zeros(nobody, dtype=bool)
    true_positive[holder[holder != nobody]] = True
    return true_positive.reshape(len(det_segments), num_tious)


def _candidates(
    det_segments: np.ndarray,
    det_groups: np.ndarray,
    gt_segments: np.ndarray,
    gt_groups: np.ndarray,
    min_tiou: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pairs of one group with at least ``min_tiou``: detection, ground truth and tIoU, (P,) each.

    Detections ascend; within one, the ground truth it would rather have comes first.
    """
    blocks = []
    for det, gt in equal_key_pairs(det_groups, gt_groups):
        tiou = segment_tiou(det_segments[det], gt_segments[gt])
        near = tiou >= min_tiou
        blocks.append((det[near], gt[near], tiou[near]))
    if not blocks:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0)
    det, gt, tiou = (np.concatenate(column) for column in zip(*blocks, strict=True))
    order = np.lexsort((-tiou, det))
    det, gt, tiou = det[order], gt[order], tiou[order]
    return det, _as_published(det, gt, tiou, det_segments, gt_segments, gt_groups), tiou


def _as_published(
    det: np.ndarray,
    gt: np.ndarray,
    tiou: np.ndarray,
    det_segments: np.ndarray,
    gt_segments: np.ndarray,
    gt_groups: np.ndarray,
) -> np.ndarray:
    """Return the candidates' ground truth with equal tIoUs in the order of the published evaluator.

    That is ``tiou.argsort()[::-1]`` over all ground truth of the group: the later one first in a group of up to 16,
    where numpy's quicksort inserts; what quicksort makes of it in a larger one. Published figures depend on it in their
    second decimal. For float64 numpy may take a vectorised sort that depends on the processor; for longdouble it has
    the plain quicksort alone, so results agree on all machines.

    Args:
        det: Detection of each pair, ascending, (P,).
        gt: Its ground truth, by descending tIoU, the later one first, (P,).
        tiou: (P,).
        det_segments: (N, 2).
        gt_segments: (M, 2).
        gt_groups: (M,).

    Returns:
        ``gt`` in the final order, (P,).
    """
    tied = np.unique(det[1:][(det[1:] == det[:-1]) & (tiou[1:] == tiou[:-1])])
    gt = gt.copy()
    by_group = np.argsort(gt_groups, kind='stable')
    sorted_groups = gt_groups[by_group]
    begin, end = np.searchsorted(det, tied), np.searchsorted(det, tied, side='right')
    groups = gt_groups[gt[begin]]
    low, high = np.searchsorted(sorted_groups, groups), np.searchsorted(sorted_groups, groups, side='right')
    # One by one: they are few, and a quicksort cannot be had otherwise.
    for i in np.flatnonzero(high - low > _INSERTION_SORTED):
        members = by_group[low[i] : high[i]]
        all_tious = segment_tiou(det_segments[tied[i]], gt_segments[members])
        best = all_tious.astype(np.longdouble).argsort()[::-1][: end[i] - begin[i]]
        gt[begin[i] : end[i]] = members[best]
    return gt
