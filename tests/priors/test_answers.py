"""Answers: what a schema binds a reply to, and that xgrammar compiles it."""

import json
import time

import pytest

from mmwtal.priors.answers import (
    ClassAnswer,
    CompleteAnswer,
    JoinedAnswer,
    key_answer,
    read_answer,
    schema_of,
)
from mmwtal.priors.patterns import MOST_REPEATS

LABELS = ('high jump', 'long jump')
MODELS = {
    'key': key_answer(LABELS, spans=False, seen_only=False),
    'key with spans': key_answer(LABELS, spans=True, seen_only=False),
    'all classes': key_answer(tuple(f'class number {n}' for n in range(200)), spans=True, seen_only=True),
    'one label': key_answer(('high jump',), spans=False, seen_only=False),
    'odd labels': key_answer(('a "quoted" label', 'Trick: über\\cool', '0'), spans=False, seen_only=True),
    'complete': CompleteAnswer,
    'joined': JoinedAnswer,
    'class': ClassAnswer,
}
SEEN = {
    'visible': True,
    'occurrences': 1,
    'motion': 'The athlete arches backwards over the bar.',
    'verbs': ['arch'],
    'objects': [],
}
UNSEEN = {'visible': False}
LISTED = {'label': 'high jump', **{name: value for name, value in SEEN.items() if name != 'visible'}}
CONTEXT = 'A stadium with a red track.'
ASKED = {'high jump': SEEN, 'long jump': UNSEEN}


def nodes(schema):
    yield schema
    for value in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        if isinstance(value, dict | list):
            yield from nodes(value)


@pytest.mark.parametrize('name', MODELS)
def test_a_schema_binds_all_and_leans_on_nothing(name):
    schema = schema_of(MODELS[name])
    objects = [node for node in nodes(schema) if isinstance(node, dict) and node.get('type') == 'object']
    assert objects
    for node in objects:
        assert node['additionalProperties'] is False
        assert node['required'] == list(node['properties'])
    text = json.dumps(schema)
    for word in ('$ref', '$defs', 'oneOf', 'discriminator', 'maxLength', 'title'):
        assert f'"{word}"' not in text
    strings = [node for node in nodes(schema) if isinstance(node, dict) and node.get('type') == 'string']
    assert strings
    assert all('pattern' in node or 'enum' in node or 'const' in node for node in strings)
    lists = [node for node in nodes(schema) if isinstance(node, dict) and node.get('type') == 'array']
    assert all(node['maxItems'] <= MOST_REPEATS for node in lists)


@pytest.mark.parametrize('name', MODELS)
def test_xgrammar_compiles_it(name):
    xgrammar = pytest.importorskip('xgrammar')
    start = time.perf_counter()
    grammar = xgrammar.Grammar.from_json_schema(json.dumps(schema_of(MODELS[name])), any_whitespace=False)
    assert 'root' in str(grammar)
    assert time.perf_counter() - start < 60, 'it hangs'


def test_the_labels_are_those_that_were_asked():
    model = MODELS['key']
    answer, problems = read_answer(model, {'context': CONTEXT, 'actions': {'high jump': SEEN, 'long jump': UNSEEN}})
    assert problems == []
    assert answer is not None
    assert [(label, action.motion) for label, action in answer.seen()] == [('high jump', SEEN['motion'])]
    for wrong, problem in (
        ({'high jump': SEEN}, '"actions.long jump" is missing'),
        ({'high jump': SEEN, 'long jump': UNSEEN, 'pole vault': UNSEEN}, '"actions.pole vault" was not asked for'),
        ({'action_0': SEEN, 'action_1': UNSEEN}, '"actions.high jump" is missing'),
    ):
        answer, problems = read_answer(model, {'context': CONTEXT, 'actions': wrong})
        assert answer is None
        assert problem in problems


def test_a_list_has_what_is_seen():
    model = key_answer(LABELS, spans=False, seen_only=True)
    for actions in ([], [LISTED], [LISTED, {**LISTED, 'label': 'long jump'}]):
        answer, problems = read_answer(model, {'context': CONTEXT, 'actions': actions})
        assert problems == []
        assert answer is not None
        assert [label for label, _ in answer.seen()] == list(LABELS[: len(actions)])
    answer, problems = read_answer(model, {'context': CONTEXT, 'actions': [{**LISTED, 'label': 'pole vault'}]})
    assert problems == ['"actions.0.label" must be one of the actions that were asked about, found "pole vault"']


def test_the_model_first_says_what_it_is_about():
    of_label = schema_of(MODELS['key'])['properties']['actions']['properties']['high jump']['anyOf']
    assert [next(iter(form['properties'])) for form in of_label] == ['visible', 'visible']
    assert next(iter(schema_of(MODELS['all classes'])['properties']['actions']['items']['properties'])) == 'label'


@pytest.mark.parametrize(
    ('change', 'problem'),
    [
        ({'occurrences': 0}, 'greater than or equal to 1'),
        ({'occurrences': '1'}, 'valid integer'),
        ({'occurrences': 1.5}, 'valid integer'),
        ({'motion': ''}, '"actions.high jump.motion" must be a sentence'),
        ({'motion': 'No full stop'}, 'must be a sentence'),
        ({'motion': 'A bell\a rings in the dark room.'}, 'must be a sentence'),
        ({'verbs': []}, '"actions.high jump.verbs" needs 1 entries at least, found 0'),
        ({'verbs': ['a'] * 6}, '"actions.high jump.verbs" may have 5 entries at most'),
        ({'verbs': ['x!']}, '"actions.high jump.verbs.0" must be one to three words'),
        ({'visible': 'yes'}, '"actions.high jump" needs "visible", true or false'),
        ({'visible': False}, '"actions.high jump.occurrences" was not asked for'),
        ({'spans': []}, '"actions.high jump.spans" was not asked for'),
        ({'label': 'pole vault'}, '"actions.high jump.label" was not asked for'),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(change, problem):
    answer, problems = read_answer(
        MODELS['key'], {'context': CONTEXT, 'actions': {**ASKED, 'high jump': {**SEEN, **change}}}
    )
    assert answer is None
    assert problem in ' | '.join(problems)
    assert 'pydantic' not in str(problems)


@pytest.mark.parametrize('value', [None, [], 'text', 3, {}, {'actions': 3, 'context': None}])
def test_other_things_are_no_answer(value):
    answer, problems = read_answer(MODELS['key'], value)
    assert answer is None
    assert problems


def test_phases_are_in_order():
    value = {
        'result': ['She falls on the mat.'],
        'execution': ['She takes off from one foot.', 'She arches over the bar.'],
        'preparation': [],
        'key_words': ['arches', 'bar'],
    }
    answer, _ = read_answer(CompleteAnswer, value)
    assert answer is not None
    assert [phase for phase, _ in answer.phases] == ['execution', 'execution', 'result']
    assert answer.sentences[-1] == 'She falls on the mat.'
