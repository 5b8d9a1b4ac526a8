"""The whole guidance: whom each loss trains, what is drawn when, what is refused."""

import pytest
import torch
from mmengine.logging import MessageHub

from mmwtal.registry import MODELS
from mmwtal.utils.errors import UserError

from .guided import (
    IDS,
    LABELS,
    LENGTHS,
    build_guidance,
    csr_config,
    guidance_config,
    ksm_config,
    made_output,
    reconstructor,
    samples,
)

# The parts of a guided model, by the name of a parameter or of a field of the base's output.
PARTS = {
    'matching head': 'ksm.',
    'mask generator': 'csr.mask_generator.',
    'reconstructor': 'csr.reconstructor.',
}
TRAINS = {
    'loss_key_match': {'matching head'},
    'loss_key_suppression': {'matching head', 'base cas'},
    'loss_complete_rec': {'reconstructor'},
    'loss_complete_ctr': {'mask generator'},
    'loss_key_from_complete': {'matching head'},
    'loss_complete_from_key': {'mask generator'},
    'loss_base_teaching': {'base attn'},
}


@pytest.fixture
def at_iteration():
    hub = MessageHub.get_current_instance()

    def move(iteration, seed=0):
        hub.update_info_dict({'iter': iteration, 'max_iters': 1000, 'seed': seed})

    return move


def trained_by(guidance, term, inputs, output):
    """The parts that a loss gives a gradient other than zero."""
    parameters = dict(guidance.named_parameters())
    base = {'base inputs': inputs, 'base feat': output.feat, 'base attn': output.attn, 'base cas': output.cas}
    gradients = torch.autograd.grad(term, [*parameters.values(), *base.values()], retain_graph=True, allow_unused=True)
    reached = set()
    for name, gradient in zip([*parameters, *base], gradients, strict=True):
        if gradient is not None and gradient.abs().sum() > 0:
            part = next((part for part, prefix in PARTS.items() if name.startswith(prefix)), name)
            reached.add(part)
    return reached


@pytest.mark.parametrize('seen', [{}, {'weighted': 'both'}, {'video': 'mean', 'key_given': True}])
@pytest.mark.parametrize('negatives', ['none', 'whole', 'inverse', 'both'])
@pytest.mark.parametrize('generator', ['AttentionMask', 'LightMask', 'GaussianMask'])
def test_each_loss_trains_its_own_parameters_only(seen, negatives, generator):
    csr = csr_config(
        mask_generator={'type': generator, 'hidden_channels': 4},
        reconstructor=reconstructor(**seen),
        loss={'type': 'CSRLoss', 'negatives': negatives},
    )
    guidance = build_guidance(csr=csr)
    inputs, output = made_output(LENGTHS)
    terms = guidance(inputs, output, samples(LABELS, IDS))
    losses = {name: term for name, term in terms.items() if 'loss' in name}
    assert losses.keys() == TRAINS.keys()
    for name, term in losses.items():
        assert trained_by(guidance, term, inputs, output) == TRAINS[name], name


@pytest.mark.parametrize(
    ('trains', 'expected'),
    [('base', {'base cas'}), ('key', {'matching head'}), ('both', {'base cas', 'matching head'})],
)
def test_whom_the_suppressed_loss_trains(trains, expected):
    guidance = build_guidance(ksm=ksm_config(suppression_trains=trains))
    inputs, output = made_output(LENGTHS)
    term = guidance(inputs, output, samples(LABELS, IDS))['loss_key_suppression']
    assert trained_by(guidance, term, inputs, output) == expected


@pytest.mark.parametrize(
    ('mode', 'key_taught', 'complete_taught'),
    [('none', False, False), ('forward', True, False), ('backward', False, True), ('mutual', True, True)],
)
def test_a_resting_distillation_teaches_nobody_but_keeps_its_terms(mode, key_taught, complete_taught):
    guidance = build_guidance(distillation={'type': 'InteractiveDistillation', 'mode': mode})
    inputs, output = made_output(LENGTHS)
    terms = guidance(inputs, output, samples(LABELS, IDS))
    assert terms.keys() >= TRAINS.keys()
    found = trained_by(guidance, terms['loss_key_from_complete'], inputs, output)
    assert found == ({'matching head'} if key_taught else set())
    found = trained_by(guidance, terms['loss_complete_from_key'], inputs, output)
    assert found == ({'mask generator'} if complete_taught else set())


