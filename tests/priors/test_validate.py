"""Replies: what is no JSON, what says what it must not, and what only a part suffers from."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.priors.answers import ClassAnswer, CompleteAnswer, key_answer
from mmwtal.priors.class_mentions import ClassMentions
from mmwtal.priors.validate import (
    CONTEXT,
    EVERYTHING,
    KEY_WORDS,
    check_description,
    check_key_answer,
    parse_reply,
)
from mmwtal.priors.wording import says_only_the_name, wording_problem

CLASSES = ('HighJump', 'LongJump', 'Diving', 'CliffDiving', 'CleanAndJerk', 'Mowing the lawn', 'Cricket', 'Snatch')
MENTIONS = ClassMentions(CLASSES)
ASKED = {'high jump': 'HighJump', 'long jump': 'LongJump'}
MODEL = key_answer(tuple(ASKED), spans=True, seen_only=False)
SEEN = {
    'visible': True,
    'occurrences': 2,
    'motion': 'The athlete arches backwards over the bar.',
    'verbs': ['arch'],
    'objects': ['bar'],
    'spans': [{'start': 11, 'end': 12.5}, {'start': 15, 'end': 16}],
}
UNSEEN = {'visible': False}
COMPLETE = {
    'preparation': ['The athlete sprints along a curve.'],
    'execution': ['She takes off from one foot.', 'Her back arches over the bar.'],
    'result': ['She falls on the soft mat.'],
    'key_words': ['sprints', 'arch', 'one foot'],
}


def check(high, context='A stadium with a red track.', own=()):
    text = json.dumps({'context': context, 'actions': {'high jump': high, 'long jump': UNSEEN}})
    return check_key_answer(text, MODEL, asked=ASKED, start=10, end=20, mentions=MENTIONS, own=own or ASKED.values())


def described(**change):
    return check_description(
        json.dumps({**COMPLETE, **change}), CompleteAnswer, label='HighJump', own=(), mentions=MENTIONS
    )


def texts(checked):
    return ' | '.join(problem.text for problem in checked.problems)


def test_good_answers_have_no_problem():
    for checked in (check(SEEN), described()):
        assert checked.problems == []
        assert checked.usable
        assert not checked.worth_asking_again


@pytest.mark.parametrize(
    'text',
    [
        '',
        'null',
        '[]',
        'I cannot see the video.',
        'Here it is: {"context": "x"}',
        '{"context": NaN}',
        '{"context": "a", "context": "b"}',
        '{"actions": [{"label": "a", "label": "b"}]}',
        '{"context": "tab\there"}',
        '[' * 100_000,
        '{"a": "\\ud800"}',
        '{"context": "A stadium with a red track.", "actions": [',
    ],
)
def test_what_is_no_answer(text):
    checked = parse_reply(text, MODEL)
    assert checked.answer is None
    assert checked.problems
    assert all(problem.spot == EVERYTHING for problem in checked.problems)
    assert not checked.usable


def test_a_fence_is_forgiven_and_text_around_it_is_not():
    text = json.dumps(COMPLETE, indent=1)
    assert parse_reply(f'```json\n{text}\n```\n', CompleteAnswer).problems == []
    assert parse_reply(f'Sure!\n```json\n{text}\n```', CompleteAnswer).problems


@settings(max_examples=60)
@given(
    st.text() | st.recursive(st.none() | st.text() | st.floats(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_whatever_comes_is_an_answer_or_has_problems(value):
    text = value if isinstance(value, str) else json.dumps(value)
    checked = parse_reply(text, CompleteAnswer)
    assert (checked.answer is None) == bool(checked.problems)


def test_a_label_is_listed_once():
    model = key_answer(tuple(ASKED), spans=False, seen_only=True)
    listed = {name: value for name, value in SEEN.items() if name not in ('visible', 'spans')}
    text = json.dumps({'context': 'A stadium with a red track.', 'actions': [{'label': 'high jump', **listed}] * 2})
    checked = check_key_answer(text, model, asked=ASKED, start=0, end=1, mentions=MENTIONS, own=['HighJump'])
    assert [(one.text, one.spot) for one in checked.problems] == [('"high jump": has more than one entry', 'high jump')]


@pytest.mark.parametrize(
    ('spans', 'problem'),
    [
        ([(12, 11)], 'ends before it begins'),
        ([(12, 12)], 'ends before it begins'),
        ([(8.5, 12)], 'outside 10 to 20 s'),
        ([(19, 21.5)], 'outside 10 to 20 s'),
        ([(20.5, 20.9)], 'outside 10 to 20 s'),
        ([(15, 16), (11, 12)], 'not in the order of time'),
        ([(11, 12), (13, 14), (15, 16)], '3 spans of 2 occurrences'),
    ],
)
def test_spans_are_ordered_and_inside(spans, problem):
    checked = check({**SEEN, 'spans': [{'start': start, 'end': end} for start, end in spans]})
    assert problem in texts(checked)
    assert {one.spot for one in checked.problems} == {'high jump'}
    assert checked.usable


def test_spans_are_cut_to_the_clip():
    checked = check({**SEEN, 'spans': [{'start': 9.2, 'end': 12}, {'start': 19, 'end': 20.9}]})
    assert checked.problems == []
    spans = checked.answer.seen['high jump'].spans
    assert [(one.start, one.end) for one in spans] == [(10, 12), (19, 20)]


def test_the_place_says_nothing_of_the_motion():
    checked = check(SEEN, context='An athlete is arching over a bar.')
    assert [problem.spot for problem in checked.problems] == [CONTEXT]
    assert checked.usable
    assert not checked.worth_asking_again
    assert check(SEEN, context='This video is about a stadium.').problems[0].spot == CONTEXT


def test_other_classes_are_found():
    checked = check({**SEEN, 'motion': 'She mows a lawn with her own hands.'})
    assert texts(checked) == '"high jump": names another action, "mowing the lawn"'
    other = {**SEEN, 'motion': 'She does a clean and jerk with one hand.'}
    assert check(other).problems
    assert check(other, own=['HighJump', 'CleanAndJerk']).problems == []
    assert 'names another action, "long jump"' in texts(described(result=['She does another long jump.']))


def test_how_classes_are_named():
    named = MENTIONS.others_in
    assert named('He is HIGH jumping.', ()) == ['HighJump']
    assert named('A high fence, then a jump.', ()) == []
    assert named('She falls behind the high jump bar.', ()) == []
    # One word is most often no name but a motion.
    assert named('She is diving and snatches the ball.', ()) == []
    assert named('They play cricket after a game of cricket.', ()) == ['Cricket']
    assert named('He performs a snatch, then does diving.', ()) == ['Snatch', 'Diving']
    assert named('He performs a dive.', ()) == []
    # The kind of a thing.
    assert named('She takes a pair of diving goggles and a bottle of snatch oil.', ()) == []
    # What a mark divides is no name; what a hyphen joins is one.
    assert named('The fence is high, jump over it.', ()) == []
    assert named('She clears the high-jump.', ()) == ['HighJump']
    # A part of the name of a class that the video has.
    assert named('He does diving.', ['CliffDiving']) == []
    assert named('He does cliff diving.', ['Diving']) == ['CliffDiving']
    assert ClassMentions(()).others_in('He does a high jump.', ()) == []
    assert named('', ()) == []


WORDS = ('the', 'high', 'jump', 'long', 'jumps', 'and', 'of', 'diving', 'cliff', '.')


@given(st.lists(st.sampled_from(WORDS), max_size=8))
@settings(max_examples=60)
def test_mentions_do_not_depend_on_case_and_articles(words):
    plain = MENTIONS.others_in(' '.join(words), ())
    assert MENTIONS.others_in(' '.join(words).upper(), ()) == plain
    assert MENTIONS.others_in(' '.join(f'the {word}' for word in words), ()) == plain


@pytest.mark.parametrize(
    'sentence',
    [
        'As an AI language model, I have no eyes.',
        'I cannot describe the action.',
        "I'm sorry, nothing is there.",
        'The motion cannot be determined.',
        'The video shows a man who runs.',
        'In this clip a man runs.',
        'A man is seen running along.',
        'The camera follows a runner.',
        'The frames show a man at the bar.',
        'The frames provided show a man at the bar.',
        'Nobody performs a jump here.',
        'The person is not performing the jump.',
        'The action does not occur here.',
        'It is unclear what the person does.',
        'It is difficult to tell what happens.',
        'There is insufficient information to describe it.',
        'Throughout the clip a man runs along.',
        'The viewer looks at a man who lifts a bar.',
        'We see a man who jumps over a bar.',
        'At 12.5 seconds the man leaves the ground.',
        'The replay shows the take-off in slow motion.',
    ],
)
def test_refusals_and_boilerplate(sentence):
    assert wording_problem(sentence)
    assert check({**SEEN, 'motion': sentence}).problems[0].spot == 'high jump'
    assert described(result=[sentence]).problems


@pytest.mark.parametrize(
    'sentence',
    [
        'She fits the wheel into the frame of the bicycle.',
        'He hangs the picture on the wall.',
        'She pushes the clip into her hair.',
        'He holds the camera in front of his eye.',
        'The image of a bird appears on her nail.',
        'He uses the crack as an aid to pull himself up.',
        'Another man acts as an assistant and holds the rope.',
        'The player turns the video game controller.',
        'He holds the bar above his head for 3 seconds.',
        'It is impossible to lift the stone with one hand.',
    ],
)
def test_things_that_are_not_the_video(sentence):
    assert wording_problem(sentence) is None


def test_short_sentences_and_names_of_three_words_are_right():
    assert described(result=['She lands softly.'], key_words=['lands', 'falls']).answer is not None
    assert check({**SEEN, 'objects': ['high jump bar']}, context='A windy bay.').problems == []


def test_a_name_is_no_description():
    assert says_only_the_name('A man performs a high jump.', 'HighJump')
    assert says_only_the_name('The athlete is doing the high jump.', 'HighJump')
    assert not says_only_the_name('The athlete jumps high over a bar.', 'HighJump')
    assert 'nothing but the name' in texts(check({**SEEN, 'motion': 'A man performs a high jump.'}))
    same = {'execution': ['She does a high jump.', 'A high jump is performed.'], 'result': ['She begins a high jump.']}
    assert 'nothing but the name' in texts(described(preparation=[], **same))
    # One such sentence among others is all right.
    assert described(result=['She has done a high jump.']).problems == []


def test_key_words_occur():
    checked = described(key_words=['sprints', 'rocket'])
    assert [problem.spot for problem in checked.problems] == [KEY_WORDS]
    assert 'rocket' in texts(checked)
    assert checked.usable
    assert checked.worth_asking_again
    assert not described(key_words=['rocket', 'soup']).usable


def test_a_description_has_enough_to_say():
    assert 'it has 2 sentences' in texts(described(preparation=[], result=[], key_words=['back', 'bar']))
    assert 'says a sentence twice' in texts(described(result=['She takes off, from ONE foot.']))


def test_a_class_needs_its_motion():
    value = {**COMPLETE, 'motion': 'She does the high jump.'}
    found = check_description(json.dumps(value), ClassAnswer, label='HighJump', own=(), mentions=MENTIONS)
    assert '"motion" says nothing but the name' in texts(found)
