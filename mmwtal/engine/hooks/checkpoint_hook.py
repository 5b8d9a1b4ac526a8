"""Saving checkpoints so that a crash at any moment leaves the last good one, and resuming finds it."""

from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmwtal.engine.checkpoint import (
    BEST_ON_TEST,
    FEATURES,
    WEIGHT_AVERAGE,
    check_state_dict,
    checkpoint_name,
    list_checkpoints,
)
from mmwtal.engine.message_hub import plain_message_hub, restore_message_hub
from mmwtal.engine.train_loop import unwrap
from mmwtal.registry import HOOKS
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import publish


@HOOKS.register_module()
class WTALCheckpointHook(Hook):
    """Saves ``iter_N.pth`` every so many iterations and after the last one.

    A checkpoint is written to a temporary file, synced and renamed; only then are older ones deleted. It holds tensors
    and plain values only, so ``torch.load(weights_only=True)`` reads it.

    The checkpoint that a run is judged by is its **last** one. Published code instead evaluates on the test split all
    along and keeps the best: ``select_on_test`` does that too, into ``best_on_test.pth``, and every result that is
    made with that file carries the mark.

    Args:
        interval: Iterations from one checkpoint to the next.
        keep: How many of the newest ``iter_N.pth`` stay.
        select_on_test: Also keep the checkpoint that scores best in validation, which here is the test split.
        metric: The validation metric that ``select_on_test`` compares; larger is better.

    Raises:
        UserError: If ``interval`` or ``keep`` is below 1, or the validation gives no ``metric``.
    """

    priority = 'VERY_LOW'

    def __init__(
        self, *, interval: int = 500, keep: int = 1, select_on_test: bool = False, metric: str = 'average'
    ) -> None:
        if interval < 1 or keep < 1:
            raise UserError(f'WTALCheckpointHook: interval and keep must be at least 1, found {interval} and {keep}')
        self.interval = interval
        self.keep = keep
        self.select_on_test = select_on_test
        self.metric = metric
        self._first_iteration = 0
        self._saved_iteration: int | None = None

    def before_train(self, runner: Runner) -> None:
        """Remember where the run starts: what was resumed need not be saved again."""
        self._first_iteration = runner.iter

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Remember the scores until the checkpoint of this iteration is saved."""
        if not self.select_on_test:
            return
        if not metrics or self.metric not in metrics:
            raise UserError(
                f'WTALCheckpointHook: select_on_test compares {self.metric!r}, validation gave {sorted(metrics or {})}'
            )
        best = runner.message_hub.runtime_info.get('best_on_test')
        score = float(metrics[self.metric])
        if best is None or score > best['score']:
            best = dict(metric=self.metric, score=score, iteration=runner.iter)
            runner.message_hub.update_info('best_on_test', best)

    def after_iteration(self, runner: Runner) -> None:
        """Save what is due; called by the training loop after validation."""
        best = runner.message_hub.runtime_info.get('best_on_test')
        if best is not None and best['iteration'] == runner.iter:
            self._save(runner, BEST_ON_TEST, selection=dict(rule='best on the test split', **best))
        if runner.iter % self.interval == 0:
            self._save_last(runner)

    def after_train(self, runner: Runner) -> None:
        """Save the end of the run, also where a hook stopped it early or the interval does not divide it."""
        if self._saved_iteration != runner.iter and runner.iter > self._first_iteration:
            self._save_last(runner)

    def _save_last(self, runner: Runner) -> None:
        self._save(runner, checkpoint_name(runner.iter), selection=dict(rule='last'))
        self._saved_iteration = runner.iter
        self._delete_old(Path(runner.work_dir), runner.iter)

    def _save(self, runner: Runner, name: str, selection: dict[str, Any]) -> None:
        # Every rank calls Runner.save_checkpoint: the hooks that it calls may gather; the master alone writes.
        final = Path(runner.work_dir) / name
        temporary = final.with_name(f'.{name}.tmp')
        meta = dict(iter=runner.iter, epoch=0, selection=selection)
        try:
            runner.save_checkpoint(runner.work_dir, temporary.name, meta=meta, by_epoch=False)
            self._publish(temporary, final)
        finally:
            # Where writing failed (a full disk), the half-written file would only take up space.
            self._discard(temporary)

    @master_only
    def _publish(self, temporary: Path, final: Path) -> None:
        publish(temporary, final)

    @master_only
    def _discard(self, temporary: Path) -> None:
        temporary.unlink(missing_ok=True)

    @master_only
    def _delete_old(self, work_dir: Path, newest: int) -> None:
        earlier = [path for iteration, path in list_checkpoints(work_dir) if iteration <= newest]
        for path in earlier[: -self.keep]:
            path.unlink()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """State the model's sizes and what its features are, and store the message hub as plain values."""
        model = unwrap(runner.model)
        checkpoint['meta'].update(num_classes=model.num_classes, in_channels=model.in_channels)
        facts = getattr(runner.train_dataloader.dataset, 'feature_facts', None)
        if facts:
            checkpoint['meta'][FEATURES] = facts
        checkpoint['message_hub'] = plain_message_hub(checkpoint['message_hub'])

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse weights that do not fit (mmengine would only log it), and restore the message hub."""
        if WEIGHT_AVERAGE in checkpoint:  # WeightAverageHook, which runs before this one, would have taken it out
            raise UserError(
                'the checkpoint to resume from holds averaged weights; resume with the WeightAverageHook that made them'
            )
        check_state_dict(unwrap(runner.model), checkpoint['state_dict'], 'to resume from')
        if 'message_hub' in checkpoint:
            checkpoint['message_hub'] = restore_message_hub(checkpoint['message_hub'])
