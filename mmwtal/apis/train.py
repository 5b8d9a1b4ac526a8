"""Training: what ``tools/train.py`` runs."""

import logging
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import barrier
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmwtal.apis.runtime import make_work_dir, prepare_runtime
from mmwtal.apis.settings import check_model_against_data, resolve_auto
from mmwtal.engine.checkpoint import (
    BEST_ON_TEST,
    check_state_dict,
    find_checkpoint,
    list_checkpoints,
    load_matching,
    read_checkpoint,
)
from mmwtal.engine.train_loop import unwrap
from mmwtal.utils.errors import UserError


def train_localizer(cfg: Config, *, resume: str | None = None, overwrite: bool = False, launcher: str = 'none') -> Path:
    """Train a localizer.

    Args:
        cfg: A checked config, see :func:`mmwtal.apis.settings.prepare_config`.
        resume: ``'auto'`` continues from the newest checkpoint of the work dir, or starts where there is none; a path
            continues from that checkpoint. None starts anew.
        overwrite: Starting anew, delete the checkpoints of an earlier run in the work dir.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.

    Returns:
        The last checkpoint.

    Raises:
        UserError: For anything that the user can mend; before any long work wherever it can be known.
    """
    for key in ('train_dataloader', 'train_cfg', 'optim_wrapper'):
        if cfg.get(key) is None:
            raise UserError(f'training needs {key}, which the config does not set')
    prepare_runtime(cfg, launcher=launcher)
    work_dir = make_work_dir(cfg.work_dir)
    checkpoint = _checkpoint_to_resume(work_dir, resume, overwrite)
    resolve_auto(cfg, dataloader='train_dataloader')
    if cfg.get('default_hooks', {}).get('checkpoint', {}).get('select_on_test'):
        _validate_on_test(cfg)
    initial = None if checkpoint is not None else cfg.get('load_from')
    saved = read_checkpoint(checkpoint or initial) if checkpoint or initial else None
    cfg.resume, cfg.load_from = checkpoint is not None, str(checkpoint) if checkpoint else None

    runner = Runner.from_cfg(cfg)
    # Builds the data loaders: faulty data are reported here, before the first iteration.
    check_model_against_data(cfg.model, runner.train_dataloader.dataset)
    if checkpoint is not None:
        check_state_dict(unwrap(runner.model), saved['state_dict'], checkpoint)
    elif saved is not None:
        print_log(load_matching(unwrap(runner.model), saved, initial), logger='current', level=logging.WARNING)
    _run(runner, work_dir)
    barrier()  # the main process may still be saving
    last = find_checkpoint(work_dir)
    print_log(f'Finished. Checkpoint: {last}; logs: {runner.log_dir}', logger='current')
    return last


def _run(runner: Runner, work_dir: Path) -> None:
    """Train; whatever stops it from outside ends in one message that says how to go on."""
    # A log that cannot be written (a full disk) must not bury that message under tracebacks of the logging module.
    logging.raiseExceptions = False
    try:
        runner.train()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f'after iteration {runner.iter}; {_how_to_go_on(work_dir)}') from None
    except OSError as error:
        raise UserError(f'after iteration {runner.iter}: {error}; {_how_to_go_on(work_dir)}') from error


def _how_to_go_on(work_dir: Path) -> str:
    checkpoints = list_checkpoints(work_dir)
    if not checkpoints:
        return 'no checkpoint was saved yet, start again'
    return f'the last checkpoint is {checkpoints[-1]}, continue with the same command and --resume'


def _checkpoint_to_resume(work_dir: Path, resume: str | None, overwrite: bool) -> Path | None:
    existing = list_checkpoints(work_dir)
    if resume == 'auto':
        return existing[-1] if existing else None
    if resume is not None:
        return find_checkpoint(resume)
    if existing and not overwrite:
        raise UserError(
            f'work dir {work_dir}: holds the checkpoint {existing[-1].name} of an earlier run; '
            'continue it with --resume, start anew with --overwrite, or choose another --work-dir'
        )
    for path in [*existing, work_dir / BEST_ON_TEST]:
        path.unlink(missing_ok=True)
    return None


def _validate_on_test(cfg: Config) -> None:
    """Let the validation, which selecting on the test split compares, be the test of the config."""
    for key in ('dataloader', 'evaluator', 'cfg'):
        if cfg.get(f'test_{key}') is None:
            raise UserError(f'selecting on the test split needs test_{key}, which the config does not set')
        cfg[f'val_{key}'] = cfg[f'test_{key}']
    if cfg.val_cfg.get('type') is None or cfg.val_cfg['type'] == 'TestLoop':
        cfg.val_cfg = dict(type='ValLoop')
    if cfg.train_cfg.get('val_interval') is None:
        cfg.train_cfg.val_interval = cfg.default_hooks.checkpoint.get('interval', 500)
