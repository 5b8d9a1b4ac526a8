"""Feature consistency and complementary loss against plain loops over videos and snippets."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.models.losses import present
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput
from mmwtal.utils.errors import UserError

from .padded import LENGTHS, make_output


def make_ddgnet_output(lengths, seed=0, kinds=3, dtype=torch.float64):
    """A padded output whose snippets are action, background and, with 3 ``kinds``, ambiguous."""
    output, labels = make_output(lengths, seed, dtype=dtype)
    generator = torch.Generator().manual_seed(seed)
    kind = torch.randint(kinds, output.mask.shape, generator=generator)
    padding = ~output.mask[..., None]
    gap = torch.rand(*output.mask.shape, 2, generator=generator, dtype=torch.float64).to(dtype)
    output.extras |= {
        'initial_attn': output.attn.masked_fill(padding, 0),
        'graph_gap': gap.masked_fill(padding, float('nan')),
        'action_snippets': output.mask & (kind == 0),
        'background_snippets': output.mask & (kind == 1),
    }
    return output, labels


def plain_consistency(output, temperature):
    total = 0
    for name in ('action', 'background'):
        values = []
        for video in range(len(output.mask)):
            members = output.extras[f'{name}_snippets'][video].nonzero()[:, 0].tolist()
            above, below = 0, 0
            for t in members:
                p = output.extras['initial_attn'][video, t, 0].item()
                p = p if name == 'action' else 1 - p
                weight = math.exp(-(1 / p - 1) / temperature)
                above = above + weight * output.extras['graph_gap'][video, t].mean()
                below += weight
            if members:
                values.append(above / max(below, 1e-3))
        total = total + sum(values) / max(len(values), 1)
    return total


@settings(max_examples=40, deadline=None)
@given(lengths=LENGTHS, seed=st.integers(0, 999), temperature=st.sampled_from([0.1, 0.5, 3.0]))
def test_feature_consistency(lengths, seed, temperature):
    output, labels = make_ddgnet_output(lengths, seed)
    loss = MODELS.build({'type': 'FeatureConsistencyLoss', 'temperature': temperature, 'loss_weight': 3.2})
    expected = torch.as_tensor(3.2 * plain_consistency(output, temperature), dtype=torch.float64)
    torch.testing.assert_close(loss(output, labels), expected)


@pytest.mark.parametrize('absent', [('action',), ('background',), ('action', 'background')])
def test_feature_consistency_without_a_kind(absent):
    output, labels = make_ddgnet_output([7, 5])
    for name in absent:
        output.extras[f'{name}_snippets'][:] = False
    gap = output.extras['graph_gap'].requires_grad_()
    value = MODELS.build({'type': 'FeatureConsistencyLoss'})(output, labels)
    value.backward()
    assert gap.grad.isfinite().all()
    assert (value == 0) == (len(absent) == 2)


def test_feature_consistency_leaves_the_attention_alone():
    output, labels = make_ddgnet_output([7, 5])
    attn = output.extras['initial_attn'] = output.extras['initial_attn'].clone().requires_grad_()
    output.extras['graph_gap'].requires_grad_()
    MODELS.build({'type': 'FeatureConsistencyLoss'})(output, labels).backward()
    assert attn.grad is None


@pytest.mark.parametrize('attn', [0.0, 1.0])
def test_feature_consistency_of_an_attention_at_its_limits(attn):
    output, labels = make_ddgnet_output([7, 5], kinds=2)
    output.extras['initial_attn'][:] = attn
    gap = output.extras['graph_gap'].requires_grad_()
    value = MODELS.build({'type': 'FeatureConsistencyLoss'})(output, labels)
    value.backward()
    assert value.isfinite()
    assert gap.grad.isfinite().all()


def part(output, rows):
    extras = {name: values[rows] for name, values in output.extras.items()}
    fields = {name: getattr(output, name)[rows] for name in ('feat', 'attn', 'cas', 'mask')}
    return LocalizerOutput(**fields, has_background=True, extras=extras)


def test_feature_consistency_over_two_processes(monkeypatch):
    output, labels = make_ddgnet_output([9, 8, 7, 6])
    output.extras['action_snippets'][:3] = False  # one of the processes has none of them
    loss = MODELS.build({'type': 'FeatureConsistencyLoss'})
    whole = loss(output, labels)
    total = torch.stack(
        [output.extras[f'{name}_snippets'].any(dim=1).sum() for name in ('action', 'background')]
    ).double()
    assert total[0] == 1
    assert total[1] > 1
    monkeypatch.setattr(present.dist, 'all_reduce', lambda count, op: count.copy_(total))
    monkeypatch.setattr(present.dist, 'get_world_size', lambda: 2)
    halves = [loss(part(output, rows), labels[rows]) for rows in (slice(0, 2), slice(2, 4))]
    torch.testing.assert_close(sum(halves) / 2, whole)


def test_feature_consistency_needs_ddgnet():
    output, labels = make_output([4])
    with pytest.raises(UserError, match=r"needs extras\['graph_gap'\].*remove the loss"):
        MODELS.build({'type': 'FeatureConsistencyLoss'})(output, labels)


@pytest.mark.parametrize('temperature', [0, -1.0])
def test_feature_consistency_of_an_unsuitable_temperature(temperature):
    with pytest.raises(UserError, match='temperature above 0'):
        MODELS.build({'type': 'FeatureConsistencyLoss', 'temperature': temperature})


@settings(max_examples=40, deadline=None)
@given(lengths=LENGTHS, seed=st.integers(0, 999), background=st.booleans())
def test_complementary(lengths, seed, background):
    output, labels = make_output(lengths, seed, background=background)
    expected = 0
    for video, length in enumerate(lengths):
        probability = output.cas[video, :length].softmax(-1)
        absent = labels[video] == 0
        expected = expected - (1 - probability[:, : labels.shape[1]][:, absent]).log().sum() / length / len(lengths)
    loss = MODELS.build({'type': 'ComplementaryLoss', 'loss_weight': 0.5})
    torch.testing.assert_close(loss(output, labels), torch.as_tensor(0.5 * expected, dtype=torch.float64))


def test_complementary_of_a_class_that_is_certain():
    output, labels = make_output([3], background=False)
    output.cas = torch.tensor([[[90.0, 0, 0, 0]] * 3], dtype=torch.float64, requires_grad=True)
    loss = MODELS.build({'type': 'ComplementaryLoss'})
    value = loss(output, torch.zeros_like(labels))
    value.backward()
    assert value.item() == pytest.approx(-math.log(1e-6))
    assert output.cas.grad.isfinite().all()
    assert loss(output, torch.ones_like(labels)) == 0


@pytest.mark.parametrize('config', [{'type': 'FeatureConsistencyLoss'}, {'type': 'ComplementaryLoss'}])
def test_full_precision_under_autocast(config):
    half, labels = make_ddgnet_output([9, 9], dtype=torch.bfloat16)
    full, _ = make_ddgnet_output([9, 9], dtype=torch.bfloat16)
    full.cas = full.cas.float()
    full.extras = {
        name: values.float() if values.is_floating_point() else values for name, values in full.extras.items()
    }
    labels = labels.float()
    loss = MODELS.build(config)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = loss(half, labels)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, loss(full, labels))
