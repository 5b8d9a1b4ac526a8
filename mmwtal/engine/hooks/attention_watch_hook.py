"""Warning of attentions that tell nothing any more: saturated, collapsed or flat."""

import logging
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmwtal.registry import HOOKS
from mmwtal.utils.errors import UserError

_BY_HEART = (
    'the reconstruction does not need the video (nll_complete, nll_whole and nll_inverse are alike): more '
    'channel_dropout and noise in csr.reconstructor, texts that differ by video'
)
_WEIGHT_DECAY = 'weight decay on the guidance (optim_wrapper.paramwise_cfg.guidance.weight_decay=0)'
# What is known, or most likely, to bring an attention there, and what to do.
_CAUSES = {
    ('base', 'saturated'): (
        'it is taught by an attention that is open everywhere (their levels are in the log), or its own norm loss is '
        'too weak'
    ),
    ('base', 'collapsed'): (
        'it is taught by an attention that has collapsed (their levels are in the log), or its own norm loss is too '
        'strong'
    ),
    ('base', 'flat'): 'it is taught by an attention that is flat, or too early or too strongly (teaching.start)',
    ('key', 'saturated'): 'ksm.bias hardly trains, so that its start decides: lower it (-4 has worked)',
    ('key', 'collapsed'): (
        "ksm.bias hardly trains, so that its start decides: raise it; or distillation shrinks it: mode='none' or "
        "'forward', or a smaller key_weight"
    ),
    ('key', 'flat'): f'its head does not learn (loss_key_match): {_WEIGHT_DECAY}, or a higher learning rate',
    ('complete', 'saturated'): (
        "the inverse as a negative pays for a mask that is open everywhere: csr.loss.negatives='whole'"
    ),
    ('complete', 'collapsed'): (
        f"distillation shrinks it: mode='none' or 'forward', or a smaller complete_weight; or {_BY_HEART}"
    ),
    ('complete', 'flat'): f'{_WEIGHT_DECAY}; or {_BY_HEART}',
}


@HOOKS.register_module()
class AttentionWatchHook(Hook):
    """Warns when an attention saturates, collapses or is flat, and names the likely cause and what to do.

    It reads what :class:`~mmwtal.models.guidance.dual_prior.DualPriorGuidance` logs, averaged over a window: the mean
    over time of the base's, the key and the complete attention, and their standard deviation over time, the spread.
    Without guidance there is nothing to read, and it is silent.

    Args:
        window: Iterations that are averaged, and from one look to the next.
        period: Iterations in which one attention is warned of once at most.
        start: Part of the run, in [0, 1), in which an attention may still be anything.
        saturated: Mean above which an attention is open everywhere.
        collapsed: Mean below which it is closed everywhere.
        flat: Spread below which it is the same everywhere.

    Raises:
        UserError: If a number is out of range.
    """

    def __init__(
        self,
        *,
        window: int = 50,
        period: int = 1000,
        start: float = 0.1,
        saturated: float = 0.9,
        collapsed: float = 0.05,
        flat: float = 0.02,
    ) -> None:
        if window < 1 or period < 1 or not 0 <= start < 1:
            raise UserError(
                'AttentionWatchHook: expected window and period of at least 1 and start from 0 to below 1, found '
                f'{window}, {period} and {start}'
            )
        if not 0 <= collapsed < saturated <= 1 or flat < 0:
            raise UserError(
                'AttentionWatchHook: expected 0 <= collapsed < saturated <= 1 and no negative flat, found '
                f'collapsed={collapsed}, saturated={saturated}, flat={flat}'
            )
        self.window = window
        self.period = period
        self.start = start
        self.saturated = saturated
        self.collapsed = collapsed
        self.flat = flat
        self._warned: dict[str, int] = {}

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Look at the attentions where a window ends."""
        iteration = runner.iter + 1
        if iteration % self.window or iteration <= self.start * runner.max_iters:
            return
        scalars = runner.message_hub.log_scalars
        for name in ('base', 'key', 'complete'):
            if f'train/attn_{name}' not in scalars:
                continue
            mean, spread = (
                float(scalars[f'train/{key}'].mean(self.window)) for key in (f'attn_{name}', f'attn_{name}_spread')
            )
            state = self._state(mean, spread)
            if state is None or iteration - self._warned.get(name, -self.period) < self.period:
                continue
            self._warned[name] = iteration
            print_log(
                f'iteration {iteration}: attn_{name} is {state} (mean {mean:.3f}, spread {spread:.3f} over the last '
                f'{self.window} iterations). Likely: {_CAUSES[name, state]}',
                logger='current',
                level=logging.WARNING,
            )

    def _state(self, mean: float, spread: float) -> str | None:
        if mean > self.saturated:
            return 'saturated'
        if mean < self.collapsed:
            return 'collapsed'
        return 'flat' if spread < self.flat else None
