"""The evidential and the uncertainty-guided loss against plain loops over videos, and at their limits."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.models.losses.attention import attention_guide_loss
from mmwtal.models.losses.evidential import attended_mean, dirichlet
from mmwtal.models.losses.progress import Progress, training_progress
from mmwtal.models.losses.suppression import suppress
from mmwtal.models.losses.uncertainty_guide import uncertainty_curve, uncertainty_guide_loss
from mmwtal.registry import MODELS
from mmwtal.utils.errors import UserError

from .padded import LENGTHS, make_output
from .parity import training_at

SEEDS = st.integers(0, 999)
EVIDENTIAL = [
    {'type': 'EvidentialLoss', 'attn_ratio': ratio, 'evidence': evidence, 'form': form}
    for ratio, evidence, form in ((9, 'exp', 'log'), (5, 'relu', 'mse'), (2.5, 'relu', 'log'), (1, 'exp', 'mse'))
]
GUIDES = [{'type': 'UncertaintyGuideLoss', 'order': order, 'max_iters': 1} for order in ('published', 'rank')]
ALL = EVIDENTIAL + GUIDES
at_progress = pytest.mark.parametrize('iteration', [0, 3, 10])
each_loss = pytest.mark.parametrize('config', ALL, ids=lambda config: '-'.join(map(str, config.values())))


def compute(config, output, labels, iteration=3):
    with training_at(iteration, 10):
        return MODELS.build(config)(output, labels)


def own(output, video):
    """What one video has: S, S' and A of its own snippets."""
    length = int(output.lengths[video])
    cas, attn = output.cas[video, :length], output.attn[video, :length]
    lowest = cas.min(-1, keepdim=True)[0]
    return cas, attn * (cas - lowest) + lowest, attn[:, 0]


