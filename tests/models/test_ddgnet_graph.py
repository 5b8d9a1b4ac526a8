"""DDG-Net's similarity graph and its convolutions against plain loops and the published order of operations."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from mmwtal.models.backbones.ddgnet import DiscriminativeGraph, SnippetKinds, similarity_graph

from .test_ddgnet_backbone import videos


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
