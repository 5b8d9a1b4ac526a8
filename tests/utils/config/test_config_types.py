"""Values against annotations."""

# ruff: noqa: UP007, UP045  (both spellings of a union must be understood)

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Optional, Union

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmwtal.utils.config.types import choices, describe, suits

GOOD = [
    (3, int), (3, float), (3.5, float), ('x', str), (True, bool), (None, None), (None, Optional[int]), (3, int | None),
    ([1, 2], list[int]), ((1, 2), list[int]), ([1.5, 2], tuple[float, ...]), ([1, 'a'], tuple[int, str]),
    ([], list[int]),
    ({'a': 1}, dict[str, int]), ({'a': [1]}, Mapping[str, Sequence[int]]), ({}, dict), ('b', Literal['a', 'b']),
    ('x', str | Path), (Path('x'), Path), ('x', Path), ([0.1], str | list[float]), ('x', Sequence[str]),
    (dict(type='X'), torch.nn.Module), (dict(type='X'), torch.nn.Module | dict), ('anything', torch.dtype), (3, Any),
    ('x', Callable), (0.1, Union[float, torch.Tensor]), ('bfloat16', Union[str, torch.dtype]), (3, object),
    ([1], Union[float, Sequence[int]]), ({'a': 1}, Union[float, torch.Tensor]), (3, 'unread'),
    ('0.1:0.7:0.1', str | Iterable[float] | None), ([0.5, 0.7], str | Iterable[float] | None),
    (None, str | Iterable[float] | None), (range(3), Iterable[int]), (dict(type='X'), Iterable), ('x', Iterable[str]),
]  # fmt: skip
BAD = [
    ('3', int), (True, int), (True, float), (3.0, int), (1, bool), (3, str), (None, int), ('x', int | None),
    ([1, 'a'], list[int]), ('ab', list[str]), (3, list[int]), ([1, 2, 3], tuple[int, str]),
    ({'a': 'x'}, dict[str, int]),
    ([1], dict), ('c', Literal['a', 'b']), (True, Literal[1, 2]), (3, str | Path), (3, Path), ('x', Sequence[int]),
    ('0.1', Union[float, torch.Tensor]), ([True], list[int]), ('x', Union[float, Sequence[int]]), (False, float | None),
    ('x', int | Callable), (0.5, str | Iterable[float] | None), ([0.5, 'x'], str | Iterable[float] | None),
    (3, Iterable), (None, Iterable[int]), ('x', Iterable[float]),
]  # fmt: skip


@pytest.mark.parametrize(('value', 'annotation'), GOOD, ids=str)
def test_suits(value, annotation):
    assert suits(value, annotation)


@pytest.mark.parametrize(('value', 'annotation'), BAD, ids=str)
def test_does_not_suit(value, annotation):
    assert not suits(value, annotation)


@given(
    value=st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    members=st.lists(st.sampled_from([int, float, str, bool, None]), min_size=1),
)
def test_a_union_takes_what_any_member_takes(value, members):
    assert suits(value, Union[tuple(members)]) == any(suits(value, member) for member in members)


def test_words():
    assert describe(int | None) == 'int or None'
    assert describe(Literal['a', 'b']) == "'a' or 'b'"
    assert describe(Optional[list[float]]) == 'list[float] or None'
    assert choices(Literal['a', 'b'] | None) == ['a', 'b']
    assert choices(int) == []
