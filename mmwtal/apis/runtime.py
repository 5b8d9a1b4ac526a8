"""What a run needs of the machine: processes, precision, a folder that can be written."""

from pathlib import Path

import torch
from mmengine.config import Config

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
    env = cfg.get('env_cfg') or {}
    backend = env.get('dist_cfg', {}).get('backend', 'nccl') if torch.cuda.is_available() else 'gloo'
    compat.init_process_group(launcher, backend)
    wrapper = compat.ddp_wrapper_cfg(find_unused_parameters=cfg.get('find_unused_parameters', False))
    if wrapper is not None and cfg.get('model_wrapper_cfg') is None:
        cfg.model_wrapper_cfg = wrapper


def use_amp(cfg: Config) -> None:
    """Train in bfloat16 mixed precision.

    Raises:
        UserError: If the config already asks for a wrapper of its own.
    """
    found = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if found not in ('OptimWrapper', 'BFloat16OptimWrapper'):
        raise UserError(f"--amp replaces an optim_wrapper of type 'OptimWrapper', the config has {found!r}")
    cfg.optim_wrapper.type = 'BFloat16OptimWrapper'


def make_work_dir(path: str | Path) -> Path:
    """Create a work dir and make sure that it can be written.

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
        raise UserError(
            f'work dir {path}: cannot be written ({error.strerror}); choose another with --work-dir'
        ) from error
    return path
