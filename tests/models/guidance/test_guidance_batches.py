"""Guidance on batches of any form: its terms are the same, padding and precision change nothing."""

import pytest
import torch

from .guided import (
    IDS,
    LABELS,
    LENGTHS,
    MadeUpTexts,
    ancestor_config,
    build_guidance,
    csr_config,
    ksm_config,
    made_output,
    reconstructor,
    samples,
)

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
    'mean': {'csr': csr_config(reconstructor=reconstructor(video='mean', key_given=True))},
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
    'ancestor': ancestor_config(),
    'ancestor with its slips': ancestor_config(vlc_compat=True),
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
