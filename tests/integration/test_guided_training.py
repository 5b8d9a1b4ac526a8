"""A guided run, with a made-up guidance: groups, schedules, averaged weights, interruption in the middle of a phase."""

import json
import math
import os
import signal
import sys
from pathlib import Path

import pytest
import torch

from .conftest import GUIDED, Tool, Toy, assert_same_weights, loss_history

pytestmark = pytest.mark.usefixtures('importable')


def load(path: Path) -> dict:
    return torch.load(path, weights_only=True)


def running(path: Path) -> dict[str, torch.Tensor]:
    """The weights that training went on with."""
    checkpoint = load(path)
    return {**checkpoint['state_dict'], **checkpoint.get('weight_average', {}).get('running', {})}


def assert_same_state(one: object, other: object) -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_same_state(value, other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for ours, theirs in zip(one, other, strict=True):
            assert_same_state(ours, theirs)
    else:
        assert one == other


def test_each_group_has_its_options_and_its_schedule(guided_run: Path) -> None:
    checkpoint = load(guided_run / 'iter_12.pth')
    groups = checkpoint['optimizer']['param_groups']
    assert [(group['name'], group['weight_decay']) for group in groups] == [('base', 0.001), ('guidance', 0.0)]
    log = {key: value['values'].tolist() for key, value in checkpoint['message_hub']['log_scalars'].items()}
    assert log['train/lr'] == pytest.approx([1e-3 * 0.9**step for step in range(12)])
    guided = [1e-7, *(1e-7 + (0.04 - 1e-7) * step / 4 for step in (1, 2, 3))]
    guided += [0.04 * math.sqrt(4 / step) for step in range(4, 12)]
    assert log['train/guidance_lr'] == pytest.approx(guided)
    assert 'train/base_lr' not in log
    assert min(log['train/guidance_grad_norm']) > 0.01
    assert log['train/phase'] == [1.0] * 4 + [0.0] * 4 + [1.0] * 4


def test_the_checkpoint_holds_the_mean_of_the_last_part(guided_run: Path) -> None:
    for iteration in (3, 6):
        checkpoint = load(guided_run / f'iter_{iteration}.pth')
        assert 'weight_average' not in checkpoint
        assert 'weight_average' not in checkpoint['meta']
    for last in (7, 9, 12):
        checkpoint = load(guided_run / f'iter_{last}.pth')
        assert checkpoint['meta']['weight_average'] == dict(first=7, last=last, count=last - 6)
        parts = [running(guided_run / f'iter_{iteration}.pth') for iteration in range(7, last + 1)]
        moved = 0
        for name, mean in checkpoint['state_dict'].items():
            torch.testing.assert_close(mean, torch.stack([part[name] for part in parts]).mean(0))
            moved += not torch.equal(mean, parts[-1][name])
        assert (moved > 0) == (last > 7)


def test_what_is_selected_on_test_was_validated_with_the_same_weights(
    toy: Toy, run_tool: Tool, guided_run: Path, small_data: Path, tmp_path: Path
) -> None:
    best = guided_run / 'best_on_test.pth'
    run_tool('test.py', toy.config, best, '--data-root', small_data, '--work-dir', tmp_path)
    result = json.loads((tmp_path / 'result.json').read_text())
    assert result['average'] == pytest.approx(load(best)['meta']['selection']['score'], abs=1e-9)
    last = load(guided_run / 'iter_12.pth')['message_hub']['log_scalars']['val/average']['values'][-1].item()
    done = run_tool(
        'test.py', toy.config, guided_run / 'iter_12.pth', '--data-root', small_data, '--work-dir', tmp_path
    )
    assert 'weights:     their mean over the iterations 7 to 12' in done.stdout
    result = json.loads((tmp_path / 'result.json').read_text())
    assert result['average'] == pytest.approx(last, abs=1e-9)
    assert result['meta']['weight_average'] == dict(first=7, last=12, count=6)


@pytest.mark.parametrize('moment', [5, 10], ids=['before the mean', 'within the mean'])
def test_killed_in_the_middle_of_a_phase(
    moment: int,
    toy: Toy,
    run_tool: Tool,
    guided_run: Path,
    small_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = ['train.py', toy.config, '--work-dir', tmp_path, '--data-root', small_data, '--select-on-test']
    arguments += ['--resume', '--cfg-options', *GUIDED, 'train_cfg.val_interval=3']
    # Resumed from iteration 3 and 10: neither a phase nor the mean begins or ends there.
    arguments += [f'default_hooks.checkpoint.interval={3 if moment < 6 else 1}']
    monkeypatch.setenv('TOY_KILL_AT', str(moment))
    run_tool(*arguments, code=-signal.SIGKILL)
    monkeypatch.delenv('TOY_KILL_AT')
    done = run_tool(*arguments)
    assert f'resumed epoch: 0, iter: {3 if moment < 6 else 10}' in done.stdout + done.stderr
    for name in ('iter_12.pth', 'best_on_test.pth'):
        one, other = (load(folder / name) for folder in (guided_run, tmp_path))
        for key in ('state_dict', 'optimizer', 'param_schedulers'):
            assert_same_state(one[key], other[key])
        assert_same_state(one.get('weight_average'), other.get('weight_average'))
        assert one['meta'].get('weight_average') == other['meta'].get('weight_average')
    assert loss_history(guided_run / 'iter_12.pth') == loss_history(tmp_path / 'iter_12.pth')
    hubs = [load(folder / 'iter_12.pth')['message_hub']['log_scalars'] for folder in (guided_run, tmp_path)]
    for key in ('train/guidance_lr', 'train/guidance_grad_norm', 'train/lr'):
        assert_same_state(hubs[0][key], hubs[1][key])


def test_averaged_weights_are_not_resumed_without_the_hook(
    toy: Toy, run_tool: Tool, guided_run: Path, small_data: Path, tmp_path: Path
) -> None:
    options = ['--data-root', small_data, '--work-dir', tmp_path, '--resume', guided_run / 'iter_9.pth']
    done = run_tool('train.py', toy.config, *options, '--cfg-options', *GUIDED, 'custom_hooks=None', code=2)
    assert 'resume with the WeightAverageHook that made them' in done.stderr
    plain = toy.folder / 'ungrouped_synthetic.py'
    plain.write_text(
        f"_base_ = ['{toy.config}']\n"
        "optim_wrapper = dict(constructor='DefaultOptimWrapperConstructor', paramwise_cfg=None)\n"
        'param_scheduler = None\n'
    )
    done = run_tool('train.py', plain, *options, '--cfg-options', *GUIDED, code=2)
    assert 'its optimizer has the parameter groups base (' in done.stderr


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('PORT', str(20000 + os.getpid() % 20000))
    monkeypatch.setenv('PYTHON', sys.executable)


@pytest.mark.usefixtures('port')
def test_two_processes_resume_with_both_learning_rates_scaled(
    toy: Toy, run_tool: Tool, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ['dist_train.sh', toy.config, 2, '--data-root', small_data, '--auto-scale-lr', '--resume']
    options = ['--cfg-options', *GUIDED, 'train_cfg.max_iters=4', 'default_hooks.checkpoint.interval=1']
    run_tool(*arguments, '--work-dir', tmp_path / 'whole', *options)
    monkeypatch.setenv('TOY_KILL_AT', '3')
    run_tool(*arguments, '--work-dir', tmp_path / 'part', *options, code=None)
    assert not (tmp_path / 'part' / 'iter_4.pth').exists()
    monkeypatch.delenv('TOY_KILL_AT')
    run_tool(*arguments, '--work-dir', tmp_path / 'part', *options)
    assert_same_weights(tmp_path / 'whole' / 'iter_4.pth', tmp_path / 'part' / 'iter_4.pth')
    one, other = (load(tmp_path / name / 'iter_4.pth') for name in ('whole', 'part'))
    assert_same_state(one['weight_average'], other['weight_average'])
    assert one['weight_average']['count'] == 2
    assert [group['initial_lr'] for group in one['optimizer']['param_groups']] == [2e-3, 0.08]
