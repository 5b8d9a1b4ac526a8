import itertools
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.dataset import DefaultSampler
from torch.utils.data import DataLoader, Dataset

from mmwtal.datasets.samplers.class_pair_sampler import ClassPairBatchSampler, Draw
from mmwtal.registry import DATA_SAMPLERS
from mmwtal.utils.errors import UserError


class Videos(Dataset):
    def __init__(self, labels: list[list[int]]) -> None:
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, draw: Draw) -> int:
        return draw.index

    def get_cat_ids(self, index: int) -> list[int]:
        return self.labels[index]


LABELS = [[0], [0, 1], [1], [2], [], [0, 2], [3], [1]]


def make(labels=LABELS, *, rank=0, world_size=1, seed=7, batch_size=10, num_pairs=3):
    base = SimpleNamespace(dataset=Videos(labels), seed=seed, rank=rank, world_size=world_size)
    return ClassPairBatchSampler(sampler=base, batch_size=batch_size, num_pairs=num_pairs)


def first(sampler, count):
    return list(itertools.islice(iter(sampler), count))


datasets = st.lists(st.lists(st.integers(0, 4), max_size=3, unique=True), min_size=1, max_size=12)


@settings(deadline=None)
@given(labels=datasets, seed=st.integers(0, 2**40), start=st.integers(0, 10**6), num_pairs=st.integers(0, 3))
def test_batch_n_depends_on_seed_and_n_alone(labels, seed, start, num_pairs):
    options = {'seed': seed, 'batch_size': 6, 'num_pairs': num_pairs}
    through = make(labels, **options)
    through.start_iteration = start
    batches = first(through, 4)
    jump = make(labels, **options)
    jump.start_iteration = start + 3
    assert first(jump, 1)[0] == batches[3]
    # A second iterator begins anew at start_iteration, whatever the first has given.
    assert first(through, 1)[0] == batches[0]


@settings(deadline=None)
@given(labels=datasets, seed=st.integers(0, 1000), iteration=st.integers(0, 1000), world_size=st.integers(1, 4))
def test_the_blocks_of_all_processes_make_the_batch_of_one(labels, seed, iteration, world_size):
    whole = make(labels, seed=seed, batch_size=12).batch(iteration)
    size = {1: 12, 2: 6, 3: 4, 4: 3}[world_size]
    if size % 2:
        world_size, size = 6, 2
    ranks = [make(labels, seed=seed, rank=r, world_size=world_size, batch_size=size) for r in range(world_size)]
    assert [draw for rank in ranks for draw in rank.batch(iteration)] == whole
    assert [draw.seed for draw in whole] == [(seed, iteration, place) for place in range(12)]


@settings(deadline=None)
@given(labels=datasets, seed=st.integers(0, 1000), iteration=st.integers(0, 1000))
def test_pairs_are_two_videos_of_one_class(labels, seed, iteration):
    batch = make(labels, seed=seed).batch(iteration)
    assert len(batch) == 10
    assert all(0 <= draw.index < len(labels) for draw in batch)
    counts = Counter(label for classes in labels for label in classes)
    eligible = {label for label, count in counts.items() if count >= 2}
    for one, two in zip(batch[0:6:2], batch[1:6:2], strict=True):
        if eligible:
            assert one.index != two.index
            assert eligible & set(labels[one.index]) & set(labels[two.index])


def test_classes_pairs_and_the_rest_are_uniform():
    sampler = make()
    batches = np.array([[draw.index for draw in sampler.batch(n)] for n in range(4000)])
    pairs = Counter(frozenset(pair) for pair in batches[:, :6].reshape(-1, 2).tolist())
    # Classes 0 and 1 have three videos each, class 2 has two, class 3 has one and is never drawn.
    expected = {frozenset(pair): 1 / 9 for pair in [(0, 1), (0, 5), (1, 5), (1, 2), (1, 7), (2, 7)]}
    expected[frozenset((3, 5))] = 1 / 3
    assert set(pairs) == set(expected)
    for pair, share in expected.items():
        assert pairs[pair] / 12_000 == pytest.approx(share, abs=0.015)
    rest = np.bincount(batches[:, 6:].ravel(), minlength=8) / (4 * 4000)
    assert rest == pytest.approx(np.full(8, 1 / 8), abs=0.015)
    order = (batches[:, 0] < batches[:, 1]).mean()
    assert order == pytest.approx(0.5, abs=0.03)


def test_the_batch_and_its_first_sample_do_not_share_random_numbers():
    """Numpy seeds alike from (s, n) and (s, n, 0): the classes would go with the perturbation of the first video."""
    sampler = make(labels=[[c] for c in range(50) for _ in range(2)])
    chosen = [sampler.batch(n)[0] for n in range(800)]
    classes = np.array([draw.index // 2 for draw in chosen])
    perturbation = np.array([np.random.default_rng(draw.seed).integers(50) for draw in chosen])
    assert abs(np.corrcoef(classes, perturbation)[0, 1]) < 0.15
    assert (classes == perturbation).mean() < 0.1


def test_without_any_class_of_two_videos_all_draws_are_plain(logged):
    sampler = make([[0], [1], []])
    assert logged().count('no class has two videos') == 1
    indices = {draw.index for n in range(30) for draw in sampler.batch(n)}
    assert indices == {0, 1, 2}
    make([[], []], num_pairs=0)
    assert logged().count('no class has two videos') == 1


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'batch_size': 5}, '3 pairs need 6 videos, but a batch has 5'),
        ({'batch_size': 5, 'world_size': 2}, 'batch_size must be even with 2 processes'),
        ({'batch_size': 0, 'num_pairs': 0}, 'at least 1'),
        ({'num_pairs': -1}, 'at least 0'),
    ],
)
def test_bad_sizes_are_one_clear_error(options, message):
    with pytest.raises(UserError, match=message):
        make(**options)


def test_odd_batches_are_fine_where_no_pair_can_be_divided():
    assert len(make(batch_size=7).batch(0)) == 7
    assert len(make(batch_size=7, world_size=2, num_pairs=0).batch(0)) == 7


def test_it_works_in_a_data_loader_as_the_runner_builds_it():
    dataset = Videos(LABELS)
    config = {'type': 'ClassPairBatchSampler', 'num_pairs': 2}
    defaults = {'sampler': DefaultSampler(dataset, seed=3), 'batch_size': 4}
    sampler = DATA_SAMPLERS.build(config, default_args=defaults)
    loader = DataLoader(dataset, batch_sampler=sampler, collate_fn=list)
    assert len(loader) == len(sampler) == 2
    batches = list(itertools.islice(loader, 5))
    assert batches == [[draw.index for draw in sampler.batch(n)] for n in range(5)]
