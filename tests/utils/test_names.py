"""The nearest valid name to a misspelt one."""

from hypothesis import given
from hypothesis import strategies as st

from mmwtal.utils.names import did_you_mean, nearest

VALID = ['wtal_grid', 'anet', 'base_batch_size']


def test_case_and_order_of_words_do_not_matter():
    assert nearest('WTAL_Grid', VALID) == 'wtal_grid'
    assert nearest('grid_wtal', VALID) == 'wtal_grid'
    assert nearest('batch_size_base', VALID) == 'base_batch_size'


def test_what_is_like_none_has_none():
    assert nearest('zzz', VALID) is None
    assert nearest('anet', []) is None


def test_the_end_of_a_message():
    assert did_you_mean('anett', VALID) == "; did you mean 'anet'?"
    assert did_you_mean('zzz', VALID) == '; valid are: anet, base_batch_size, wtal_grid'
    assert did_you_mean('zzz', [f'name{i}' for i in range(13)]) == ''
    assert did_you_mean('zzz', []) == ''


@given(st.text(max_size=10), st.lists(st.text(max_size=10), max_size=5))
def test_the_nearest_is_one_of_the_valid_names_and_a_valid_name_is_its_own(name, valid):
    assert nearest(name, valid) in (*valid, None)
    if name:
        assert str.lower(nearest(name, [*valid, name])) == name.lower()
