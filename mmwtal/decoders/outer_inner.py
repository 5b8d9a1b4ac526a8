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
    outer_start, outer_end = _with_margins(segments, margin, len(activation))
    # Sums over any stretch are differences of running sums, in float64 so that long videos lose nothing.
    running = np.zeros((len(activation) + 1, activation.shape[1]))
    np.cumsum(activation, axis=0, dtype=np.float64, out=running[1:])
    inner_sum = running[segments[:, 1]] - running[segments[:, 0]]
    outer_sum = running[outer_end] - running[outer_start] - inner_sum
    inner_count = (segments[:, 1] - segments[:, 0])[:, None]
    return _contrast(inner_sum, inner_count, outer_sum, (outer_end - outer_start)[:, None] - inner_count)


def contrast_of_runs(activation: np.ndarray, rows: np.ndarray, segments: np.ndarray, *, margin: float) -> np.ndarray:
    """Score proposals like :func:`outer_inner_contrast`, each on a sequence of its own.

    Args:
        activation: S sequences, (S, T).
        rows: The sequence of each proposal, int, (N,).
        segments: First snippet and the one after the last, int, (N, 2); not empty.
        margin: Width of each margin, in lengths of the proposal.

    Returns:
        float64, (N,).
    """
    outer_start, outer_end = _with_margins(segments, margin, activation.shape[1])
    running = np.zeros((activation.shape[0], activation.shape[1] + 1))
    np.cumsum(activation, axis=1, dtype=np.float64, out=running[:, 1:])
    inner_sum = running[rows, segments[:, 1]] - running[rows, segments[:, 0]]
    outer_sum = running[rows, outer_end] - running[rows, outer_start] - inner_sum
    inner_count = segments[:, 1] - segments[:, 0]
    return _contrast(inner_sum, inner_count, outer_sum, outer_end - outer_start - inner_count)


def _with_margins(segments: np.ndarray, margin: float, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where each proposal with its margins starts, and the snippet after its end, (N,) each."""
    start, end = segments[:, 0], segments[:, 1]
    extent = margin * (end - start)
    outer_start = np.maximum(np.trunc(start - extent), 0).astype(np.int64)
    return outer_start, np.minimum(np.floor(end - 1 + extent), length - 1).astype(np.int64) + 1


def _contrast(
    inner_sum: np.ndarray, inner_count: np.ndarray, outer_sum: np.ndarray, outer_count: np.ndarray
) -> np.ndarray:
    outer = np.where(outer_count > 0, outer_sum / np.maximum(outer_count, 1), 0.0)
    return inner_sum / inner_count - outer
