"""The forms of texts: what they admit, alike in Python, in pydantic and while a model writes."""

import json
import re

import pytest

from mmwtal.priors.patterns import MOST_REPEATS, SENTENCE, WORD, sentence, words
from mmwtal.utils.errors import UserError

xgrammar = pytest.importorskip('xgrammar')
pydantic = pytest.importorskip('pydantic')

GOOD_SENTENCES = [
    'The athlete runs up, plants one foot and arches backwards over the bar.',
    'Élodie’s café-style naïve run-up ends (almost) at the 2.15 m mark!',
    '3.5 seconds later: does the discus leave the hand?',
    'A player - in white - hits the ball; it lands 80% of the time.',
    ' '.join(['Word'] * 30) + '.',
]
BAD_SENTENCES = [
    'the athlete runs up to the bar.',
    'The athlete runs up to the bar',
    'Two words.',
    'The athlete "runs" up to the bar.',
    'The athlete runs\\up to the bar.',
    'The athlete runs up.\nThen he jumps.',
    'The athlete runs\tup to the bar.',
    'The athlete \x01runs up to the bar.',
    'The athlete \x7fruns up to the bar.',
    'The athlete  runs up to the bar.',
    'The athlete runs up to the bar. ',
    'The athlete runs up. Then he jumps.',
    ' '.join(['Word'] * 31) + '.',
    'The ' + 'a' * 19 + ' runs up to the bar.',
    '',
]
GOOD_WORDS = ['throw', 'discus', 'throwing cage', 'run-up', "referee's", 'café', 'a' * 15 + ' ' + 'b' * 15]
BAD_WORDS = [
    '',
    ' throw',
    'throw ',
    'throws the discus far',
    'throw2',
    'a' * 16,
    'throw\n',
    'thr\x00ow',
    'thr"ow',
    'throw.',
]
CASES = [
    *((SENTENCE, text, True) for text in GOOD_SENTENCES),
    *((SENTENCE, text, False) for text in BAD_SENTENCES),
    *((WORD, text, True) for text in GOOD_WORDS),
    *((WORD, text, False) for text in BAD_WORDS),
]


@pytest.fixture(scope='module')
def written():
    """Tells whether a model that is bound to a pattern can write these signs as its whole reply."""
    end = 256
    tokens = [bytes([value]) for value in range(256)] + [b'<end>']
    info = xgrammar.TokenizerInfo(tokens, vocab_type=xgrammar.VocabType.RAW, stop_token_ids=[end])
    compiler = xgrammar.GrammarCompiler(info)

    def accepts(pattern: str, signs: str) -> bool:
        schema = json.dumps({'type': 'string', 'pattern': pattern})
        matcher = xgrammar.GrammarMatcher(compiler.compile_json_schema(schema, any_whitespace=False))
        return matcher.accept_string(signs) and matcher.accept_token(end)

    return accepts


@pytest.mark.parametrize(('pattern', 'text', 'good'), CASES)
def test_what_a_pattern_admits_it_admits_everywhere(written, pattern, text, good):
    assert bool(re.fullmatch(pattern, text)) == good
    field = pydantic.TypeAdapter(pydantic.constr(pattern=pattern))
    if good:
        assert field.validate_python(text) == text
    else:
        with pytest.raises(pydantic.ValidationError):
            field.validate_python(text)
    assert written(pattern, json.dumps(text, ensure_ascii=False)) == good
    # As signs between quotation marks, without the escapes that JSON asks for.
    assert written(pattern, f'"{text}"') == good


def test_the_longest_texts_that_can_be_asked_for_compile(written):
    pattern = sentence(least_words=2, most_words=MOST_REPEATS, most_letters=MOST_REPEATS)
    assert written(pattern, json.dumps(' '.join(['W' + 'o' * (MOST_REPEATS - 1)] * MOST_REPEATS) + '.'))
    assert written(words(most=MOST_REPEATS, most_letters=MOST_REPEATS), json.dumps(' '.join(['w'] * MOST_REPEATS)))
    assert re.fullmatch(words(most=1), 'throw')
    assert not re.fullmatch(words(most=1), 'throw up')


@pytest.mark.parametrize(
    'numbers',
    [{'most_words': 129}, {'most_letters': 129}, {'least_words': 1}, {'least_words': 9, 'most_words': 8}],
)
def test_numbers_out_of_range(numbers):
    with pytest.raises(UserError, match='128, found'):
        sentence(**numbers)
    with pytest.raises(UserError, match='1 to 128 words and 2 to 128 letters, found 0, 15'):
        words(most=0)
