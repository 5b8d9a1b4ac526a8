import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.decoders.interpolation import interpolate
from mmwtal.registry import DECODERS
from mmwtal.structures import LocalizerOutput, Timebase
from mmwtal.utils.errors import UserError

GRID = Timebase(fps=25, stride=16)
DECODER = {'um': 'UMDecoder', 'basnet': 'BaSNetDecoder'}


def decode(name, output, timebase=GRID, **options):
    found = DECODERS.build({'type': DECODER[name], **options}).decode(output, timebase)
    return [np.column_stack([one.segments, one.scores, one.labels]) for one in found]


def batch(*videos, padding=0, background=True):
    """An output of videos given as (cas (T, C'), attn (T,)), with NaN in its padding; ``cas_supp`` is ``cas``."""
    length = max(len(cas) for cas, _ in videos) + padding
    cas = torch.full((len(videos), length, videos[0][0].shape[1]), float('nan'))
    attn = torch.full((len(videos), length, 1), float('nan'))
    mask = torch.zeros(len(videos), length, dtype=torch.bool)
    for row, (one_cas, one_attn) in enumerate(videos):
        cas[row, : len(one_cas)] = torch.as_tensor(one_cas)
        attn[row, : len(one_cas), 0] = torch.as_tensor(one_attn)
        mask[row, : len(one_cas)] = True
    return LocalizerOutput(feat=cas, attn=attn, cas=cas, has_background=background, mask=mask, extras={'cas_supp': cas})


def random_video(length, seed, channels=4):
    rng = np.random.default_rng(seed)

    def smooth(columns):
        noise = rng.normal(size=(length + 4, columns))
        return np.stack([np.convolve(one, np.ones(5) / 5, mode='valid') for one in noise.T], axis=1) * 4

    return smooth(channels).astype(np.float32), (1 / (1 + np.exp(-smooth(1)[:, 0]))).astype(np.float32)


def stored_cases(repo_root):
    return json.loads((repo_root / 'tests/golden/dense_decoder_small.json').read_text())['cases']


def output_of(case):
    if case['model'] == 'um':
        cas, magnitude = torch.tensor(case['cas']), torch.tensor(case['feat']).norm(dim=1).numpy()
        return batch((cas, magnitude / magnitude.max()), background=False)
    cas = torch.tensor(case['cas_supp'])
    return batch((cas, np.ones(len(cas))))


@pytest.mark.parametrize('number', range(7))
def test_stored_proposals_of_the_published_code(repo_root, number):
    case = stored_cases(repo_root)[number]
    output, expected = output_of(case), np.reshape(case['proposals'], (-1, 4))
    (found,) = decode(case['model'], output, GRID.resampled(case['snippets'], output.mask.shape[1]))
    np.testing.assert_array_equal(found[:, 3], expected[:, 3])
    np.testing.assert_allclose(found[:, :2], expected[:, :2], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[:, 2], expected[:, 2], rtol=0, atol=1e-5)


