"""Assigning detections to ground truth, for all videos, classes and tIoU thresholds at once."""

from typing import Literal

import numpy as np

from mmwtal.evaluation.functional.pairing import equal_key_pairs
from mmwtal.evaluation.functional.tiou import segment_tiou

Matching = Literal['best', 'first', 'per_instance']

_INSERTION_SORTED = 16  # numpy's quicksort sorts up to so many by insertion, which keeps the order of equals


def match_detections(
    det_segments: np.ndarray,
    det_groups: np.ndarray,
    gt_segments: np.ndarray,
    gt_groups: np.ndarray,
    tious: np.ndarray,
    *,
    matching: Matching = 'best',
    strict: bool = False,
) -> np.ndarray:
    """Tell which detections are true positives.

    A ground truth serves one detection, and both are of one group. Those on one side choose, one after the other:

    - ``'best'``, ActivityNet's evaluator: in order of descending score, a detection takes the free ground truth with
      which its tIoU is greatest. Equal tIoUs are told apart as there, see :func:`_as_published`.
    - ``'first'``, W-TALC: in order of descending score, a detection takes the first free ground truth in the list that
      it overlaps enough.
    - ``'per_instance'``, THUMOS14's MATLAB script: in the order of the list, a ground truth takes the free detection
      with which its tIoU is greatest, the one of higher score where two are equal. The tIoU is taken over the hull.

    One after the other would be a loop over all of them. But since everyone chosen prefers the chooser who comes
    earlier, the result is the one stable matching between the two sides, so deferred acceptance (Gale and Shapley,
    1962) finds it: in each round all choosers without a partner ask for their next choice, and each one asked keeps the
    earliest that ever asked. There are about as many rounds as partners that a chooser overlaps.

    Args:
        det_segments: (N, 2), **in the order in which detections are served**, within each group at least.
        det_groups: The (video, class) of each, as any integer, (N,).
        gt_segments: (M, 2), in the same unit, in the order of the list.
        gt_groups: Like ``det_groups``, (M,).
        tious: Thresholds in (0, 1], (K,).
        matching: Who chooses whom.
        strict: Whether the tIoU must be above the threshold, not only reach it.

    Returns:
        True positives, bool, (N, K).
    """
    tious = np.asarray(tious, dtype=np.float64)
    pairs = _candidates(det_segments, det_groups, gt_segments, gt_groups, tious.min(), matching)
    if matching == 'per_instance':
        chosen_by = _deferred_acceptance(pairs, len(gt_segments), len(det_segments), tious, strict, in_order=False)
        return chosen_by < len(gt_segments)
    held = _deferred_acceptance(pairs, len(det_segments), len(gt_segments), tious, strict, in_order=matching == 'first')
    true_positive = np.zeros((len(det_segments) + 1, len(tious)), dtype=bool)
    true_positive[held, np.arange(len(tious))] = True
    return true_positive[:-1]


Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Chooser, choice and their tIoU, (P,) each. Choosers ascend; of one, the choice it would rather have comes first."""


def _deferred_acceptance(
    pairs: Pairs, num_choosers: int, num_choices: int, tious: np.ndarray, strict: bool, *, in_order: bool
) -> np.ndarray:
    """Return which chooser each choice ends with at each threshold, (num_choices, K); ``num_choosers`` means none.

    Args:
        pairs: See :data:`Pairs`.
        num_choosers: Earlier ones, with a lower number, come first.
        num_choices: How many there are to choose from.
        tious: Thresholds, (K,).
        strict: Whether they must be exceeded.
        in_order: The preferences of a chooser do not follow the tIoU.
    """
    num_tious = len(tious)
    # An asker is one chooser at one threshold: number chooser * K + k. It may ask for a run of rows in `choice`.
    cursor, stop, choice = (_all_that_reach if in_order else _best_that_reach)(pairs, num_choosers, tious, strict)
    nobody = len(stop)
    holder = np.full(num_choices * num_tious, nobody, dtype=np.int64)
    asking = np.flatnonzero(cursor < stop)
    while len(asking):
        wanted = choice[cursor[asking]] * num_tious + asking % num_tious
        before = holder[wanted]
        # Within one threshold a lower number is a chooser that comes earlier.
        np.minimum.at(holder, wanted, asking)
        after = holder[wanted]
        displaced = np.unique(before[(before != after) & (before != nobody)])
        asking = np.concatenate([asking[after != asking], displaced])
        cursor[asking] += 1
        asking = asking[cursor[asking] < stop[asking]]
    return (holder // num_tious).reshape(num_choices, num_tious)


def _best_that_reach(
    pairs: Pairs, num_choosers: int, tious: np.ndarray, strict: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return first row and end, (num_choosers * K,) each, and the choices: at each threshold the first few of a run."""
    chooser, choice, tiou = pairs
    reaches = np.greater if strict else np.greater_equal
    available = np.bincount(chooser, minlength=num_choosers)
    first = np.cumsum(available) - available
    enough = np.zeros((num_choosers, len(tious)), dtype=np.int64)
    for k, threshold in enumerate(tious):
        enough[:, k] = np.bincount(chooser[reaches(tiou, threshold)], minlength=num_choosers)
    cursor = np.repeat(first[:, None], len(tious), axis=1)
    return cursor.ravel(), (cursor + enough).ravel(), choice


def _all_that_reach(
    pairs: Pairs, num_choosers: int, tious: np.ndarray, strict: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Like :func:`_best_that_reach` for preferences of any order: a run of rows for each threshold by itself."""
    chooser, choice, tiou = pairs
    reaches = np.greater if strict else np.greater_equal
    threshold, row = np.nonzero(reaches(tiou, tious[:, None]))
    counts = np.bincount(threshold * num_choosers + chooser[row], minlength=num_choosers * len(tious))
    stop = np.cumsum(counts)
    by_chooser = [ends.reshape(len(tious), num_choosers).T.ravel() for ends in (stop - counts, stop)]
    return by_chooser[0], by_chooser[1], choice[row]


def _candidates(
    det_segments: np.ndarray,
    det_groups: np.ndarray,
    gt_segments: np.ndarray,
    gt_groups: np.ndarray,
    min_tiou: float,
    matching: Matching,
) -> Pairs:
    """Return the pairs of one group with at least ``min_tiou``."""
    per_instance = matching == 'per_instance'
    groups = (gt_groups, det_groups) if per_instance else (det_groups, gt_groups)
    blocks = []
    for chooser, choice in equal_key_pairs(*groups):
        det, gt = (choice, chooser) if per_instance else (chooser, choice)
        tiou = segment_tiou(det_segments[det], gt_segments[gt], over_hull=per_instance)
        near = tiou >= min_tiou
        blocks.append((chooser[near], choice[near], tiou[near]))
    if not blocks:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0)
    chooser, choice, tiou = (np.concatenate(column) for column in zip(*blocks, strict=True))
    # Pairs arrive with the later choice first, which is what 'best' wants of equal tIoUs.
    preference = {'best': (-tiou, chooser), 'first': (choice, chooser), 'per_instance': (choice, -tiou, chooser)}
    order = np.lexsort(preference[matching])
    chooser, choice, tiou = chooser[order], choice[order], tiou[order]
    if matching == 'best':
        choice = _as_published(chooser, choice, tiou, det_segments, gt_segments, gt_groups)
    return chooser, choice, tiou


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
