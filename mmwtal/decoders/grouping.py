"""From thresholded sequences to proposals."""

import numpy as np


def group_runs(active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the runs of neighbouring active snippets in each of K sequences, for instance one a threshold.

    Args:
        active: Bool, (K, T).

    Returns:
        The sequence of each run, (N,), and its first snippet and the one after its last, (N, 2), both int64. Ordered by
        sequence, then by time.
    """
    edges = np.diff(active.astype(np.int8), axis=1, prepend=0, append=0)
    row, start = np.nonzero(edges == 1)
    end = np.nonzero(edges == -1)[1]
    return row, np.stack([start, end], axis=1)
