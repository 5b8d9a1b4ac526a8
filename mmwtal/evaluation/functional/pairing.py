"""Joining two tables on equal keys."""

from collections.abc import Iterator

import numpy as np

MAX_PAIRS = 1 << 21  # a block of pairs with its tIoUs then takes about 100 MB


def equal_key_pairs(
    left: np.ndarray, right: np.ndarray, max_pairs: int = MAX_PAIRS
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield every pair of rows with equal keys, in blocks, so that memory stays bounded.

    Args:
        left: Keys of the left table, int64, (N,).
        right: Keys of the right table, int64, (M,).
        max_pairs: Pairs in a block; more only where one left row alone has more.

    Yields:
        Row numbers in ``left`` and in ``right``, int64, (P,) each. The left rows ascend over all blocks; among the
        pairs of one left row the right rows descend.
    """
    order = np.argsort(right, kind='stable')
    keys = right[order]
    last = np.searchsorted(keys, left, side='right')
    count = last - np.searchsorted(keys, left, side='left')
    total = np.cumsum(count)
    begin = 0
    while begin < len(left):
        done = total[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(total, done + max_pairs, side='right')))
        counts = count[begin:end]
        rows = np.repeat(np.arange(begin, end), counts)
        position = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        yield rows, order[np.repeat(last[begin:end] - 1, counts) - position]
        begin = end
