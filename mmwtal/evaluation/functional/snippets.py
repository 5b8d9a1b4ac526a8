"""Snippets against ground truth: which of them show an action, and how well a score tells."""

import numpy as np


def snippets_inside(num_snippets: int, boundaries: np.ndarray) -> np.ndarray:
    """Return which snippets of a video have their middle inside any of its segments.

    Args:
        num_snippets: T.
        boundaries: Start and end of the segments, in snippets, fractional, (N, 2); see ``Timebase.to_snippets``. A
            segment contains its start and not its end.

    Returns:
        bool, (T,).
    """
    middle = np.arange(num_snippets)[:, None] + 0.5
    start, end = np.asarray(boundaries, dtype=np.float64).reshape(-1, 2).T
    return np.any((start <= middle) & (middle < end), axis=1)


def snippet_average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Return the average precision of snippets that are ranked by a score.

    The sum over the distinct scores of the precision down to that score times the recall that it adds, not
    interpolated. Equal scores are one step, so that their order does not matter and a constant score has the share of
    the positives, which is also what a random one is expected to have.

    Args:
        scores: (N,).
        positive: bool, (N,).

    Returns:
        AP in [0, 1]; NaN where no snippet is positive.
    """
    order = np.argsort(-np.asarray(scores), kind='stable')
    ranked, hits = np.asarray(scores)[order], np.cumsum(np.asarray(positive, dtype=bool)[order])
    if not len(hits) or hits[-1] == 0:
        return float('nan')
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    return float(np.sum(np.diff(hits[last], prepend=0) * (hits[last] / (last + 1))) / hits[-1])
