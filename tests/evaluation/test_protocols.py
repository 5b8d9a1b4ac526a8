from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmwtal.evaluation import PROTOCOLS, get_protocol, get_protocols
from mmwtal.utils.errors import UserError

GRID = get_protocol('wtal_grid')


def test_rules_are_frozen():
    with pytest.raises(FrozenInstanceError):
        GRID.version = 2
    with pytest.raises(TypeError):
        PROTOCOLS['mine'] = GRID


def test_hashes_are_those_of_published_results():
    # A result states its rule's hash, so a hash must not change unless the rule's behaviour does.
    assert {name: rule.hash for name, rule in PROTOCOLS.items()} == {
        'anet': 'c3aa9744214c',
        'wtal_grid': '16d2c92d35ea',
        'actionformer': '2a88506168f0',
        'wtal_grid_delu': 'bf80ac19747d',
        'wtal_grid_ddgnet': '00ea19084373',
        'wtalc': 'e1687fc38724',
        'thumos_official': '66ffac2a86c7',
    }


@pytest.mark.parametrize(
    'change',
    [
        *({'version': 2}, {'snippet_grid': (30, 16)}, {'drop_ambiguous': False}, {'unknown_class': 'error'}),
        *({'drop_ambiguous': 'false_positives'}, {'drop_up_to': 1}, {'matching': 'first'}, {'strict': True}),
        *({'interpolated': False}, {'ties': 'earlier'}, {'clean_ground_truth': True}, {'classes': ('A',)}),
        *({'all_classes_predicted': True}, {'annotated_videos_only': True}, {'skipped_videos': ('v',)}),
    ],
)
def test_hash_changes_with_behaviour(change):
    assert replace(GRID, **change).hash != GRID.hash


def test_hash_does_not_change_with_presentation():
    assert replace(GRID, name='other', source='elsewhere', default_tious=(0.5,)).hash == GRID.hash


def test_default_tious():
    assert get_protocol('anet').default_tious == tuple(i / 100 for i in range(50, 100, 5))
    assert GRID.default_tious == tuple(i / 10 for i in range(1, 8))


@pytest.mark.parametrize(
    ('name', 'nearest'), [('activitynet', 'anet'), ('wtal-grid', 'wtal_grid'), ('WTAL_grid', 'wtal_grid')]
)
def test_unknown_name_gets_the_nearest(name, nearest):
    with pytest.raises(UserError, match=f"'{name}'. Did you mean '{nearest}'"):
        get_protocol(name)


def test_lengths_are_compared_on_a_grid_only():
    with pytest.raises(ValueError, match='snippet_grid'):
        replace(get_protocol('anet'), drop_up_to=1)


def test_several_names():
    assert [rule.name for rule in get_protocols('wtalc, anet,wtalc')] == ['wtalc', 'anet']
    assert [rule.name for rule in get_protocols(['wtal_grid'])] == ['wtal_grid']
    assert [rule.name for rule in get_protocols('all')] == list(PROTOCOLS)
    with pytest.raises(UserError, match=r"'wtlac'\. Did you mean 'wtalc'"):
        get_protocols('anet,wtlac')


@given(st.integers(0, 100_000))
def test_seconds_that_were_made_of_snippets_map_back(snippet):
    for seconds in (snippet * 16 / 25, snippet * (16 / 25), snippet * 0.64):
        assert GRID.in_unit(np.array([[seconds, seconds]])).tolist() == [[snippet, snippet]]


@given(st.floats(0, 10_000))
def test_grid_is_python_rounding(seconds):
    assert GRID.in_unit(np.array([[0.0, seconds]]))[0, 1] == round(seconds * 25 / 16)


def test_seconds_stay_as_they_are():
    segments = np.array([[0.1, 0.30000000000000004]])
    assert get_protocol('anet').in_unit(segments).tolist() == segments.tolist()


def test_to_dict_states_everything():
    stated = GRID.to_dict()
    assert stated['name'] == 'wtal_grid'
    assert stated['snippet_grid'] == (25, 16)
    assert stated['hash'] == GRID.hash
