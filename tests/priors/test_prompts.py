"""Prompts: the built-in ones say what the answers need, a user's own are checked, any change shows in the identity."""

import hashlib
import pickle

import pytest

from mmwtal.priors.answers import Action, CompleteAnswer, LocatedAction
from mmwtal.priors.prompts import built_in_prompts, load_prompt, load_prompts
from mmwtal.utils.errors import UserError

PURPOSES = {name: name.split('_')[0].split('-')[0] for name in built_in_prompts()}


def test_the_built_in_prompts():
    assert set(PURPOSES.values()) == {'system', 'key', 'complete', 'join', 'reask', 'class'}
    loaded = {name: load_prompt(purpose, name) for name, purpose in PURPOSES.items()}
    for name, prompt in loaded.items():
        assert name.endswith('_v1')
        assert prompt.name == name
        assert prompt.text.isascii()
        assert '${' not in prompt.fill(**dict.fromkeys(prompt._template.get_identifiers(), 'X'))
    for name, purpose in PURPOSES.items():
        model = {'key': LocatedAction if 'spans' in name else Action}.get(purpose, CompleteAnswer)
        if purpose not in ('system', 'reask'):
            keys = {key for key in model.model_fields if f'"{key}"' not in loaded[name].text}
            assert keys == set(), f'{name} does not say what goes into these'
        if purpose == 'key':
            assert ('"spans"' in loaded[name].text) == ('spans' in name)
            assert ('"visible"' in loaded[name].text) == ('classes' not in name) != ('"label"' in loaded[name].text)


def test_gaps_are_filled():
    prompt = load_prompt('complete', 'complete_v1')
    text = prompt.fill(label='high jump', start='0.0', end='9.5', duration='9.5', unknown='x')
    assert 'The action: high jump\n' in text
    assert 'from 0.0 s to 9.5 s' in text
    assert '$' not in text


def test_a_value_is_not_searched_for_gaps():
    prompt = load_prompt('reask', 'reask_v1')
    assert 'costs $5 ${label}' in prompt.fill(question='costs $5 ${label}', reply='', problems='')


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / 'mine_v3.txt'
    path.write_text('What of $label for $$5?\n')
    prompt = load_prompts({'complete': str(path)})['complete']
    assert prompt.fill(label='surfing', start='0') == 'What of surfing for $5?'
    assert prompt.identity == {
        'name': 'mine_v3',
        'sha256': hashlib.sha256(b'What of $label for $$5?').hexdigest(),
    }
    assert pickle.loads(pickle.dumps(prompt)) == prompt
    path.write_text('What of $label?')
    assert load_prompt('complete', str(path)).identity['sha256'] != prompt.identity['sha256']


@pytest.mark.parametrize(
    ('text', 'match'),
    [
        ('', 'is empty'),
        ('  \n', 'is empty'),
        ('Describe it.', r'lacks the gap \$\{label\}'),
        ('Describe $label at $time.', r'has the gap \$\{time\}, which nothing fills; its gaps are: \$\{label\}, '),
        ('Describe ${label} for 5 $.', 'begins no gap'),
        ('Describe ${lab', 'begins no gap'),
    ],
)
def test_faulty_files(tmp_path, text, match):
    path = tmp_path / 'mine.txt'
    path.write_text(text)
    with pytest.raises(UserError, match=match) as error:
        load_prompt('complete', str(path))
    assert str(path) in str(error.value)


def test_what_cannot_be_found(tmp_path):
    with pytest.raises(UserError, match="did you mean 'complete_v1'"):
        load_prompt('complete', 'complete_v2')
    with pytest.raises(UserError, match='does not exist'):
        load_prompt('complete', str(tmp_path / 'none.txt'))
    with pytest.raises(UserError, match=r'has the gap \$\{label\}, which nothing fills'):
        load_prompt('key', 'complete_v1')
    with pytest.raises(UserError, match='no purpose of a prompt'):
        load_prompts({'keys': 'key_v1'})
    (tmp_path / 'latin.txt').write_bytes(b'\xff $label')
    with pytest.raises(UserError, match='UTF-8'):
        load_prompt('complete', str(tmp_path / 'latin.txt'))
