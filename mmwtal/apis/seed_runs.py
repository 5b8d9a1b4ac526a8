"""Runs of a config with one seed each, as child processes: what the tools that make several of them share."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from mmwtal.engine.checkpoint import BEST_ON_TEST, checkpoint_name
from mmwtal.evaluation.runs import RESULT_NAME, Run, read_runs
from mmwtal.utils.config.digest import config_sha256
from mmwtal.utils.errors import UserError
from mmwtal.utils.jobs import Failure, Job, Step
from mmwtal.utils.locks import file_lock

LOG_NAME = 'log.txt'
LOCK_NAME = '.lock'


@dataclass(frozen=True, kw_only=True)
class SeedRun:
    """A config that is trained and tested with one seed by ``tools/train.py`` and ``tools/test.py``.

    Args:
        config: The config file.
        seed: The seed.
        folder: The run's own folder.
        data_root: What replaces the config's; None leaves it.
        options: The words after ``--cfg-options``.
        select_on_test: Whether the checkpoint that is best on the test split is scored.
        name: What messages call it; by default ``seed N``.
    """

    config: str
    seed: int
    folder: Path
    data_root: Path | None = None
    options: tuple[str, ...] = ()
    select_on_test: bool = False
    name: str = ''

    def job(self, python: str, tools: Path, *, further: Sequence[Step] = ()) -> Job:
        """Return training and test, which go on where an earlier run was interrupted, and the steps that follow.

        Args:
            python: The interpreter.
            tools: The folder that holds ``train.py`` and ``test.py``.
            further: Commands that follow the test.
        """
        shared = ['--work-dir', str(self.folder)]
        shared += ['--data-root', str(self.data_root)] if self.data_root is not None else []
        shared += ['--cfg-options', *self.options] if self.options else []
        train = [python, str(tools / 'train.py'), self.config, '--seed', str(self.seed), '--resume']
        train += ['--select-on-test'] if self.select_on_test else []
        checkpoint = self.folder / BEST_ON_TEST if self.select_on_test else self.folder
        test = [python, str(tools / 'test.py'), self.config, str(checkpoint)]
        steps = (Step(name='training', command=(*train, *shared)), Step(name='test', command=(*test, *shared)))
        return self.followed_by([*steps, *further])

    def followed_by(self, steps: Sequence[Step]) -> Job:
        """Return a job of this run's name and log that consists of some steps."""
        return Job(name=self.name or f'seed {self.seed}', steps=tuple(steps), log=self.folder / LOG_NAME)

    def checkpoint(self, cfg: Config) -> Path:
        """Return the checkpoint that is scored."""
        return self.folder / (BEST_ON_TEST if self.select_on_test else checkpoint_name(cfg.train_cfg.max_iters))

    def finished(self, cfg: Config) -> Run | None:
        """Return the result, None where there is none yet.

        Args:
            cfg: The config as :func:`mmwtal.apis.settings.prepare_config` returns it.

        Raises:
            UserError: If what is in the folder is not the result of this seed and config.
        """
        return finished_run(self.folder, cfg, seed=self.seed, select_on_test=self.select_on_test)


def finished_run(folder: Path, cfg: Config, *, seed: int, select_on_test: bool) -> Run | None:
    """Return the result in a run's folder, None where there is none yet.

    Args:
        folder: The run's folder.
        cfg: The config as :func:`mmwtal.apis.settings.prepare_config` returns it.
        seed: The seed.
        select_on_test: Whether the checkpoint that is best on the test split is scored.

    Raises:
        UserError: If what is in the folder is not the result of this seed and config.
    """
    file = folder / RESULT_NAME
    if not file.is_file():
        return None
    found = read_runs(file)
    best = 'best on' in found.facts['selection']
    for what, ours, theirs in (
        ('seed', seed, found.runs[0].seed),
        ('hash of the config', config_sha256(cfg), found.origin.get('config_sha256')),
        ('checkpoint selected on the test split', select_on_test, best),
    ):
        if ours != theirs:
            raise UserError(
                f'{file}: is the result of another run: {what} is {theirs}, expected {ours}; delete the folder '
                f'{file.parent}, or choose another --work-dir'
            )
    iteration, last = found.runs[0].iteration, cfg.train_cfg.get('max_iters')
    if not select_on_test and iteration != last:
        # tools/test.py, called by hand, has scored an earlier checkpoint.
        raise UserError(
            f'{file}: is the result of iteration {iteration}, not of the last, {last}; delete this file, and the '
            'same command goes on training'
        )
    return found.runs[0]


def seed_folder(folder: Path, seed: int) -> Path:
    """Return the folder of a seed below that of its config, as :func:`read_runs` expects it."""
    return folder / f'seed_{seed}'


def runs_lock(folder: Path, tool: str) -> AbstractContextManager[int]:
    """Hold a lock that children inherit: those of a killed run keep it, so that no two processes train one seed.

    Args:
        folder: The folder of the runs.
        tool: Which tool's runs they are.

    Raises:
        UserError: If runs are under way in the folder.
    """
    busy = (
        f'work dir {folder}: runs are under way in it, of another {tool} or of one that was killed; '
        'wait for them or end them, or choose another --work-dir'
    )
    return file_lock(folder / LOCK_NAME, wait=False, busy=busy)


def described_failure(failure: Failure) -> str:
    """Return a line that names the log, and what the run itself gave as the reason."""
    lines = failure.job.log.read_text(errors='replace').splitlines()
    reasons = [line for line in lines if line.startswith('error: ')] or [line for line in lines if line.strip()]
    reason = reasons[-1].removeprefix('error: ')
    return f'{failure.job.name}: {failure.step} ended with exit code {failure.code}: {reason} (log: {failure.job.log})'