def test_the_shared_mode_teaches_the_base_by_distillation():
    guidance = build_guidance(ksm=ksm_config(mode='shared', loss=None, suppression=None), teaching=None)
    inputs, output = made_output(LENGTHS)
    terms = guidance(inputs, output, samples(LABELS, IDS))
    assert trained_by(guidance, terms['loss_key_from_complete'], inputs, output) == {'base attn'}
    assert trained_by(guidance, terms['loss_complete_from_key'], inputs, output) == {'mask generator'}
    assert not any(name.startswith('ksm') for name, _ in guidance.named_parameters())
    means = torch.stack([row[ok].mean() for row, ok in zip(output.attn[..., 0], output.mask, strict=True)])
    assert terms['attn_key'].item() == pytest.approx(means.mean().item(), rel=1e-5)


def test_the_ancestor_can_be_expressed():
    # Shared attention, a text-made classifier with softmax MIL, mutual distillation.
    ksm = ksm_config(mode='shared', loss={'type': 'KSMLoss', 'kind': 'softmax'}, suppression=None, stream='feat')
    guidance = build_guidance(ksm=ksm, teaching=None)
    inputs, output = made_output(LENGTHS)
    terms = guidance(inputs, output, samples(LABELS, IDS))
    assert trained_by(guidance, terms['loss_key_match'], inputs, output) == {'matching head'}
    assert trained_by(guidance, terms['loss_key_from_complete'], inputs, output) == {'base attn'}


def test_losses_are_the_same_in_evaluation_and_training_without_dropout():
    guidance = build_guidance(
        ksm=ksm_config(dropout=0.0),
        csr=csr_config(
            mask_generator={'type': 'AttentionMask', 'hidden_channels': 4, 'dropout': 0.0},
            reconstructor=reconstructor(dropout=0.0, channel_dropout=0.0, noise=0.0),
        ),
    )
    inputs, output = made_output(LENGTHS)
    expected = guidance(inputs, output, samples(LABELS, IDS))
    torch.testing.assert_close(guidance.train()(inputs, output, samples(LABELS, IDS)), expected)


def test_nothing_is_drawn_from_the_global_generator_in_evaluation():
    guidance = build_guidance()
    inputs, output = made_output(LENGTHS)
    before = torch.get_rng_state()
    guidance(inputs, output, samples(LABELS, IDS))
    assert torch.equal(torch.get_rng_state(), before)


def test_words_are_drawn_anew_in_each_iteration_and_again_after_resuming(at_iteration):
    guidance = build_guidance(csr=csr_config(masking={'type': 'WordMasking', 'ratio': 0.3}))
    inputs, output = made_output(LENGTHS)
    found = []
    for iteration, seed in ((3, 0), (4, 0), (3, 0), (3, 1)):
        at_iteration(iteration, seed)
        found.append(guidance(inputs, output, samples(LABELS, IDS))['nll_whole'].item())
    assert found[0] == found[2]
    assert len(set(found)) == 3


def test_phases_alternate(at_iteration):
    guidance = build_guidance(
        distillation={'type': 'InteractiveDistillation', 'mode': 'alternate', 'period': 2, 'start': 3}
    )
    inputs, output = made_output(LENGTHS)
    taught = []
    for iteration in range(9):
        at_iteration(iteration)
        terms = guidance(inputs, output, samples(LABELS, IDS))
        taught.append((bool(terms['loss_key_from_complete'] > 0), bool(terms['loss_complete_from_key'] > 0)))
    rests, forward, backward = (False, False), (True, False), (False, True)
    assert taught == [rests] * 3 + [forward] * 2 + [backward] * 2 + [forward] * 2


