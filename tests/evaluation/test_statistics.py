"""Mean, spread and paired intervals against numbers worked by hand and tables of Student's t."""

import math
import random
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmwtal.evaluation.statistics import paired_difference, spread, student_t

finite = st.floats(-100, 100)
pairs = st.lists(st.tuples(finite, finite), min_size=2, max_size=12)


# Two-sided, from the usual table.
@pytest.mark.parametrize(
    ('probability', 'degrees', 'expected'),
    [
        (0.95, 1, 12.7062),
        (0.95, 2, 4.3027),
        (0.95, 3, 3.1824),
        (0.95, 4, 2.7764),
        (0.95, 9, 2.2622),
        (0.95, 30, 2.0423),
        (0.95, 1000, 1.9623),
        (0.90, 4, 2.1318),
        (0.99, 4, 4.6041),
        (0.99, 1, 63.6567),
        (0.50, 7, 0.7111),
    ],
)
def test_quantiles_of_the_table(probability: float, degrees: int, expected: float) -> None:
    assert student_t(probability, degrees) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize('degrees', [1, 2])
@given(probability=st.floats(0.001, 0.999))
def test_quantiles_that_have_a_closed_form(degrees: int, probability: float) -> None:
    """t is tan(pi p / 2) with 1 degree of freedom, p sqrt(2 / (1 - p^2)) with 2."""
    closed = math.tan(math.pi * probability / 2) if degrees == 1 else probability * math.sqrt(2 / (1 - probability**2))
    assert student_t(probability, degrees) == pytest.approx(closed, rel=1e-9)


@given(probability=st.floats(0.01, 0.99), degrees=st.integers(1, 200))
def test_quantiles_fall_with_the_degrees_of_freedom_towards_the_normal_ones(probability: float, degrees: int) -> None:
    assert student_t(probability, degrees) > student_t(probability, degrees + 1) > 0
    assert student_t(probability, degrees) > NormalDist().inv_cdf((1 + probability) / 2) - 1e-9


@pytest.mark.parametrize(('probability', 'degrees'), [(0, 3), (1, 3), (0.95, 0)])
def test_what_has_no_quantile(probability: float, degrees: int) -> None:
    with pytest.raises(ValueError, match='degree of freedom'):
        student_t(probability, degrees)


def test_spread_by_hand() -> None:
    found = spread(np.array([[1.0, 10.0], [2.0, 10.0], [6.0, 10.0]]))
    assert found.mean.tolist() == [3, 10]
    assert found.sd is not None
    assert found.sd == pytest.approx([math.sqrt((4 + 1 + 9) / 2), 0])


def test_difference_by_hand() -> None:
    """Differences 1, 3, 2 and 2: mean 2, variance 2/3, t(3) = 3.1824, half width 3.1824 sqrt(2/3) / 2 = 1.2992."""
    found = paired_difference(np.array([11.0, 23.0, 32.0, 7.0]), np.array([10.0, 20.0, 30.0, 5.0]))
    assert found.mean == pytest.approx(2)
    assert found.sd == pytest.approx(math.sqrt(2 / 3))
    assert (found.low, found.high) == (pytest.approx(2 - 1.2992, abs=1e-4), pytest.approx(2 + 1.2992, abs=1e-4))


def test_one_run_has_neither_spread_nor_interval() -> None:
    assert spread(np.array([[4.0]])).sd is None
    found = paired_difference(np.array([[4.0]]), np.array([[1.0]]))
    assert found.mean == 3
    assert (found.sd, found.low, found.high) == (None, None, None)


def test_no_run_and_pairs_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match='at least one run'):
        spread(np.zeros((0, 3)))
    with pytest.raises(ValueError, match='equal shapes'):
        paired_difference(np.zeros((2, 3)), np.zeros((3, 3)))


@given(pairs, st.floats(-50, 50))
def test_a_shift_of_all_moves_the_interval(pairs: list[tuple[float, float]], shift: float) -> None:
    values, reference = np.array(pairs).T
    one, other = paired_difference(values, reference), paired_difference(values + shift, reference)
    for key in ('mean', 'low', 'high'):
        assert getattr(other, key) == pytest.approx(getattr(one, key) + shift, abs=1e-7)


@given(pairs, st.integers(0, 1000))
def test_order_does_not_matter_and_exchange_mirrors(pairs: list[tuple[float, float]], seed: int) -> None:
    values, reference = np.array(pairs).T
    shuffled = list(pairs)
    random.Random(seed).shuffle(shuffled)
    again = paired_difference(*np.array(shuffled).T)
    mirrored = paired_difference(reference, values)
    found = paired_difference(values, reference)
    assert found.low <= found.mean <= found.high
    for key, opposite in (('low', 'high'), ('high', 'low'), ('mean', 'mean')):
        assert getattr(again, key) == pytest.approx(getattr(found, key), abs=1e-7)
        assert getattr(mirrored, opposite) == pytest.approx(-getattr(found, key), abs=1e-7)


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    differences = rng.normal(1.0, 2.0, (5, 20_000))
    found = paired_difference(differences, np.zeros_like(differences))
    assert ((found.low <= 1) & (found.high >= 1)).mean() == pytest.approx(0.95, abs=0.01)
