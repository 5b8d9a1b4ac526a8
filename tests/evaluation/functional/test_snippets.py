"""Snippets inside segments, and their average precision, by hand and against a plain loop."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.evaluation.functional import snippet_average_precision, snippets_inside


@pytest.mark.parametrize(
    ('segments', 'inside'),
    [
        ([], []),
        ([[1, 3]], [1, 2]),
        ([[0.5, 1.5]], [0]),  # the start belongs to a segment, the end does not
        ([[0.6, 1.5], [3.6, 9]], [4]),
        ([[3, 5], [0, 1], [2.2, 3.8]], [0, 2, 3, 4]),
        ([[-4, 0.4]], []),
        ([[2.5, 2.5]], []),
    ],
)
def test_a_snippet_is_where_its_middle_is(segments: list, inside: list[int]) -> None:
    found = snippets_inside(5, np.array(segments, dtype=float).reshape(-1, 2))
    assert found.dtype == bool
    assert np.flatnonzero(found).tolist() == inside


@pytest.mark.parametrize(
    ('scores', 'positive', 'expected'),
    [
        ([0.9, 0.8, 0.1], [1, 1, 0], 1.0),
        ([0.9, 0.8, 0.1], [0, 1, 1], (1 / 2 + 2 / 3) / 2),
        ([0.9, 0.8, 0.7, 0.6], [1, 0, 0, 1], (1 + 2 / 4) / 2),
        ([0.1, 0.1, 0.1, 0.1], [0, 1, 0, 0], 1 / 4),  # a constant knows nothing
        ([0.5, 0.5, 0.2], [1, 0, 1], (1 / 2 + 2 / 3) / 2),
        ([3.0], [1], 1.0),
    ],
)
def test_by_hand(scores: list[float], positive: list[int], expected: float) -> None:
    assert snippet_average_precision(np.array(scores), np.array(positive, dtype=bool)) == pytest.approx(expected)


def test_without_a_positive_there_is_none() -> None:
    assert math.isnan(snippet_average_precision(np.array([0.2, 0.1]), np.array([False, False])))
    assert math.isnan(snippet_average_precision(np.zeros(0), np.zeros(0, dtype=bool)))


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=12), st.randoms())
def test_as_a_loop_over_thresholds_has_it_in_any_order(rows: list[tuple[int, bool]], random) -> None:
    total = sum(positive for _, positive in rows)
    expected = recall = 0.0
    for threshold in range(4, -1, -1):
        taken = [positive for score, positive in rows if score >= threshold]
        if taken and total:
            expected += (sum(taken) / total - recall) * sum(taken) / len(taken)
            recall = sum(taken) / total
    random.shuffle(rows)
    scores, positive = np.array([row[0] for row in rows]) / 4, np.array([row[1] for row in rows])
    found = snippet_average_precision(scores, positive)
    assert found == pytest.approx(expected) if total else math.isnan(found)