def test_the_stored_proposals_cover_the_slip_that_drops_a_lone_first_class(repo_root):
    cases = stored_cases(repo_root)
    assert [len(case['proposals']) > 0 for case in cases].count(False) == 1
    (case,) = [case for case in cases if not case['proposals']]
    (found,) = decode('basnet', output_of(case), skip_lone_first_class=False)
    assert set(found[:, 3]) == {0}


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=4), st.integers(0, 5), st.integers(0, 99))
@pytest.mark.parametrize('name', DECODER)
def test_padding_batch_and_order_do_not_matter(name, lengths, padding, seed):
    videos = [random_video(length, seed + index) for index, length in enumerate(lengths)]
    grids = [Timebase(fps=25, stride=8 + index) for index in range(len(videos))]
    together = decode(name, batch(*videos[::-1], padding=padding), grids[::-1])[::-1]
    for video, grid, found in zip(videos, grids, together, strict=True):
        np.testing.assert_allclose(found, decode(name, batch(video), grid)[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize('name', DECODER)
@pytest.mark.parametrize(('length', 'channels', 'background'), [(1, 3, False), (1, 1, False), (20, 1, False)])
def test_smallest_videos_and_a_single_class(name, length, channels, background):
    output = batch(random_video(length, 0, channels), background=background)
    (found,) = decode(name, output, **({'skip_lone_first_class': False} if name == 'basnet' else {}))
    assert (len(found) > 0) == (length > 1)
    assert np.isfinite(found).all()


@pytest.mark.parametrize('name', DECODER)
def test_nothing_happens_in_the_video(name):
    (found,) = decode(name, batch((np.zeros((9, 3), dtype=np.float32), np.zeros(9))), class_threshold=0.1)
    assert found.shape == (0, 4)


@pytest.mark.parametrize('name', DECODER)
def test_options_act(name):
    video = random_video(40, seed=2)
    reference = decode(name, batch(video))[0]
    assert len(reference)
    options = [
        {'class_threshold': 0.01},
        {'cas_thresholds': (0.3, 0.5, 0.1)},
        {'topk_ratio': 2, 'class_threshold': 0.26},
        {'upsampling': 7},
        {'min_points': 60},
        {'gamma': 0.0},
        {'outer_margin': 1.0},
        {'nms': {'type': 'SoftNMS'}},
    ]
    if name == 'um':
        options += [{'magnitude_thresholds': (0.1, 0.3, 0.1)}, {'background_ratio': 2}]
    else:
        options += [{'binary_scores': False}]
    for option in options:
        changed = decode(name, batch(video), **option)[0]
        assert changed.shape != reference.shape or not np.allclose(changed, reference), option


def test_binary_scores_count_as_one():
    video = random_video(40, seed=2)
    with_score, without = (decode('basnet', batch(video), gamma=gamma)[0] for gamma in (0.2, 0.0))
    np.testing.assert_allclose(with_score[:, 2] - without[:, 2], 0.2)


def test_a_lone_first_point_is_skipped_as_published():
    cas = np.full((6, 2), -60.0, dtype=np.float32)
    cas[0, 1] = 1.0
    output = batch((cas, np.ones(6)), background=False)
    # The line falls from 1 by 61 a snippet, 2.5 a point: nothing but point 0 is above 0.
    assert len(decode('basnet', output)[0]) == 0
    (found,) = decode('basnet', output, skip_lone_first_point=False)
    np.testing.assert_allclose(found[:, :2], [[0, 0.64 / 24]])
    assert len(decode('basnet', output, skip_lone_first_point=False, min_points=2)[0]) == 0


def test_suppression_is_in_seconds():
    video = random_video(60, seed=4)
    # At a tenth of a second a snippet, one second more outweighs most differences; at 100 seconds it is nothing.
    counts = [
        len(decode('um', batch(video), Timebase(fps=1, stride=stride))[0]) for stride in (0.1, 1.0, 100.0, 1000.0)
    ]
    assert counts == sorted(counts)
    assert counts[0] < counts[-2]
    plain = decode('um', batch(video), nms={'type': 'HardNMS', 'tiou_threshold': 0.6})[0]
    assert len(plain) == counts[-1]


def test_video_scores_from_elsewhere():
    output = batch(random_video(40, seed=2), random_video(40, seed=3))
    output.video_scores = torch.tensor([[0.1, 0.3, 0.1], [0.15, 0.1, 0.05]], dtype=torch.float64)
    first, second = decode('um', output)
    assert set(first[:, 3]) == {1}
    assert set(second[:, 3]) == {0}
    first, second = decode('basnet', output)
    assert set(first[:, 3]) == {1}
    assert len(second) == 0


@pytest.mark.parametrize('name', DECODER)
def test_half_precision_and_gradients_do_not_disturb(name):
    output = batch(random_video(30, seed=2))
    output.cas = output.cas.bfloat16().requires_grad_()
    output.attn = output.attn.bfloat16().requires_grad_()
    output.extras['cas_supp'] = output.cas
    (found,) = decode(name, output)
    assert len(found)
    assert np.isfinite(found).all()


def test_a_model_without_a_suppressed_sequence():
    output = batch(random_video(30, seed=2))
    expected = decode('basnet', output)[0]
    del output.extras['cas_supp']
    with pytest.raises(UserError, match=r"extras\['cas_supp'\].*BaSNetBackbone.*decoder\.sequence='cas'"):
        decode('basnet', output)
    np.testing.assert_array_equal(decode('basnet', output, sequence='cas')[0], expected)


def test_an_unknown_sequence():
    with pytest.raises(UserError, match="'cas_supp' or 'cas', found 'supp'"):
        DECODERS.build({'type': 'BaSNetDecoder', 'sequence': 'supp'})


@given(st.integers(1, 40), st.integers(1, 30), st.integers(0, 99))
def test_interpolation(length, factor, seed):
    values = np.random.default_rng(seed).normal(size=(2, length))
    found = interpolate(values, factor)
    assert found.shape == (2, length * factor)
    np.testing.assert_allclose(found[:, ::factor], values, atol=1e-9)
    places = np.arange(length * factor) / factor
    inside = places <= length - 1
    for row, expected in zip(found, values, strict=True):
        np.testing.assert_allclose(row[inside], np.interp(places[inside], np.arange(length), expected), atol=1e-9)
        rise = expected[-1] - expected[-2] if length > 1 else 0.0
        np.testing.assert_allclose(row[~inside], expected[-1] + rise * (places[~inside] - length + 1), atol=1e-9)
