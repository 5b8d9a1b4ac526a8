"""Remedies for faults in the packages that mmwtal builds on, each a function that does nothing where it is not needed.

A tool calls :func:`prepare` before it builds a Runner and :func:`init_process_group` if it takes ``--launcher``. The
packages are imported when needed.
"""

import atexit
import gc
import importlib
import importlib.util
import os
import pickle
import re
import struct
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from mmwtal.utils.errors import UserError

# torch drops the operators that a library defined when the library object dies.
_operator_libraries: list[Any] = []

# What a Debian-like and a Fedora-like system call the package that holds a library which opencv-python links.
_SYSTEM_PACKAGES = {'libGL.so': ('libgl1', 'mesa-libGL'), 'libgthread-2.0.so': ('libglib2.0-0', 'glib2')}

# Where each launcher of mmengine says which process this is, in the order of _PROCESS, and how it is started.
_PROCESS = ('RANK', 'LOCAL_RANK', 'WORLD_SIZE')
_LAUNCHERS = {
    'pytorch': (*_PROCESS, 'MASTER_ADDR'),
    'slurm': ('SLURM_PROCID', 'SLURM_LOCALID', 'SLURM_NTASKS'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_LOCAL_RANK', 'OMPI_COMM_WORLD_SIZE', 'MASTER_ADDR'),
}
_STARTERS = {'pytorch': 'torchrun (bash tools/dist_train.sh)', 'slurm': 'srun', 'mpi': 'mpirun with MASTER_ADDR set'}

# What torch raises for a file that is no checkpoint, or one that was cut short or changed: its reader of pickles checks
# little of what it reads.
DAMAGED = (
    *(pickle.UnpicklingError, struct.error, EOFError, OSError, RuntimeError, ValueError, LookupError),
    *(TypeError, AttributeError, ArithmeticError, AssertionError, MemoryError),
)

_REMEDY = "tools/train.py writes a checkpoint, tools/model_converters/official.py converts an authors' one"


def prepare() -> None:
    """Apply what every program that builds a Runner or loads a checkpoint needs; call it before either.

    Raises:
        UserError: OpenCV cannot be imported because a library of the system is absent.
    """
    importable_cv2()
    usable_torchvision()
    enforce_weights_only()


def importable_cv2() -> None:
    """Say which system package is absent where OpenCV, which mmengine imports, cannot be loaded.

    opencv-python links the system's libGL, which slim images lack: https://github.com/opencv/opencv-python/issues/370

    Raises:
        UserError: A library of the system that OpenCV links is absent.
    """
    try:
        importlib.import_module('cv2')
    except ImportError as error:
        for library, (debian, fedora) in _SYSTEM_PACKAGES.items():
            if library in str(error):
                raise UserError(
                    f'OpenCV (import cv2) needs the system library {library}, which is absent: install it with '
                    f'"apt-get install {debian}" (Debian, Ubuntu) or "dnf install {fedora}" (Fedora); found: {error}'
                ) from error
        raise


def usable_torchvision() -> None:
    """Make a torchvision importable whose compiled operators do not fit the installed torch.

    A CUDA build of torchvision over a CPU build of torch fails at import with ``operator torchvision::nms does not
    exist``. mmengine's Runner imports torchvision wherever it is installed, and so do the models of transformers, hence
    nothing would start. Declaring the two operators lets the import pass; calling them still fails, with torch's own
    message. https://github.com/pytorch/vision/issues/8985, https://github.com/pytorch/pytorch/issues/157648
    """
    if 'torchvision' in sys.modules or importlib.util.find_spec('torchvision') is None:
        return
    try:
        importlib.import_module('torchvision')
        return
    except RuntimeError as error:
        if 'torchvision::' not in str(error):
            raise
    # The failed import leaves half of the submodules behind.
    for name in [name for name in sys.modules if name.startswith('torchvision.')]:
        del sys.modules[name]
    from torch.library import Library

    operators = Library('torchvision', 'FRAGMENT')
    for operator in ('nms', 'qnms'):
        operators.define(f'{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
    _operator_libraries.append(operators)
    importlib.import_module('torchvision')


def importable_mmaction() -> None:
    """Make ``import mmaction.models`` work; call it before that import.

    The wheel of mmaction2 1.2.0 lacks the folder ``models/localizers/drn`` that it imports:
    https://github.com/open-mmlab/mmaction2/issues/2714. Where transformers is installed it also imports its multimodal
    models, which need timm and an old transformers (mmaction2 1.2.0, ``mmaction/models/multimodal``). mmwtal needs
    neither, so an empty module stands for the first and the second is switched off.

    Raises:
        UserError: mmaction2, or something that it needs, is absent or does not fit.
    """
    if 'mmaction.models' in sys.modules:
        return
    try:
        package = importlib.import_module('mmaction')
        dependency = importlib.import_module('mmaction.utils.dependency')
    except (ImportError, AssertionError) as error:  # mmaction2 asserts the version of mmcv
        raise UserError(
            f'mmaction2 cannot be imported: {error}; install the tested versions with pip install "mmwtal[features]" '
            'and mmcv-lite==2.1.0'
        ) from error
    dependency.__dict__['WITH_MULTIMODAL'] = False
    localizers = 'mmaction.models.localizers'
    if not any(Path(folder, 'models', 'localizers', 'drn').is_dir() for folder in package.__path__):
        module = ModuleType(f'{localizers}.drn.drn', 'Stands for a module that the wheel of mmaction2 lacks.')
        module.__dict__['DRN'] = None
        sys.modules[f'{localizers}.drn'] = ModuleType(f'{localizers}.drn')
        sys.modules[module.__name__] = module


def enforce_weights_only() -> None:
    """Let mmengine load checkpoints with ``weights_only=True`` alone, so that no checkpoint can run code.

    mmengine 0.10.7 leaves the choice for files to torch and loads addresses without any restriction. Its own
    checkpoints then fail with ``Weights only load failed ... HistoryBuffer`` under torch >= 2.6; ours hold plain values
    instead (``mmwtal/engine/message_hub.py``). https://github.com/open-mmlab/mmengine/issues/1655
    """
    from mmengine.runner import checkpoint

    if isinstance(checkpoint.load_url, partial):
        return
    checkpoint.load_url = partial(checkpoint.load_url, weights_only=True)
    checkpoint.CheckpointLoader.register_scheme('', load_from_local, force=True)


def load_from_local(filename: str, map_location: Any = None, *, remedy: str = _REMEDY) -> Any:
    """Load a checkpoint file that holds tensors and plain values only.

    Args:
        filename: The file; ``~`` is expanded.
        map_location: As for ``torch.load``.
        remedy: How the user gets a checkpoint that can be loaded, the end of each message.

    Returns:
        What the file holds.

    Raises:
        UserError: The file is absent, damaged, or holds objects of other classes.
    """
    import torch

    path = Path(filename).expanduser()
    if not path.is_file():
        raise UserError(f'no checkpoint file {path}; {remedy}')
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except DAMAGED as error:
        found = re.search(r'Unsupported global: GLOBAL (\S+)', str(error))
        if found:
            reason = f'holds a {found[1]}, but only tensors and plain values are loaded, since all else can run code'
        else:
            # torch's own message advises to load without weights_only, which lets a file run code.
            reason = 'is damaged, cut short or no checkpoint: copy or write it again'
        raise UserError(f'checkpoint {path} {reason}; {remedy}') from error


def init_process_group(launcher: str) -> None:
    """Initialise distributed training over gloo where there is no GPU; call it before the Runner is built.

    mmengine 0.10.7 selects a GPU in every launcher (``mmengine/dist/utils.py``); a CPU build of torch answers
    ``torch._C has no attribute _cuda_setDevice``. A Runner leaves a process group that exists as it is. As in mmengine,
    the environment of torchrun, Slurm or Open MPI numbers the processes. Nothing happens where there is an accelerator.

    Args:
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.

    Raises:
        UserError: The process was not started by the launcher.
    """
    if launcher == 'none' or not _on_cpu():
        return
    from torch import distributed

    if distributed.is_initialized():
        return
    for source in _LAUNCHERS[launcher]:
        if source not in os.environ:
            raise UserError(
                f'--launcher {launcher} expects the environment variable {source}, which is not set: start the '
                f'program with {_STARTERS[launcher]}, or leave --launcher out for one process'
            )
    os.environ.update(zip(_PROCESS, (os.environ[source] for source in _LAUNCHERS[launcher]), strict=False))
    if launcher == 'slurm' and 'MASTER_ADDR' not in os.environ:
        os.environ['MASTER_ADDR'] = _first_slurm_host()
    os.environ.setdefault('MASTER_PORT', '29500')
    distributed.init_process_group(backend='gloo')
    atexit.register(_leave_process_group)


def _leave_process_group() -> None:
    """End gloo's threads before the interpreter does: one that still runs then aborts the process with signal 6."""
    from torch import distributed

    gc.collect()  # a wrapped model that only a cycle keeps alive holds the group too
    if distributed.is_initialized():
        distributed.destroy_process_group()


def ddp_wrapper_cfg(find_unused_parameters: bool = False) -> dict[str, Any] | None:
    """Return the Runner's ``model_wrapper_cfg`` for distributed training without a GPU, else None.

    By default the Runner of mmengine 0.10.7 passes ``device_ids``, which DistributedDataParallel refuses for a model on
    the CPU. With a ``model_wrapper_cfg`` it ignores the config's ``find_unused_parameters``, which is why that
    is an argument here.
    """
    if not _on_cpu():
        return None
    return {
        'type': 'MMDistributedDataParallel',
        'device_ids': None,
        'broadcast_buffers': False,
        'find_unused_parameters': find_unused_parameters,
    }


def _on_cpu() -> bool:
    from mmengine.device import get_device

    return get_device() == 'cpu'


def _first_slurm_host() -> str:
    nodes = os.environ.get('SLURM_NODELIST', '')
    command = ['scontrol', 'show', 'hostname', nodes]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        raise UserError(
            f'--launcher slurm cannot find the first host of SLURM_NODELIST={nodes!r} ({error}): set MASTER_ADDR'
        ) from error
