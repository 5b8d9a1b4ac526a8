"""A user's mistake gives one clear message and exit code 2, before any long work, and never a traceback."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mmwtal.apis.settings import prepare_config
from mmwtal.apis.train import train_localizer
from mmwtal.utils.errors import UserError

from .conftest import CONFIG, SHORT, Tool


def message(done) -> str:
    assert 'Traceback' not in done.stderr
    assert done.stderr.count('error: ') == 1
    return done.stderr[done.stderr.index('error: ') :]


@pytest.fixture
def spoilt_data(small_data: Path, tmp_path: Path) -> Path:
    root = tmp_path / 'spoilt'
    shutil.copytree(small_data, root)
    return root


def test_faulty_features_are_all_reported_before_training(run_tool: Tool, spoilt_data: Path, tmp_path: Path) -> None:
    features = sorted((spoilt_data / 'features').glob('*.npy'))
    annotations = json.loads((spoilt_data / 'annotations.json').read_text())['database']
    training = [path for path in features if annotations[path.stem]['subset'] == 'training']
    training[0].unlink()
    training[1].write_bytes(b'')
    np.save(training[2], np.load(training[2])[:, :100])
    broken = np.load(training[3])
    broken[3, 5] = np.nan
    np.save(training[3], broken)
    done = run_tool('train.py', CONFIG, '--data-root', spoilt_data, '--work-dir', tmp_path / 'w', code=2)
    text = message(done)
    for path in training[:4]:
        assert path.stem in text


@pytest.mark.parametrize(
    ('arguments', 'expected'),
    [
        (['no_such_config.py'], 'no_such_config.py'),
        ([CONFIG, '--cfg-options', 'model.backbone.attention_chanels=3'], 'attention_channels'),
        ([CONFIG, '--cfg-options', 'model.num_classes=5'], 'model.num_classes is 5'),
        ([CONFIG, '--cfg-options', 'test_evaluator.protocol=wtal_gird'], None),
        ([CONFIG, '--resume', 'no_such.pth'], 'no_such.pth'),
    ],
)
def test_a_wrong_command_line(
    arguments: list[str], expected: str | None, run_tool: Tool, small_data: Path, tmp_path: Path
) -> None:
    options = ['--work-dir', tmp_path, '--data-root', small_data]
    if expected is None:
        # The evaluator of the test is no part of training; a run that selects on the test split needs it.
        options.append('--select-on-test')
        expected = 'wtal_grid'
    done = run_tool('train.py', arguments[0], *options, *arguments[1:], code=2)
    assert expected in message(done)


def test_a_wrong_data_root(run_tool: Tool, tmp_path: Path) -> None:
    done = run_tool('train.py', CONFIG, '--data-root', tmp_path / 'nowhere', '--work-dir', tmp_path / 'w', code=2)
    assert 'nowhere' in message(done)


def test_starting_anew_over_an_earlier_run_needs_a_word(run_tool: Tool, small_data: Path, tmp_path: Path) -> None:
    arguments = ('train.py', CONFIG, '--work-dir', tmp_path, '--data-root', small_data)
    short = ('--cfg-options', *SHORT, 'train_cfg.max_iters=2')
    run_tool(*arguments, *short)
    assert '--resume' in message(run_tool(*arguments, *short, code=2))
    run_tool(*arguments, '--overwrite', *short)


@pytest.mark.parametrize('content', ['empty', 'truncated', 'foreign', 'other model', 'missing'])
def test_a_wrong_checkpoint(content: str, run_tool: Tool, small_data: Path, tmp_path: Path) -> None:
    path = tmp_path / 'given.pth'
    if content == 'empty':
        path.touch()
    elif content == 'truncated':
        torch.save(dict(state_dict=dict(a=torch.zeros(1000))), path)
        path.write_bytes(path.read_bytes()[:-500])
    elif content == 'foreign':
        torch.save(dict(state_dict={}, extra=Path('an object')), path)
    elif content == 'other model':
        torch.save(dict(state_dict={'layer.weight': torch.zeros(2, 3)}), path)
    done = run_tool('test.py', CONFIG, path, '--data-root', small_data, '--work-dir', tmp_path / 'w', code=2)
    assert 'given.pth' in message(done)


def test_debug_shows_the_traceback(run_tool: Tool, tmp_path: Path) -> None:
    done = run_tool('train.py', CONFIG, '--data-root', tmp_path / 'nowhere', '--debug', code=1)
    assert 'Traceback' in done.stderr
    assert 'UserError' in done.stderr


def test_classes_in_another_order_than_the_checkpoint(run_tool: Tool, spoilt_data: Path, tmp_path: Path) -> None:
    options = ['--data-root', spoilt_data, '--work-dir', tmp_path / 'w']
    short = ['--cfg-options', *SHORT, 'train_cfg.max_iters=2']
    run_tool('train.py', CONFIG, *options, *short)
    annotations = json.loads((spoilt_data / 'annotations.json').read_text())
    annotations['classes'].reverse()
    (spoilt_data / 'annotations.json').write_text(json.dumps(annotations))
    assert 'wrong class' in message(run_tool('test.py', CONFIG, tmp_path / 'w', *options, code=2))
    resumed = run_tool('train.py', CONFIG, *options, '--resume', *short, 'train_cfg.max_iters=3', code=2)
    assert 'wrong class' in message(resumed)


def test_nothing_is_deleted_before_all_is_checked(run_tool: Tool, small_data: Path, tmp_path: Path) -> None:
    short = ['--cfg-options', *SHORT, 'train_cfg.max_iters=2']
    run_tool('train.py', CONFIG, '--data-root', small_data, '--work-dir', tmp_path, *short)
    wrong = [tmp_path / 'nowhere', '--work-dir', tmp_path, '--overwrite', *short]
    run_tool('train.py', CONFIG, '--data-root', *wrong, code=2)
    wrong = [small_data, '--work-dir', tmp_path, '--overwrite', *short, 'optim_wrapper.optimizer.lr=-1.0']
    assert 'learning rate' in message(run_tool('train.py', CONFIG, '--data-root', *wrong, code=2))
    assert (tmp_path / 'iter_2.pth').is_file()


@pytest.mark.slow
def test_resuming_an_earlier_checkpoint_beside_a_later_one(run_tool: Tool, small_data: Path, tmp_path: Path) -> None:
    options = ['--data-root', small_data, '--cfg-options', *SHORT, 'train_cfg.max_iters=8']
    run_tool('train.py', CONFIG, '--work-dir', tmp_path, *options, 'default_hooks.checkpoint.keep=2')
    again = ['train.py', CONFIG, '--work-dir', tmp_path, '--resume', tmp_path / 'iter_4.pth']
    assert 'iter_8.pth of an earlier run' in message(run_tool(*again, *options, code=2))
    run_tool(*again, '--overwrite', *options, 'train_cfg.max_iters=6')
    assert [path.name for path in tmp_path.glob('*.pth')] == ['iter_6.pth']


@pytest.mark.slow
def test_a_home_folder_in_paths(
    run_tool: Tool, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('HOME', str(tmp_path))
    (tmp_path / 'data').symlink_to(small_data)
    options = ['--data-root', '~/data', '--work-dir', '~/work']
    run_tool('train.py', CONFIG, *options, '--cfg-options', *SHORT, 'train_cfg.max_iters=1')
    run_tool('test.py', CONFIG, '~/work', *options)
    assert (tmp_path / 'work' / 'result.json').is_file()


def test_left_out_videos_are_named_in_the_result(run_tool: Tool, spoilt_data: Path, tmp_path: Path) -> None:
    options = ['--data-root', spoilt_data, '--work-dir', tmp_path / 'w']
    run_tool('train.py', CONFIG, *options, '--cfg-options', *SHORT, 'train_cfg.max_iters=1')
    gone = next((spoilt_data / 'features').glob('*_test_*.npy'))
    gone.unlink()
    skip = ['--cfg-options', 'test_dataloader.dataset.on_fault=skip']
    done = run_tool('test.py', CONFIG, tmp_path / 'w', *options, *skip)
    assert f'left out:    1 faulty videos, whose instances count as missed: {gone.stem}' in done.stdout
    assert json.loads((tmp_path / 'w' / 'result.json').read_text())['meta']['left_out'] == [gone.stem]


def test_modalities_of_other_widths_than_the_model_takes(run_tool: Tool, spoilt_data: Path, tmp_path: Path) -> None:
    sidecar = spoilt_data / 'features' / 'features.json'
    content = json.loads(sidecar.read_text())
    content['modalities'] = {'rgb': [0, 32], 'flow': [32, 128]}
    sidecar.write_text(json.dumps(content))
    options = ['--data-root', spoilt_data, '--work-dir', tmp_path / 'w', '--cfg-options', *SHORT]
    assert 'model.backbone.modalities=[32, 96]' in message(run_tool('train.py', CONFIG, *options, code=2))
    run_tool('train.py', CONFIG, *options, 'train_cfg.max_iters=1', 'model.backbone.modalities=(32,96)')


@pytest.mark.parametrize(
    ('stated', 'found'),
    [
        ({'rgb': [0, 128]}, 'states 1: rgb of 128 channels; use'),
        (
            {'flow': [64, 96], 'rgb': [0, 64], 'audio': [96, 128]},
            'states 3: rgb of 64 channels, flow of 32 channels, audio of 32 channels; use',
        ),
    ],
)
def test_features_of_another_number_of_modalities_than_the_model_needs(
    stated: dict[str, list[int]], found: str, run_tool: Tool, spoilt_data: Path, tmp_path: Path
) -> None:
    sidecar = spoilt_data / 'features' / 'features.json'
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), 'modalities': stated}))
    command = ['train.py', CONFIG, '--data-root', spoilt_data, '--work-dir', tmp_path / 'w', '--cfg-options', *SHORT]
    text = message(run_tool(*command, code=2))
    assert 'CO2NetBackbone needs features of 2 modalities' in text
    assert found in text
    assert 'a model whose backbone takes any number (' in text
    # Nothing to set would mend it, so that nothing is proposed.
    assert 'modalities=' not in text


def test_videos_without_labels_alone(run_tool: Tool, spoilt_data: Path, tmp_path: Path) -> None:
    path = spoilt_data / 'annotations.json'
    annotations = json.loads(path.read_text())
    for entry in annotations['database'].values():
        entry['labels'] = []
    path.write_text(json.dumps(annotations))
    done = run_tool('train.py', CONFIG, '--data-root', spoilt_data, '--work-dir', tmp_path / 'w', code=2)
    assert 'nothing to learn' in message(done)


@pytest.mark.parametrize(('script', 'before'), [('dist_train.sh', [CONFIG]), ('dist_test.sh', [CONFIG, 'x.pth'])])
@pytest.mark.parametrize('gpus', ['x', '0', '-1', '1.5', ''])
def test_a_wrong_number_of_processes(script: str, before: list[str], gpus: str, run_tool: Tool) -> None:
    done = run_tool(script, *before, gpus, code=2)
    assert done.stderr.count('\n') == 1
    assert f"{script}: GPUS must be a number above 0, found '{gpus}'; usage: bash tools/{script} CONFIG" in done.stderr


def test_a_learning_rate_that_belongs_to_no_batch_is_not_scaled(tmp_path: Path, repo_root: Path) -> None:
    config = tmp_path / 'unscaled.py'
    config.write_text(f'_base_ = [{str(repo_root / CONFIG)!r}]\nauto_scale_lr = dict(_delete_=True, enable=True)\n')
    with pytest.raises(UserError, match=r'needs auto_scale_lr\.base_batch_size, the batch that'):
        train_localizer(prepare_config(config, work_dir=tmp_path / 'w'))
    assert not (tmp_path / 'w').exists()
