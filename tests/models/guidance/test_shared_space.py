"""Matching in a space that features and texts share: it starts as what the encoders say, and means something."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from mmwtal.apis.settings import check_against_data
from mmwtal.utils.errors import UserError

from .guided import IDS, LABELS, LENGTHS, TEXT, build_guidance, ksm_config, made_batch, made_output, samples

DOES = {'stream': 'clip', 'stream_channels': TEXT, 'suppression': None}


def guidance_of(matching, **changes):
    """Build a matching; the test's own change of biases, which would move its start, is taken back."""
    torch.manual_seed(0)
    ksm = build_guidance(
        csr=None, distillation=None, teaching=None, ksm=ksm_config(matching=matching, **{**DOES, **changes})
    ).ksm
    with torch.no_grad():
        ksm.head.scale.fill_(10)
        ksm.head.bias.fill_(-4)
        if matching == 'adapted':
            ksm.head.adapter.project.bias.zero_()
    return ksm


def clip_batch(shift=0.0):
    batch = made_batch()
    for number, (sample, length) in enumerate(zip(batch.data_samples, LENGTHS, strict=True)):
        values = torch.randn(length, TEXT, generator=torch.Generator().manual_seed(number))
        sample.clip = values + shift
    return batch


@pytest.mark.parametrize('matching', ['direct', 'adapted'])
@pytest.mark.parametrize('centred', [False, True])
def test_it_starts_as_the_cosine_of_snippets_and_texts(matching, centred):
    ksm = guidance_of(matching, centred=centred)
    batch = clip_batch()
    attn = ksm(batch).attn
    for row, length in enumerate(LENGTHS[:3]):
        values, key = batch.data_samples[row].clip, batch.texts.key[row]
        if centred:
            values, key = values - values.mean(dim=0), key - batch.texts.class_bank.mean(dim=0)
        s = 10 * F.normalize(values, dim=1) @ F.normalize(key, dim=1).T - 4
        expected = s.sigmoid()[:, LABELS[row] > 0].amax(dim=1)
        torch.testing.assert_close(attn[row, :length], expected)
        assert (attn[row, length:] == 0).all()


def test_centring_takes_the_gap_away():
    ksm = guidance_of('adapted', centred=True)
    torch.testing.assert_close(ksm(clip_batch(shift=3.0)).attn, ksm(clip_batch()).attn, atol=1e-5, rtol=1e-5)
    other = guidance_of('adapted', centred=False)
    assert not torch.allclose(other(clip_batch(shift=3.0)).attn, other(clip_batch()).attn, atol=1e-2)


@pytest.mark.parametrize('kind', ['bce', 'softmax'])
@pytest.mark.parametrize('matching', ['direct', 'adapted', 'learned'])
def test_it_learns(matching, kind):
    """Every parameter gets a gradient that is finite and not huge, with a video of one snippet, which is all mean."""
    ksm = guidance_of(matching, centred=True, loss={'type': 'KSMLoss', 'kind': kind})
    ksm(clip_batch()).terms['loss_key_match'].backward()
    named = dict(ksm.named_parameters())
    assert (set(named) == {'head.scale', 'head.bias'}) == (matching == 'direct' and kind == 'bce')
    if matching == 'adapted':
        # The layers behind a projection of 0 learn from the next iteration on.
        named = {name: value for name, value in named.items() if 'adapter.conv' not in name}
    for name, parameter in named.items():
        assert parameter.grad.isfinite().all(), name
        assert 0 < parameter.grad.abs().max() < 100, name


@torch.no_grad()
@pytest.mark.parametrize('matching', ['direct', 'adapted', 'learned'])
def test_the_attention_that_is_looked_at_is_the_one_of_training(matching):
    ksm, batch = guidance_of(matching, centred=True).eval(), clip_batch()
    assert torch.equal(ksm.attend(batch), ksm(batch).attn)


@pytest.mark.parametrize('matching', ['direct', 'adapted'])
def test_another_width_than_that_of_the_texts_is_refused(matching):
    with pytest.raises(UserError, match=f'of the width of the text vectors, {TEXT}, found 7 of the stream .clip.'):
        guidance_of(matching, stream_channels=7)


def test_a_guidance_says_which_streams_it_takes():
    guidance = build_guidance(ksm=ksm_config(**DOES))
    assert guidance.named_streams == {'clip': TEXT}
    assert build_guidance().named_streams == {}
    with pytest.raises(UserError, match=r"found nothing; set streams=dict\(clip='features-clip'\)"):
        guidance(*made_output(LENGTHS), samples(LABELS, IDS))


def test_the_streams_of_the_training_data_are_checked_before_training():
    model = SimpleNamespace(guidance=build_guidance(ksm=ksm_config(**DOES)), num_classes=3, in_channels=6)

    def data(**changes):
        fields = {'metainfo': {'classes': ('a', 'b', 'c')}, 'feature_width': 6, 'modalities': None, 'data_root': 'ROOT'}
        streams = {'test_mode': False, 'streams': {'clip': 'ROOT/features-clip'}, 'stream_widths': {'clip': TEXT}}
        return SimpleNamespace(**{**fields, **streams, **changes})

    check_against_data(model, data())
    check_against_data(model, data(test_mode=True, streams={}, stream_widths={}))
    with pytest.raises(UserError, match=r"set train_dataloader\.dataset\.streams=dict\(clip='features-clip'\)"):
        check_against_data(model, data(streams={}, stream_widths={}))
    with pytest.raises(UserError, match=f'stream_channels={TEXT}, under ROOT/features-clip it has 9 channels'):
        check_against_data(model, data(stream_widths={'clip': 9}))
