"""A small embedded dataset, the command-line tools, each run in a process of its own as a user would, a guided run."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from mmwtal.priors.schema import PriorRecord

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


# Two attentions that teach each other in turn, two iterations each, and the base. Building it needs a file of texts.
GUIDANCE = """
import os
import signal
from pathlib import Path

import torch
from mmengine.hooks import Hook
from torch import nn

from mmwtal.models.losses.progress import training_seed
from mmwtal.registry import HOOKS, MODELS


@MODELS.register_module()
class ToyPhaseGuidance(nn.Module):
    def __init__(self, *, num_classes, in_channels, text_file, period=4):
        super().__init__()
        self.key, self.complete = nn.Linear(in_channels, 1), nn.Linear(in_channels, 1)
        self.scale = len(Path(text_file).read_text())
        self.period = period

    def forward(self, inputs, output, data_samples):
        seed, iteration = training_seed()
        generator = torch.Generator().manual_seed(seed * 10000 + iteration)
        noise = torch.randn(inputs.shape[-1], generator=generator).to(inputs) / self.scale
        key, complete = self.key(inputs + noise).sigmoid(), self.complete(inputs).sigmoid()
        first = float(iteration // self.period % 2 == 0)
        teach = nn.functional.mse_loss
        return {
            'loss_key': first * teach(key, complete.detach()),
            'loss_complete': (1 - first) * teach(complete, key.detach()),
            'loss_level': (key.mean() - 0.5) ** 2 + (complete.mean() - 0.3) ** 2,
            'loss_base': 3 * teach(output.attn, (key + complete).detach() / 2),
            'phase': torch.tensor(first),
        }


@HOOKS.register_module()
class ToyKillHook(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == int(os.environ.get('TOY_KILL_AT', -1)):
            os.kill(os.getpid(), signal.SIGKILL)
"""
CONFIGURED = """
_base_ = ['{base}']
custom_imports = dict(imports=['toy_phase_guidance'])
model = dict(guidance=dict(type='ToyPhaseGuidance', text_file='{texts}'))
optim_wrapper = dict(
    constructor='ParamGroupConstructor',
    paramwise_cfg=dict(guidance=dict(lr=0.04, weight_decay=0.0, clip_grad=dict(max_norm=0.01))),
)
param_scheduler = [
    dict(type='GroupScheduler', group='base', scheduler='ExponentialLR', by_epoch=False, gamma=0.9),
    dict(type='GroupScheduler', group='guidance', scheduler='InverseSqrtLR', by_epoch=False, warmup=4),
]
custom_hooks = [dict(type='WeightAverageHook', start=0.5), dict(type='ToyKillHook')]
"""
# Twelve iterations; averaged are 7 to 12, the phases change after 4 and 8.
GUIDED = [*SHORT, 'train_cfg.max_iters=12', 'default_hooks.logger.interval=1']


class Toy:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.texts = folder / 'texts.txt'
        self.texts.write_text('jump over the bar')
        (folder / 'toy_phase_guidance.py').write_text(GUIDANCE)
        self.config = folder / 'guided_synthetic.py'
        self.config.write_text(CONFIGURED.format(base=ROOT / CONFIG, texts=self.texts))


@pytest.fixture(scope='session')
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return Toy(tmp_path_factory.mktemp('toy'))


@pytest.fixture
def importable(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tools import the toy's guidance."""
    monkeypatch.setenv('PYTHONPATH', str(toy.folder), prepend=':')


@pytest.fixture(scope='session')
def guided_run(toy: Toy, run_tool: Tool, small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a checkpoint for each iteration, validated every three."""
    work_dir = tmp_path_factory.mktemp('guided')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('PYTHONPATH', str(toy.folder), prepend=':')
        done = run_tool(
            *('train.py', toy.config, '--work-dir', work_dir, '--data-root', small_data, '--select-on-test'),
            *('--cfg-options', *GUIDED, 'train_cfg.val_interval=3', 'default_hooks.checkpoint.interval=1'),
            'default_hooks.checkpoint.keep=12',
        )
    assert 'guidance_lr' in done.stdout + done.stderr
    return work_dir


@pytest.fixture(scope='session')
def walk(repo_root: Path) -> Callable[[str, str, Path], dict[str, str]]:
    """Returns what runs the commands of a page, word for word."""

    def run(page: str, heading: str, folder: Path) -> dict[str, str]:
        """Run the first block below a heading in a folder; return what each command said, by tool and first word."""
        section = (repo_root / 'docs' / page).read_text().split(f'\n{heading}\n')[1].split('\n## ')[0]
        block = section.split('```bash\n')[1].split('```')[0]
        for name in ('tools', 'configs', 'mmwtal'):
            (folder / name).symlink_to(repo_root / name)
        environment = {**os.environ, 'PYTHONPATH': str(folder), 'OMP_NUM_THREADS': '1'}
        said = {}
        for program, *words in (shlex.split(line, comments=True) for line in block.splitlines()):
            assert program == 'python'
            done = subprocess.run(
                [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=240
            )
            assert done.returncode == 0, f'{words}: {done.stdout[-2000:]}{done.stderr[-4000:]}'
            assert 'Traceback' not in done.stderr
            said[words[1] if words[0] == 'tools/priors.py' else Path(words[0]).stem] = done.stdout + done.stderr
        return said

    return run


def check_answers(records: Mapping[tuple[str, str], PriorRecord], labels: Mapping[str, str]) -> None:
    """Check what a tiny random model said of videos with one label each, of which it saw four frames."""
    assert records.keys() == {*labels.items()}
    for record in records.values():
        # Random words may be refused for what they say; that they are refused for their form would be our fault.
        said = json.dumps([record.reason, dict(record.faults), dict(record.details)])
        assert 'JSON' not in said
        assert 'cut off' not in said
        assert len(record.details['key']['frames']) == 4
    assert any(record.text.key for record in records.values())
