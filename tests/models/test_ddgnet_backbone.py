import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from mmwtal.models.backbones.ddgnet import DiscriminativeGraph, SnippetKinds, similarity_graph
from mmwtal.registry import MODELS
from mmwtal.structures import WTALDataSample
from mmwtal.utils.errors import UserError

LOSSES = {
    'loss_mil': {'type': 'TopKMILLoss', 'topk_ratio': 7},
    'loss_norm': {'type': 'AttentionNormLoss'},
    'loss_feature_consistency': {'type': 'FeatureConsistencyLoss'},
    'loss_complementary': {'type': 'ComplementaryLoss'},
}
EXTRAS = ('attn_modalities', 'initial_attn', 'action_snippets', 'background_snippets', 'graph_gap')
# Thresholds (action, background) by which all snippets are of one kind.
ALL_OF = {'action': (0.0, 0.0), 'background': (1.0, 1.0), 'ambiguous': (1.0, 0.0)}


def make(pool_kernel=1, width=12, **changes):
    """A small model in float64, where no similarity is near enough to a threshold for rounding to matter."""
    torch.manual_seed(0)
    model = MODELS.build(
        {
            'type': 'WTALLocalizer',
            'num_classes': 3,
            'in_channels': width,
            'backbone': {'type': 'DDGNetBackbone', 'attention_channels': 4, 'pool_kernel': pool_kernel, **changes},
            'head': {'type': 'MILHead', 'losses': LOSSES, 'pool_kernel': pool_kernel},
        }
    )
    with torch.no_grad():  # biases start at zero, and zero would hide a leak of padding
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.normal_()
    return model.double().eval()


def all_of(kind):
    action, background = ALL_OF[kind]
    return {'action_threshold': action, 'background_threshold': background}


def videos(lengths, seed=0, width=12):
    """Snippets of a few recurring scenes, so that some are similar and others are not."""
    generator = torch.Generator().manual_seed(seed)
    scenes = torch.randn(3, width, generator=generator, dtype=torch.float64)
    return [
        scenes[torch.randint(3, (length,), generator=generator)]
        + 0.3 * torch.randn(length, width, generator=generator, dtype=torch.float64)
        for length in lengths
    ]


def samples(number):
    return [WTALDataSample(video_id=str(index), labels=torch.tensor([1.0, 0, index % 2])) for index in range(number)]


def fields(output, video, length):
    return [
        values[video, :length]
        for values in (output.cas, output.attn, output.feat, *(output.extras[name] for name in EXTRAS))
    ]


def kinds_of(letters):
    """A video's kinds from a word such as 'aabc': action, background, (c) ambiguous, and padding for anything else."""
    of = {letter: torch.tensor([[each == letter for each in letters]]) for letter in 'abc'}
    return SnippetKinds(action=of['a'], background=of['b'], ambiguous=of['c'])


