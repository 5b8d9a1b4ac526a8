"""Non-maximum suppression of segments, hard and soft, without compiled extensions."""

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

import numpy as np

from mmwtal.registry import DECODERS
from mmwtal.utils.errors import UserError

SoftMethod = Literal['gaussian', 'linear']

# Up to this many overlaps soft_nms computes all of them beforehand, which is the fastest; they have 32 MB then. Beyond,
# they would grow with the square of the segments, hence each picked segment is compared when it is picked.
MOST_OVERLAPS = 2_000_000


def tiou_matrix(first: np.ndarray, second: np.ndarray, *, length_offset: float = 0.0) -> np.ndarray:
    """Return the temporal intersection over union of each pair.

    Args:
        first: Segments as start and end, (N, 2).
        second: Likewise, (M, 2).
        length_offset: Added to lengths and intersections before these are cut off at 0: 0 for a continuous axis; 1, in
            the segments' unit, as most published code has it (from detection in images, where a box from pixel 3 to
            pixel 3 is one pixel wide).

    Returns:
        (N, M); 0 where the union is empty.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    return _tiou(first[:, None], second[None], length_offset)


def _tiou(first: np.ndarray, second: np.ndarray, length_offset: float) -> np.ndarray:
    """Return the tIoU (...) of segments (..., 2) that broadcast to each other."""
    low = np.maximum(first[..., 0], second[..., 0])
    inter = np.minimum(first[..., 1], second[..., 1])
    inter -= low
    inter += length_offset
    np.maximum(inter, 0.0, out=inter)
    lengths = first[..., 1] - first[..., 0] + length_offset
    union = np.add(lengths, second[..., 1] - second[..., 0] + length_offset, out=low)
    union -= inter
    # Without a union there is no intersection either: 0 divided by the smallest number is 0.
    inter /= np.maximum(union, np.finfo(np.float64).tiny, out=union)
    return inter


class Overlaps(NamedTuple):
    """The segments that overlap each of N segments, without itself, in P pairs, each counted in both directions.

    Fields: where those of a segment begin, N + 1 numbers; their indices, (2 P,); the tIoU, (2 P,).
    """

    begins: list[int]
    others: np.ndarray
    tiou: np.ndarray


def find_overlaps(segments: np.ndarray, *, length_offset: float, most: int) -> Overlaps | None:
    """Return which segments overlap; proposals of one video mostly do not.

    Args:
        segments: Start and end, float64, (N, 2).
        length_offset: See :func:`tiou_matrix`.
        most: None is returned where there are more than this, counted in both directions.
    """
    count = len(segments)
    order = np.argsort(segments[:, 0], kind='stable')
    start, end = segments[order].T
    # By start, a segment overlaps those after it up to the first that starts when it has ended.
    following = np.searchsorted(start, end + length_offset) - np.arange(1, count + 1)
    following = np.maximum(following, 0)
    pairs = int(following.sum())
    if 2 * pairs > most:
        return None
    first = np.repeat(np.arange(count), following)
    second = np.arange(1, pairs + 1) + np.repeat(np.arange(count) - np.cumsum(following) + following, following)
    first, second = order[first], order[second]
    tiou = _tiou(segments[first], segments[second], length_offset)
    rows = np.concatenate([first, second])
    by_row = np.argsort(rows, kind='stable')
    begins = np.searchsorted(rows[by_row], np.arange(count + 1)).tolist()
    return Overlaps(begins, np.concatenate([second, first])[by_row], np.concatenate([tiou, tiou])[by_row])


def nms(segments: np.ndarray, scores: np.ndarray, *, tiou_threshold: float, length_offset: float = 0.0) -> np.ndarray:
    """Drop each segment that overlaps a kept one of higher score by ``tiou_threshold`` or more.

    Args:
        segments: Start and end, (N, 2).
        scores: (N,).
        tiou_threshold: In (0, 1].
        length_offset: See :func:`tiou_matrix`.

    Returns:
        Indices of the kept ones by descending score, int64; of equal scores the earlier goes first.
    """
    segments = np.asarray(segments, dtype=np.float64)
    order = np.argsort(-np.asarray(scores), kind='stable')
    kept = []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(best)
        overlap = tiou_matrix(segments[best][None], segments[order], length_offset=length_offset)[0]
        order = order[overlap < tiou_threshold]
    return np.array(kept, dtype=np.int64)


def soft_nms(
    segments: np.ndarray,
    scores: np.ndarray,
    *,
    method: SoftMethod = 'gaussian',
    sigma: float = 0.3,
    tiou_threshold: float = 0.7,
    length_offset: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Lower the score of a segment by its overlap with each one picked before it (Soft-NMS, ICCV 2017).

    Picks the highest score, multiplies the others by exp(-tIoU^2 / sigma) ('gaussian') or, where tIoU exceeds
    ``tiou_threshold``, by 1 - tIoU ('linear'), and goes on until all are picked; nothing is removed. A negative score
    rises towards 0 by that, as published. Takes N steps a class and memory linear in C, N and
    the number of overlaps, but never their square.

    Args:
        segments: Start and end, (N, 2).
        scores: (C, N): C classes that share the segments and are treated each by itself.
        method: 'gaussian' or 'linear'.
        sigma: Of 'gaussian'.
        tiou_threshold: Of 'linear'.
        length_offset: See :func:`tiou_matrix`.

    Returns:
        For each class the indices in the order of picking, int64, (C, N), and the scores that they were picked with,
        float64, (C, N), in the same order.
    """
    segments = np.asarray(segments, dtype=np.float64)
    remaining = np.array(scores, dtype=np.float64)

    def decay(tiou: np.ndarray) -> np.ndarray:
        if method == 'linear':
            return np.where(tiou > tiou_threshold, 1 - tiou, 1.0)
        np.square(tiou, out=tiou)
        return np.exp(np.divide(tiou, -sigma, out=tiou), out=tiou)

    count = remaining.shape[1]
    overlaps = find_overlaps(segments, length_offset=length_offset, most=MOST_OVERLAPS)
    decays = None if overlaps is None else decay(overlaps.tiou)
    order = np.empty(remaining.shape, dtype=np.int64)
    picked_scores = np.empty(remaining.shape)
    # One class after the other: few reach the threshold, and a step on single rows is several times cheaper.
    for left, indices, values in zip(remaining, order, picked_scores, strict=True):
        # What is picked counts as minus infinity, apart from the scores, as minus infinity times a decay of 0 is NaN.
        barred, candidates = np.zeros(count), np.empty(count)
        for step in range(count):
            best = np.add(left, barred, out=candidates).argmax()
            indices[step] = best
            values[step] = left[best]
            barred[best] = -np.inf
            if overlaps is None or decays is None:
                left *= decay(_tiou(segments[best], segments, length_offset))
            else:
                among = slice(overlaps.begins[best], overlaps.begins[best + 1])
                left[overlaps.others[among]] *= decays[among]
    return order, picked_scores


