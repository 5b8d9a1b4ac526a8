"""What the reconstructor sees: masked words, later words, the mask over the video."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.models.guidance.draws import uniform_draws
from mmwtal.models.guidance.mask_generators import GaussianMask
from mmwtal.models.guidance.reconstructor import TextReconstructor, weighted_mean
from mmwtal.models.guidance.transformer import Attention, key_bias
from mmwtal.models.guidance.word_masking import WordMasking
from mmwtal.registry import MODELS
from mmwtal.structures.text_batch import TextBatch
from mmwtal.utils.errors import UserError

from .guided import FEAT, TEXT, D, V, build_guidance, csr_config, made_batch, reconstructor

L = 7


@pytest.fixture
def model() -> TextReconstructor:
    torch.manual_seed(0)
    sizes = {'in_channels': D, 'text_channels': TEXT, 'vocabulary_size': V}
    return MODELS.build({**reconstructor(), **sizes}).eval()


def complete(model, words, replaced, values, mask, weights):
    """Logits of the words for one mask."""
    tokens = model.tokens(values, mask)
    memory = model.encode(tokens, mask, weights if model.weighted == 'both' else None)
    return model.decode(words, replaced, memory, mask, weights[None])[0]


@pytest.fixture
def scene():
    generator = torch.Generator().manual_seed(1)
    words = torch.randn(2, L, TEXT, generator=generator)
    values = torch.randn(2, 5, D, generator=generator)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    replaced = torch.zeros(2, L, dtype=torch.bool)
    replaced[:, [1, 4]] = True
    return words, replaced, values, mask, torch.rand(2, 5, generator=generator)


@torch.no_grad()
def test_nothing_is_seen_of_a_replaced_word(model, scene):
    words, replaced, *rest = scene
    expected = complete(model, words, replaced, *rest)
    other = torch.where(replaced[..., None], torch.full_like(words, 100.0), words)
    assert torch.equal(complete(model, other, replaced, *rest), expected)
    assert torch.equal(model.decoder.seen(other, replaced), model.decoder.seen(words, replaced))


@torch.no_grad()
def test_replacing_a_word_changes_what_is_seen(model, scene):
    words, replaced, *rest = scene
    plain = torch.zeros_like(replaced)
    changed = (model.decoder.seen(words, replaced) != model.decoder.seen(words, plain)).any(dim=-1)
    expected = torch.zeros_like(replaced)
    expected[:, [2, 5]] = True  # the words are shifted right by one
    assert torch.equal(changed, expected)
    assert not torch.equal(complete(model, words, replaced, *rest), complete(model, words, plain, *rest))


@torch.no_grad()
@pytest.mark.parametrize('position', range(L))
def test_a_word_changes_the_predictions_of_later_words_alone(model, scene, position):
    words, replaced, *rest = scene
    replaced = torch.zeros_like(replaced)
    other = words.clone()
    other[:, position] += 10
    changed = (complete(model, other, replaced, *rest) != complete(model, words, replaced, *rest)).any(dim=-1)
    assert not changed[:, : position + 1].any()
    assert changed[:, position + 1 :].all()


@torch.no_grad()
@pytest.mark.parametrize(('weighted', 'layers'), [('cross', 0), ('cross', 1), ('both', 1)])
def test_a_snippet_of_no_weight_is_not_seen(scene, weighted, layers):
    torch.manual_seed(0)
    sizes = {'in_channels': D, 'text_channels': TEXT, 'vocabulary_size': V}
    model = MODELS.build({**reconstructor(weighted=weighted, encoder_layers=layers), **sizes}).eval()
    words, replaced, values, mask, weights = scene
    weights = weights.index_fill(1, torch.tensor(1), 0.0)
    other = values.clone()
    other[:, 1] = -values[:, 1].flip(-1)
    difference = complete(model, words, replaced, other, mask, weights) - complete(
        model, words, replaced, values, mask, weights
    )
    if weighted == 'cross' and layers:  # other snippets have seen it
        assert difference.abs().max() > 1e-3
    else:
        assert difference.abs().max() < 1e-5


@torch.no_grad()
def test_the_bias_is_a_weight_after_the_softmax():
    torch.manual_seed(0)
    attention = Attention(width=4, num_heads=1, dropout=0.0).eval()
    queries, memory, weights = torch.randn(1, 2, 4), torch.randn(1, 3, 4), torch.tensor([[0.2, 1.0, 0.0]])
    mask = torch.tensor([[True, True, True]])
    key, value = attention.key_value(memory).chunk(2, dim=-1)
    soft = (attention.query(queries) @ key.transpose(1, 2) / 2).softmax(dim=-1) * (weights[:, None] + 1e-10)
    expected = attention.out(soft / soft.sum(dim=-1, keepdim=True) @ value)
    torch.testing.assert_close(attention(queries, memory, key_bias(weights, mask)), expected)


@torch.no_grad()
def test_of_a_mean_words_see_the_weighted_sum_alone(scene):
    torch.manual_seed(0)
    sizes = {'in_channels': D, 'text_channels': TEXT, 'vocabulary_size': V}
    model = MODELS.build({**reconstructor(video='mean', encoder_layers=0), **sizes}).eval()
    words, replaced, values, mask, weights = scene
    memory = model.encode(model.tokens(values, mask), mask, None)
    logits = complete(model, words, replaced, values, mask, weights)
    share = weights * mask
    mean = torch.einsum('bt,btc->bc', share / share.sum(dim=1, keepdim=True), memory)
    mean = torch.nn.functional.layer_norm(mean, mean.shape[-1:])
    # One token of the same content is the same video, and a mask only counts up to a factor.
    alone = model.decode(words, replaced, mean[:, None], mask[:, :1], torch.ones(1, 2, 1))[0]
    torch.testing.assert_close(alone, logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(complete(model, words, replaced, values, mask, 0.1 * weights), logits)
    masks = torch.stack([weights, 1 - weights])
    together = model.decode(words, replaced, memory, mask, masks)
    torch.testing.assert_close(together[0], logits)
    torch.testing.assert_close(model.decode(words, replaced, memory.repeat(2, 1, 1), mask, masks), together)
    assert not torch.allclose(together[0], together[1])
    assert complete(model, words, replaced, values, mask, torch.zeros_like(weights)).isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
def test_a_mask_that_is_closed_everywhere_sees_all_alike(dtype):
    tokens = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    mask = torch.tensor([[True, True, True, False]])
    closed, opened = (weighted_mean(tokens, torch.full((1, 4), level, dtype=dtype), mask) for level in (0.0, 1.0))
    assert closed.isfinite().all()
    torch.testing.assert_close(closed, opened)


@pytest.mark.parametrize('options', [{'weighted': 'both'}, {'causal_video': True}])
def test_options_about_attention_that_is_not_there_are_refused(options):
    sizes = {'in_channels': D, 'text_channels': TEXT, 'vocabulary_size': V}
    with pytest.raises(UserError, match='set encoder_layers=1 or more'):
        MODELS.build({**reconstructor(encoder_layers=0, **options), **sizes})


@torch.no_grad()
def test_given_key_semantics_are_seen_by_every_word(scene):
    words, replaced, values, mask, weights = scene
    sizes = {'in_channels': D, 'text_channels': TEXT, 'vocabulary_size': V}
    keys = torch.randn(2, TEXT, generator=torch.Generator().manual_seed(3))
    for told in (True, False):
        torch.manual_seed(0)
        model = MODELS.build({**reconstructor(key_given=told), **sizes}).eval()
        memory = model.encode(model.tokens(values, mask), mask, None)
        logits = [model.decode(words, replaced, memory, mask, weights[None], key=key) for key in (keys, -keys)]
        assert (logits[0] != logits[1]).any(dim=-1).all().item() is told


@torch.no_grad()
def test_several_masks_at_once_are_those_one_by_one(model, scene):
    words, replaced, values, mask, weights = scene
    memory = model.encode(model.tokens(values, mask), mask, None)
    masks = torch.stack([weights, 1 - weights, torch.ones_like(weights)])
    together = model.decode(words, replaced, memory, mask, masks)
    for found, one in zip(together, masks, strict=True):
        torch.testing.assert_close(found, model.decode(words, replaced, memory, mask, one[None])[0])
    assert not torch.allclose(together[0], together[1])
    repeated = model.decode(words, replaced, memory.repeat(3, 1, 1), mask, masks)
    torch.testing.assert_close(repeated, together)


@torch.no_grad()
def test_causal_video_hides_later_snippets(scene):
    torch.manual_seed(0)
    sizes = {'in_channels': D, 'text_channels': TEXT, 'vocabulary_size': V}
    _, _, values, mask, _ = scene
    other = values.clone()
    other[:, 2] += 5
    for causal in (True, False):
        model = MODELS.build({**reconstructor(causal_video=causal), **sizes}).eval()
        encoded = [model.encode(model.tokens(given, mask), mask, None) for given in (values, other)]
        changed = (encoded[0] != encoded[1]).any(dim=-1)
        assert changed[:, 2].all()
        assert changed[:, :2].any().item() is not causal


def test_holding_parameters_fixed_leaves_them_as_they_are(model, scene):
    words, replaced, values, mask, weights = scene
    weights.requires_grad_()
    tokens = model.tokens(values, mask).detach()
    memory = model.encode(tokens, mask, None, frozen=True)
    assert not memory.requires_grad
    logits = model.decode(words, replaced, memory, mask, weights[None], frozen=True)
    logits.sum().backward()
    assert weights.grad.abs().sum() > 0
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    free = model.decode(words, replaced, memory, mask, weights[None])
    assert torch.equal(free, logits)


def text_batch(weights):
    weights = torch.tensor(weights)
    mask = weights >= 0
    return TextBatch(
        key=torch.zeros(len(weights), 1, TEXT),
        class_bank=torch.zeros(1, TEXT),
        words=torch.zeros(*weights.shape, TEXT),
        word_ids=mask.long(),
        word_weights=weights.clamp(min=0).float(),
        word_mask=mask,
        described=mask.any(dim=1),
        described_class=torch.zeros(len(mask), dtype=torch.int64),
        vocabulary_size=2,
    )


# -1 is padding; the last description has stop words alone, the one before nothing at all.
ROWS = [[0, 1, 2, 2, 0, 1, 0, 2], [2, 0, 1, -1, -1, -1, -1, -1], [-1] * 8, [0, 0, 0, 0, -1, -1, -1, -1]]
NAMES = ['a', 'b', 'c', 'd']


@pytest.mark.parametrize(
    ('candidates', 'ratio', 'counts'),
    [
        ('content', 1.0, [5, 2, 0, 4]),
        ('content', 0.5, [4, 1, 0, 2]),
        ('weighted', 1 / 3, [2, 1, 0, 1]),
        ('action', 1.0, [3, 1, 0, 4]),
        ('uniform', 1.0, [8, 3, 0, 4]),
        ('uniform', 0.01, [1, 1, 0, 1]),
    ],
)
def test_how_many_words_are_replaced(candidates, ratio, counts):
    texts = text_batch(ROWS)
    masking = WordMasking(candidates=candidates, ratio=ratio)
    for iteration in range(20):
        replaced = masking(texts, NAMES, seed=0, iteration=iteration)
        assert replaced.sum(dim=1).tolist() == counts
        assert not (replaced & ~texts.word_mask).any()
        least = {'content': 1, 'weighted': 1, 'action': 2, 'uniform': 0}[candidates]
        assert (texts.word_weights[:2][replaced[:2]] >= least).all()


def test_words_are_replaced_in_proportion_to_their_weights():
    texts = text_batch([[1, 2, 0, 1]])
    masking = WordMasking(candidates='weighted', ratio=0.25)
    found = torch.stack([masking(texts, ['a'], seed=0, iteration=i)[0] for i in range(4000)]).float().mean(dim=0)
    torch.testing.assert_close(found, torch.tensor([0.25, 0.5, 0.0, 0.25]), atol=0.03, rtol=0)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    iteration=st.integers(0, 10**6),
    ids=st.lists(st.text(max_size=12), min_size=1, max_size=5, unique=True),
)
def test_draws_depend_on_seed_iteration_and_video_alone(seed, iteration, ids):
    drawn = uniform_draws(ids, 9, seed=seed, iteration=iteration)
    assert drawn.shape == (len(ids), 9)
    assert ((drawn > 0) & (drawn < 1)).all()
    assert torch.equal(uniform_draws(ids[::-1], 4, seed=seed, iteration=iteration), drawn.flip(0)[:, :4])
    for other in (
        uniform_draws(ids, 9, seed=seed + 1, iteration=iteration),
        uniform_draws(ids, 9, seed=seed, iteration=iteration + 1),
        uniform_draws([name + 'x' for name in ids], 9, seed=seed, iteration=iteration),
    ):
        assert not (other == drawn).any()


def test_draws_are_uniform_and_unrelated():
    drawn = torch.cat([uniform_draws([f'v{i}' for i in range(50)], 20, seed=0, iteration=n) for n in range(20)])
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.01)
    assert drawn.var().item() == pytest.approx(1 / 12, abs=0.002)
    assert torch.corrcoef(drawn.T).fill_diagonal_(0).abs().max() < 0.13


def test_gaussians_have_their_peaks_in_the_video_and_start_apart():
    torch.manual_seed(0)
    generator = GaussianMask(
        in_channels=D, feat_channels=FEAT, num_gaussians=3, sharpness=3.0, hidden_channels=4
    ).eval()
    with torch.no_grad():
        generator.place.weight.zero_()
        attn = generator(made_batch()).attn
    # Centres at a sixth, a half and five sixths of 14 snippets.
    assert (attn[3, [2, 6, 7, 11]] > attn[3, [0, 4, 9, 13]] + 0.1).all()
    assert ((attn >= 0) & (attn <= 1)).all()
    assert (attn.amax(dim=1) > 0.05).all()
    assert not attn[1, 3:].any()


def test_the_contrast_lowers_the_weight_of_snippets_that_do_not_help():
    # A quarter of the snippets, marked in one channel, tells the only word in another, where the others have noise.
    torch.manual_seed(0)
    csr = csr_config(
        mask_generator={'type': 'AttentionMask', 'hidden_channels': 8, 'dropout': 0.0},
        reconstructor=reconstructor(encoder_layers=0, decoder_layers=1, hidden_channels=16, dropout=0.0),
        loss={'type': 'CSRLoss', 'label_smoothing': 0.0},
    )
    guidance = build_guidance(csr=csr, ksm=None, teaching=None)
    number, length = 16, 12
    told = torch.arange(number) % 2
    words = torch.zeros(number, 1, TEXT)
    texts = dataclasses.replace(text_batch([[2]] * number), words=words, word_ids=1 + told[:, None], vocabulary_size=V)
    optimizer = torch.optim.Adam(guidance.parameters(), lr=5e-3)
    generator = torch.Generator().manual_seed(0)
    mask = torch.ones(number, length, dtype=torch.bool)
    for _ in range(150):
        inputs = torch.randn(number, length, D, generator=generator)
        inputs[..., 4:] = 0
        where = torch.rand(number, length, generator=generator) < 0.25
        inputs[..., 4] = 3 * where.float()
        noise = 3 * torch.randn(number, length, generator=generator)
        inputs[..., 5] = torch.where(where, 6.0 * told[:, None] - 3, noise)
        batch = made_batch(inputs=inputs, texts=texts, video_ids=[f'v{i}' for i in range(number)])
        batch.output.mask = mask
        result = guidance.csr(batch)
        optimizer.zero_grad()
        sum(result.terms.values()).backward()
        optimizer.step()
    assert result.attn[where].mean() > result.attn[~where].mean() + 0.2
    assert result.diagnostics['nll_complete'] < result.diagnostics['nll_whole']
