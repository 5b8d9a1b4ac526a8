"""Schedules of learning rates: one for a single parameter group, and the inverse square root."""

import math
from typing import Any, Literal

from mmengine.optim import OptimWrapper, _ParamScheduler
from mmengine.optim.scheduler.param_scheduler import INF

from mmwtal.registry import PARAM_SCHEDULERS
from mmwtal.utils.errors import UserError


@PARAM_SCHEDULERS.register_module()
class InverseSqrtLR(_ParamScheduler):
    """A linear warm-up to the group's own learning rate, then a decay with the inverse square root of the steps.

    After t steps the rate is ``start + (lr - start) * t / warmup`` for t < warmup and ``lr * sqrt(warmup / t)`` from
    then on, so that it peaks at ``lr`` after ``warmup`` steps. This is fairseq's schedule, with which CNM (Zheng et
    al., AAAI 2022), CPL (Zheng et al., CVPR 2022) and TSM/VLC (arXiv:2305.00607) train their reconstructors, with these
    defaults. The rate is computed from t and ``lr`` alone: in a list of schedules it replaces what earlier ones set.

    Args:
        optimizer: The optimizer (wrapper) whose groups are scheduled, all of them; for one see :class:`GroupScheduler`.
        warmup: Number of steps of the warm-up.
        start: Learning rate of the first step; --auto-scale-lr leaves it as it is.
        begin: Step at which the schedule starts.
        end: Step at which it stops.
        last_step: As in mmengine's schedulers.
        by_epoch: Whether a step is an epoch; an iteration otherwise, also where several make one update.
        verbose: Whether each value is logged.

    Raises:
        UserError: If ``warmup`` is below 1 or ``start`` below 0.
    """

    def __init__(
        self,
        *,
        optimizer: OptimWrapper,
        warmup: int = 400,
        start: float = 1e-7,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        if warmup < 1 or start < 0:
            raise UserError(
                f'InverseSqrtLR: expected warmup of at least 1 and start of at least 0, found {warmup} and {start}'
            )
        self.warmup = warmup
        self.start = start
        super().__init__(optimizer, 'lr', begin, end, last_step, by_epoch, verbose)

    def _get_value(self) -> list[float]:
        done = self.last_step
        if done < self.warmup:
            return [self.start + (value - self.start) * done / self.warmup for value in self.base_values]
        return [value * math.sqrt(self.warmup / done) for value in self.base_values]


@PARAM_SCHEDULERS.register_module()
class GroupScheduler(_ParamScheduler):
    """Any other scheduler, restricted to one parameter group that :class:`ParamGroupConstructor` made.

    Where the model is not guided there is no group ``guidance``, and a scheduler of it does nothing.

    Args:
        optimizer: The optimizer (wrapper).
        group: Name of the group; the values of all others stay as they are.
        scheduler: Registered name of the scheduler, which may be of the learning rate, momentum or any parameter; none
            that follows validation scores.
        by_epoch: See that scheduler.
        **kwargs: Its other arguments.

    Raises:
        UserError: If the optimizer's groups have no names, or the scheduler follows validation scores.

    Example:
        >>> param_scheduler = [dict(type='GroupScheduler', group='guidance', scheduler='InverseSqrtLR', by_epoch=False)]
    """

    def __init__(
        self,
        *,
        optimizer: OptimWrapper,
        group: Literal['base', 'guidance'],
        scheduler: str,
        by_epoch: bool = True,
        **kwargs: Any,
    ) -> None:
        # mmengine's constructor would schedule all groups; what the Runner needs of a scheduler follows.
        self.optimizer = optimizer
        self.group = group
        self.by_epoch = by_epoch
        names = [entry.get('name') for entry in optimizer.param_groups]
        if None in names:
            raise UserError(
                f'a schedule of the parameter group {group!r} needs groups with names: set '
                "optim_wrapper.constructor='ParamGroupConstructor'"
            )
        before = self._state_of_others()
        inner = PARAM_SCHEDULERS.build(dict(type=scheduler, optimizer=optimizer, by_epoch=by_epoch, **kwargs))
        if getattr(inner, 'need_val_args', False):
            raise UserError(f'{scheduler} follows validation scores and cannot be restricted to the group {group!r}')
        self.inner: _ParamScheduler = inner
        self._restore_others(before)

    def _state_of_others(self) -> list[dict[str, Any]]:
        return [
            {key: value for key, value in entry.items() if key != 'params'}
            for entry in self.optimizer.param_groups
            if entry['name'] != self.group
        ]

    def _restore_others(self, before: list[dict[str, Any]]) -> None:
        others = [entry for entry in self.optimizer.param_groups if entry['name'] != self.group]
        for entry, values in zip(others, before, strict=True):
            entry.update(values)

    def step(self) -> None:
        """Set the next value of the group."""
        before = self._state_of_others()
        self.inner.step()
        self._restore_others(before)

    def get_last_value(self) -> list[float]:
        """Return the value of the group that was set last, in a list; an empty one where the group does not exist."""
        names = [entry['name'] for entry in self.optimizer.param_groups]
        values = zip(names, self.inner.get_last_value(), strict=True)
        return [value for name, value in values if name == self.group]

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the scheduler inside."""
        return dict(self.inner.state_dict())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state that :meth:`state_dict` returned."""
        self.inner.load_state_dict(state_dict)
