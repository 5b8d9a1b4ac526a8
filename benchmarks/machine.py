"""What the measurements were made on."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ('torch', 'numpy', 'mmengine', 'pandas', 'joblib', 'scipy')


def describe(device: str, threads: int) -> dict[str, Any]:
    """Return processor, memory, versions and how busy the machine is; of the GPU, if one is used, its name."""
    return {
        'processor': _processor(),
        'cores': os.cpu_count(),
        'memory_gib': round(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30, 1),
        'system': f'{platform.system()} {platform.release()}',
        'python': platform.python_version(),
        'packages': {name: _version(name) for name in PACKAGES},
        'threads': threads,
        'device': device,
        'device_name': _device_name(device),
        'load_at_start': os.getloadavg()[0],
    }


def revision(folder: Path) -> str:
    """Return the commit of a checkout, marked where files were changed; 'unknown' where git cannot tell."""

    def git(*arguments: str) -> str:
        done = subprocess.run(['git', '-C', str(folder), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ''

    commit = git('rev-parse', 'HEAD')
    if not commit:
        return 'unknown'
    changed = git('status', '--porcelain', '--untracked-files=no')
    return f'{commit} with local changes' if changed else commit


def _processor() -> str:
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return 'absent'


def _device_name(device: str) -> str | None:
    if device == 'cpu':
        return None
    import torch

    return torch.cuda.get_device_name()
