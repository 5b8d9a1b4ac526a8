"""Non-maximum suppression of segments, hard and soft, without compiled extensions."""

import math
from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

import numpy as np

from mmwtal.registry import DECODERS
from mmwtal.utils.errors import UserError

SoftMethod = Literal['gaussian', 'linear']

# Up to this many segments soft_nms compares all with all beforehand, which is the fastest; the table has 32 MB then.
# Beyond, it would grow with the square, hence each picked segment is compared when it is picked.
TABLE_SIZE = 2000
# Pairs that the table is filled with at a time, so that they stay in the processor's cache.
BLOCK = 1 << 15


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
    low = np.maximum(first[:, None, 0], second[None, :, 0])
    inter = np.minimum(first[:, None, 1], second[None, :, 1])
    inter -= low
    inter += length_offset
    np.maximum(inter, 0.0, out=inter)
    lengths = (first[:, 1] - first[:, 0] + length_offset)[:, None]
    union = np.add(lengths, second[:, 1] - second[:, 0] + length_offset, out=low)
    union -= inter
    # Without a union there is no intersection either: 0 divided by the smallest number is 0.
    inter /= np.maximum(union, np.finfo(np.float64).tiny, out=union)
    return inter


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
    rises towards 0 by that, as published. Takes N steps a class and memory linear in C and N.

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

    def decay(picked: np.ndarray) -> np.ndarray:
        tiou = tiou_matrix(segments[picked], segments, length_offset=length_offset)
        if method == 'linear':
            return np.where(tiou > tiou_threshold, 1 - tiou, 1.0)
        np.square(tiou, out=tiou)
        return np.exp(np.divide(tiou, -sigma, out=tiou), out=tiou)

    count = remaining.shape[1]
    rows = np.arange(count)
    table = None
    if 0 < count <= TABLE_SIZE:
        table = np.concatenate([decay(block) for block in np.array_split(rows, math.ceil(count**2 / BLOCK))])
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
            left *= decay(rows[best : best + 1])[0] if table is None else table[best]
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
