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
    'label': 'high jump',
    'visible': True,
    'occurrences': 1,
    'motion': 'The athlete arches backwards over the bar.',
    'verbs': ['arch'],
    'objects': [],
}
UNSEEN = {'label': 'long jump', 'visible': False}
CONTEXT = 'A stadium with a red track.'


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
    answer, problems = read_answer(model, {'context': CONTEXT, 'actions': [SEEN, UNSEEN]})
    assert problems == []
    assert answer is not None
    assert list(answer.seen) == ['high jump']
    for wrong in ([SEEN], [SEEN, UNSEEN, UNSEEN], [SEEN, {**UNSEEN, 'label': 'pole vault'}]):
        answer, problems = read_answer(model, {'context': CONTEXT, 'actions': wrong})
        assert answer is None
        assert len(problems) == 1


@pytest.mark.parametrize(
    ('change', 'problem'),
    [
        ({'occurrences': 0}, 'greater than or equal to 1'),
        ({'occurrences': '1'}, 'valid integer'),
        ({'occurrences': 1.5}, 'valid integer'),
        ({'motion': ''}, '"actions.0.motion" must be a sentence'),
        ({'motion': 'No full stop'}, 'must be a sentence'),
        ({'motion': 'A bell\a rings in the dark room.'}, 'must be a sentence'),
        ({'verbs': []}, '"actions.0.verbs" needs 1 entries at least, found 0'),
        ({'verbs': ['a'] * 6}, '"actions.0.verbs" may have 5 entries at most'),
        ({'verbs': ['x!']}, '"actions.0.verbs.0" must be one or two words'),
        ({'visible': 'yes'}, 'visible'),
        ({'visible': False}, '"actions.0.occurrences" was not asked for'),
        ({'spans': []}, '"actions.0.spans" was not asked for'),
        ({'label': 'pole vault'}, 'one of the actions that were asked about'),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(change, problem):
    answer, problems = read_answer(MODELS['key'], {'context': CONTEXT, 'actions': [{**SEEN, **change}, UNSEEN]})
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
