"""What a rule counts: which ground truth and which detections, before anything is matched."""

import logging
from collections.abc import Set
from dataclasses import dataclass, replace

import numpy as np

from mmwtal.evaluation.detections import Detections
from mmwtal.evaluation.functional.pairing import equal_key_pairs
from mmwtal.evaluation.ground_truth import GroundTruth
from mmwtal.evaluation.rule import Protocol
from mmwtal.utils.errors import UserError

DUPLICATE_TOLERANCE = 1e-3
"""Seconds; ActionFormer's and OpenTAD's."""

_logger = logging.getLogger('mmwtal')  # mmengine's logger would bring torch along


@dataclass(frozen=True, kw_only=True)
class CountedDetections:
    """The detections that a rule ranks, n of N that were given.

    Args:
        videos: Video of each, an index into the ground truth's, -1 for one that is not there, int64, (n,).
        labels: Class of each, an index into the ground truth's, int64, (n,).
        segments: In the rule's unit, float64, (n, 2).
        scores: (n,); of equal ones the later row ranks higher.
        excused: Those that are no false positives where they are no true positives, bool, (n,); None: none.
        dropped: How many were left out, by reason.
        dropped_classes: The classes behind those left out for their class.
    """

    videos: np.ndarray
    labels: np.ndarray
    segments: np.ndarray
    scores: np.ndarray
    excused: np.ndarray | None
    dropped: dict[str, int]
    dropped_classes: tuple[str, ...]


def counted_ground_truth(truth: GroundTruth, rule: Protocol) -> GroundTruth:
    """Return the ground truth that a rule evaluates against.

    Raises:
        UserError: If no instance is left.
    """
    if rule.clean_ground_truth:
        distinct = _distinct(truth)
        if not distinct.any():
            raise UserError(
                f'protocol {rule.name!r} removes instances of no length, and the ground truth has no others'
            )
        truth = truth.of_instances(distinct)
    if not rule.classes:
        return truth
    known = np.array([name in rule.classes for name in truth.classes], dtype=bool)
    if not known.any():
        raise UserError(
            f'protocol {rule.name!r} evaluates the classes {rule.classes[0]}, {rule.classes[1]}, ... only, found '
            f'{", ".join(truth.classes[:5])} in the ground truth; choose a protocol that takes the classes from there'
        )
    absent = sorted(set(rule.classes) - set(truth.classes))
    if absent or not known.all():
        others = [name for name, is_known in zip(truth.classes, known, strict=True) if not is_known]
        _logger.warning(
            'protocol %r averages over its own %d classes; without ground truth, so counted as 0: %s; in the ground '
            'truth, but not counted: %s',
            *(rule.name, len(rule.classes), ', '.join(absent) or 'none', ', '.join(others) or 'none'),
        )
    kept = truth.of_instances(known[truth.labels])
    position = np.array([rule.classes.index(name) for name in kept.classes])
    return replace(kept, classes=rule.classes, labels=position[kept.labels], known_classes=frozenset(rule.classes))


def counted_detections(
    given: Detections, truth: GroundTruth, rule: Protocol, *, left_out: Set[str] = frozenset()
) -> CountedDetections:
    """Return the detections that a rule ranks.

    Args:
        given: All that were handed in.
        truth: See :func:`counted_ground_truth`.
        rule: The rule.
        left_out: Videos that the list of videos leaves out.

    Raises:
        UserError: If the rule forbids unknown classes and one occurs.
    """
    has_class, dropped_classes = _with_ground_truth_class(given, truth, rule)
    skipped = np.array([video in left_out or video in rule.skipped_videos for video in given.video_ids], dtype=bool)
    rows = np.flatnonzero(has_class & ~skipped[given.videos])
    rows = rows[_order_of_ties(given, rule)[rows].argsort(kind='stable')]
    dropped = {'class': int((~has_class).sum()), 'video': int((has_class & skipped[given.videos]).sum())}
    table = given.select(rows)
    videos = _renumbered(table.videos, table.video_ids, truth.video_ids)
    segments = rule.in_unit(table.segments)
    kept = np.ones(len(rows), dtype=bool)

    def drop(reason: str, mask: np.ndarray) -> None:
        dropped[reason] = dropped.get(reason, 0) + int((kept & mask).sum())
        kept[mask] = False

    if rule.annotated_videos_only:
        drop('video', ~np.isin(videos, truth.videos))
    if rule.drop_up_to is not None:
        drop('short', segments[:, 1] - segments[:, 0] <= rule.drop_up_to)
    touching = np.zeros(len(rows), dtype=bool)
    if rule.drop_ambiguous:
        touching = overlapping(videos, segments, truth.ambiguous_videos, rule.in_unit(truth.ambiguous_segments))
    if rule.drop_ambiguous is True:
        drop('ambiguous', touching)
    return CountedDetections(
        videos=videos[kept],
        labels=_renumbered(table.labels, table.classes, truth.classes)[kept],
        segments=segments[kept],
        scores=table.scores[kept],
        excused=touching[kept] if rule.drop_ambiguous == 'false_positives' else None,
        dropped=dropped,
        dropped_classes=dropped_classes,
    )


