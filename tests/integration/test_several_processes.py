"""Several processes with a part of the batch each are one process with the whole batch."""

import json
import os
import sys
from pathlib import Path

import pytest
import torch

from .conftest import CONFIG, SHORT, Tool, assert_same_weights, loss_history, weights

# Plain gradient descent: after the first step the weights differ by the gradients alone.
EQUAL = [
    *SHORT,
    'train_cfg.max_iters=3',
    'default_hooks.checkpoint.interval=1',
    'default_hooks.checkpoint.keep=3',
    'model.backbone.dropout=0.0',
    'model.backbone.fusion_dropout=0.0',
    'model.head.dropout=0.0',
    'optim_wrapper.optimizer.type=SGD',
    'optim_wrapper.optimizer.lr=0.01',
]


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('PORT', str(20000 + os.getpid() % 20000))
    monkeypatch.setenv('PYTHON', sys.executable)


@pytest.mark.usefixtures('port')
def test_losses_and_gradients_equal_those_of_one_process(run_tool: Tool, small_data: Path, tmp_path: Path) -> None:
    # 12 videos, 5 pairs: the second process has the last two pairs and two videos without a partner.
    options = ['--data-root', small_data, '--cfg-options', *EQUAL, 'model.head.losses.loss_coactivity.num_pairs=5']
    options += ['train_dataloader.batch_sampler.num_pairs=5']
    run_tool('train.py', CONFIG, '--work-dir', tmp_path / 'one', *options, 'train_dataloader.batch_size=12')
    run_tool('dist_train.sh', CONFIG, 2, '--work-dir', tmp_path / 'two', *options, 'train_dataloader.batch_size=6')
    for iteration in (1, 2, 3):
        one, two = (weights(tmp_path / name / f'iter_{iteration}.pth') for name in ('one', 'two'))
        assert one.keys() == two.keys()
        for key in one:
            torch.testing.assert_close(one[key], two[key], rtol=1e-4, atol=1e-6)
    losses = [loss_history(tmp_path / name / 'iter_3.pth') for name in ('one', 'two')]
    assert losses[0].keys() == losses[1].keys()
    for term in losses[0]:
        torch.testing.assert_close(losses[0][term], losses[1][term], rtol=1e-4, atol=1e-6)


# Two processes that resume are part of every run of the tests with guidance, in test_guided_training.py.
@pytest.mark.slow
@pytest.mark.usefixtures('port')
def test_a_run_of_two_processes_resumes_to_the_same_weights(run_tool: Tool, small_data: Path, tmp_path: Path) -> None:
    options = ['--data-root', small_data, '--seed', 5, '--cfg-options', *SHORT, 'train_dataloader.batch_size=6']
    whole = ['dist_train.sh', CONFIG, 2, '--work-dir', tmp_path / 'whole', *options, 'train_cfg.max_iters=3']
    first = ['dist_train.sh', CONFIG, 2, '--work-dir', tmp_path / 'part', *options, 'train_cfg.max_iters=2']
    run_tool(*whole)
    run_tool(*first)
    # Without --seed: a resumed run takes it from its checkpoint.
    rest = [option for option in first if option not in ('--seed', 5)]
    done = run_tool(*rest, 'train_cfg.max_iters=3', '--resume')
    assert 'seed 5 of the checkpoint, not 0 of the config' in done.stdout + done.stderr
    assert_same_weights(tmp_path / 'whole' / 'iter_3.pth', tmp_path / 'part' / 'iter_3.pth')


@pytest.mark.usefixtures('port')
def test_no_hang_with_negative_videos_and_a_short_last_batch(run_tool: Tool, small_data: Path, tmp_path: Path) -> None:
    # One class is left to pair, most videos are negatives, and 10 test videos in batches of 4 for two processes.
    annotations = json.loads((small_data / 'annotations.json').read_text())
    database = annotations['database']
    training = [entry for entry in database.values() if entry['subset'] == 'training']
    for number, entry in enumerate(training):
        entry['labels'] = annotations['classes'][:1] if number < 2 else []
        entry['annotations'] = []
    root = tmp_path / 'data'
    root.mkdir()
    (root / 'features').symlink_to(small_data / 'features')
    (root / 'annotations.json').write_text(json.dumps(annotations))
    run_tool(
        *('dist_train.sh', CONFIG, 2, '--work-dir', tmp_path / 'w', '--data-root', root, '--cfg-options', *SHORT),
        *('train_dataloader.batch_size=6', 'train_cfg.max_iters=4'),
    )
    run_tool(
        *('dist_test.sh', CONFIG, tmp_path / 'w', 2, '--work-dir', tmp_path / 'w', '--data-root', root),
        *('--cfg-options', 'test_dataloader.batch_size=4'),
    )
    assert json.loads((tmp_path / 'w' / 'result.json').read_text())['num_videos'] == 10


@pytest.mark.usefixtures('port')
def test_a_loss_that_is_not_finite_stops_all_processes(run_tool: Tool, small_data: Path, tmp_path: Path) -> None:
    done = run_tool(
        *('dist_train.sh', CONFIG, 2, '--work-dir', tmp_path, '--data-root', small_data, '--cfg-options', *EQUAL),
        *('train_dataloader.batch_size=6', 'optim_wrapper.optimizer.lr=1e30'),
        code=None,
    )
    assert done.returncode != 0
    assert done.stderr.count('error: iteration ') == 2


def test_auto_scale_lr(run_tool: Tool, small_data: Path, tmp_path: Path) -> None:
    run_tool(
        *('train.py', CONFIG, '--auto-scale-lr', '--work-dir', tmp_path, '--data-root', small_data),
        *('--cfg-options', *SHORT, 'train_cfg.max_iters=1', 'train_dataloader.batch_size=20'),
    )
    state = torch.load(tmp_path / 'iter_1.pth', weights_only=True)
    assert state['optimizer']['param_groups'][0]['lr'] == pytest.approx(2e-3)


@pytest.mark.parametrize('tool', ['slurm_train.sh', 'slurm_test.sh'])
def test_slurm_scripts_print_their_command(tool: str, run_tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in dict(DRY_RUN='1', GPUS='4', CPUS_PER_TASK='3', SRUN_ARGS='--time=1 --mem=2').items():
        monkeypatch.setenv(name, value)
    checkpoint = ['a b.pth'] if tool == 'slurm_test.sh' else []
    done = run_tool(tool, 'part', 'job', CONFIG, *checkpoint, '--cfg-options', 'a=1')
    command = done.stdout
    assert command.startswith('srun --partition=part --job-name=job --gres=gpu:4 --ntasks=4 --ntasks-per-node=4')
    assert '--cpus-per-task=3' in command
    assert '--time=1 --mem=2' in command
    assert '--launcher slurm --cfg-options a=1' in command
    assert not checkpoint or 'a\\ b.pth' in command
    assert run_tool(tool, 'part', code=2).stderr.startswith('usage: ')
