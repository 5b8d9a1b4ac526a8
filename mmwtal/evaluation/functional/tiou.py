"""Temporal intersection over union."""

import numpy as np


def segment_tiou(segments: np.ndarray, others: np.ndarray, *, over_hull: bool = False) -> np.ndarray:
    """Return the temporal IoU of segments, elementwise.

    Two segments of zero length have no union; their tIoU is 0 here. The published evaluators divide 0 by 0, and their
    test ``tIoU < threshold`` is false for NaN, so that there a prediction of zero length hits any ground truth of zero
    length. No published number depends on that.

    Args:
        segments: (..., 2) start and end, any one unit, end not before start.
        others: (..., 2), broadcast against ``segments``.
        over_hull: Divide by the length of the stretch that spans both, as THUMOS14's MATLAB script does. Where two
            segments overlap this is their union, but not always to the last bit, and ground truth in tenths of a second
            puts many tIoUs on a threshold.

    Returns:
        tIoU in [0, 1], float64, of the broadcast leading shape.
    """
    start, end = np.moveaxis(np.asarray(segments, dtype=np.float64), -1, 0)
    other_start, other_end = np.moveaxis(np.asarray(others, dtype=np.float64), -1, 0)
    intersection = np.maximum(np.minimum(end, other_end) - np.maximum(start, other_start), 0.0)
    if over_hull:
        union = np.maximum(end, other_end) - np.minimum(start, other_start)
    else:
        # The order of the additions is that of ActivityNet's evaluator with `others` as the ground truth: a tIoU that
        # lies on a threshold must fall on the same side of it.
        union = (other_end - other_start) + (end - start) - intersection
    return np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)
