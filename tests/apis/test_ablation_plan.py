"""Plans of ablations: faults are told at once, arms extend each other, switches make arms."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from mmwtal.apis.ablation.options import flatten, layered, option_words
from mmwtal.apis.ablation.plan import Plan
from mmwtal.apis.ablation.read_plan import read_plan
from mmwtal.utils.errors import UserError


def content(**changes: Any) -> dict[str, Any]:
    """Return a sound plan with parts of it replaced."""
    return {
        'title': 'A plan',
        'protocol': 'wtal_grid',
        'seeds': {'develop': '0-4', 'report': '10-14'},
        'data': {'embedded': {'recipe': 'embedded'}, 'gym': None},
        'bases': {'one': {'embedded': 'one{variant}.py', 'gym': 'gym.py'}, 'two': {'embedded': 'two{variant}.py'}},
        'references': ['base'],
        'arms': {
            'base': None,
            '_guided': {'variant': '_guided', 'options': {'a': {'b': 1, 'c': 2}}, 'options_of': {'two': {'a.b': 3}}},
            'dual': {'extends': '_guided', 'label': 'both', 'options': {'a.c': 5}},
            'twin': {'extends': 'dual', 'options': {'a': None}},
            'replaced': {'extends': 'dual', 'options': {'a': {'_delete_': True, 'type': 'T'}}},
            'short': {'bases': ['two'], 'seeds': {'develop': '0-1'}},
        },
        'aims': [{'aim': 'lift', 'arm': 'dual', 'reference': 'base', 'at_least': 4}],
        **changes,
    }


def read(tmp_path: Path, text: str | dict[str, Any]) -> Plan:
    file = tmp_path / 'plan.yml'
    file.write_text(text if isinstance(text, str) else yaml.safe_dump(text, sort_keys=False))
    return read_plan(file)


def test_arms_take_over_what_they_extend(tmp_path: Path) -> None:
    plan = read(tmp_path, content())
    assert list(plan.arms) == ['base', 'dual', 'twin', 'replaced', 'short']
    dual = plan.arms['dual']
    assert (dual.variant, dual.label, dual.bases) == ('_guided', 'both', ('one', 'two'))
    assert dual.options('one') == {'a.b': 1, 'a.c': 5}
    assert dual.options('two') == {'a.b': 3, 'a.c': 5}
    assert plan.arms['twin'].options('two') == {'a': None}
    assert plan.arms['twin'].label == 'twin'
    assert plan.arms['replaced'].options('two') == {'a._delete_': True, 'a.type': 'T'}
    assert plan.seeds_of(dual, 'report') == (10, 11, 12, 13, 14)
    assert plan.seeds_of(plan.arms['short'], 'develop') == (0, 1)
    assert plan.default_seeds == 'develop'
    [aim] = plan.aims
    assert (aim.arms, aim.bases, aim.data, aim.of_bases) == (('dual',), ('one', 'two'), ('embedded', 'gym'), None)
    # There is no config of the second base for the second data.
    assert aim.places == (('embedded', 'one'), ('embedded', 'two'), ('gym', 'one'))
    assert (aim.needed_on('embedded'), aim.needed_on('gym')) == (2, 1)


def test_switches_make_an_arm_for_each_choice(tmp_path: Path) -> None:
    grid = {
        'g': {
            'extends': 'dual',
            'label': 'grid',
            'options': {'x': 1},
            'switches': {'a.weight': [0.5, 3], 'b.match': ['level', None], 'b.list': [[1, 2]]},
        }
    }
    plan = read(tmp_path, content(grid=grid))
    made = [name for name in plan.arms if name.startswith('g.')]
    assert made[0] == 'g.weight=0.5.match=level.list=-1--2-'
    assert len(made) == 4
    arm = plan.arms[made[1]]
    assert arm.label == 'grid, weight=0.5, match=None, list=[1, 2]'
    assert arm.options('one') == {'a.b': 1, 'a.c': 5, 'x': 1, 'a.weight': 0.5, 'b.match': None, 'b.list': [1, 2]}
    assert arm.variant == '_guided'


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'arsm': {}}, "unknown key 'arsm'; did you mean 'arms'?"),
        ({'title': 3}, 'title: expected text, found 3'),
        ({'protocol': 'wtal'}, "protocol: no rule is called 'wtal'"),
        ({'metric': 'mean'}, "metric: expected 'average' or a tIoU such as 0.5, found 'mean'"),
        ({'selection': 'best'}, "selection: expected 'last' or 'best_on_test', found 'best'"),
        ({'measure': ['attention']}, "measure: there is no 'attention'; did you mean 'attention_quality'?"),
        ({'seeds': {'develop': '4-0'}}, 'seeds: develop: expected'),
        ({'seeds': {}}, 'seeds: expected at least one, found none'),
        ({'default_seeds': 'final'}, "default_seeds: there is no 'final'"),
        ({'data': {'gym': {'recipe': 'rm -r'}}}, "data: gym: recipe: there is no 'rm -r'"),
        ({'data': {'gym': {'path': 'x'}}}, "data: gym: unknown key 'path'"),
        ({'data': {'a/b': None}}, "data: a name must be of letters, digits and _.=+-, found 'a/b'"),
        ({'bases': {'one': {'embeded': 'x.py'}}}, "bases: one: unknown key 'embeded'; did you mean 'embedded'?"),
        ({'bases': {'one': {}}}, 'bases: one: expected a config for one of the data, found none'),
        ({'options': {'randomness.seed': 3}}, 'options: randomness.seed: is what the tool sets'),
        ({'options': {'lr': '1e-3'}}, "lr: '1e-3' (str) cannot be given as an option, which would be read as 0.001"),
        ({'options': {'a': {}}}, 'options: a: {} (dict) cannot be given as an option'),
        ({'references': ['bass']}, "references: there is no 'bass'; did you mean 'base'?"),
        ({'references': ['_guided']}, "references: there is no '_guided'"),
        ({'references': []}, 'references: expected at least one arm, found none'),
        ({'arms': {'base': {'extend': 'x'}}}, "arms: base: unknown key 'extend'; did you mean 'extends'?"),
        ({'arms': {'base': {'extends': 'x'}}}, "arms: base: extends: there is no 'x'"),
        ({'arms': {'base': {'extends': 'b'}, 'b': {'extends': 'base'}}}, 'extends itself: base -> b -> base'),
        ({'arms': {'base': {'bases': ['three']}}}, "arms: base: bases: there is no 'three'"),
        ({'arms': {'base': {'options_of': {'one': 3}}}}, 'arms: base: options_of: one: expected keys and values'),
        ({'arms': {'base': {'seeds': {'develop': '0-9'}}}}, 'arms: base: seeds: develop: 5 is none of the set, 0-4'),
        ({'arms': {'..': {}}}, "arms: a name must be of letters, digits and _.=+-, found '..'"),
        ({'arms': {'_base': {}}}, 'arms: expected one whose name does not begin with _'),
        ({'grid': {'g': {'switches': {'a': 3}}}}, 'grid: g: switches: a: expected a list of values, found 3'),
        ({'grid': {'g': {}}}, 'grid: g: switches is missing'),
        ({'grid': {'g': {'switches': {'a': [1, 1]}}}}, 'grid: g: there are two arms g.a=1'),
        ({'aims': [3]}, 'aims: 1: expected keys and values, found 3'),
        ({'aims': [{'aim': 'x', 'arm': 'dual', 'reference': 'base'}]}, 'aims: 1: expected an arm and one of the cond'),
        ({'aims': [{'aim': 'x', 'arm': 'deal', 'reference': 'base', 'above': 0}]}, "did you mean 'dual'?"),
        ({'aims': [{'aim': 'x', 'arm': 'dual', 'reference': 'base', 'above': '0'}]}, 'above: expected a number, found'),
        ({'aims': [{'aim': 'x', 'arm': 'dual', 'reference': 'base', 'share': 1}]}, 'share and ceiling go together'),
        (
            {'aims': [{'aim': 'x', 'arm': 'dual', 'reference': 'base', 'above': 0, 'of_bases': 2}]},
            'aims: 1: of_bases: expected 1 to 1, as many as there are on gym, found 2',
        ),
        (
            {
                'aims': [
                    {'aim': 'x', 'arm': 'dual', 'reference': 'base', 'above': 0, 'of_bases': 3, 'data': ['embedded']}
                ]
            },
            'aims: 1: of_bases: expected 1 to 2, as many as there are on embedded, found 3',
        ),
        (
            {'aims': [{'aim': 'x', 'arm': 'dual', 'reference': 'short', 'above': 0, 'bases': ['one', 'two']}]},
            'aims: 1: bases: one: does not have all of the arms dual, short',
        ),
        (
            {'aims': [{'aim': 'x', 'arm': 'dual', 'reference': 'short', 'above': 0, 'bases': ['one']}]},
            'aims: 1: no base and data have all of the arms dual, short',
        ),
    ],
)
def test_faults_are_told(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        read(tmp_path, content(**changes))
    assert message in str(error.value)
    assert 'nothing was run' in str(error.value)


def test_all_faults_of_a_part_are_in_one_message(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='3 faults') as error:
        read(tmp_path, content(arms={'base': {'x': 1}, 'dual': {'extends': 'y'}, 'twin': 4}))
    assert str(error.value).count('\n') == 3


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('title: a\ntitle: b\n', "the key 'title' is given twice"),
        ('title: !!python/object/apply:os.system [ls]\n', 'is not valid YAML'),
        ('[1, 2]', 'expected keys and values at the top'),
        ('title: [', 'is not valid YAML'),
        ('', 'expected keys and values at the top, found nothing'),
        ('? [a]\n: 1\n', 'is not valid YAML'),
    ],
)
def test_files_that_are_no_plan(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        read(tmp_path, text)
    assert message in str(error.value)


def test_options_become_words_that_are_read_back() -> None:
    options = flatten({'a': {'b.c': None, 'd': [1, 2.5, 'x']}, 'e': True, 'f': 1.0, 'g': 'word', 'h': 1e-7, 'i': []})
    words = option_words(options)
    assert words == ('a.b.c=None', 'a.d=[1,2.5,x]', 'e=True', 'f=1.0', 'g=word', 'h=1e-07', 'i=[]')


@pytest.mark.parametrize('value', ['None', 'true', '3', 'a,b', {'x': 1}, [{'a': 1}], float('nan')])
def test_options_that_would_be_read_as_something_else_are_refused(value: Any) -> None:
    with pytest.raises(UserError, match='cannot be given as an option'):
        option_words({'key': value})


def test_a_layer_that_sets_a_key_whole_takes_away_what_was_below_it() -> None:
    assert layered({'a.b': 1, 'ab': 2}, {'a': None}) == {'ab': 2, 'a': None}
    assert layered({'a.b': 1, 'ab': 2}, {'a._delete_': True, 'a.c': 1}) == {'ab': 2, 'a._delete_': True, 'a.c': 1}
    assert layered({'a.b': 1}, {'a.b': 2}, {'a.b': 3}) == {'a.b': 3}