@torch.no_grad()
def test_diagnostics_of_the_attentions():
    guidance = build_guidance()
    inputs, output = made_output(LENGTHS)
    terms = guidance(inputs, output, samples(LABELS, IDS))
    batch = guidance._batch(inputs, output, samples(LABELS, IDS))
    key, complete = guidance.ksm(batch).attn, guidance.csr(batch).attn
    rows = [(key[b, :length], complete[b, :length]) for b, length in enumerate(LENGTHS)]
    spread = torch.stack([one.std(unbiased=False) for one, _ in rows]).mean()
    torch.testing.assert_close(terms['attn_key_spread'], spread)
    # The third video has one snippet, the last no label: a constant agrees with nothing.
    agreement = [torch.corrcoef(torch.stack(pair))[0, 1] for pair in rows[:2]]
    torch.testing.assert_close(terms['attn_agreement'], sum(agreement) / 4, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(terms['attn_complete'], torch.stack([other.mean() for _, other in rows]).mean())


@torch.no_grad()
@pytest.mark.parametrize('mode', ['head', 'shared'])
def test_attentions_to_be_looked_at(mode):
    guidance = build_guidance(ksm=ksm_config(mode=mode), teaching=None)
    inputs, output = made_output(LENGTHS, fill=float('nan'), more=2)
    batch = guidance._batch(inputs, output, samples(LABELS, IDS))
    expected = {'base': batch.base_attn, 'key': guidance.ksm(batch).attn, 'complete': guidance.csr(batch).attn}
    before = torch.get_rng_state()
    found = guidance.train().attentions(inputs, output, samples(LABELS, IDS))
    assert guidance.training
    assert guidance.csr.reconstructor.training
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    alone = build_guidance(csr=None, distillation=None, teaching=None)
    assert alone.attentions(inputs, output, samples(LABELS, IDS)).keys() == {'base', 'key'}


@pytest.mark.parametrize('weighted', ['cross', 'both'])
def test_the_inverse_is_logged_now_and_then_and_changes_nothing(at_iteration, weighted):
    inputs, output = made_output(LENGTHS)

    def terms(iteration, **changes):
        csr = csr_config(reconstructor=reconstructor(weighted=weighted), **changes)
        guidance = build_guidance(csr=csr).train()
        at_iteration(iteration)
        torch.manual_seed(1)
        return guidance(inputs, output, samples(LABELS, IDS))

    usual = [terms(iteration) for iteration in range(20)]
    assert [number for number, one in enumerate(usual) if 'nll_inverse' in one] == [9, 19]
    assert len({frozenset(one) - {'nll_inverse'} for one in usual}) == 1
    silent = terms(9, diagnostics_interval=0)
    assert 'nll_inverse' not in silent
    assert not usual[9]['nll_inverse'].requires_grad
    for name, value in silent.items():
        assert torch.equal(value, usual[9][name]), name
    with pytest.raises(UserError, match='diagnostics_interval of 0 or more'):
        terms(0, diagnostics_interval=-1)


def test_the_inverse_is_what_it_is_as_a_negative(at_iteration):
    inputs, output = made_output(LENGTHS)
    at_iteration(9)
    found = [
        build_guidance(csr=csr_config(loss={'type': 'CSRLoss', 'negatives': negatives}))(
            inputs, output, samples(LABELS, IDS)
        )['nll_inverse']
        for negatives in ('whole', 'inverse')
    ]
    torch.testing.assert_close(found[0], found[1])


def test_a_stream_of_another_name():
    guidance = build_guidance(ksm=ksm_config(stream='clip', stream_channels=7))
    inputs, output = made_output(LENGTHS)
    given = samples(LABELS, IDS)
    for sample, length in zip(given, LENGTHS, strict=True):
        sample.clip = torch.randn(length, 7)
    terms = guidance(inputs, output, given)
    assert terms['loss_key_match'].isfinite()
    other = [sample.clone() for sample in given]
    other[0].clip = torch.zeros(LENGTHS[0], 7)
    assert guidance(inputs, output, other)['loss_key_match'] != terms['loss_key_match']
    given[1].clip = torch.randn(2, 7)
    with pytest.raises(UserError, match=r"video 'v': expected the feature stream 'clip' .* \(3, 7\).*found \(2, 7\)"):
        guidance(inputs, output, given)
    with pytest.raises(UserError, match='found nothing'):
        guidance(inputs, output, samples(LABELS, IDS))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'texts': None}, 'csr needs the descriptions'),
        ({'texts': None, 'csr': None}, 'its head needs texts'),
        ({'ksm': None, 'csr': None}, 'needs the attention complete and key'),
        ({'csr': None, 'teaching': {'type': 'BaseTeaching', 'target': 'complete'}}, 'needs the attention complete'),
        ({'ksm': ksm_config(mode='shared', loss=None)}, "in the mode 'shared'"),
        ({'ksm': ksm_config(loss=None)}, "mode 'head' needs a loss"),
        ({'ksm': ksm_config(stream='clip')}, 'a named stream needs stream_channels'),
        ({'ksm': ksm_config(stream_channels=4)}, "'inputs' and 'feat' must not have it"),
        ({'ksm': ksm_config(stream='feat'), 'feat_channels': None}, "'feat' needs feat_channels"),
        ({'teaching': {'type': 'BaseTeaching', 'target': 'constant'}}, 'expected a value in'),
        ({'teaching': {'type': 'BaseTeaching', 'value': 0.5}}, 'expected a value in'),
        ({'fuse_key': 1.5}, r'fuse_key must be in \[0, 1\]'),
        ({'fuse_key': 0.5, 'ksm': None}, "needs ksm in the mode 'head'"),
        ({'distillation': {'type': 'InteractiveDistillation', 'period': 0}}, 'a period of at least 1'),
        ({'csr': csr_config(masking={'type': 'WordMasking', 'ratio': 0})}, 'must be above 0'),
        ({'csr': csr_config(reconstructor=reconstructor(num_heads=3))}, 'must be a multiple of its num_heads'),
        ({'csr': csr_config(mask_generator={'type': 'GaussianMask', 'num_gaussians': 0})}, 'must be at least 1'),
        (
            {'csr': csr_config(mask_generator={'type': 'AttentionMask', 'modalities': [1, 2]})},
            'that add up to 6',
        ),
    ],
)
def test_what_cannot_work_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        build_guidance(**changes)


