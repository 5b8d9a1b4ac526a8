import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmwtal.datasets.transforms.sampling import SampleSnippets, sample_indices
from mmwtal.structures import Timebase
from mmwtal.utils.errors import UserError

LENGTHS = st.tuples(st.integers(1, 3000), st.integers(1, 600))


def bounds(snippets: int, length: int, place: int) -> range:
    """The published rule, written out: where the sample of one place may fall."""
    if snippets == length:
        return range(place, place + 1)
    low = math.floor(place * snippets / length)
    high = math.floor((place + 1) * snippets / length)
    return range(low, min(high, snippets - 1) + 1)


@given(lengths=LENGTHS, seed=st.integers(0, 2**32))
def test_perturbed_indices_stay_within_their_cells(lengths, seed):
    snippets, length = lengths
    indices = sample_indices(snippets, length, np.random.default_rng(seed))
    assert indices.shape == (length,)
    assert all(index in bounds(snippets, length, place) for place, index in enumerate(indices.tolist()))
    assert (np.diff(indices) >= 0).all()


@pytest.mark.parametrize(('snippets', 'length'), [(23, 7), (7, 5), (3, 8), (100, 9), (1, 4), (6, 6)])
def test_perturbed_indices_are_uniform_and_independent(snippets, length):
    rng = np.random.default_rng(0)
    rounds = 6000
    drawn = np.array([sample_indices(snippets, length, rng) for _ in range(rounds)])
    for place in range(length):
        cell = bounds(snippets, length, place)
        counts = Counter(drawn[:, place].tolist())
        assert set(counts) == set(cell)
        expected = rounds / len(cell)
        chi2 = sum((count - expected) ** 2 / expected for count in counts.values())
        # Far beyond any quantile that chance would reach for up to 12 degrees of freedom.
        assert chi2 < 45
    varied = [place for place in range(length) if len(bounds(snippets, length, place)) > 1]
    if len(varied) > 1:
        correlation = np.corrcoef(drawn[:, varied].T)
        assert np.abs(correlation - np.eye(len(varied))).max() < 0.06


@given(lengths=LENGTHS)
def test_uniform_indices_are_the_grid_points(lengths):
    snippets, length = lengths
    expected = [math.floor(place * snippets / length) for place in range(length)]
    assert sample_indices(snippets, length, None).tolist() == expected


def record(length=40):
    return {
        'video_id': 'v',
        'feature': np.arange(length * 3, dtype=np.float16).reshape(length, 3),
        'timebase': Timebase(fps=25, stride=16, duration=length * 0.64),
        'rng': np.random.default_rng(0),
    }


@pytest.mark.parametrize(('length', 'count'), [(40, 10), (10, 40), (40, 40), (1, 5)])
@pytest.mark.parametrize('mode', ['uniform', 'random_perturb'])
def test_features_and_time_grid_go_together(mode, length, count):
    results = SampleSnippets(mode=mode, length=count)(record(length))
    assert results['feature'].shape == (count, 3)
    assert results['feature'].dtype == np.float16
    assert results['timebase'].to_seconds(count) == pytest.approx(length * 0.64)
    if mode == 'uniform':
        rows = [place * length // count for place in range(count)]
        np.testing.assert_array_equal(results['feature'], record(length)['feature'][rows])


@pytest.mark.parametrize(('length', 'count'), [(40, 13), (10, 41), (40, 40), (1, 5)])
@pytest.mark.parametrize('mode', ['uniform', 'random_perturb'])
def test_positions_are_the_middles_of_the_snippets_that_were_taken(mode, length, count):
    before = record(length)
    before['timebase'] = Timebase(fps=25, stride=16, window=24)
    before['feature'] = np.arange(length, dtype=np.float32)[:, None]
    after = SampleSnippets(mode=mode, length=count)(dict(before))
    expected = before['timebase'].to_seconds(after['feature'][:, 0] + 0.5)
    np.testing.assert_allclose(after['timebase'].to_seconds(after['positions']), expected)


def test_full_takes_everything_as_it_is():
    results = SampleSnippets(mode='full')(record())
    np.testing.assert_array_equal(results['feature'], record()['feature'])
    assert results['timebase'] == record()['timebase']


@pytest.mark.parametrize('mode', ['uniform', 'random_perturb'])
@pytest.mark.parametrize('length', [40, 41, 60])
def test_keep_shorter_takes_a_short_video_as_it_is(mode, length):
    results = SampleSnippets(mode=mode, length=length, keep_shorter=True)(record())
    np.testing.assert_array_equal(results['feature'], record()['feature'])
    assert results['timebase'] == record()['timebase']


@pytest.mark.parametrize('mode', ['uniform', 'random_perturb'])
def test_keep_shorter_changes_nothing_for_a_longer_video(mode):
    kept, plain = (SampleSnippets(mode=mode, length=39, keep_shorter=keep)(record()) for keep in (True, False))
    np.testing.assert_array_equal(kept['feature'], plain['feature'])
    assert kept['timebase'] == plain['timebase']


@pytest.mark.parametrize('snippets', [10, 749, 750, 751, 1500, 3001])
def test_test_inputs_of_basnet_and_um(snippets):
    grid = np.floor(np.arange(750) * snippets / 750).astype(int)
    for keep, expected in ((False, grid), (True, np.arange(snippets) if snippets <= 750 else grid)):
        results = SampleSnippets(mode='uniform', length=750, keep_shorter=keep)(record(snippets))
        np.testing.assert_array_equal(results['feature'], record(snippets)['feature'][expected])
        # Published: (16 * snippets) / (24 * sampled * 25) seconds for each of 24 points a snippet.
        seconds = 16 * snippets / (24 * len(expected) * 25)
        found = results['timebase'].to_seconds(np.array([1, 25, 24 * len(expected)]) / 24)
        np.testing.assert_allclose(found, np.array([1, 25, 24 * len(expected)]) * seconds, rtol=1e-12)


def test_a_memory_map_gives_a_plain_array_of_what_was_taken(tmp_path):
    np.save(tmp_path / 'v.npy', record()['feature'])
    results = record()
    results['feature'] = np.load(tmp_path / 'v.npy', mmap_mode='r')
    feature = SampleSnippets(mode='uniform', length=5)(results)['feature']
    assert type(feature) is np.ndarray
    assert feature.base is None
    assert feature.flags.writeable


def test_a_window_shorter_than_the_stride_cannot_be_stretched_far():
    results = record(10)
    results['timebase'] = Timebase(fps=25, stride=16, window=8)
    with pytest.raises(UserError, match=r'video v.*use a length up to 10'):
        SampleSnippets(mode='uniform', length=100)(results)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({}, 'needs length'),
        ({'mode': 'uniform'}, 'needs length'),
        ({'mode': 'random', 'length': 5}, 'random_perturb, uniform, full'),
        ({'mode': 'full', 'length': 5}, 'must be left out'),
        ({'mode': 'full', 'keep_shorter': True}, 'must be left out'),
        ({'mode': 'uniform', 'length': 0}, 'above 0'),
        ({'mode': 'uniform', 'length': 2.5}, 'whole number'),
    ],
)
def test_bad_settings_are_one_clear_error(options, message):
    with pytest.raises(UserError, match=message):
        SampleSnippets(**options)
