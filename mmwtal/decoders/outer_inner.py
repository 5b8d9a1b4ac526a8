"""Outer-inner contrast: how much more active a proposal is than its surroundings."""

import numpy as np


def outer_inner_contrast(activation: np.ndarray, segments: np.ndarray, *, margin: float) -> np.ndarray:
    """Score proposals by their mean activation minus that of their two margins (AutoLoc, ECCV 2018).

    A margin has ``margin`` times the proposal's length, rounded down on the right, up on the left, and ends with the
    video; where both are empty, the mean inside is the score.

    Args:
        activation: (T, C).
        segments: First snippet and the one after the last, int, (N, 2); not empty.
        margin: Width of each margin, in lengths of the proposal.

    Returns:
        float64, (N, C).
    """
    length = len(activation)
    start, end = segments[:, 0], segments[:, 1]
    extent = margin * (end - start)
    outer_start = np.maximum(np.trunc(start - extent), 0).astype(np.int64)
    outer_end = np.minimum(np.floor(end - 1 + extent), length - 1).astype(np.int64) + 1

    # Sums over any stretch are differences of running sums, in float64 so that long videos lose nothing.
    running = np.zeros((length + 1, activation.shape[1]))
    np.cumsum(activation, axis=0, dtype=np.float64, out=running[1:])
    inner_sum = running[end] - running[start]
    outer_sum = running[outer_end] - running[outer_start] - inner_sum
    inner_count = (end - start)[:, None]
    outer_count = (outer_end - outer_start)[:, None] - inner_count
    outer = np.where(outer_count > 0, outer_sum / np.maximum(outer_count, 1), 0.0)
    return inner_sum / inner_count - outer
