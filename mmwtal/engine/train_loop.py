"""The training loop: iterations that can be interrupted and resumed bit by bit."""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch.nn import Module
from torch.utils.data import DataLoader

from mmwtal.models.localizers.base import NonFiniteLossError
from mmwtal.registry import LOOPS
from mmwtal.utils.errors import UserError


@LOOPS.register_module()
class WTALTrainLoop(BaseLoop):
    """Trains for a number of iterations; a resumed run ends with the very weights of an undisturbed one.

    Three things make it so. Before each iteration every random generator is seeded from (seed, rank, iteration), so no
    generator's state has to be stored. The batch sampler makes batch n from (seed, n) alone and starts at the resumed
    iteration, so nothing is read in vain. The iterator is created in :meth:`run`, after the checkpoint was loaded.

    After each iteration the loop validates, where that is due, and only then calls the hooks' ``after_iteration``, in
    which the checkpoint is saved: a checkpoint always knows the scores of its own iteration.

    Args:
        runner: The Runner that owns the loop.
        dataloader: The training data loader or its config. Its batch sampler is infinite and has the attribute
            ``start_iteration``.
        max_iters: Number of iterations of the whole run.
        val_interval: Validate every so many iterations and after the last one; None: never. Needs the Runner's
            ``val_dataloader``.

    Raises:
        UserError: If a loss is not finite, naming the iteration, the terms and the videos.
    """

    def __init__(
        self, *, runner: Runner, dataloader: DataLoader | dict, max_iters: int, val_interval: int | None = None
    ) -> None:
        super().__init__(runner, dataloader)
        if max_iters < 1:
            raise UserError(f'train_cfg.max_iters must be at least 1, found {max_iters}')
        self.val_interval = val_interval
        self._max_iters = max_iters
        # mmengine's hooks and Runner.resume read and write `_epoch` and `_iter`: the whole run is one epoch.
        self._max_epochs = 1
        self._epoch = 0
        self._iter = 0
        self.stop_training = False

    @property
    def max_epochs(self) -> int:
        """Always 1."""
        return self._max_epochs

    @property
    def max_iters(self) -> int:
        """Number of iterations of the whole run."""
        return self._max_iters

    @property
    def epoch(self) -> int:
        """Always 0 while training."""
        return self._epoch

    @property
    def iter(self) -> int:
        """Number of finished iterations."""
        return self._iter

    def run(self) -> Module:
        """Train from the current iteration to the last."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        batches = self._batches()
        self.runner.model.train()
        while self._iter < self._max_iters and not self.stop_training:
            self._seed_iteration()
            self._run_iteration(next(batches))
            if self._validation_is_due():
                self.runner.val_loop.run()
                self.runner.model.train()
            self.runner.call_hook('after_iteration')
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def _batches(self) -> Iterator[Any]:
        self.dataloader.batch_sampler.start_iteration = self._iter
        return iter(self.dataloader)

    def _seed_iteration(self) -> None:
        state = np.random.SeedSequence([self.runner.seed, get_rank(), self._iter]).generate_state(3)
        random.seed(int(state[0]))
        np.random.seed(int(state[1]))
        torch.manual_seed(int(state[2]))

    def _run_iteration(self, batch: dict) -> None:
        self.runner.call_hook('before_train_iter', batch_idx=self._iter, data_batch=batch)
        try:
            outputs = self.runner.model.train_step(batch, optim_wrapper=self.runner.optim_wrapper)
        except NonFiniteLossError as error:
            videos = ', '.join(sample.video_id for sample in batch['data_samples'])
            raise UserError(
                f'iteration {self._iter + 1}: {error}; the weights were not updated. Videos of the batch: {videos}. '
                'Check their features (the audit of their values is repeated when features/.audit.json is removed) or '
                'lower the learning rate'
            ) from error
        self.runner.call_hook('after_train_iter', batch_idx=self._iter, data_batch=batch, outputs=outputs)
        self._iter += 1

    def _validation_is_due(self) -> bool:
        if self.val_interval is None or self.runner.val_loop is None:
            return False
        return self._iter % self.val_interval == 0 or self._iter == self._max_iters


def unwrap(model: Module) -> Module:
    """Return the localizer inside a distributed wrapper."""
    inner = model.module if is_model_wrapper(model) else model
    assert isinstance(inner, Module)
    return inner
