"""Batches with pairs of videos that share a class, as co-activity losses need them."""

import logging
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from mmengine.logging import print_log
from torch.utils.data import Sampler

from mmwtal.registry import DATA_SAMPLERS
from mmwtal.utils.errors import UserError


class Draw(NamedTuple):
    """One drawn sample of a batch.

    Args:
        index: Index of the video in the dataset.
        seed: Seeds the generator that the transforms of this sample draw from.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs of a draw
    seed: tuple[int, ...]


@DATA_SAMPLERS.register_module()
class ClassPairBatchSampler(Sampler[list[Draw]]):
    """An endless sequence of batches that begin with pairs of videos of one class.

    The rule is that of W-TALC (Paul et al., ECCV 2018) and its successors: ``num_pairs`` classes are drawn uniformly
    with replacement, two different videos of each, then the rest of the batch from all videos with replacement.
    Only classes with at least two videos are drawn; where there is none, all draws are from all videos.

    Batch n is a function of the seed and n alone, whatever was iterated before. With several processes it is drawn as
    one global batch of ``batch_size`` times the number of processes, and each process takes its block; samples 2i and
    2i + 1 of the global batch share a class for i < ``num_pairs``.

    Args:
        sampler: Supplies ``dataset``, ``seed``, ``rank`` and ``world_size``, as mmengine's ``DefaultSampler`` does;
            the dataset supplies the classes of a video by ``get_cat_ids(index)``. Its own order is not used.
        batch_size: Videos a batch in each process.
        num_pairs: Pairs in the global batch.

    Attributes:
        start_iteration: Number of the batch from which iterating begins; set it to resume.

    Raises:
        UserError: If the pairs do not fit into a batch, or would be divided between processes.
    """

    # In the class, not in the constructor: by this the config check knows a batch sampler that can resume.
    start_iteration: int = 0

    def __init__(self, *, sampler: Any, batch_size: int, num_pairs: int = 3) -> None:
        self.rank, self.world_size = int(sampler.rank), int(sampler.world_size)
        self.seed = int(sampler.seed)
        self.num_pairs = num_pairs
        self.batch_size = batch_size
        self.global_size = batch_size * self.world_size
        self._check_sizes()
        self.num_videos = len(sampler.dataset)
        # The videos of the classes that have at least two, one after the other; class i takes sizes[i] from starts[i].
        self._members, self._starts, self._sizes = _group_by_class(sampler.dataset)
        if num_pairs and not len(self._sizes):
            print_log(
                'ClassPairBatchSampler: no class has two videos, so batches are drawn without pairs',
                logger='current',
                level=logging.WARNING,
            )

    def __iter__(self) -> Iterator[list[Draw]]:
        """Yield this process's blocks of the batches ``start_iteration``, ``start_iteration`` + 1, ... without end."""
        iteration = self.start_iteration
        while True:
            yield self.batch(iteration)
            iteration += 1

    def __len__(self) -> int:
        """Number of batches that draw as many samples as there are videos; iterating does not end there."""
        return math.ceil(self.num_videos / self.global_size)

    def batch(self, iteration: int) -> list[Draw]:
        """Return this process's block of a batch.

        Args:
            iteration: The number n of the batch.
        """
        indices = self._draw(iteration)
        first = self.rank * self.batch_size
        block = range(first, first + self.batch_size)
        return [Draw(int(indices[place]), (self.seed, iteration, place)) for place in block]

    def _draw(self, iteration: int) -> np.ndarray:
        """Return the video indices of the global batch, int64."""
        # numpy pads short seeds with zeros, so (seed, n) alone would give the same numbers as the seed (seed, n, 0) of
        # the batch's first sample; a spawned sequence is independent of both.
        rng = np.random.default_rng(np.random.SeedSequence((self.seed, iteration)).spawn(1)[0])
        num_pairs = self.num_pairs if len(self._sizes) else 0
        pairs = np.empty((num_pairs, 2), dtype=np.int64)
        if num_pairs:
            drawn = rng.integers(len(self._sizes), size=num_pairs)
            sizes = self._sizes[drawn]
            pairs[:, 0] = rng.integers(sizes)
            # One of the others: those from the first one's place on move up by one.
            pairs[:, 1] = rng.integers(sizes - 1)
            pairs[:, 1] += pairs[:, 1] >= pairs[:, 0]
            pairs = self._members[self._starts[drawn][:, None] + pairs]
        rest = rng.integers(self.num_videos, size=self.global_size - 2 * num_pairs)
        return np.concatenate([pairs.ravel(), rest])

    def _check_sizes(self) -> None:
        if self.batch_size < 1 or self.num_pairs < 0:
            raise UserError(
                f'ClassPairBatchSampler: batch_size must be at least 1 and num_pairs at least 0, '
                f'found {self.batch_size} and {self.num_pairs}'
            )
        if self.global_size < 2 * self.num_pairs:
            raise UserError(
                f'ClassPairBatchSampler: {self.num_pairs} pairs need {2 * self.num_pairs} videos, but a batch has '
                f'{self.global_size} (batch_size {self.batch_size} in {self.world_size} processes); '
                'raise batch_size or lower num_pairs'
            )
        if self.world_size > 1 and self.num_pairs and self.batch_size % 2:
            raise UserError(
                f'ClassPairBatchSampler: batch_size must be even with {self.world_size} processes, found '
                f'{self.batch_size}: a pair would be divided between two of them'
            )


def _group_by_class(dataset: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the videos of each class with at least two videos, and where each class starts and how many it has."""
    labels = [dataset.get_cat_ids(index) for index in range(len(dataset))]
    counts = [len(classes) for classes in labels]
    videos = np.repeat(np.arange(len(labels)), counts)
    classes = np.concatenate([np.asarray(ids, dtype=np.int64) for ids in labels])
    order = np.argsort(classes, kind='stable')
    _, starts, sizes = np.unique(classes[order], return_index=True, return_counts=True)
    eligible = sizes >= 2
    return videos[order], starts[eligible], sizes[eligible]
