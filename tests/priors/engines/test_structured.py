"""Schemas made fit for being bound to, and the traps of xgrammar that they avoid."""

import json
import re
from typing import Literal

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.priors.engines.base import RequestFailed
from mmwtal.priors.engines.structured import Grammars, adapted
from mmwtal.utils.errors import UserError

xgrammar = pytest.importorskip('xgrammar')

END = 256


@pytest.fixture(scope='module')
def grammars(tiny_mllm):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_mllm())
    return Grammars(tokenizer=tokenizer, size=len(tokenizer), ends=[tokenizer.eos_token_id])


def accepts(grammars, schema, text):
    matcher = xgrammar.GrammarMatcher(grammars.compiled(schema), terminate_without_stop_token=True)
    return matcher.accept_string(text) and matcher.is_terminated()


def text(**limits):
    return {'type': 'object', 'properties': {'a': {'type': 'string', **limits}}, 'required': ['a']}


@pytest.mark.parametrize('limits', [{}, {'maxLength': 20}, {'minLength': 2}, {'pattern': '^[a-z ]*$', 'maxLength': 3}])
def test_no_control_character_gets_through(grammars, limits):
    for sign in ['\x00', '\x01', '\n', '\t', '\x1f', '\x7f']:
        assert not accepts(grammars, text(**limits), f'{{"a": "ab{sign}c"}}')
    assert accepts(grammars, text(**limits), '{"a": "ab c"}')


def test_control_characters_would_get_through():
    tokens = [bytes([value]) for value in range(256)] + [b'<end>']
    info = xgrammar.TokenizerInfo(tokens, vocab_type=xgrammar.VocabType.RAW, stop_token_ids=[END])
    schema = json.dumps({'type': 'string', 'maxLength': 20})
    grammar = xgrammar.GrammarCompiler(info).compile_json_schema(schema, any_whitespace=False)
    # If xgrammar mends it, texts with maxLength can be left as they are.
    assert xgrammar.GrammarMatcher(grammar).accept_string('"a\x01b"')


def test_lengths_become_patterns(grammars):
    limits = text(minLength=130, maxLength=300)
    pattern = adapted(limits)['properties']['a']['pattern']
    for length in (129, 130, 299, 300, 301):
        content = 'é' * length
        assert bool(re.fullmatch(pattern, content)) == (130 <= length <= 300)
        assert accepts(grammars, limits, json.dumps({'a': content}, ensure_ascii=False)) == (130 <= length <= 300)
    assert not accepts(grammars, text(), json.dumps({'a': 'a' * 257}))
    assert accepts(grammars, text(maxLength=0), '{"a": ""}')
    assert accepts(grammars, text(minLength=400), json.dumps({'a': 'a' * 400}))


def test_what_has_a_content_of_its_own_is_left():
    for limits in ({'enum': ['a"b']}, {'const': 'a'}, {'format': 'date'}):
        assert adapted(text(**limits))['properties']['a'] == {'type': 'string', **limits}


class Step(pydantic.BaseModel):
    phase: Literal['preparation', 'result']
    sentence: str = pydantic.Field(max_length=40)


class Answer(pydantic.BaseModel):
    """A form."""

    title: str = pydantic.Field(pattern='^[a-z]{1,9}$')
    default: int = pydantic.Field(default=3, ge=0, le=9, multiple_of=3)
    maybe: Step | None
    steps: list[Step] = pydantic.Field(max_length=2)


def test_the_schema_of_a_pydantic_model(grammars):
    schema = Answer.model_json_schema()
    before = json.dumps(schema)
    form = adapted(schema)
    assert json.dumps(schema) == before
    # Keys that are called like what is left out stay.
    assert form['properties'].keys() == {'title', 'default', 'maybe', 'steps'}
    assert form['properties']['default'] == {'type': 'integer', 'minimum': 0, 'maximum': 9}
    assert form['additionalProperties'] is False
    assert form['$defs']['Step']['additionalProperties'] is False
    answer = '{"title": "abc", "default": 9, "maybe": null, "steps": [{"phase": "result", "sentence": "It ends."}]}'
    assert accepts(grammars, schema, answer)
    assert Answer.model_validate_json(answer).steps[0].phase == 'result'
    assert not accepts(grammars, schema, answer.replace('9', '10'))
    assert not accepts(grammars, schema, answer.replace('"default"', '"more": 1, "default"'))
    assert not accepts(grammars, schema, answer.replace(': [', ':  ['))


@pytest.mark.parametrize('pattern', ['^a{0,129}$', '^a{200}$', '^a{129,}$', '^(?:ab){1,5}c{2,4000}$'])
def test_repeats_that_crash_the_compiler(grammars, pattern):
    with pytest.raises(UserError, match='repeats something more than 128 times'):
        grammars.compiled(text(pattern=pattern))


def test_a_schema_that_cannot_be_compiled(grammars):
    with pytest.raises(RequestFailed, match='cannot compile the schema'):
        grammars.compiled({'type': 'nothing'})


def test_a_grammar_is_compiled_once(grammars):
    assert grammars.compiled(text(maxLength=5)) is grammars.compiled(text(maxLength=5))
    assert grammars.compiled(text(maxLength=5)) is not grammars.compiled(text(maxLength=6))


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=12), st.integers(0, 12))
def test_only_what_json_reads_back_is_admitted(grammars, content, most):
    schema = text(maxLength=most)
    raw = f'{{"a": "{content}"}}'
    if accepts(grammars, schema, raw):
        assert json.loads(raw) == {'a': content}
        assert len(content) <= most


def test_a_tokenizer_that_xgrammar_does_not_know():
    with pytest.raises(UserError, match='does not know its tokenizer, a object'):
        Grammars(tokenizer=object(), size=3, ends=[1])
