"""The whole guidance: whom each loss trains, batches of any form, padding, precision."""

import pytest
import torch
from mmengine.logging import MessageHub

from mmwtal.registry import MODELS
from mmwtal.utils.errors import UserError

from .guided import (
    IDS,
    LABELS,
    LENGTHS,
    MadeUpTexts,
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


@pytest.fixture(autouse=True)
def _no_run():
    """Outside a Runner, whatever tests before have left in the message hub."""
    hub = MessageHub.get_current_instance()
    before = dict(hub.runtime_info)
    hub.runtime_info.clear()
    yield
    hub.runtime_info.clear()
    hub.runtime_info.update(before)


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


@pytest.mark.parametrize('weighted', ['cross', 'both'])
@pytest.mark.parametrize('negatives', ['none', 'whole', 'inverse', 'both'])
@pytest.mark.parametrize('generator', ['AttentionMask', 'LightMask', 'GaussianMask'])
def test_each_loss_trains_its_own_parameters_only(weighted, negatives, generator):
    csr = csr_config(
        mask_generator={'type': generator, 'hidden_channels': 4},
        reconstructor=reconstructor(weighted=weighted),
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


BATCHES = {
    'usual': (LENGTHS, LABELS, IDS),
    'no video has a description': (LENGTHS, LABELS, ('u1', 'u2', 'u3', 'u4')),
    'no video has a label': (LENGTHS, torch.zeros(4, 3), IDS),
    'one video': ((5,), LABELS[:1], ('va',)),
    'one video without a label and a description': ((5,), torch.zeros(1, 3), ('u',)),
    'one snippet': ((1,), LABELS[1:2], ('va',)),
}
OPTIONS = {
    'dual': {},
    'key': {'csr': None},
    'complete': {'ksm': None},
    'shared': {'ksm': ksm_config(mode='shared', loss=None, suppression=None), 'teaching': None},
    'softmax': {'ksm': ksm_config(loss={'type': 'KSMLoss', 'kind': 'softmax'})},
    'gaussians': {'csr': csr_config(mask_generator={'type': 'GaussianMask', 'num_gaussians': 3, 'hidden_channels': 4})},
    'light': {'csr': csr_config(mask_generator={'type': 'LightMask', 'hidden_channels': 4})},
    'literal': {
        'csr': csr_config(
            reconstructor=reconstructor(weighted='both', causal_video=True),
            masking={'type': 'WordMasking', 'candidates': 'weighted', 'ratio': 1 / 3},
            loss={'type': 'CSRLoss', 'words': 'all', 'negatives': 'both'},
        )
    },
    'shapes': {
        'distillation': {'type': 'InteractiveDistillation', 'mode': 'mutual', 'match': 'shape', 'confident': True},
        'teaching': {'type': 'BaseTeaching', 'match': 'rank'},
    },
    'alternate': {'distillation': {'type': 'InteractiveDistillation', 'mode': 'alternate', 'start': 5}},
}


@pytest.mark.parametrize('options', OPTIONS)
@pytest.mark.parametrize('case', BATCHES)
def test_any_batch_has_the_same_terms_and_every_parameter_in_its_graph(options, case):
    lengths, labels, ids = BATCHES[case]
    guidance = build_guidance(**OPTIONS[options]).train()
    usual_inputs, usual = made_output(LENGTHS)
    expected = guidance(usual_inputs, usual, samples(LABELS, IDS)).keys()
    inputs, output = made_output(lengths)
    terms = guidance(inputs, output, samples(labels, ids))
    assert terms.keys() == expected
    for name, term in terms.items():
        assert term.shape == (), name
        assert term.isfinite(), name
        assert term.requires_grad == ('loss' in name), name
    sum(term for name, term in terms.items() if 'loss' in name).backward()
    unused = [name for name, parameter in guidance.named_parameters() if parameter.grad is None]
    assert unused == []
    assert all(parameter.grad.isfinite().all() for parameter in guidance.parameters())


def losses_and_gradients(guidance, inputs, output, labels=LABELS, ids=IDS):
    guidance.zero_grad()
    terms = guidance(inputs, output, samples(labels, ids))
    sum(term for name, term in terms.items() if 'loss' in name).backward()
    gradients = {name: parameter.grad.clone() for name, parameter in guidance.named_parameters()}
    of_base = {name: getattr(output, name).grad for name in ('attn', 'cas')}
    valid = {name: value[output.mask] for name, value in of_base.items() if value is not None}
    return {name: term.detach() for name, term in terms.items()}, {**gradients, **valid}


@pytest.mark.parametrize('options', OPTIONS)
@pytest.mark.parametrize(('fill', 'more'), [(float('nan'), 0), (1e30, 5), (float('nan'), 5)])
def test_padding_changes_nothing(options, fill, more):
    guidance = build_guidance(**OPTIONS[options])
    expected = losses_and_gradients(guidance, *made_output(LENGTHS))
    found = losses_and_gradients(guidance, *made_output(LENGTHS, fill=fill, more=more))
    torch.testing.assert_close(found, expected, rtol=2e-4, atol=1e-5)


def test_the_order_and_company_of_videos_do_not_matter():
    guidance = build_guidance()
    order = [2, 0, 3, 1]
    inputs, output = made_output(LENGTHS)
    expected = guidance(inputs, output, samples(LABELS, IDS))
    moved = {name: getattr(output, name)[order] for name in ('feat', 'attn', 'cas', 'mask')}
    shuffled = type(output)(**moved, has_background=True)
    found = guidance(inputs[order], shuffled, samples(LABELS[order], [IDS[index] for index in order]))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('background', [False, True])
def test_a_base_without_background(background):
    guidance = build_guidance().train()
    inputs, output = made_output(LENGTHS, background=background)
    terms = guidance(inputs, output, samples(LABELS, IDS))
    terms['loss_key_suppression'].backward()
    assert output.cas.grad.abs().sum() > 0


@pytest.mark.parametrize('classes', [1, 2])
def test_any_number_of_classes(classes):
    guidance = build_guidance(texts=MadeUpTexts(num_classes=classes), num_classes=classes)
    inputs, output = made_output(LENGTHS, classes=classes)
    terms = guidance(inputs, output, samples(torch.ones(4, classes), IDS))
    assert all(term.isfinite() for term in terms.values())


def test_a_constant_target_needs_no_texts():
    teaching = {'type': 'BaseTeaching', 'target': 'constant', 'value': 0.7}
    guidance = build_guidance(texts=None, ksm=None, csr=None, teaching=teaching)
    inputs, output = made_output(LENGTHS)
    terms = guidance(inputs, output, samples(LABELS, IDS))
    rows = zip(output.attn[..., 0], output.mask, strict=True)
    expected = torch.stack([((row[valid] - 0.7) ** 2).mean() for row, valid in rows]).mean()
    torch.testing.assert_close(terms['loss_base_teaching'], 3 * expected)


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


def test_half_and_double_precision():
    guidance = build_guidance()
    inputs, output = made_output(LENGTHS)
    expected = guidance(inputs, output, samples(LABELS, IDS))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        half = guidance(inputs, output, samples(LABELS, IDS))
    assert {term.dtype for name, term in half.items() if 'loss' in name} == {torch.float32}
    torch.testing.assert_close(half, expected, rtol=0.05, atol=0.05)
    values = {name: getattr(output, name).double() for name in ('feat', 'attn', 'cas')}
    double = type(output)(**values, mask=output.mask, has_background=True)
    exact = guidance.double()(inputs.double(), double, samples(LABELS, IDS))
    torch.testing.assert_close({n: t.float() for n, t in exact.items()}, expected, rtol=1e-4, atol=1e-5)


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
