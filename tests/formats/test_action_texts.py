"""Actions as CSV and WebVTT: what other programs read is what was found."""

import csv
import html
import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.formats.action_texts import Action, distinct_actions, to_csv, to_webvtt

TIMES = re.compile(r'(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3}) --> (\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})')
# No name of a class holds a carriage return.
LABELS = st.text(st.characters(exclude_categories=('Cs',), exclude_characters='\r'), max_size=30)
SECONDS = st.floats(0, 400_000)
ACTIONS = st.lists(
    st.builds(
        lambda label, start, length, score: Action(label=label, start=start, end=start + length, score=score),
        *(LABELS, SECONDS, st.floats(0, 100), st.floats(-10, 10)),
    ),
    max_size=8,
)


def read_cues(text: str) -> list[tuple[float, float, str]]:
    """Read WebVTT as its specification has it: blocks between blank lines, the arrow in a cue's times alone."""
    blocks = text.split('\n\n')
    assert blocks[0] == 'WEBVTT'
    cues = []
    for block in blocks[1:]:
        lines = block.rstrip('\n').split('\n')
        if lines[0].startswith('NOTE'):
            assert '-->' not in block
            continue
        number, times, *payload = lines
        assert int(number) == len(cues) + 1
        found = TIMES.fullmatch(times)
        assert found
        parts = [int(part) for part in found.groups()]
        start, end = (
            3600 * hours + 60 * minutes + seconds + thousandths / 1000
            for hours, minutes, seconds, thousandths in (parts[:4], parts[4:])
        )
        assert start < end
        assert len(payload) == 1
        assert '-->' not in payload[0]
        assert not re.search(r'<|&(?!(amp|lt|gt);)', payload[0])
        cues.append((start, end, html.unescape(payload[0])))
    return cues


@given(ACTIONS)
@settings(max_examples=60, deadline=None)
def test_webvtt_has_a_valid_cue_for_each_action(actions):
    cues = read_cues(to_webvtt(actions))
    assert len(cues) == len(actions)
    assert [start for start, _, _ in cues] == sorted(start for start, _, _ in cues)
    expected = sorted((action.start, action.end, -action.score, action.label) for action in actions)
    for (start, end, text), (begin, until, _, label) in zip(cues, expected, strict=True):
        assert start == pytest.approx(begin, abs=1e-3)
        assert end == pytest.approx(until, abs=2e-3)
        if label.isascii() and label.isprintable():
            assert text.startswith(' '.join(label.split()))


def test_webvtt_of_a_known_action():
    text = to_webvtt([Action(label='<b>Jump & --> run</b>', start=3661.5, end=3661.5001, score=0.8769)])
    cue = '1\n01:01:01.500 --> 01:01:01.501\n&lt;b&gt;Jump &amp; --&gt; run&lt;/b&gt; (0.877)\n'
    assert text.endswith(f'\n\n{cue}')
    assert read_cues(to_webvtt([])) == []


@given(st.dictionaries(LABELS, ACTIONS, max_size=3))
@settings(max_examples=40, deadline=None)
def test_csv_gives_back_what_was_found(videos):
    header, *rows = csv.reader(io.StringIO(to_csv(videos), newline=''))
    assert header == ['video', 'start', 'end', 'label', 'score']
    expected = [
        (video, action) for video, actions in videos.items() for action in sorted(actions, key=lambda one: -one.score)
    ]
    assert len(rows) == len(expected)
    for (video, start, end, label, score), (name, action) in zip(rows, expected, strict=True):
        assert (video, label) == (name, action.label)
        assert [float(start), float(end)] == pytest.approx([action.start, action.end], abs=5e-4)
        assert float(score) == pytest.approx(action.score, rel=1e-5)


def act(start: float, end: float, score: float, label: str = 'run') -> Action:
    return Action(label=label, start=start, end=end, score=score)


def test_a_viewer_sees_each_action_once():
    best, other, elsewhere = act(0, 10, 3.0), act(0, 10, 2.0, 'jump'), act(20, 22, 1.5)
    inside, around, beside = act(2, 4, 2.9), act(0, 40, 2.8), act(9, 19, 2.7)
    weak = act(50, 60, 0.9)
    found = distinct_actions([weak, inside, elsewhere, other, around, best, beside])
    # Half of the shorter may be shared; a third of the best is enough.
    assert found == [best, beside, other, elsewhere]


def test_of_scores_below_zero_the_better_are_seen():
    assert distinct_actions([]) == []
    assert distinct_actions([act(0, 1, -2.0), act(5, 6, -1.0)]) == []
    assert distinct_actions([act(3, 3, 1.0), act(3, 3, 0.9)]) == [act(3, 3, 1.0)]
