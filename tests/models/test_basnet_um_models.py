"""What holds of BaS-Net and UM for any batch, and of their losses."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config
from torch.nn import functional as F

from mmwtal.models.backbones.base import BackboneOutput
from mmwtal.models.losses.attention_sum import attention_sum_loss
from mmwtal.models.losses.feature_magnitude import (
    background_entropy_loss,
    magnitude_loss,
    select_action,
    select_background,
    select_top,
)
from mmwtal.models.losses.topk_bce import topk_bce_loss
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput, WTALDataSample
from mmwtal.utils.errors import UserError

from .parity import ROOT

NAMES = ('basnet', 'um')
TERMS = {'basnet': {'loss_base', 'loss_supp', 'loss_norm'}, 'um': {'loss_cls', 'loss_um', 'loss_be'}}
EXTRAS = {'basnet': {'feat_supp', 'cas_supp'}, 'um': {'magnitude', 'magnitude_keep'}}
WIDTH = 12


def make(name, classes=3, width=WIDTH, train=False):
    torch.manual_seed(0)
    model = Config.fromfile(ROOT / f'configs/_base_/models/{name}.py').model
    model.update(num_classes=classes, in_channels=width)
    model.backbone.update(hidden_channels=6)
    if name == 'um':
        model.head.losses.loss_um.update(margin=3.0, loss_weight=0.1)
    return MODELS.build(model).train(train)


def videos(lengths, seed=0, width=WIDTH):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(length, width, generator=generator) for length in lengths]


def padded(features, padding, fill):
    inputs = torch.full((len(features), max(map(len, features)) + padding, features[0].shape[1]), fill)
    mask = torch.zeros(inputs.shape[:2], dtype=torch.bool)
    for place, video in enumerate(features):
        inputs[place, : len(video)] = video
        mask[place, : len(video)] = True
    return inputs, mask


def losses(model, inputs, mask, labels):
    samples = [WTALDataSample(video_id='v', labels=row) for row in labels]
    return model(inputs, samples, mask=mask, mode='loss')


def gradients(model, terms):
    model.zero_grad()
    sum(terms.values()).backward()
    return [parameter.grad.clone() for parameter in model.parameters()]


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    padding=st.integers(0, 7),
    fill=st.sampled_from([0.0, 5.0, float('nan')]),
    seed=st.integers(0, 99),
    classes=st.sampled_from([1, 3]),
)
@pytest.mark.parametrize('name', NAMES)
def test_padding_batch_and_order_do_not_matter(name, lengths, padding, fill, seed, classes):
    model, features = make(name, classes), videos(lengths, seed)
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.rand(len(lengths), classes, generator=generator) < 0.5).float()
    alone = [model(video[None]) for video in features]
    expected = [losses(model, video[None], None, row[None]) for video, row in zip(features, labels, strict=True)]
    order = torch.randperm(len(lengths), generator=generator).tolist()
    inputs, mask = padded([features[video] for video in order], padding, fill)
    batch = model(inputs, mask=mask)
    assert set(batch.extras) == EXTRAS[name]
    for place, video in enumerate(order):
        own = slice(0, lengths[video])
        pairs = [(getattr(batch, field), getattr(alone[video], field)) for field in ('feat', 'attn', 'cas')]
        pairs += [(batch.extras[key], alone[video].extras[key]) for key in EXTRAS[name]]
        for found, single in pairs:
            torch.testing.assert_close(found[place, own], single[0], rtol=1e-4, atol=1e-5)
    found = losses(model, inputs, mask, labels[order])
    assert set(found) == TERMS[name]
    mean = {term: torch.stack([each[term] for each in expected]).mean() for term in TERMS[name]}
    torch.testing.assert_close(found, mean, rtol=1e-4, atol=1e-5)
    for one, other in zip(gradients(model, found), gradients(model, mean), strict=True):
        assert one.isfinite().all()
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('train', [False, True])
@pytest.mark.parametrize(('length', 'classes', 'width'), [(1, 1, 1), (1, 3, 5), (9, 1, 2), (750, 4, 3)])
def test_unlabelled_videos_and_any_size_give_finite_losses_and_gradients(name, train, length, classes, width):
    model = make(name, classes, width, train)
    inputs = torch.stack(videos([length, length], width=width))
    for labels in (torch.zeros(2, classes), torch.ones(2, classes)):
        terms = losses(model, inputs, None, labels)
        assert set(terms) == TERMS[name]
        assert all(term.isfinite() for term in terms.values())
        assert all(gradient.isfinite().all() for gradient in gradients(model, terms))


@pytest.mark.parametrize('name', NAMES)
def test_features_of_zero(name):
    model = make(name)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.zero_()
    inputs = torch.zeros(2, 5, WIDTH)
    output = model(inputs)
    assert torch.equal(output.attn, torch.full((2, 5, 1), 0.5 if name == 'basnet' else 0.0))
    terms = losses(model, inputs, None, torch.eye(3)[:2])
    assert all(term.isfinite() for term in terms.values())
    assert all(gradient.isfinite().all() for gradient in gradients(model, terms))


@pytest.mark.parametrize('name', NAMES)
def test_autocast_computes_losses_in_full_precision(name):
    model, inputs, labels = make(name), torch.stack(videos([20, 20])), torch.eye(3)[:2]
    plain = losses(model, inputs, None, labels)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        output = model(inputs)
        terms = losses(model, inputs, None, labels)
    assert output.cas.dtype == torch.bfloat16
    assert all(term.dtype == torch.float32 for term in terms.values())
    torch.testing.assert_close(terms, plain, rtol=0.1, atol=0.02)
    assert all(gradient.isfinite().all() for gradient in gradients(model, terms))


def test_basnet_sees_the_filtered_features_by_the_same_weights():
    model, inputs = make('basnet'), torch.stack(videos([8]))
    output = model(inputs)
    filtered = model(output.attn * inputs)
    torch.testing.assert_close(output.extras['feat_supp'], filtered.feat)
    torch.testing.assert_close(output.extras['cas_supp'], filtered.cas)
    assert not torch.allclose(output.cas, filtered.cas)


def test_um_attention_is_the_magnitude_over_the_largest_of_the_video():
    output = make('um')(*padded(videos([8, 5]), 2, float('nan'))[:1], mask=padded(videos([8, 5]), 2, 0.0)[1])
    magnitude = output.extras['magnitude']
    torch.testing.assert_close(magnitude[..., 0], output.feat.norm(dim=-1))
    torch.testing.assert_close(output.attn, magnitude / magnitude.amax(dim=1, keepdim=True))
    assert output.attn.amax(dim=1).flatten().tolist() == [1.0, 1.0]


def test_um_drops_snippets_in_training_only_and_as_seeded():
    inputs = torch.stack(videos([400]))
    assert make('um')(inputs).extras['magnitude_keep'].all()
    model = make('um', train=True)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(model(inputs).extras['magnitude_keep'])
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert 0.2 < drawn[0].float().mean() < 0.4


def test_dropped_snippets_are_picked_last():
    magnitude = torch.tensor([[1.0, 9.0, 5.0, 7.0]])
    keep, mask = torch.tensor([[True, False, True, True]]), torch.ones(1, 4, dtype=torch.bool)
    assert select_action(magnitude, keep, mask, ratio=2).tolist() == [[0, 0, 0.5, 0.5]]
    assert select_background(magnitude, keep, mask, ratio=2).tolist() == [[0.5, 0, 0.5, 0]]
    assert select_background(magnitude, torch.ones_like(keep), mask, ratio=4).tolist() == [[1, 0, 0, 0]]


def test_selection_counts_each_videos_own_snippets():
    ranking = torch.tensor([[3.0, 1.0, 2.0, 9.0], [4.0, 3.0, 2.0, 1.0]])
    mask = torch.tensor([[True, True, True, False], [True] * 4])
    assert select_top(ranking, mask, ratio=2).tolist() == [[1, 0, 0, 0], [0.5, 0.5, 0, 0]]
    assert select_top(ranking, mask, ratio=9).tolist() == [[1, 0, 0, 0], [1, 0, 0, 0]]


def test_magnitude_loss_by_hand():
    feat = torch.tensor([[[3.0, 0.0], [1.0, 4.0], [0.0, 0.0], [0.0, 1.0]]])
    mask = torch.ones(1, 4, dtype=torch.bool)
    action, background = torch.tensor([[0.5, 0.5, 0, 0]]), torch.tensor([[0, 0, 0.5, 0.5]])
    # The mean action feature is (2, 2), the mean background feature (0, 0.5).
    short = 10 - math.sqrt(8) + 0.5
    assert magnitude_loss(feat, action, background, mask, margin=10.0).item() == pytest.approx(short**2)
    assert magnitude_loss(feat, action, background, mask, margin=1.0).item() == pytest.approx(0.25)


def test_background_entropy_is_lowest_for_uniform_scores():
    mask, background = torch.ones(1, 2, dtype=torch.bool), torch.tensor([[0.5, 0.5]])
    uniform = background_entropy_loss(torch.zeros(1, 2, 4), background, mask).item()
    assert uniform == pytest.approx(-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)))
    # The mean logits are uniform here, too.
    balanced = torch.tensor([[[2.0, -2.0, 1.0, 0.0], [-2.0, 2.0, -1.0, 0.0]]])
    assert background_entropy_loss(balanced, background, mask).item() == pytest.approx(uniform)
    assert background_entropy_loss(balanced[:, :1], torch.ones(1, 1), mask[:, :1]).item() > uniform


def test_topk_bce_by_hand():
    cas = torch.tensor([[[1.0, 0.0], [3.0, 2.0], [0.0, 0.0], [9.0, 9.0]]])
    mask = torch.tensor([[True, True, True, False]])
    score = F.softmax(torch.tensor([3.0, 2.0]), dim=0)
    for targets, expected in (
        ([1.0, 0.0], -(score[0].log() + (1 - score[1]).log()) / 2),
        ([1.0, 1.0], -(score.log() + (1 - score).log()).sum() / 4),
        ([0.0, 0.0], -(1 - score).log().mean()),
    ):
        found = topk_bce_loss(cas, torch.tensor([targets]), mask, topk_ratio=3)
        torch.testing.assert_close(found, expected)


def test_attention_sum_grows_with_the_video():
    attn = torch.full((2, 4, 1), 0.5)
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    assert attention_sum_loss(attn, mask).item() == pytest.approx(1.5)


def output(**changes):
    values = {
        'feat': torch.zeros(1, 4, 2),
        'attn': torch.zeros(1, 4, 1),
        'cas': torch.zeros(1, 4, 3),
        'has_background': True,
        'mask': torch.ones(1, 4, dtype=torch.bool),
    }
    return LocalizerOutput(**{**values, **changes})


@pytest.mark.parametrize(
    ('loss', 'message'),
    [
        ({'type': 'TopKBCELoss', 'topk_ratio': 8, 'suppressed': True}, r"extras\['cas_supp'\].*BaSNetBackbone"),
        ({'type': 'MagnitudeLoss'}, r"MagnitudeLoss needs extras\['magnitude'\].*UMBackbone"),
        ({'type': 'BackgroundEntropyLoss'}, r"BackgroundEntropyLoss needs extras\['magnitude'\].*UMBackbone"),
    ],
)
def test_losses_name_the_part_that_is_missing(loss, message):
    with pytest.raises(UserError, match=message):
        MODELS.build(loss)(output(), torch.ones(1, 2))


def test_background_takes_no_part_in_the_background_entropy():
    extras = {'magnitude': torch.ones(1, 4, 1), 'magnitude_keep': torch.ones(1, 4, 1, dtype=torch.bool)}
    cas = torch.tensor([0.0, 0.0, 7.0]).expand(1, 4, 3)
    found = MODELS.build({'type': 'BackgroundEntropyLoss'})(output(cas=cas, extras=extras), torch.ones(1, 2))
    assert found.item() == pytest.approx(math.log(2))


def head(background):
    return MODELS.build(
        {'type': 'LinearHead', 'in_channels': 5, 'num_classes': 2, 'background': background, 'losses': {}}
    ).eval()


def test_a_backbone_without_attention():
    features, mask = BackboneOutput(feat=torch.randn(2, 6, 5)), torch.ones(2, 6, dtype=torch.bool)
    found = head(True)(features, mask)
    torch.testing.assert_close(found.attn, 1 - found.cas.softmax(dim=-1)[..., 2:])
    with pytest.raises(UserError, match=r'gives no attention.*head\.background=True'):
        head(False)(features, mask)


@pytest.mark.parametrize(('name', 'count'), [('basnet', 26_262_529), ('um', 12_625_920)])
def test_size_of_the_published_model(name, count):
    with torch.device('meta'):
        model = MODELS.build(Config.fromfile(ROOT / f'configs/_base_/models/{name}.py').model)
    assert sum(parameter.numel() for parameter in model.parameters()) == count
