"""Whatever stops a run: it ends with one clear line, the last good checkpoint stays, resuming leads to the same end."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from .conftest import CONFIG, ROOT, SHORT, Tool, assert_same_weights, loss_history

# Saves often, so that a kill often hits the saving itself.
OFTEN = [*SHORT, 'default_hooks.checkpoint.interval=1', 'train_cfg.max_iters=16', 'train_cfg.val_interval=4']


def start(arguments: list[str], **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(ROOT / 'tools/train.py'), *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def wait_for(condition, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)


def one_line(stderr: str) -> str:
    assert 'Traceback' not in stderr
    lines = [line for line in stderr.splitlines() if line.startswith(('error: ', 'interrupted'))]
    assert len(lines) == 1
    return lines[0]


@pytest.fixture(scope='module')
def undisturbed(run_tool: Tool, small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work_dir = tmp_path_factory.mktemp('undisturbed')
    run_tool(
        *('train.py', CONFIG, '--work-dir', work_dir, '--data-root', small_data, '--select-on-test'),
        *('--cfg-options', *OFTEN),
    )
    return work_dir


@pytest.mark.parametrize('rounds', [3, pytest.param(20, marks=pytest.mark.slow)])
def test_kill_9_at_random_moments(rounds: int, undisturbed: Path, small_data: Path, tmp_path: Path) -> None:
    arguments = [CONFIG, '--work-dir', str(tmp_path), '--data-root', str(small_data), '--select-on-test', '--resume']
    arguments += ['--cfg-options', *OFTEN]
    rng = random.Random(rounds)
    for _ in range(rounds):
        before = {path.name for path in tmp_path.glob('*.pth')}
        process = start(arguments)
        # From the moment that this process saves, any moment of the next iterations.
        wait_for(lambda seen=before: {path.name for path in tmp_path.glob('*.pth')} - seen, process)
        time.sleep(rng.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for path in tmp_path.glob('*.pth'):
            torch.load(path, weights_only=True)
    _, stderr = start(arguments).communicate(timeout=240)
    assert 'Traceback' not in stderr
    assert_same_weights(undisturbed / 'iter_16.pth', tmp_path / 'iter_16.pth')
    assert loss_history(undisturbed / 'iter_16.pth') == loss_history(tmp_path / 'iter_16.pth')
    assert_same_weights(undisturbed / 'best_on_test.pth', tmp_path / 'best_on_test.pth')
    best = [torch.load(work / 'best_on_test.pth', weights_only=True) for work in (undisturbed, tmp_path)]
    assert best[0]['meta']['selection'] == best[1]['meta']['selection']
    assert not [path for path in tmp_path.glob('*.pth') if path.name not in ('iter_16.pth', 'best_on_test.pth')]


def test_ctrl_c_ends_cleanly_and_says_how_to_resume(small_data: Path, tmp_path: Path) -> None:
    arguments = [CONFIG, '--work-dir', str(tmp_path), '--data-root', str(small_data), '--cfg-options', *OFTEN]
    arguments += ['train_cfg.max_iters=2000', 'train_dataloader.num_workers=1']
    process = start(arguments, start_new_session=True)
    wait_for(lambda: list(tmp_path.glob('iter_*.pth')), process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    line = one_line(stderr)
    assert '--resume' in line
    assert str(tmp_path) in line


def test_a_full_disk(run_tool: Tool, small_data: Path, tmp_path: Path) -> None:
    arguments = [CONFIG, '--work-dir', str(tmp_path), '--data-root', str(small_data), '--cfg-options', *OFTEN]
    run_tool('train.py', *arguments, 'train_cfg.max_iters=1')
    size = (tmp_path / 'iter_1.pth').stat().st_size

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))

    process = start([*arguments, '--resume'], preexec_fn=small_files)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    line = one_line(stderr)
    assert 'File too large' in line
    assert f'the last checkpoint is {tmp_path}/iter_1.pth' in line
    torch.load(tmp_path / 'iter_1.pth', weights_only=True)
    assert not list(tmp_path.glob('.*.tmp'))


def test_a_work_dir_that_vanishes(small_data: Path, tmp_path: Path) -> None:
    work_dir = tmp_path / 'work'
    arguments = [CONFIG, '--work-dir', str(work_dir), '--data-root', str(small_data), '--cfg-options', *OFTEN]
    process = start([*arguments, 'train_cfg.max_iters=2000', 'default_hooks.logger.interval=1'])
    wait_for(lambda: list(work_dir.glob('iter_*.pth')), process)
    while process.poll() is None and work_dir.exists():
        shutil.rmtree(work_dir, ignore_errors=True)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    assert str(work_dir) in one_line(stderr)


def test_a_loss_that_is_not_finite_stops_the_run(run_tool: Tool, small_data: Path, tmp_path: Path) -> None:
    arguments = ['--work-dir', tmp_path, '--data-root', small_data, '--cfg-options', *OFTEN]
    done = run_tool('train.py', CONFIG, *arguments, 'optim_wrapper.optimizer.lr=1e30', code=2)
    line = one_line(done.stderr)
    assert 'iteration ' in line
    assert 'loss_mil = nan' in line
    assert line.count('synthetic_training_') == 10
    for path in tmp_path.glob('*.pth'):
        state = torch.load(path, weights_only=True)
        assert state['meta']['iter'] < int(line.split('iteration ')[1].split(':')[0])


def test_a_faulty_sample_in_a_worker_is_named_in_one_line(run_tool: Tool, small_data: Path, tmp_path: Path) -> None:
    root = tmp_path / 'data'
    shutil.copytree(small_data, root)
    arguments = ['--work-dir', tmp_path / 'w', '--data-root', root, '--cfg-options', *OFTEN]
    arguments += ['train_dataloader.num_workers=2', 'train_cfg.max_iters=2000']
    process = start(list(map(str, [CONFIG, *arguments])))
    wait_for(lambda: list((tmp_path / 'w').glob('iter_*.pth')), process)
    for path in (root / 'features').glob('*training*.npy'):
        path.write_bytes(path.read_bytes()[:200])
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    assert 'synthetic_training_' in one_line(stderr)
