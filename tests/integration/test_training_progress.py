"""What a loss is told of the progress of a real run, from its first iteration and after it was resumed."""

from pathlib import Path

import pytest

from .conftest import CONFIG, ROOT, SHORT, Tool, loss_history

PROBE = """
from mmwtal.models.losses.base import BaseLoss
from mmwtal.models.losses.progress import training_progress
from mmwtal.registry import MODELS

@MODELS.register_module()
class ProgressProbe(BaseLoss):
    def compute(self, output, labels):
        progress = training_progress(max_iters=None, user='ProgressProbe')
        return 0 * output.cas.sum() + progress.iteration + 100 * progress.max_iters
"""


def test_first_iteration_and_resumed_run(
    run_tool: Tool, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'progress_probe.py').write_text(PROBE)
    config = tmp_path / 'probe_synthetic.py'
    config.write_text(
        f"_base_ = ['{ROOT / CONFIG}']\n"
        "custom_imports = dict(imports=['progress_probe'])\n"
        "model = dict(head=dict(losses=dict(loss_probe=dict(type='ProgressProbe'))))\n"
    )
    monkeypatch.setenv('PYTHONPATH', str(tmp_path), prepend=':')
    options = ['--work-dir', tmp_path / 'w', '--data-root', small_data, '--cfg-options', *SHORT]
    run_tool('train.py', config, *options, 'train_cfg.max_iters=2')
    run_tool('train.py', config, *options, 'train_cfg.max_iters=4', '--resume')
    told = loss_history(tmp_path / 'w' / 'iter_4.pth')['train/loss_probe']
    assert told == [200, 201, 402, 403]