def plain_graph(first, second, letters, threshold, ratio):
    """The weights of one video without padding, snippet by snippet."""
    length = len(letters)
    graph = torch.zeros(length, length, dtype=first.dtype)
    for target in range(length):
        cosine = [(F.cosine_similarity(part[target], part, dim=-1)) for part in (first, second)]
        similarity = {i: ((cosine[0] + cosine[1]) / 2)[i].item() for i in range(length)}
        similar = {i: value for i, value in similarity.items() if value >= threshold}
        nearest = sorted(similar, key=lambda i, by=similar: -by[i])[: max(1, length // ratio)]
        for source in nearest:
            one_way = letters[target] == 'c' and (letters[source] in 'ab' or source == target)
            if one_way or (letters[target] == letters[source] and letters[target] in 'ab'):
                graph[target, source] = similar[source]
    return graph / graph.sum(-1, keepdim=True).clamp(min=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    letters=st.text('abc', min_size=1, max_size=25),
    seed=st.integers(0, 999),
    threshold=st.sampled_from([0.0, 0.4, 0.8]),
    ratio=st.sampled_from([1, 3, 10]),
)
def test_graph_against_plain_loops(letters, seed, threshold, ratio):
    (values,) = videos([len(letters)], seed)
    first, second = values[:, :5], values[:, 5:]
    edges = kinds_of(letters).edges()
    lengths = torch.tensor([len(letters)])
    graph = similarity_graph(first[None], second[None], edges, lengths, threshold=threshold, neighbour_ratio=ratio)
    torch.testing.assert_close(graph[0], plain_graph(first, second, letters, threshold, ratio))


def test_what_may_learn_from_what():
    expected = [
        # from: a  b  c  a  padding
        [1, 0, 0, 1, 0],
        [0, 1, 0, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 0, 0, 1, 0],
        [0, 0, 0, 0, 0],
    ]
    assert kinds_of('abca-').edges()[0].int().tolist() == expected


def test_equally_similar_snippets_do_not_depend_on_their_order():
    first, second = torch.ones(1, 5, 2), torch.ones(1, 5, 3)
    graph = similarity_graph(
        first, second, kinds_of('aaaaa').edges(), torch.tensor([5]), threshold=0.8, neighbour_ratio=2
    )
    torch.testing.assert_close(graph, torch.full((1, 5, 5), 0.2))


@settings(max_examples=30, deadline=None)
@given(letters=st.text('abc', min_size=1, max_size=12), seed=st.integers(0, 99))
def test_convolutions_against_the_published_order(letters, seed):
    """Layer before average, each graph by itself, on columns that nothing is linked to, too."""
    torch.manual_seed(seed)
    layers = DiscriminativeGraph(channels=4).double()
    values = torch.randn(1, len(letters), 4, dtype=torch.float64)
    kinds = kinds_of(letters)
    weights = torch.rand(len(letters), len(letters), dtype=torch.float64)
    weights = (weights * (weights > 0.6)).masked_fill(~kinds.edges()[0], 0)
    graph = F.normalize(weights, p=1, dim=-1)
    average, convolved = layers(values, graph[None], kinds)

    rows = {name: getattr(kinds, name)[0, :, None] for name in ('action', 'background', 'ambiguous')}
    spread = {}
    for name in ('action', 'background'):
        spread[name] = values[0]
        for layer in getattr(layers, name):
            passed = spread[name] @ layer.weight[..., 0].T + layer.bias
            spread[name] = F.leaky_relu(graph.masked_fill(~rows[name], 0) @ passed, 0.2)
    one_way = graph.masked_fill(~rows['ambiguous'], 0)
    context = sum(one_way.masked_fill(~rows[name].T, 0) @ spread[name] for name in spread)
    context = context + one_way.masked_fill(~torch.eye(len(letters), dtype=torch.bool), 0) @ values[0]
    torch.testing.assert_close(average[0], graph @ values[0])
    torch.testing.assert_close(convolved[0], spread['action'] + spread['background'] + context)


@torch.no_grad()
@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 32), min_size=1, max_size=4),
    padding=st.integers(0, 7),
    fill=st.sampled_from([0.0, 5.0, float('nan')]),
    seed=st.integers(0, 99),
    pool_kernel=st.sampled_from([1, 13]),
)
def test_padding_batch_and_order_do_not_matter(lengths, padding, fill, seed, pool_kernel):
    model = make(pool_kernel)
    alone = [model(video[None]) for video in videos(lengths, seed)]
    order = torch.randperm(len(lengths), generator=torch.Generator().manual_seed(seed)).tolist()
    inputs = torch.full((len(lengths), max(lengths) + padding, 12), fill, dtype=torch.float64)
    mask = torch.zeros(inputs.shape[:2], dtype=torch.bool)
    for place, video in enumerate(order):
        inputs[place, : lengths[video]] = videos(lengths, seed)[video]
        mask[place, : lengths[video]] = True
    batch = model(inputs, mask=mask)
    for place, video in enumerate(order):
        for found, expected in zip(
            fields(batch, place, lengths[video]), fields(alone[video], 0, lengths[video]), strict=True
        ):
            torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('kind', [*ALL_OF, None])
