"""Merging what was said of windows: what two of them share is there once."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.priors.answers import Action, LocatedAction, Span
from mmwtal.priors.joining import evenly_chosen, merge_actions, merge_spans
from mmwtal.priors.sentences import distinct

COMMON = {'verbs': ['arch', 'fall'], 'objects': ['bar']}


def test_without_spans_occurrences_are_added():
    first = Action(occurrences=2, motion='The athlete arches over the bar.', **COMMON)
    second = Action(occurrences=1, motion='the athlete, arches over the BAR!'.capitalize(), **COMMON)
    third = Action(**{**COMMON, 'verbs': ['Fall', 'roll']}, occurrences=1, motion='She rolls off the soft mat.')
    merged = merge_actions([first, second, third])
    assert merged.motions == (first.motion, third.motion)
    assert (merged.occurrences, merged.verbs, merged.objects) == (4, ('arch', 'fall', 'roll'), ('bar',))
    assert merged.spans is None


def test_an_occurrence_in_an_overlap_counts_once():
    spans = [[Span(start=0, end=3), Span(start=8, end=11)], [Span(start=9, end=12), Span(start=12, end=14)]]
    actions = [
        LocatedAction(occurrences=count, motion='She arches over it.', spans=of_window, **COMMON)
        for count, of_window in zip((3, 2), spans, strict=True)
    ]
    merged = merge_actions(actions)
    assert merged.spans == ((0, 3), (8, 12), (12, 14))
    # Three are counted in the first window, of which two have a span.
    assert merged.occurrences == 4


@settings(max_examples=60)
@given(st.lists(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=4), max_size=4))
def test_united_spans_cover_the_same_and_are_apart(windows):
    spans = [[Span(start=start, end=start + length) for start, length in window] for window in windows]
    united = merge_spans(spans)
    cells = {start + n for window in windows for start, length in window for n in range(length)}
    covered = [n for start, end in united for n in range(int(start), int(end))]
    assert sorted(covered) == sorted(cells)
    assert all(one[1] <= other[0] for one, other in pairwise(united))


@given(st.integers(0, 50), st.integers(1, 8))
def test_evenly_chosen(count, most):
    found = evenly_chosen(count, most)
    assert len(found) == min(count, most) == len(set(found))
    assert found == sorted(found)
    if count > 1 < most:
        assert (found[0], found[-1]) == (0, count - 1)


def test_distinct():
    assert distinct([]) == ()
    assert distinct(['A b.', 'a B', 'b a']) == ('A b.', 'b a')
