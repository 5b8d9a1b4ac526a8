"""What a few runs that differ in their seed allow one to say: mean, spread, paired difference with its interval."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

CONFIDENCE = 0.95
# Halvings of the interval that holds the quantile: below the resolution of a float.
_BISECTIONS = 100


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Mean and standard deviation over runs.

    Args:
        mean: Mean over the runs, of any shape.
        sd: Standard deviation of a single run (divided by n - 1), of the same shape; None for one run, which has none.
    """

    mean: np.ndarray
    sd: np.ndarray | None


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """Mean difference of pairs of runs, and the interval that it is known to.

    Args:
        mean: Mean of the differences, of any shape.
        sd: Their standard deviation; None for one pair.
        low: Lower end of the confidence interval of ``mean``; None for one pair, which has none.
        high: Its upper end.
    """

    mean: np.ndarray
    sd: np.ndarray | None
    low: np.ndarray | None
    high: np.ndarray | None


def spread(values: np.ndarray) -> Spread:
    """Return mean and standard deviation over runs.

    Args:
        values: One row a run: (n, ...), n at least 1.
    """
    _check(values)
    return Spread(mean=values.mean(axis=0), sd=values.std(axis=0, ddof=1) if len(values) > 1 else None)


def paired_difference(values: np.ndarray, reference: np.ndarray, *, confidence: float = CONFIDENCE) -> PairedDifference:
    """Return the mean of ``values - reference`` and its confidence interval by Student's t distribution.

    With n differences of mean m and standard deviation s the interval is m +- t s / sqrt(n), where t is the quantile
    of the distribution of n - 1 degrees of freedom. It speaks of the mean over further seeds, on the same test videos.

    Args:
        values: One row a run: (n, ...), n at least 1.
        reference: The runs that they are paired with, of the same shape.
        confidence: Probability of the interval.
    """
    if values.shape != reference.shape:
        raise ValueError(f'pairs need equal shapes, found {values.shape} and {reference.shape}')
    found = spread(values - reference)
    if found.sd is None:
        return PairedDifference(mean=found.mean, sd=None, low=None, high=None)
    half = student_t(confidence, len(values) - 1) * found.sd / math.sqrt(len(values))
    return PairedDifference(mean=found.mean, sd=found.sd, low=found.mean - half, high=found.mean + half)


@cache
def student_t(probability: float, degrees: int) -> float:
    """Return the t within which, on either side of 0, Student's distribution has a probability.

    Its distribution function is a finite sum where the degrees of freedom are a whole number (Abramowitz and Stegun,
    Handbook of Mathematical Functions, 26.7.3 and 26.7.4), in the angle atan(t / sqrt(degrees)), which is bisected.

    Args:
        probability: Above 0 and below 1: 0.95 for the factor of a 95 % interval.
        degrees: Degrees of freedom, at least 1.
    """
    if not 0 < probability < 1 or degrees < 1:
        raise ValueError(f'expected a probability in (0, 1) and at least 1 degree of freedom: {probability}, {degrees}')
    low, high = 0.0, math.pi / 2
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if _within(middle, degrees) < probability:
            low = middle
        else:
            high = middle
    return math.sqrt(degrees) * math.tan((low + high) / 2)


def _within(angle: float, degrees: int) -> float:
    """Return the probability of |t| < sqrt(degrees) tan(angle)."""
    sine, cosine = math.sin(angle), math.cos(angle)
    if degrees % 2 == 0:
        # sin (1 + 1/2 cos^2 + (1 3)/(2 4) cos^4 + ... ), with powers up to degrees - 2
        term = total = 1.0
        for power in range(2, degrees - 1, 2):
            term *= (power - 1) / power * cosine**2
            total += term
        return sine * total
    # 2/pi (angle + sin (cos + 2/3 cos^3 + (2 4)/(3 5) cos^5 + ...)), with powers up to degrees - 2
    term = total = cosine if degrees > 1 else 0.0
    for power in range(3, degrees - 1, 2):
        term *= (power - 1) / power * cosine**2
        total += term
    return 2 / math.pi * (angle + sine * total)


def _check(values: np.ndarray) -> None:
    if values.ndim == 0 or len(values) == 0:
        raise ValueError('expected one row a run and at least one run')
