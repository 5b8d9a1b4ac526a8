"""What a run needs of the machine: processes, precision, a folder that can be written."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger, print_log
from mmengine.runner import Runner

from mmwtal.utils import compat
from mmwtal.utils.allocator import keep_freed_memory
from mmwtal.utils.errors import UserError


def prepare_runtime(cfg: Config, *, launcher: str = 'none') -> None:
    """Make mmengine's Runner work on this machine, with or without a GPU, in one process or several.

    Args:
        cfg: The config; gets ``launcher`` and, for several processes on a CPU, the wrapper of the model.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.
    """
    compat.prepare()
    keep_freed_memory()
    cfg.launcher = launcher
    if launcher == 'none':
        return
    compat.init_process_group(launcher)
    wrapper = compat.ddp_wrapper_cfg(find_unused_parameters=cfg.get('find_unused_parameters', False))
    if wrapper is not None and cfg.get('model_wrapper_cfg') is None:
        cfg.model_wrapper_cfg = wrapper


class _TerseRunner(Runner):
    """A Runner that writes the environment, the whole config and the table of hooks to its log file only.

    mmengine logs these some 300 lines while it constructs the Runner, and nothing else but warnings.
    """

    def __init__(self, **arguments: Any) -> None:
        self._silenced: dict[logging.Handler, int] = {}
        try:
            super().__init__(**arguments)
        finally:
            for handler, level in self._silenced.items():
                handler.setLevel(level)
        files = [handler.baseFilename for handler in self.logger.handlers if isinstance(handler, logging.FileHandler)]
        if files:
            print_log(f'environment, config and hooks are in {files[0]}', logger='current')

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """See mmengine's Runner."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                self._silenced[handler] = handler.level
                handler.setLevel(max(handler.level, logging.WARNING))
        return logger


def build_runner(cfg: Config) -> Runner:
    """Build the Runner and, where the config trains, its optimizer.

    Raises:
        UserError: If a constructor refuses a value.
    """
    seed = cfg.get('randomness', {}).get('seed')
    if seed is not None and not 0 <= seed < 2**32:
        raise UserError(f'randomness.seed must be from 0 to 2^32 - 1, found {seed}')
    with refused_values():
        runner = _TerseRunner.from_cfg(cfg)
        if runner.optim_wrapper is not None:
            runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    return runner


@contextmanager
def refused_values() -> Iterator[None]:
    """Turn the ValueError with which a constructor refuses a value of the config into a UserError."""
    try:
        yield
    except ValueError as error:
        raise UserError(f'the config has a value that cannot be used: {error}') from error


def use_amp(cfg: Config) -> None:
    """Train in bfloat16 mixed precision; for float16, which needs a GPU, set ``optim_wrapper.type=AmpOptimWrapper``.

    Raises:
        UserError: If the config already asks for a wrapper of its own.
    """
    found = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if found not in ('OptimWrapper', 'BFloat16OptimWrapper'):
        raise UserError(f"--amp replaces an optim_wrapper of type 'OptimWrapper', the config has {found!r}")
    cfg.optim_wrapper.type = 'BFloat16OptimWrapper'


def make_work_dir(path: str | Path, *, option: str = '--work-dir') -> Path:
    """Create a work dir, or another folder for results, and make sure that it can be written.

    Args:
        path: The folder.
        option: The option that names it, for the message.

    Raises:
        UserError: If it cannot.
    """
    path = Path(path).expanduser()
    probe = path / '.writable'
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f'folder {path}: cannot be written ({error.strerror}); choose another with {option}') from error
    return path