def _distinct(truth: GroundTruth) -> np.ndarray:
    """Return which instances have a length and do not repeat an earlier one that is kept, bool, (M,)."""
    distinct = truth.segments[:, 1] > truth.segments[:, 0]
    rows = np.flatnonzero(distinct)
    groups = (truth.videos * len(truth.classes) + truth.labels)[rows]
    for left, right in equal_key_pairs(groups, groups):
        apart = np.abs(truth.segments[rows[left]] - truth.segments[rows[right]]).max(axis=1)
        near = (right < left) & (apart <= DUPLICATE_TOLERANCE)
        # One by one: they are few, and whether one is kept depends on whether an earlier one was.
        for later, earlier in zip(rows[left[near]], rows[right[near]], strict=True):
            distinct[later] &= not distinct[earlier]
    return distinct


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
    if unknown and rule.unknown_class != 'drop':
        row = int(np.flatnonzero(given.labels == given.classes.index(unknown[0]))[0])
        names = ', '.join(repr(name) for name in unknown[:5]) + (', ...' if len(unknown) > 5 else '')
        problem = (
            f'{given.place}: video {given.video_ids[given.videos[row]]}: protocol {rule.name!r} expects classes of the '
            f'ground truth only, found {names}; rename or remove them. Known: {", ".join(sorted(truth.known_classes))}'
        )
        if rule.unknown_class == 'error':
            raise UserError(problem)
        _logger.warning('%s. They are skipped.', problem)
    return with_truth[given.labels], others


def _order_of_ties(given: Detections, rule: Protocol) -> np.ndarray:
    """Return a key for each detection: of equal scores the one with the greater key shall rank higher, (N,)."""
    rows = np.arange(len(given.scores))
    if rule.ties == 'later':
        return rows
    if rule.ties == 'earlier':
        return -rows
    position = {video: place for place, video in enumerate(sorted(given.video_ids))}
    by_video = np.array([position[video] for video in given.video_ids], dtype=np.int64)[given.videos]
    key = np.empty(len(rows), dtype=np.int64)
    key[np.lexsort((rows, by_video))] = -rows
    return key


def _renumbered(column: np.ndarray, names: tuple[str, ...], new_names: tuple[str, ...]) -> np.ndarray:
    """Return a column of indices into ``names`` as indices into ``new_names``; -1 where the name is not there."""
    index_of = {name: i for i, name in enumerate(new_names)}
    return np.array([index_of.get(name, -1) for name in names], dtype=np.int64)[column]


def overlapping(
    videos: np.ndarray, segments: np.ndarray, other_videos: np.ndarray, other_segments: np.ndarray
) -> np.ndarray:
    """Return which segments share time with another one of their video, bool (N,)."""
    touches = np.zeros(len(videos), dtype=bool)
    for rows, others in equal_key_pairs(videos, other_videos):
        a, b = segments[rows], other_segments[others]
        shared = np.minimum(a[:, 1], b[:, 1]) - np.maximum(a[:, 0], b[:, 0])
        touches[rows[shared > 0]] = True
    return touches
