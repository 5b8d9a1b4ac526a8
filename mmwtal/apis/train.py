"""Training: what ``tools/train.py`` runs."""

import logging
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmwtal.apis.runtime import build_runner, make_work_dir, prepare_runtime, refused_values
from mmwtal.apis.settings import check_against_data, resolve_auto
from mmwtal.engine.checkpoint import (
    BEST_ON_TEST,
    check_state_dict,
    checkpoint_name,
    find_checkpoint,
    list_checkpoints,
    load_matching,
    read_checkpoint,
    read_resumable,
)
from mmwtal.engine.param_groups import check_param_groups
from mmwtal.engine.train_loop import unwrap
from mmwtal.utils.errors import UserError


def train_localizer(cfg: Config, *, resume: str | None = None, overwrite: bool = False, launcher: str = 'none') -> Path:
    """Train a localizer.

    A run starts from the weights of ``cfg.load_from``, where that is set, as far as they fit; what does not fit is
    logged. A resumed run takes everything from its checkpoint, the seed too.

    Args:
        cfg: A checked config, see :func:`mmwtal.apis.settings.prepare_config`.
        resume: ``'auto'`` continues from the newest checkpoint of the work dir, or starts where there is none; a path
            continues from that checkpoint. None starts anew.
        overwrite: Delete checkpoints of an earlier run in the work dir that would stand beside this run's: all of them
            when starting anew, the later ones when resuming.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.

    Returns:
        The last checkpoint.

    Raises:
        UserError: For anything that the user can mend; before any long work wherever it can be known.
        KeyboardInterrupt: For Ctrl-C, with a message that says how to go on.
    """
    for key in ('train_dataloader', 'train_cfg', 'optim_wrapper'):
        if cfg.get(key) is None:
            raise UserError(f'training needs {key}, which the config does not set')
    prepare_runtime(cfg, launcher=launcher)
    work_dir = make_work_dir(cfg.work_dir)
    start = _resumed_checkpoint(work_dir, resume)
    saved = read_resumable(start) if start is not None else None
    later = _later_checkpoints(work_dir, saved['meta']['iter'] if saved is not None else 0)
    if later and not overwrite:
        raise UserError(
            f'work dir {work_dir}: holds the checkpoint {later[-1].name} of an earlier run; '
            'continue that one with --resume, delete what is there with --overwrite, or choose another --work-dir'
        )
    if saved is not None:
        _take_seed(cfg, saved)
    resolve_auto(cfg, checkpoint=saved, dataloader='train_dataloader')
    if cfg.get('default_hooks', {}).get('checkpoint', {}).get('select_on_test'):
        _validate_on_test(cfg)
    initial = cfg.get('load_from')
    cfg.resume, cfg.load_from = start is not None, str(start) if start is not None else None

    runner = build_runner(cfg)
    # The config that the work dir and the checkpoints keep is that of the whole run, resumed or not.
    runner.cfg.resume, runner.cfg.load_from = False, initial
    runner.dump_config()
    # Builds the data loaders: faulty data are reported here, before the first iteration.
    with refused_values():
        dataset = runner.train_dataloader.dataset
    check_against_data(unwrap(runner.model), dataset, saved)
    if saved is not None:
        check_state_dict(unwrap(runner.model), saved['state_dict'], str(start))
        check_param_groups(runner.optim_wrapper, saved, str(start))
    elif initial is not None:
        report = load_matching(unwrap(runner.model), read_checkpoint(initial), initial)
        print_log(report, logger='current', level=logging.WARNING)
    if is_main_process():
        for path in later:
            path.unlink(missing_ok=True)
    _run(runner, work_dir)
    last = work_dir / checkpoint_name(runner.iter)
    print_log(f'Finished. Checkpoint: {last}; logs: {runner.log_dir}', logger='current')
    return last


def _resumed_checkpoint(work_dir: Path, resume: str | None) -> Path | None:
    if resume is None:
        return None
    if resume != 'auto':
        return find_checkpoint(resume)
    existing = list_checkpoints(work_dir)
    return existing[-1][1] if existing else None


def _later_checkpoints(work_dir: Path, start: int) -> list[Path]:
    """Return what lies in a work dir and would stand beside the checkpoints of a run that starts at an iteration."""
    later = [path for iteration, path in list_checkpoints(work_dir) if iteration > start]
    best = work_dir / BEST_ON_TEST
    return [*later, best] if start == 0 and best.exists() else later


def _take_seed(cfg: Config, saved: dict[str, Any]) -> None:
    """Let a resumed run draw what its first part would have drawn."""
    randomness = cfg.setdefault('randomness', {})
    seed = saved['meta'].get('seed')
    if seed is not None and randomness.get('seed') != seed:
        print_log(
            f'resuming with seed {seed} of the checkpoint, not {randomness.get("seed")} of the config',
            logger='current',
            level=logging.WARNING,
        )
        randomness['seed'] = seed


def _validate_on_test(cfg: Config) -> None:
    """Let the validation, which selecting on the test split compares, be the test of the config."""
    for key in ('dataloader', 'evaluator', 'cfg'):
        if cfg.get(f'test_{key}') is None:
            raise UserError(f'selecting on the test split needs test_{key}, which the config does not set')
        if cfg.get(f'val_{key}') is not None:
            raise UserError(
                f'selecting on the test split makes the test the validation: remove val_{key} from the config'
            )
        cfg[f'val_{key}'] = cfg[f'test_{key}']
    if cfg.test_cfg.get('type') in (None, 'TestLoop'):
        cfg.val_cfg = {**cfg.test_cfg, 'type': 'ValLoop'}
    if cfg.train_cfg.get('val_interval') is None:
        cfg.train_cfg.val_interval = cfg.default_hooks.checkpoint.get('interval', 500)


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
    barrier()  # the main process may still be saving


def _how_to_go_on(work_dir: Path) -> str:
    checkpoints = list_checkpoints(work_dir)
    if not checkpoints:
        return 'no checkpoint was saved yet, start again'
    return f'the last checkpoint is {checkpoints[-1][1]}, continue with the same command and --resume'
