"""Finer time steps than snippets."""

import numpy as np


def interpolate(values: np.ndarray, factor: int) -> np.ndarray:
    """Draw straight lines between neighbouring snippets and read them ``factor`` times a snippet.

    Point j lies at snippet j / factor, and the points after the last snippet continue the last line, as the published
    code of BaS-Net and UM has it (values there may leave the range of the given ones). A single snippet is repeated.

    Args:
        values: Sequences, (S, T).
        factor: Points a snippet.

    Returns:
        float64, (S, T * factor).
    """
    length = values.shape[1]
    if length == 1:
        return np.repeat(values.astype(np.float64), factor, axis=1)
    # The published arithmetic to the last bit, hence neither j // factor nor exact positions: whether a point beside a
    # snippet of value 0 is above a threshold of 0 hangs on it. By rounding there may be a point too many.
    points = np.arange(0, length, 1 / factor)[: length * factor]
    right = np.searchsorted(np.arange(length), points).clip(1, length - 1)
    rise = np.diff(values, axis=1).astype(np.float64)
    return rise[:, right - 1] * (points - (right - 1)) + values[:, right - 1]
