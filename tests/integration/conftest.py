"""A small embedded dataset and the command-line tools, each run in a process of its own as a user would."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
CONFIG = 'configs/quick/co2net_synthetic.py'
# A run of seconds: few iterations, short samples.
SHORT = [
    'train_cfg.max_iters=12',
    'default_hooks.checkpoint.interval=4',
    'train_dataloader.dataset.pipeline.1.length=40',
    'default_hooks.logger.interval=4',
]

Tool = Callable[..., subprocess.CompletedProcess]


@pytest.fixture(scope='session')
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mmwtal.datasets.synthetic import write_synthetic

    root = tmp_path_factory.mktemp('data') / 'synthetic'
    write_synthetic(root, seed=0, num_train=24, num_test=10)
    return root


@pytest.fixture(scope='session')
def run_tool() -> Tool:
    """Run a tool of the repository: ``run_tool('train.py', CONFIG, ...)``."""

    def run(tool: str, *args: object, code: int | None = 0, timeout: int = 240) -> subprocess.CompletedProcess:
        command = ['bash'] if tool.endswith('.sh') else [sys.executable]
        done = subprocess.run(
            [*command, str(ROOT / 'tools' / tool), *map(str, args)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if code is not None:
            assert done.returncode == code, f'{done.args}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}'
        return done

    return run


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)['state_dict']


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def loss_history(path: Path) -> dict[str, list]:
    """The stored log of every loss term, without timings."""
    hub = torch.load(path, weights_only=True)['message_hub']['log_scalars']
    return {key: value['values'].tolist() for key, value in hub.items() if 'loss' in key}
