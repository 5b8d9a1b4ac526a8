"""Testing with the mean of the weights over the last part of training."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor

from mmwtal.engine.checkpoint import WEIGHT_AVERAGE
from mmwtal.engine.train_loop import unwrap
from mmwtal.registry import HOOKS
from mmwtal.utils.errors import UserError


@HOOKS.register_module()
class WeightAverageHook(Hook):
    """Averages the weights over the iterations of the last part of training; the mean is what is validated and tested.

    The mean is uniform (Izmailov et al., UAI 2018): a run without a decaying learning rate ends somewhere around an
    optimum, its mean nearer to it. It covers parameters and buffers of floating point; other buffers are the last ones.
    Training itself goes on with the running weights.

    A checkpoint's ``state_dict`` holds the mean, once there is one, so that whatever reads the file tests with it;
    ``meta.weight_average`` says so, and of which iterations. The running weights lie under ``weight_average``, and
    a resumed run goes on bit by bit. Before the first averaged iteration a checkpoint is as without the hook.

    mmengine's ``EMAHook`` with ``StochasticWeightAverage`` has been considered: it keeps a copy of the whole model,
    the texts of its guidance included, copies all weights into it in each iteration before the start, begins
    at a number of iterations instead of a part of the run, and leaves no trace in the checkpoint by which a result
    could say that it is one of averaged weights.

    Args:
        start: Part of ``max_iters`` after which the averaging starts, in [0, 1).

    Raises:
        UserError: If ``start`` is outside [0, 1).
    """

    def __init__(self, *, start: float = 0.6) -> None:
        if not 0 <= start < 1:
            raise UserError(f'WeightAverageHook: expected start from 0 to below 1, found {start}')
        self.start = start
        self._mean: dict[str, Tensor] = {}
        self._count = 0
        self._first = 0

    def before_train(self, runner: Runner) -> None:
        """Check a resumed mean against the part of the run that is to be averaged."""
        begin = self._begin(runner)
        if self._count and self._first <= begin:
            message = f'the mean of the weights from iteration {self._first} is dropped: with max_iters='
            message += f'{runner.max_iters} it starts after iteration {begin}'
            print_log(message, logger='current', level=logging.WARNING)
            self._mean, self._count = {}, 0
        elif runner.iter > begin and not self._count:
            message = f'the mean of the weights starts with iteration {runner.iter + 1}, not {begin + 1}: the resumed '
            message += 'checkpoint has none'
            print_log(message, logger='current', level=logging.WARNING)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Take the weights of this iteration into the mean."""
        if runner.iter < self._begin(runner):
            return
        if self._count == 0:
            self._first = runner.iter + 1
            self._mean = {name: weight.clone() for name, weight in _averaged(unwrap(runner.model).state_dict())}
        else:
            for name, weight in _averaged(unwrap(runner.model).state_dict()):
                self._mean[name].lerp_(weight, 1 / (self._count + 1))
        self._count += 1

    def before_val_epoch(self, runner: Runner) -> None:
        """Validate with the mean."""
        self._exchange(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Go on training with the running weights."""
        self._exchange(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Put the mean into ``state_dict``, and the running weights beside it."""
        if self._count == 0:
            return
        weights = checkpoint['state_dict']
        running = dict(_averaged(weights))
        weights.update({name: self._mean[name].cpu() for name in running})
        state = dict(first=self._first, count=self._count)
        checkpoint[WEIGHT_AVERAGE] = dict(running=running, **state)
        checkpoint['meta'][WEIGHT_AVERAGE] = dict(state, last=self._first + self._count - 1)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Resume the mean, and hand the running weights to the Runner."""
        state = checkpoint.pop(WEIGHT_AVERAGE, None)
        if state is None:
            return
        weights, running = checkpoint['state_dict'], state['running']
        # On the model's own device: that of the file may be another.
        devices = {name: value.device for name, value in unwrap(runner.model).state_dict().items()}
        self._mean = {name: weights[name].to(devices[name], copy=True) for name in running}
        self._count, self._first = state['count'], state['first']
        weights.update(running)

    def _begin(self, runner: Runner) -> int:
        """Return the number of iterations before the first averaged one; a run of one iteration has one of these."""
        return min(round(self.start * runner.max_iters), runner.max_iters - 1)

    def _exchange(self, runner: Runner) -> None:
        if self._count == 0:
            return
        for name, weight in _averaged(unwrap(runner.model).state_dict()):
            running = weight.clone()
            weight.copy_(self._mean[name])
            self._mean[name].copy_(running)


def _averaged(weights: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    return ((name, weight) for name, weight in weights.items() if weight.is_floating_point())
