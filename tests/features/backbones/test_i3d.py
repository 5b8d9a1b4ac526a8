"""I3D: its weights' files, good and bad, sizes of clips, dtypes."""

import hashlib
import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from mmwtal.features.backbones.i3d import InceptionI3D, max_pool_same, pad_same
from mmwtal.registry import FEATURE_BACKBONES
from mmwtal.utils.errors import UserError

from .i3d_recipe import recipe_weights, shapes


@pytest.fixture(scope='module')
def rgb():
    return FEATURE_BACKBONES.build({'type': 'InceptionI3D', 'modality': 'rgb'})


def clips(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_it_declares_what_it_takes(rgb):
    assert (rgb.width, rgb.channels, rgb.frames, rgb.training) == (1024, 3, None, False)
    assert (rgb.preprocessing.short_side, rgb.preprocessing.crop, rgb.preprocessing.scale) == (256, 224, 'unit')
    flow = InceptionI3D(modality='flow', short_side=224)
    assert (flow.channels, flow.preprocessing.flow_bound, flow.preprocessing.short_side) == (2, 20, 224)
    rgb.check_window(8)
    with pytest.raises(UserError, match='8 frames and more, found window=7'):
        rgb.check_window(7)


def test_random_weights_come_from_the_seed_alone_and_are_warned_of(rgb, monkeypatch):
    logged = []
    monkeypatch.setattr(
        'mmwtal.features.backbones.weights.print_log', lambda text, **options: logged.append((text, options['level']))
    )
    torch.manual_seed(5)
    before = torch.get_rng_state()
    again, other = InceptionI3D(modality='rgb'), InceptionI3D(modality='rgb', seed=1)
    assert torch.equal(before, torch.get_rng_state())
    assert [level for _, level in logged] == [logging.WARNING] * 2
    assert 'random weights (seed 1)' in logged[1][0]
    name = 'Mixed_5c.b2b.conv3d.weight'
    assert torch.equal(rgb.state_dict()[name], again.state_dict()[name])
    assert not torch.equal(rgb.state_dict()[name], other.state_dict()[name])
    assert again.identity == rgb.identity != other.identity
    assert rgb.identity['weights'] == 'random'


def test_clips_of_a_batch_do_not_see_each_other_and_any_size_will_do(rgb):
    both = clips(2, 3, 8, 40, 33)
    with torch.inference_mode():
        together = rgb(both)
        apart = torch.cat([rgb(both[:1]), rgb(both[1:])])
        assert rgb(clips(1, 3, 8, 32, 32)).shape == (1, 1024)
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-6)
    assert together.std() > 0.1
    assert not torch.allclose(together[0], together[1], rtol=1e-2)


def test_bfloat16_stays_near(rgb):
    video = clips(1, 3, 8, 40, 33)
    with torch.inference_mode():
        exact = rgb(video)
        rough = InceptionI3D(modality='rgb').to(torch.bfloat16)(video.to(torch.bfloat16))
    assert rough.dtype == torch.bfloat16
    assert functional.cosine_similarity(exact, rough.float()).item() > 0.999


def test_a_fine_tuned_checkpoint_of_training_on_several_devices_loads(tmp_path):
    weights = recipe_weights(shapes('rgb'), 0)
    # A classifier of other classes is no part of the features.
    classifier = {'logits.conv3d.weight': torch.zeros(157, 1024, 1, 1, 1), 'logits.conv3d.bias': torch.zeros(157)}
    path = tmp_path / 'trained.pt'
    state = {f'module.{name}': value for name, value in {**weights, **classifier}.items()}
    torch.save({'state_dict': state, 'epoch': 3}, path)
    backbone = InceptionI3D(modality='rgb', weights=str(path))
    assert torch.equal(backbone.state_dict()['Mixed_5c.b0.bn.running_var'], weights['Mixed_5c.b0.bn.running_var'])
    assert backbone.identity['weights'] == hashlib.sha256(path.read_bytes()).hexdigest()


FIRST = 'Conv3d_1a_7x7.conv3d.weight'


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ({FIRST: torch.zeros(64, 2, 7, 7, 7)}, r"weights for modality='flow', of InceptionI3D with modality='rgb'"),
        ({FIRST: torch.zeros(64, 5, 7, 7, 7)}, r'weights for 5 channels'),
        ({FIRST: torch.zeros(64, 3, 7, 7, 7)}, r'284 missing \(Conv3d_1a_7x7.bn.weight, .*, \.\.\.\)'),
        ({'fc.weight': torch.zeros(2)}, r'1 unexpected \(fc.weight\)'),
        ({'Mixed_4d.b0.bn.bias': torch.zeros(5)}, r'1 of another shape \(Mixed_4d.b0.bn.bias \(5,\) for \(128,\)\)'),
        ({'fc.weight': torch.zeros(2), 'epoch': 3}, r"'epoch' is none"),
        ({}, r'no named tensors'),
        ([torch.zeros(2)], r'no named tensors'),
    ],
)
def test_weights_that_do_not_fit_are_one_clear_error(tmp_path, content, message):
    path = tmp_path / 'weights.pt'
    torch.save(content, path)
    with pytest.raises(UserError, match=message) as caught:
        InceptionI3D(modality='rgb', weights=path)
    assert str(path) in str(caught.value)
    assert 'rgb_imagenet.pt' in str(caught.value)


def test_files_that_are_no_checkpoint(tmp_path):
    with pytest.raises(UserError, match=r'no checkpoint file .*absent.pt'):
        InceptionI3D(modality='rgb', weights=tmp_path / 'absent.pt')
    broken = tmp_path / 'broken.pt'
    broken.write_bytes(b'PK\x03\x04 not weights')
    with pytest.raises(UserError, match=r'broken.pt is damaged'):
        InceptionI3D(modality='rgb', weights=broken)
    with pytest.raises(UserError, match=r"modality of InceptionI3D .* found 'depth'"):
        InceptionI3D(modality='depth')


SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
STEPS = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))


@given(size=SIZES, kernel=st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 7)), stride=STEPS)
@settings(max_examples=60, deadline=None)
def test_padding_is_as_tensorflow_states_it(size, kernel, stride):
    # https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
    x = torch.rand(1, 1, *size)
    padded, rest = pad_same(x, kernel, stride)
    pads = []
    for length, width, step in zip(size, kernel, stride, strict=True):
        total = max(width - (length % step or step), 0)
        pads.append((total // 2, total - total // 2))
    expected = functional.pad(x, [side for pair in reversed(pads) for side in pair])
    assert torch.equal(functional.pad(padded, [side for one in reversed(rest) for side in (one, one)]), expected)
    out = functional.conv3d(padded, torch.ones(1, 1, *kernel), stride=stride, padding=rest)
    assert out.shape[2:] == tuple(-(-length // step) for length, step in zip(size, stride, strict=True))


@given(size=SIZES, kernel=st.sampled_from([(1, 3, 3), (3, 3, 3), (2, 2, 2)]), stride=STEPS)
@settings(max_examples=30, deadline=None)
def test_pooling_takes_the_greatest_of_a_window_and_zeros_around(size, kernel, stride):
    stride = tuple(min(step, width) for step, width in zip(stride, kernel, strict=True))
    x = functional.relu(torch.randn(1, 2, *size))
    padded, rest = pad_same(x, kernel, stride)
    whole = functional.pad(padded, [side for one in reversed(rest) for side in (one, one)])
    assert torch.equal(max_pool_same(x, kernel, stride), functional.max_pool3d(whole, kernel, stride=stride))
