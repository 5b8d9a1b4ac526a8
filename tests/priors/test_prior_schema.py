"""Texts and records: what is accepted, what is reported, lemmas and mask weights."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmwtal.priors.lemmas import lemma_of
from mmwtal.priors.masking import mask_weights
from mmwtal.priors.schema import PriorRecord, PriorText, absent_key_words, parse_record, parse_text
from mmwtal.utils.words import split_words

SOUND = {'key': ['leaps over the bar'], 'complete': 'She runs. She swung over.', 'key_words': ['run', 'swings over']}


def test_sound_texts() -> None:
    text, problems = parse_text(SOUND)
    assert problems == []
    assert text == PriorText(key=('leaps over the bar',), complete=SOUND['complete'], key_words=('run', 'swings over'))
    assert parse_text({'key': ['a b']}) == (PriorText(key=('a b',)), [])
    assert parse_text({'complete': 'x\ny'}) == (PriorText(complete='x\ny'), [])


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        ([], 'found a list'),
        ({}, 'neither "key" nor "complete"'),
        ({'key': []}, '"key" is empty'),
        ({'key': 'x'}, 'must be a list of strings, found a string'),
        ({'key': ['x', ' .']}, r'"key"\[1\] is empty'),
        ({'key': ['x', 3]}, r'"key"\[1\] must be a string, found a number'),
        ({'key': ['x' * 1001]}, '1001 characters'),
        ({'key': ['x\x00']}, r"character '\\x00'"),
        ({'key': ['x\ud800']}, 'cannot be printed'),
        ({'complete': ''}, '"complete" is empty'),
        ({'complete': None}, 'found null'),
        ({'key': ['x'], 'key_words': ['x']}, 'needs "complete"'),
        ({**SOUND, 'keys': 1}, 'unknown key keys'),
    ],
)
def test_faulty_texts(value: object, message: str) -> None:
    import re

    _, problems = parse_text(value)
    assert len(problems) == 1
    assert re.search(message, problems[0])


def test_all_problems_of_a_text_are_reported() -> None:
    assert len(parse_text({'key': [1, '.'], 'complete': '', 'key_words': 3, 'x': 1})[1]) == 5


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(['key', 'complete', 'key_words', 'video', 'label', 'source', 'state', 'reason']), inner
            )
        ),
    )
)
def test_no_value_breaks_the_checks(value: object) -> None:
    text, problems = parse_text(value)
    assert problems or text.key or text.complete
    record, faults = parse_record(value)
    assert (record is None) == bool(faults)


words = st.text(alphabet='abcdefg ,.-', min_size=1, max_size=30).filter(lambda text: any(map(str.isalpha, text)))


@given(st.lists(words, max_size=3), words, st.sampled_from(['ok', 'refused', 'failed', 'quarantined']))
def test_records_survive_the_way_through_json(key: list[str], complete: str, state: str) -> None:
    text = PriorText(key=tuple(key), complete=complete, key_words=tuple(split_words('jump')[:0]))
    record = PriorRecord(
        video='v_1', label='High jump', text=text if state == 'ok' else PriorText(), source='s', state=state, reason='r'
    )
    assert parse_record(json.loads(json.dumps(record.to_json()))) == (record, [])


def test_faulty_records() -> None:
    sound = PriorRecord(video='v', label='l', text=PriorText(key=('x',)), source='s').to_json()
    assert parse_record(sound)[1] == []
    for change, message in (
        ({'video': '../x'}, 'would leave'),
        ({'label': ''}, '"label" is empty'),
        ({'source': None}, '"source" must be'),
        ({'state': 'fine'}, '"state" must be one of'),
        ({'reason': 3}, '"reason"'),
        ({'key': []}, 'neither'),
    ):
        record, problems = parse_record({**sound, **change})
        assert record is None
        assert message in problems[0]


def test_lemmas() -> None:
    assert {lemma_of(word) for word in ('swing', 'Swings', 'swung', 'SWINGS')} == {'swing'}
    assert lemma_of('qwxz') == 'qwxz'
    assert absent_key_words('He was throwing balls.', ['thrown', 'ball', 'threw balls', 'net']) == ['net']


def test_mask_weights_by_lemma() -> None:
    words = split_words('The athlete runs, then jumped over the high bar.')
    weights = mask_weights(words, key_words=['running', 'over', 'bar'], label='HighJump')
    assert dict(zip(words, weights, strict=True)) == {
        **{'The': 0, 'athlete': 1, 'runs': 2, ',': 0, 'then': 0, 'jumped': 2, 'over': 0, 'the': 0, 'high': 2},
        **{'bar': 2, '.': 0},
    }
    assert mask_weights([], key_words=[], label='x') == []
    assert mask_weights(split_words('a dog'), key_words=[], label='Cat') == [0, 1]
