"""Two processes with half of a batch each are one with all of it, also where one has no texts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from .guidance_process import guided_model, losses_and_gradients


def test_two_processes_are_one_with_the_whole_batch(tmp_path, repo_root):
    script = Path(__file__).with_name('guidance_process.py')
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(repo_root), *sys.path]), 'OMP_NUM_THREADS': '1'}
    running = [
        subprocess.Popen(
            [sys.executable, script, str(rank), '2', tmp_path],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        printed = [process.communicate(timeout=150)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    for process, text in zip(running, printed, strict=True):
        assert process.returncode == 0, text[-3000:]
    losses, gradients = losses_and_gradients(guided_model(), slice(None))
    assert losses['loss_complete_rec'] > 0
    for rank in range(2):
        found_losses, found_gradients = torch.load(tmp_path / f'{rank}.pth', weights_only=True)
        torch.testing.assert_close(found_losses, losses, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found_gradients, gradients, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize('part', [slice(0, 2), slice(2, 4)])
def test_each_half_has_every_gradient(part):
    losses, gradients = losses_and_gradients(guided_model(), part)
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    assert losses['loss'].isfinite()
