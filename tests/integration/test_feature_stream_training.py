"""Guidance on a second stream of features: several workers, resumed, absent at test, asked for before training."""

import json
import shutil
from pathlib import Path

import pytest

from .conftest import SHORT, Tool, assert_same_weights, loss_history

CONFIG = 'configs/quick/co2net_key-aligned_synthetic.py'
OPTIONS = ['--cfg-options', *SHORT, 'default_hooks.checkpoint.keep=3', 'default_hooks.logger.interval=1']


@pytest.fixture(scope='module')
def root(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root of its own, from which a stream may be taken."""
    return Path(shutil.copytree(small_data, tmp_path_factory.mktemp('aligned') / 'root'))


@pytest.fixture(scope='module')
def run(root: Path, run_tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work_dir = tmp_path_factory.mktemp('run')
    run_tool('train.py', CONFIG, '--data-root', root, '--work-dir', work_dir, *OPTIONS)
    return work_dir


def test_resumed_with_workers_and_tested_without_the_stream(
    root: Path, run: Path, run_tool: Tool, tmp_path: Path
) -> None:
    arguments = ['--data-root', root, '--work-dir', tmp_path]
    resume = ['--resume', run / 'iter_4.pth']
    run_tool('train.py', CONFIG, *arguments, *resume, *OPTIONS, 'train_dataloader.num_workers=2')
    assert_same_weights(run / 'iter_12.pth', tmp_path / 'iter_12.pth')
    history = loss_history(run / 'iter_12.pth')
    assert history == loss_history(tmp_path / 'iter_12.pth')
    assert len(history['train/loss_key_match']) == 12
    shutil.rmtree(root / 'features-clip')
    run_tool('test.py', CONFIG, run / 'iter_12.pth', *arguments)
    assert any(json.loads((tmp_path / 'predictions.json').read_text())['results'].values())
    refused = run_tool('train.py', CONFIG, '--data-root', root, '--work-dir', tmp_path / 'none', *OPTIONS, code=2)
    assert "features-clip of the stream 'clip' does not exist" in refused.stderr
    assert 'Traceback' not in refused.stderr
