"""Dual-prior guidance in a run: resumed within a phase, in several processes, in half precision, absent at test."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from .conftest import SHORT, Tool, assert_same_weights, loss_history
from .test_inference_without_guidance import run_without

CONFIG = 'configs/quick/co2net_dual-prior_synthetic.py'
# Phases of 4 iterations, one way and the other; a part of the words is masked, drawn anew in each iteration.
OPTIONS = [
    *SHORT,
    'default_hooks.checkpoint.interval=2',
    'default_hooks.checkpoint.keep=6',
    'default_hooks.logger.interval=1',
    'model.guidance.distillation.mode=alternate',
    'model.guidance.distillation.period=4',
    'model.guidance.csr.masking.ratio=0.3',
    'model.guidance.csr.diagnostics_interval=3',
    # In place of the warnings, which a run as short as this has no need of.
    'custom_hooks.1.type=AttentionStoreHook',
    'custom_hooks.1.videos=2',
    'custom_hooks.1.interval=8',
]


@pytest.fixture(scope='module')
def run(run_tool: Tool, small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work_dir = tmp_path_factory.mktemp('dual')
    run_tool('train.py', CONFIG, '--data-root', small_data, '--work-dir', work_dir, '--cfg-options', *OPTIONS)
    return work_dir


def test_resumed_in_the_middle_of_a_phase(run: Path, run_tool: Tool, small_data: Path, tmp_path: Path) -> None:
    resume = ['--resume', run / 'iter_6.pth']
    run_tool('train.py', CONFIG, '--data-root', small_data, '--work-dir', tmp_path, *resume, '--cfg-options', *OPTIONS)
    assert_same_weights(run / 'iter_12.pth', tmp_path / 'iter_12.pth')
    history = loss_history(run / 'iter_12.pth')
    assert history == loss_history(tmp_path / 'iter_12.pth')
    taught = [
        [bool(value) for value in history[f'train/{name}']]
        for name in ('loss_key_from_complete', 'loss_complete_from_key')
    ]
    assert taught == [[True] * 4 + [False] * 4 + [True] * 4, [False] * 4 + [True] * 4 + [False] * 4]
    hubs = [
        torch.load(folder / 'iter_12.pth', weights_only=True)['message_hub']['log_scalars']
        for folder in (run, tmp_path)
    ]
    assert [len(hub['train/nll_inverse']['values']) for hub in hubs] == [4, 4]
    stored = sorted(path.relative_to(run) for path in run.glob('attentions/*/*.npz'))
    assert len(stored) == 4  # of two videos, after 8 and 12 iterations
    for path in stored:
        with np.load(run / path) as one, np.load(tmp_path / path) as other:
            assert all(np.array_equal(one[name], other[name]) for name in (*one, 'attn_key', 'attn_complete'))


def test_testing_is_the_same_without_the_guidance(run: Path, run_tool: Tool, small_data: Path, tmp_path: Path) -> None:
    arguments = ['--data-root', small_data, '--work-dir']
    done = run_without('test.py', CONFIG, run / 'iter_12.pth', *arguments, tmp_path / 'plain')
    assert done.returncode == 0, done.stderr[-3000:]
    spoilt = torch.load(run / 'iter_12.pth', weights_only=True)
    guided = [name for name in spoilt['state_dict'] if name.startswith('guidance.')]
    assert len(guided) > 50
    for name in guided:
        spoilt['state_dict'][name].fill_(float('nan'))
    torch.save(spoilt, tmp_path / 'spoilt.pth')
    run_tool('test.py', CONFIG, tmp_path / 'spoilt.pth', *arguments, tmp_path / 'spoilt')
    fused = ['--cfg-options', 'model.guidance.fuse_key=0.5']
    run_tool('test.py', CONFIG, run / 'iter_12.pth', *arguments, tmp_path / 'fused', *fused)
    plain, without, other = (
        json.loads((tmp_path / name / 'predictions.json').read_text())['results']
        for name in ('plain', 'spoilt', 'fused')
    )
    assert plain == without
    assert any(plain.values())
    assert plain != other


def test_half_precision(run_tool: Tool, small_data: Path, tmp_path: Path) -> None:
    arguments = ['--data-root', small_data, '--work-dir', tmp_path, '--amp']
    run_tool('train.py', CONFIG, *arguments, '--cfg-options', *OPTIONS, 'train_cfg.max_iters=3')
    losses = loss_history(tmp_path / 'iter_3.pth')
    assert all(torch.tensor(entry).isfinite().all() for entry in losses.values())


def test_two_processes(run_tool: Tool, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('PORT', str(21000 + os.getpid() % 20000))
    monkeypatch.setenv('PYTHON', sys.executable)
    arguments = ['--data-root', small_data, '--work-dir', tmp_path]
    short = [*OPTIONS, 'train_cfg.max_iters=6', 'train_dataloader.batch_size=4']
    run_tool('dist_train.sh', CONFIG, 2, *arguments, '--cfg-options', *short)
    losses = loss_history(tmp_path / 'iter_6.pth')
    assert len(losses['train/loss_complete_rec']) == 6