def plain_evidential(output, labels, ratio, evidence, form):
    total = 0
    for video, y in enumerate(labels):
        cas, suppressed, attn = own(output, video)
        best = sorted(range(len(attn)), key=lambda i, attn=attn: -attn[i])[: max(1, int(len(attn) // ratio))]
        v = suppressed[best, : len(y)].mean(0)
        e = [math.exp(min(max(x, -10), 10)) if evidence == 'exp' else max(x, 0) for x in v.tolist()]
        alpha = torch.tensor(e, dtype=cas.dtype) + 1
        s = alpha.sum()
        if form == 'mse':
            total = total + ((y - alpha / s) ** 2).sum()
        elif y.sum() > 0:
            g = (1 - len(y) / s) * y.sum() * (y / alpha) / (y / alpha).sum()
            total = total + (g * (s.log() - alpha.log())).sum()
    return total / len(labels)


def plain_guide(output, order, progress, amplitude):
    total = 0
    for video in range(len(output.mask)):
        cas, suppressed, attn = own(output, video)
        length = len(attn)
        certainty = (suppressed.clamp(-10, 10).exp() + 1).sum(-1)
        by_uncertainty = sorted(range(length), key=lambda i, certainty=certainty: -certainty[i])
        curve = [amplitude * math.tanh((2 * (j + 0.5) / length - 1) * (1 - 2 * progress)) + 1 for j in range(length)]
        attns = [attn, *output.extras['attn_modalities'][video, :length].T]
        background = cas.softmax(-1)[:, -1]
        for rank, snippet in enumerate(by_uncertainty):
            # The published code puts the curve's value of the snippet that has the rank at the rank's own position.
            position, place = (snippet, rank) if order == 'rank' else (rank, snippet)
            for a in attns:
                total = total + curve[place] * (1 - a[position] - background[position]).abs() / length / len(attns)
    return total / len(output.mask)


@settings(max_examples=30, deadline=None)
@given(
    lengths=LENGTHS,
    seed=SEEDS,
    config=st.sampled_from(EVIDENTIAL),
    classes=st.integers(1, 5),
    scale=st.sampled_from([1, 20]),
)
def test_evidential(lengths, seed, config, classes, scale):
    output, labels = make_output(lengths, seed, classes=classes)
    output.cas = output.cas * scale
    expected = plain_evidential(output, labels, *(config[name] for name in ('attn_ratio', 'evidence', 'form')))
    torch.testing.assert_close(
        compute({**config, 'loss_weight': 3}, output, labels), torch.as_tensor(3 * expected, dtype=torch.float64)
    )


@settings(max_examples=30, deadline=None)
@given(
    lengths=LENGTHS,
    seed=SEEDS,
    order=st.sampled_from(['rank', 'published']),
    iteration=st.integers(0, 10),
    amplitude=st.sampled_from([0, 0.2, 0.7]),
    classes=st.integers(1, 5),
)
def test_uncertainty_guide(lengths, seed, order, iteration, amplitude, classes):
    output, labels = make_output(lengths, seed, classes=classes)
    config = {'type': 'UncertaintyGuideLoss', 'order': order, 'amplitude': amplitude, 'loss_weight': 2}
    expected = 2 * plain_guide(output, order, iteration / 10, amplitude)
    torch.testing.assert_close(compute(config, output, labels, iteration), expected)


@each_loss
@at_progress
def test_gradients_are_finite_and_none_reaches_the_padding(config, iteration):
    output, labels = make_output([9, 1, 4])
    labels[0], labels[1] = 0, 1
    for scale in (1, 1e4):
        output.cas = (output.cas.detach() * scale).requires_grad_()
        output.attn = output.attn.detach().requires_grad_()
        modalities = output.extras['attn_modalities'].detach().requires_grad_()
        output.extras = {'attn_modalities': modalities}
        value = compute(config, output, labels, iteration)
        value.backward()
        assert value.isfinite()
        for leaf in (output.cas, output.attn, modalities):
            if leaf.grad is not None:
                assert leaf.grad.isfinite().all()
                assert not leaf.grad[~output.mask].any()
        assert scale > 1 or output.cas.grad.any()


@each_loss
def test_more_padding_and_another_order_of_the_videos_change_nothing(config):
    lengths = [12, 7, 3, 1]
    output, labels = make_output(lengths, seed=5)
    # Ties, as dropout before the sigmoid makes them: which of them are picked must not depend on the padding.
    output.attn = output.attn.round(decimals=1)
    expected = compute(config, output, labels)

    wider, _ = make_output([*lengths, 40], seed=5)
    for name in ('feat', 'cas', 'attn', 'mask'):
        target = getattr(wider, name)[:-1].clone()
        target[:, :12] = getattr(output, name)
        setattr(wider, name, target)
    wider.extras['attn_modalities'] = wider.extras['attn_modalities'][:-1].clone()
    wider.extras['attn_modalities'][:, :12] = output.extras['attn_modalities']
    assert wider.mask.shape == (4, 40)
    torch.testing.assert_close(compute(config, wider, labels), expected, rtol=1e-12, atol=0)

    for name in ('feat', 'cas', 'attn', 'mask'):
        setattr(output, name, getattr(output, name).flip(0))
    output.extras = {name: value.flip(0) for name, value in output.extras.items()}
    torch.testing.assert_close(compute(config, output, labels.flip(0)), expected, rtol=1e-12, atol=0)


@each_loss
def test_two_processes_with_half_a_batch_each_average_to_the_whole(config):
    output, labels = make_output([8, 5, 2, 6])
    halves = []
    for part in (slice(0, 2), slice(2, 4)):
        half, _ = make_output([8, 5, 2, 6])
        for name in ('feat', 'cas', 'attn', 'mask'):
            setattr(half, name, getattr(half, name)[part])
        half.extras = {name: value[part] for name, value in half.extras.items()}
        halves.append(compute(config, half, labels[part]))
    torch.testing.assert_close(compute(config, output, labels), sum(halves) / 2)


def test_videos_without_labels_add_nothing_to_the_log_form():
    output, labels = make_output([9, 9])
    labels[:] = 0
    assert compute({'type': 'EvidentialLoss'}, output, labels) == 0
    labels[0, 1] = 1
    assert compute({'type': 'EvidentialLoss'}, output, labels) > 0


def test_a_single_class_is_certain():
    output, labels = make_output([5, 3], classes=1)
    labels[:] = 1
    for config in EVIDENTIAL:
        assert compute(config, output, labels) == 0


def test_evidence():
    logits = torch.tensor([-50.0, -1, 0, 2, 50])
    limit = math.exp(10)
    expected = torch.tensor([1 / limit + 1, math.exp(-1) + 1, 2, math.exp(2) + 1, limit + 1])
    torch.testing.assert_close(dirichlet(logits, evidence='exp'), expected)
    assert dirichlet(logits, evidence='relu').tolist() == [1, 1, 1, 3, 51]


def test_evidence_comes_from_the_snippets_of_highest_attention():
    values = torch.arange(20.0).reshape(1, 20, 1)
    attn = torch.zeros(1, 20, 1)
    attn[0, [4, 7, 9], 0] = torch.tensor([0.5, 0.9, 0.5])
    mask = torch.ones(1, 20, dtype=torch.bool)
    # k = 2: of the equal ones the earlier; T = 8 leaves one.
    assert attended_mean(values, attn, mask, ratio=9).item() == (7 + 4) / 2
    mask[0, 8:] = False
    assert attended_mean(values, attn, mask, ratio=9).item() == 7


@settings(max_examples=40, deadline=None)
@given(length=st.integers(1, 30), seed=SEEDS, order=st.sampled_from(['rank', 'published']), progress=st.floats(0, 1))
def test_the_weights_of_a_video_average_to_one(length, seed, order, progress):
    output, _ = make_output([length, 30], seed)
    output.cas.requires_grad_()
    curve = uncertainty_curve(output.cas, output.attn, output.mask, progress=progress, amplitude=0.7, order=order)
    assert not curve.requires_grad
    torch.testing.assert_close(curve[0, :length].mean().item(), 1.0)
    assert (curve[output.mask] - 1).abs().max() < 0.7


def test_uncertain_snippets_weigh_more_at_first_and_less_at_the_end():
    output, _ = make_output([20])
    certainty = (suppress(output.cas, output.attn).exp() + 1).sum(-1)[0]
    curves = {
        progress: uncertainty_curve(
            output.cas, output.attn, output.mask, progress=progress, amplitude=0.7, order='rank'
        )[0]
        for progress in (0, 0.5, 1)
    }
    by_certainty = certainty.argsort()
    assert (curves[0][by_certainty].diff() < 0).all()
    assert (curves[0.5] == 1).all()
    torch.testing.assert_close(curves[1] - 1, 1 - curves[0])


def test_the_two_orders():
    # Uncertainty ranks 1, 2, 0; the indices that sort it are 2, 0, 1. A padded fourth snippet has no say.
    cas = torch.tensor([[[1.0, 0], [0, 0], [2, 0], [9, 9]]])
    mask = torch.tensor([[True, True, True, False]])
    low, high = 1 + 0.7 * math.tanh(-2 / 3), 1 + 0.7 * math.tanh(2 / 3)
    for order, expected in (('rank', [1, high, low]), ('published', [high, low, 1])):
        curve = uncertainty_curve(cas, torch.ones(1, 4, 1), mask, progress=0, amplitude=0.7, order=order)
        torch.testing.assert_close(curve[0, :3], torch.tensor(expected))


def test_without_amplitude_or_halfway_it_is_the_plain_guide():
    output, labels = make_output([9, 4])
    attns = torch.cat([output.attn, output.extras['attn_modalities']], dim=-1)
    expected = attention_guide_loss(attns, output.cas, output.mask)
    for amplitude, progress in ((0, 0), (0.7, 0.5)):
        found = uncertainty_guide_loss(
            output.cas, output.attn, attns, output.mask, progress=progress, amplitude=amplitude
        )
        torch.testing.assert_close(found, expected)
    output.extras = {}
    alone = compute({'type': 'UncertaintyGuideLoss', 'amplitude': 0}, output, labels)
    torch.testing.assert_close(alone, attention_guide_loss(output.attn, output.cas, output.mask))


def test_without_background():
    output, labels = make_output([9, 4], background=False)
    assert compute({'type': 'EvidentialLoss'}, output, labels).isfinite()
    with pytest.raises(UserError, match='UncertaintyGuideLoss needs a background channel'):
        compute({'type': 'UncertaintyGuideLoss'}, output, labels)


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        ({'type': 'EvidentialLoss', 'attn_ratio': 0}, 'expected attn_ratio of at least 1, found 0'),
        ({'type': 'EvidentialLoss', 'evidence': 'softplus'}, r"evidence must be one of \['exp', 'relu'\], found 'soft"),
        ({'type': 'EvidentialLoss', 'form': 'digamma'}, r"form must be one of \['log', 'mse'\], found 'digamma'"),
        ({'type': 'UncertaintyGuideLoss', 'order': 'index'}, r"order must be one of \['published', 'rank'\], found"),
        ({'type': 'UncertaintyGuideLoss', 'amplitude': -1}, 'amplitude must not be negative, found -1'),
        ({'type': 'UncertaintyGuideLoss', 'amplitude': float('nan')}, 'amplitude must not be negative, found nan'),
    ],
)
def test_bad_settings(config, message):
    with pytest.raises(UserError, match=message):
        MODELS.build(config)


def test_progress():
    with training_at(30, 120) as hub:
        # A Runner's own number goes before that of the argument.
        assert training_progress(max_iters=7, user='L') == Progress(30, 120)
        assert training_progress(max_iters=None, user='L').fraction == 0.25
        hub.runtime_info.clear()
        assert training_progress(max_iters=7, user='L') == Progress(0, 7)
        for number in (None, 0):
            with pytest.raises(UserError, match=rf'^L changes over the training.*found {number}; set the max_iters'):
                training_progress(max_iters=number, user='L')