@torch.no_grad()
@pytest.mark.parametrize('stream', ['inputs', 'feat'])
def test_fusion_at_test_mixes_in_the_attention_of_the_class_bank(stream):
    guidance = build_guidance(fuse_key=0.25, ksm=ksm_config(stream=stream, loss={'type': 'KSMLoss', 'kind': 'softmax'}))
    inputs, output = made_output(LENGTHS, fill=float('nan'))
    fused = guidance.fuse(inputs, output)
    clean = made_output(LENGTHS)[1].feat if stream == 'feat' else made_output(LENGTHS)[0]
    logits = guidance.ksm.head(clean, output.mask, guidance.texts.class_bank.expand(4, -1, -1))[..., :3]
    expected = 0.75 * output.attn[..., 0] + 0.25 * logits.sigmoid().amax(dim=-1)
    torch.testing.assert_close(fused.attn[..., 0][output.mask], expected[output.mask])
    assert fused.cas is output.cas
    assert build_guidance().fuse(inputs, output) is output


def test_a_guided_base_starts_and_draws_as_without_guidance():
    def base(guidance):
        torch.manual_seed(3)
        config = {
            'type': 'WTALLocalizer',
            'num_classes': 3,
            'in_channels': 6,
            'backbone': {'type': 'CO2NetBackbone', 'attention_channels': 4},
            'head': {'type': 'MILHead', 'losses': {'loss_mil': {'type': 'TopKMILLoss', 'topk_ratio': 7}}},
        }
        model = MODELS.build({**config, 'guidance': guidance}).train()
        torch.manual_seed(4)
        losses = model(torch.randn(2, 9, 6), samples(LABELS[:2]), mode='loss')
        return model, losses

    plain, expected = base(None)
    guided, found = base(guidance_config())
    assert {name for name in guided.state_dict() if not name.startswith('guidance.')} == plain.state_dict().keys()
    for name, value in plain.state_dict().items():
        assert torch.equal(guided.state_dict()[name], value)
    assert torch.equal(found['loss_mil'], expected['loss_mil'])
    total, logged = guided.parse_losses(found)
    total.backward()
    assert 'attn_complete' in logged
    torch.testing.assert_close(total.detach(), sum(v for n, v in found.items() if 'loss' in n).detach())
