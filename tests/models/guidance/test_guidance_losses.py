"""The losses of the guidance, by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.models.guidance.base_teaching import BaseTeaching
from mmwtal.models.guidance.ksm import key_attention
from mmwtal.models.losses.attention_match import attention_match_loss, matched_target
from mmwtal.models.losses.completion import CSRLoss, words_nll
from mmwtal.models.losses.key_matching import KSMLoss, key_matching_bce_loss
from mmwtal.models.losses.present import mean_of_present

NAN = float('nan')


def test_matching_pools_each_videos_own_snippets():
    logits = torch.tensor([[[2.0], [0.0], [NAN]], [[-1.0], [1.0], [3.0]]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    found = key_matching_bce_loss(logits, torch.tensor([[1.0], [0.0]]), mask, topk_ratio=1.5)
    first = torch.tensor([2.0]).sigmoid().mean()  # k = max(1, floor(2 / 1.5)) = 1
    second = torch.tensor([3.0, 1.0]).sigmoid().mean()
    torch.testing.assert_close(found, -(first.log() + (1 - second).log()) / 2)


def test_matching_is_finite_where_it_is_sure_and_wrong():
    logits = torch.tensor([[[200.0, -200.0]]], requires_grad=True)
    loss = KSMLoss(loss_weight=0.5)(logits, torch.tensor([[0.0, 1.0]]), torch.ones(1, 1, dtype=torch.bool))
    assert loss.item() == pytest.approx(50)
    loss.backward()
    assert logits.grad.isfinite().all()


def test_matching_by_softmax_has_a_background_that_is_always_there():
    loss = KSMLoss(kind='softmax', topk_ratio=7)
    assert loss.needs_background
    mask = torch.ones(1, 1, dtype=torch.bool)
    found = loss(torch.zeros(1, 1, 3), torch.tensor([[1.0, 0.0]]), mask)
    assert found.item() == pytest.approx(math.log(3), rel=1e-3)
    # A video without labels still has the background.
    assert loss(torch.zeros(1, 1, 3), torch.zeros(1, 2), mask).item() == pytest.approx(math.log(3), rel=1e-3)


def test_key_attention_is_of_the_videos_own_classes():
    logits = torch.tensor([[[1.0, 5.0, 2.0], [NAN, NAN, NAN]], [[9.0, 9.0, 9.0], [1.0, 2.0, 3.0]]])
    labels = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    mask = torch.tensor([[True, False], [True, True]])
    expected = torch.tensor([[torch.tensor(2.0).sigmoid(), 0.0], [0.0, 0.0]])
    torch.testing.assert_close(key_attention(logits, labels, mask), expected)


def test_the_likelihood_of_words():
    logits = torch.tensor([[[2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 9.0, 0.0, 0.0]]])
    ids = torch.tensor([[0, 1, 2]])
    log_p = logits.log_softmax(dim=-1)[0, 0]
    first = -(0.9 * log_p[0] + 0.1 * log_p.mean())
    counted = torch.tensor([[True, True, False]])
    found = words_nll(logits, ids, counted, label_smoothing=0.1)
    torch.testing.assert_close(found, (first + math.log(4))[None] / 2)
    nothing = words_nll(logits.requires_grad_(), ids, torch.zeros_like(counted), label_smoothing=0.1)
    assert nothing.tolist() == [0]
    assert nothing.requires_grad


@pytest.mark.parametrize(('words', 'expected'), [('masked', [math.log(4)]), ('all', [(math.log(4) + math.log(4)) / 2])])
def test_which_words_count(words, expected):
    loss = CSRLoss(words=words, label_smoothing=0.0)
    logits = torch.zeros(1, 1, 3, 4)
    logits[..., 2, :] = NAN
    logits = logits.nan_to_num(50.0)  # padding: never counted
    present, replaced = torch.tensor([[True, True, False]]), torch.tensor([[True, False, True]])
    assert loss.nll(logits, torch.tensor([[1, 2, 0]]), present, replaced)[0].tolist() == pytest.approx(expected)


DESCRIBED = torch.tensor([True, True, False])
POSITIVE, WHOLE, INVERSE = (
    torch.tensor([1.0, 3.0, NAN]),
    torch.tensor([2.0, 2.0, NAN]),
    torch.tensor([1.0, 9.0, NAN]),
)


@pytest.mark.parametrize(
    ('negatives', 'expected'),
    [('none', 2.0), ('whole', (0 + 1.5) / 2), ('inverse', (0.2 + 0) / 2), ('both', (0 + 1.5 + 0.2 + 0) / 2)],
)
def test_contrast(negatives, expected):
    loss = CSRLoss(negatives=negatives, whole_margin=0.5, inverse_margin=0.2, contrast_weight=3.0)
    inverse = INVERSE if loss.needs_inverse else None
    assert loss.contrast(POSITIVE, WHOLE, inverse, DESCRIBED).item() == pytest.approx(3 * expected)


def test_reconstruction():
    assert CSRLoss().reconstruction(POSITIVE, WHOLE, DESCRIBED).item() == pytest.approx(4)
    assert CSRLoss().reconstruction(POSITIVE, WHOLE, torch.zeros(3, dtype=torch.bool)).item() == 0


def test_mean_of_nothing_has_a_graph_and_no_gradient():
    values = torch.tensor([1.0, NAN], requires_grad=True)
    mean = mean_of_present(values, torch.tensor([False, False]))
    mean.backward()
    assert mean.item() == 0
    assert values.grad.tolist() == [0, 0]


MASK = torch.tensor([[True, True, True, True], [True, True, False, False]])
TAUGHT = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.5, 0.7, NAN, NAN]])
TEACHER = torch.tensor([[0.9, 0.5, 0.6, 0.8], [0.2, 0.1, NAN, NAN]])
HERE = torch.tensor([True, True])


def test_matching_levels():
    found = attention_match_loss(TAUGHT, TEACHER, MASK, HERE)
    first = (0.8**2 + 0.3**2 + 0.3**2 + 0.4**2) / 4
    assert found.item() == pytest.approx((first + (0.3**2 + 0.6**2) / 2) / 2)
    assert attention_match_loss(TAUGHT, TEACHER, MASK, HERE & torch.tensor([True, False])).item() == pytest.approx(
        first
    )


def test_a_confident_teacher_teaches_more():
    found = attention_match_loss(TAUGHT[:1], TEACHER[:1], MASK[:1], HERE[:1], confident=True)
    assert found.item() == pytest.approx((0.8**2 * 0.8 + 0 + 0.3**2 * 0.2 + 0.4**2 * 0.6) / 4)


def test_matching_ranks_keeps_the_values():
    target = matched_target(TAUGHT.nan_to_num(7.0), TEACHER.nan_to_num(-7.0), MASK, match='rank')
    torch.testing.assert_close(target, torch.tensor([[0.4, 0.1, 0.2, 0.3], [0.7, 0.5, 0.0, 0.0]]))


@settings(max_examples=50, deadline=None)
@given(length=st.integers(1, 12), seed=st.integers(0, 999))
def test_matching_shapes_keeps_mean_and_spread(length, seed):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.ones(1, length, dtype=torch.bool)
    taught = 0.5 + 0.05 * torch.randn(1, length, generator=generator, dtype=torch.float64).clamp(-2, 2)
    teacher = torch.rand(1, length, generator=generator, dtype=torch.float64)
    target = matched_target(taught, teacher, mask, match='shape')
    torch.testing.assert_close(target.mean(), taught.mean(), atol=0.02, rtol=0)
    if length > 1:
        torch.testing.assert_close(target.std(), taught.std(), atol=0.05, rtol=0)
        assert torch.equal(target.argsort(dim=1), teacher.argsort(dim=1))
    same = attention_match_loss(taught, 3 * taught - 1, mask, HERE[:1], match='shape')
    assert same.item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize('match', ['level', 'shape', 'rank'])
def test_the_teacher_learns_nothing(match):
    taught, teacher = TAUGHT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    attention_match_loss(taught, teacher, MASK, HERE, match=match).backward()
    assert teacher.grad is None
    assert taught.grad[MASK].abs().sum() > 0
    assert taught.grad[~MASK].tolist() == [0, 0]


@pytest.mark.parametrize(
    ('target', 'first', 'second'),
    [('key', 0.2, 0.2), ('complete', 0.8, None), ('mean', 0.5, 0.2), ('max', 0.8, 0.2), ('min', 0.2, 0.2)],
)
def test_what_the_base_is_taught(target, first, second):
    # The second video has no description: its complete attention means nothing.
    key, complete = torch.full((2, 4), 0.2), torch.full((2, 4), 0.8)
    base = torch.zeros(2, 4)
    found = BaseTeaching(target=target, loss_weight=2.0)(
        base, key, complete, MASK, torch.tensor([True, False]), iteration=0
    )
    targets = [value for value in (first, second) if value is not None]
    assert found.item() == pytest.approx(2 * sum(value**2 for value in targets) / len(targets))


def test_the_base_is_taught_by_the_one_that_there_is_and_from_the_start_on():
    attn, base = torch.full((2, 4), 0.5), torch.zeros(2, 4)
    described = torch.tensor([True, False])
    teaching = BaseTeaching(start=10, loss_weight=1.0)
    assert teaching(base, attn, None, MASK, described, iteration=9).item() == 0
    assert teaching(base, attn, None, MASK, described, iteration=10).item() == pytest.approx(0.25)
    assert teaching(base, None, attn, MASK, described, iteration=10).item() == pytest.approx(0.25)
    assert teaching(base, None, attn, MASK, torch.tensor([False, False]), iteration=10).item() == 0