@pytest.mark.parametrize('lengths', [[1, 1], [9, 3], [24, 13]])
def test_gradients_are_finite_and_reach_every_parameter(kind, lengths):
    model = make(**(all_of(kind) if kind else {})).train()
    inputs = torch.full((2, max(lengths) + 2, 12), float('nan'), dtype=torch.float64)
    mask = torch.zeros(inputs.shape[:2], dtype=torch.bool)
    for place, video in enumerate(videos(lengths)):
        inputs[place, : len(video)], mask[place, : len(video)] = video, True
    inputs.requires_grad_()
    terms = model(inputs, samples(2), mask, mode='loss')
    assert terms.keys() == LOSSES.keys()
    sum(terms.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert inputs.grad.isfinite().all()
    assert (inputs.grad[~mask] == 0).all()


@torch.no_grad()
@pytest.mark.parametrize('kind', ALL_OF)
def test_all_snippets_of_one_kind(kind):
    extras = make(**all_of(kind))(torch.stack(videos([24]))).extras
    assert extras['action_snippets'].all() == (kind == 'action')
    assert extras['background_snippets'].all() == (kind == 'background')
    if kind == 'ambiguous':  # with nothing to learn from, each keeps itself
        assert not extras['action_snippets'].any()
        assert not extras['background_snippets'].any()
        torch.testing.assert_close(extras['graph_gap'], torch.zeros_like(extras['graph_gap']))
    else:
        assert (extras['graph_gap'] > 0).all()


@torch.no_grad()
@pytest.mark.parametrize('length', [1, 9, 19])
def test_each_snippet_of_a_short_video_keeps_itself(length):
    (values,) = videos([length])
    graph = similarity_graph(
        values[None, :, :6],
        values[None, :, 6:],
        torch.ones(1, length, length, dtype=torch.bool),
        torch.tensor([length]),
        threshold=0.8,
        neighbour_ratio=10,
    )
    torch.testing.assert_close(graph[0], torch.eye(length, dtype=torch.float64))


@torch.no_grad()
def test_snippets_without_features():
    inputs = torch.zeros(1, 12, 12, dtype=torch.float64)
    inputs[0, 6:] = videos([6])[0]
    output = make(action_threshold=0.0, background_threshold=0.0)(inputs)
    assert all(values.isfinite().all() for values in fields(output, 0, 12))
    # A snippet that nothing is linked to, not even itself, gets nothing, as published.
    assert (output.extras['graph_gap'][0, :6] == 0).all()


@torch.no_grad()
def test_shapes_and_range():
    output = make()(torch.stack(videos([24, 24])))
    assert output.feat.shape == (2, 24, 12)
    assert output.attn.shape == (2, 24, 1)
    assert output.cas.shape == (2, 24, 4)
    assert output.has_background
    shapes = {name: tuple(output.extras[name].shape) for name in EXTRAS}
    assert shapes == {
        'attn_modalities': (2, 24, 2),
        'initial_attn': (2, 24, 1),
        'action_snippets': (2, 24),
        'background_snippets': (2, 24),
        'graph_gap': (2, 24, 2),
    }
    assert ((output.attn > 0) & (output.attn < 1)).all()
    torch.testing.assert_close(output.attn, output.extras['attn_modalities'].mean(-1, keepdim=True))
    assert not (output.extras['action_snippets'] & output.extras['background_snippets']).any()


@torch.no_grad()
def test_the_whole_weight_on_the_residual_leaves_the_features_alone():
    inputs = torch.stack(videos([24]))
    model = make(residual_weight=1.0)
    output = model(inputs)
    torch.testing.assert_close(output.attn, output.extras['initial_attn'])
    fused = F.leaky_relu(inputs @ model.backbone.fusion.weight[..., 0].T + model.backbone.fusion.bias, 0.2)
    torch.testing.assert_close(output.feat, fused)


def test_the_first_attention_decides_without_learning():
    model = make()
    output = model(torch.stack(videos([24])))
    assert not output.extras['initial_attn'].requires_grad
    assert output.extras['attn_modalities'].requires_grad


def test_under_autocast_the_graph_is_of_full_precision_and_all_parameters_learn():
    model = make(**all_of('action')).float().train()
    inputs = torch.stack(videos([24, 24])).float()
    parts = inputs.split(6, dim=-1)
    edges = torch.ones(2, 24, 24, dtype=torch.bool)
    graph = similarity_graph(*parts, edges, torch.tensor([24, 24]), threshold=0.8, neighbour_ratio=4)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        again = similarity_graph(*parts, edges, torch.tensor([24, 24]), threshold=0.8, neighbour_ratio=4)
        terms = model(inputs, samples(2), mode='loss')
    assert torch.equal(graph, again)
    sum(terms.values()).backward()
    assert all(term.dtype == torch.float32 for term in terms.values())
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
    assert all(
        layer.weight.grad.abs().max() > 0
        for layer in model.backbone.attentions[0].children()
        if hasattr(layer, 'weight')
    )


@torch.no_grad()
def test_modalities_of_different_width():
    output = make(modalities=(4, 8))(torch.stack(videos([5])))
    assert output.feat.shape == (1, 5, 12)


@pytest.mark.parametrize(('width', 'modalities'), [(12, (4, 4)), (12, (12, 0)), (1, None), (13, None)])
def test_one_modality_or_widths_that_do_not_add_up(width, modalities):
    with pytest.raises(
        UserError, match=f'DDGNetBackbone needs features of two modalities: .*in_channels={width}.*backbone.modalities'
    ):
        make(width=width, modalities=modalities)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'action_threshold': 0.4}, r'background_threshold <= action_threshold.*0\.5 and 0\.4'),
        ({'similarity_threshold': 1.1}, r'similarity_threshold in \[0, 1\], found 1\.1'),
        ({'similarity_threshold': -0.1}, r'similarity_threshold in .*, found -0\.1'),
        ({'neighbour_ratio': 0}, 'neighbour_ratio of at least 1, found 0'),
        ({'residual_weight': 2}, 'residual_weight in .*, found 2'),
        ({'pool_kernel': 2}, 'pool_kernel must be an odd number'),
    ],
)
def test_unsuitable_options(options, message):
    with pytest.raises(UserError, match=message):
        make(**options)


def test_initialisation_as_published():
    backbone = MODELS.build({'type': 'DDGNetBackbone', 'in_channels': 128})
    for name, parameter in backbone.named_parameters():
        if name.endswith('bias'):
            assert (parameter == 0).all(), name
        else:
            bound = math.sqrt(6 / math.prod(parameter.shape[1:]))
            assert 0.9 * bound < parameter.abs().max() <= bound, name


def test_size_of_the_published_model():
    with torch.device('meta'):
        model = MODELS.build(
            {
                'type': 'WTALLocalizer',
                'num_classes': 20,
                'in_channels': 2048,
                'backbone': {'type': 'DDGNetBackbone'},
                'head': {'type': 'MILHead', 'losses': {}},
            }
        )
    assert sum(parameter.numel() for parameter in model.parameters()) == 29_942_807
