"""The guidance of TSM + VLC: whom its losses train, and what each slip of its released code does on demand."""

import pytest
import torch

from mmwtal.models.guidance.word_masking import WordMasking
from mmwtal.registry import MODELS
from mmwtal.utils.errors import UserError

from .guided import (
    IDS,
    LABELS,
    LENGTHS,
    TEXT,
    D,
    MadeUpTexts,
    V,
    ancestor_config,
    build_guidance,
    csr_config,
    made_batch,
    made_output,
    reconstructor,
    samples,
)

GENERATOR, RECONSTRUCTOR = 'csr.mask_generator.', 'csr.reconstructor.'
TRAINS = {
    'loss_complete_rec': {RECONSTRUCTOR},
    'loss_complete_ctr': {GENERATOR},
    'loss_complete_autoencoder': {GENERATOR},
    'loss_complete_from_key': {GENERATOR},
    'loss_key_from_complete': {'base attn'},
}


@pytest.mark.parametrize('vlc_compat', [False, True])
def test_each_loss_trains_its_own_parameters_only(vlc_compat):
    guidance = build_guidance(**ancestor_config(vlc_compat=vlc_compat))
    inputs, output = made_output(LENGTHS)
    terms = guidance(inputs, output, samples(LABELS, IDS))
    losses = {name: term for name, term in terms.items() if 'loss' in name}
    assert losses.keys() == TRAINS.keys()
    leaves = {**dict(guidance.named_parameters()), 'base attn': output.attn, 'base cas': output.cas, 'inputs': inputs}
    leaves['base feat'] = output.feat
    for name, term in losses.items():
        gradients = torch.autograd.grad(term, [*leaves.values()], retain_graph=True, allow_unused=True)
        reached = {leaf for leaf, grad in zip(leaves, gradients, strict=True) if grad is not None and grad.any()}
        found = {next((part for part in (GENERATOR, RECONSTRUCTOR) if leaf.startswith(part)), leaf) for leaf in reached}
        assert found == TRAINS[name], name


def test_the_contrast_trains_the_mask_through_the_filtered_features_too():
    filtering = GENERATOR + 'autoencoders.rgb.local_conv.weight'
    inputs, output = made_output(LENGTHS)
    found = []
    for changes in (ancestor_config(), {**ancestor_config(), 'csr': {**ancestor_config()['csr'], 'stream': 'inputs'}}):
        guidance = build_guidance(**changes)
        guidance(inputs, output, samples(LABELS, IDS))['loss_complete_ctr'].backward()
        found.append(guidance.get_parameter(filtering).grad)
    assert all(gradient.any() for gradient in found)
    assert not torch.allclose(*found, rtol=1e-2)


def see_words(words, replaced, *, vlc_compat):
    torch.manual_seed(0)
    config = {**reconstructor(norm='after', vlc_compat=vlc_compat), 'in_channels': D, 'text_channels': TEXT}
    decoder = MODELS.build({**config, 'vocabulary_size': V}).eval().decoder
    return decoder.seen(words, replaced)


@torch.no_grad()
def test_masked_words_are_unseen_and_with_the_slip_they_are_all_seen():
    words = torch.randn(2, 6, TEXT, generator=torch.Generator().manual_seed(0))
    replaced, none = torch.zeros(2, 6, dtype=torch.bool), torch.zeros(2, 6, dtype=torch.bool)
    replaced[:, [1, 3]] = True
    other = words.masked_fill(replaced[..., None], 9.0)
    seen = [see_words(given, replaced, vlc_compat=False) for given in (words, other)]
    assert torch.equal(*seen)
    assert not torch.equal(see_words(words, none, vlc_compat=False), seen[0])
    slip = [see_words(given, mask, vlc_compat=True) for given, mask in ((words, replaced), (words, none))]
    assert torch.equal(*slip)
    changed = (see_words(other, replaced, vlc_compat=True) != slip[0]).any(dim=-1)
    assert changed.nonzero()[:, 1].unique().tolist() == [2, 4]  # shifted right by one
    # Neither are there positions: the same word in two places is seen alike.
    alike = see_words(words[:, :1].expand(-1, 6, -1), none, vlc_compat=True)
    assert torch.equal(alike[:, 1], alike[:, 5])


def test_a_short_description_keeps_all_its_words_only_with_the_slip():
    texts = MadeUpTexts().batch(IDS, LABELS, seed=0, iteration=0)
    texts.word_mask = texts.word_mask & (torch.arange(texts.word_mask.shape[1]) < 2)
    for vlc_compat, expected in ((False, 1), (True, 0)):
        masking = WordMasking(candidates='uniform', ratio=1 / 3, vlc_compat=vlc_compat)
        assert masking(texts, IDS, seed=0, iteration=0)[0].sum() == expected


@torch.no_grad()
def test_dropout_hits_the_logits_of_the_attention_only_with_the_slip():
    batch = made_batch()
    for vlc_compat in (False, True):
        torch.manual_seed(0)
        generator = MODELS.build({**ancestor_config(vlc_compat=vlc_compat)['csr']['mask_generator'], 'in_channels': D})
        attn = torch.cat([generator.train().autoencoders(batch.inputs, batch.mask).attn[batch.mask] for _ in range(20)])
        dropped = (attn == 0.5).float().mean().item()
        assert dropped == pytest.approx(0.5 if vlc_compat else 0.0, abs=0.1)


def test_norms_after_the_parts_leave_normal_tokens():
    torch.manual_seed(0)
    config = {**reconstructor(norm='after', expansion=2), 'in_channels': D, 'text_channels': TEXT, 'vocabulary_size': V}
    model = MODELS.build(config).eval()
    tokens = model.encode(3 * torch.randn(2, 5, 8), torch.ones(2, 5, dtype=torch.bool), None)
    torch.testing.assert_close(tokens.mean(dim=-1), torch.zeros(2, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(tokens.var(dim=-1, unbiased=False), torch.ones(2, 5), atol=1e-2, rtol=0)
    assert model.encoder.layers[0].feed_forward[0].weight.shape == (16, 8)


def test_what_cannot_work_is_refused():
    with pytest.raises(UserError, match='AttentionMask does not; take CrossModalMask'):
        build_guidance(csr=csr_config(stream='filtered'))
    with pytest.raises(UserError, match=r'CrossModalMask needs features of two modalities.*found \[1, 2\]'):
        build_guidance(csr=csr_config(mask_generator={'type': 'CrossModalMask', 'modalities': [1, 2]}))
