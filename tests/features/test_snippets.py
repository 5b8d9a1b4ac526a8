"""Which frames make a snippet, and what becomes of those at the end."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmwtal.features.snippets import SnippetGrid
from mmwtal.formats.checks import _expected_lengths
from mmwtal.structures.timebase import Timebase
from mmwtal.utils.errors import UserError


@pytest.mark.parametrize(
    ('window', 'stride', 'frames', 'dropped', 'padded'),
    [
        (16, 16, 160, 10, 10),
        (16, 16, 161, 10, 11),
        (16, 16, 175, 10, 11),
        (16, 16, 15, 1, 1),
        (16, 16, 1, 1, 1),
        (16, 8, 160, 19, 19),
        (16, 8, 161, 19, 20),
        (64, 16, 100, 3, 4),
        (16, 4, 20, 2, 2),
        (1, 16, 33, 3, 3),
        (4, 16, 33, 2, 3),
    ],
)
def test_counts(window: int, stride: int, frames: int, dropped: int, padded: int) -> None:
    assert SnippetGrid(window=window, stride=stride, partial='drop').count(frames) == dropped
    assert SnippetGrid(window=window, stride=stride, partial='pad').count(frames) == padded


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 2000), st.sampled_from(['drop', 'pad']))
def test_snippets_cover_what_the_rule_says(window: int, stride: int, frames: int, partial: str) -> None:
    grid = SnippetGrid(window=window, stride=stride, partial=partial)
    count = grid.count(frames)
    numbers = grid.frames_of(0, count, window)
    assert numbers.shape == (count, window)
    assert np.array_equal(numbers[:, 0], stride * np.arange(count))
    assert np.all(np.diff(numbers, axis=1) == 1)
    if partial == 'pad':
        assert numbers[-1, -1] >= frames - 1
        # None is wholly beyond the last one that is needed.
        assert count == 1 or numbers[-2, -1] < frames - 1
    elif frames >= window:
        assert numbers[-1, -1] <= frames - 1
        assert numbers[-1, -1] + stride > frames - 1
    if stride <= window:
        least, most = _expected_lengths(frames, Timebase(fps=25, stride=stride, window=window))
        assert least <= count <= most, 'a dataset takes what was extracted'


@pytest.mark.parametrize(('seen', 'offsets'), [(1, [8]), (2, [4, 12]), (4, [2, 6, 10, 14]), (16, list(range(16)))])
def test_fewer_frames_are_spread_evenly(seen: int, offsets: list[int]) -> None:
    assert SnippetGrid(window=16, stride=10).frames_of(2, 3, seen).tolist() == [[20 + one for one in offsets]]


@pytest.mark.parametrize('wrong', [{'window': 0}, {'stride': 0}, {'partial': 'keep'}])
def test_wrong_settings(wrong: dict) -> None:
    with pytest.raises(UserError):
        SnippetGrid(**wrong)