class Suppressed(NamedTuple):
    """What a suppression gives: M detections, class by class, each class by the order of picking.

    Fields: the row of ``scores`` that each belongs to, (M,); its segment's index, (M,); its score, (M,).
    """

    classes: np.ndarray
    indices: np.ndarray
    scores: np.ndarray


class BaseSuppression(ABC):
    """A suppression that a decoder takes as an option."""

    @abstractmethod
    def __call__(self, segments: np.ndarray, scores: np.ndarray) -> Suppressed:
        """Suppress within each class.

        Args:
            segments: Start and end, (N, 2), shared by all classes; in the unit of the decoder: snippets, or seconds
                where the method suppresses in seconds (BaS-Net, UM).
            scores: (C, N).

        Returns:
            The detections.
        """


@DECODERS.register_module()
class HardNMS(BaseSuppression):
    """See :func:`nms`.

    Args:
        tiou_threshold: Overlap from which on the lower score is dropped.
        length_offset: In the unit of the segments; see :func:`tiou_matrix`.
    """

    def __init__(self, *, tiou_threshold: float, length_offset: float = 0.0) -> None:
        self.tiou_threshold = tiou_threshold
        self.length_offset = length_offset

    def __call__(self, segments: np.ndarray, scores: np.ndarray) -> Suppressed:
        """See :class:`BaseSuppression`."""
        kept = [
            nms(segments, row, tiou_threshold=self.tiou_threshold, length_offset=self.length_offset) for row in scores
        ]
        indices = np.concatenate(kept) if kept else np.zeros(0, dtype=np.int64)
        classes = np.repeat(np.arange(len(scores)), [len(row) for row in kept])
        return Suppressed(classes, indices, scores[classes, indices])


@DECODERS.register_module()
class SoftNMS(BaseSuppression):
    """See :func:`soft_nms`.

    Args:
        method: 'gaussian' or 'linear'.
        sigma: Of 'gaussian'.
        tiou_threshold: Of 'linear'.
        length_offset: In the unit of the segments; see :func:`tiou_matrix`.

    Raises:
        UserError: If ``method`` is unknown.
    """

    def __init__(
        self,
        *,
        method: SoftMethod = 'gaussian',
        sigma: float = 0.3,
        tiou_threshold: float = 0.7,
        length_offset: float = 0.0,
    ) -> None:
        if method not in ('gaussian', 'linear'):
            raise UserError(f"SoftNMS: method must be 'gaussian' or 'linear', found {method!r}; correct decoder.nms")
        self.method: SoftMethod = method
        self.sigma = sigma
        self.tiou_threshold = tiou_threshold
        self.length_offset = length_offset

    def __call__(self, segments: np.ndarray, scores: np.ndarray) -> Suppressed:
        """See :class:`BaseSuppression`."""
        order, picked = soft_nms(
            segments,
            scores,
            method=self.method,
            sigma=self.sigma,
            tiou_threshold=self.tiou_threshold,
            length_offset=self.length_offset,
        )
        return Suppressed(np.repeat(np.arange(len(scores)), order.shape[1]), order.ravel(), picked.ravel())
