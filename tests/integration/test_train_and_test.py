"""Train, interrupt, resume, test, in one process and in two: the tools as a user runs them."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from .conftest import CONFIG, ROOT, SHORT, Tool, assert_same_weights, loss_history, weights


@pytest.fixture(scope='module')
def trained(run_tool: Tool, small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work_dir = tmp_path_factory.mktemp('undisturbed')
    run_tool('train.py', CONFIG, '--work-dir', work_dir, '--data-root', small_data, '--cfg-options', *SHORT)
    return work_dir


def test_training_leaves_only_the_last_checkpoint_a_config_and_logs(trained: Path) -> None:
    assert [path.name for path in trained.glob('*.pth')] == ['iter_12.pth']
    assert not list(trained.glob('.*.tmp'))
    config = (trained / 'co2net_synthetic.py').read_text()
    assert 'num_classes=8' in config.replace(' ', '')
    assert 'in_channels=128' in config.replace(' ', '')
    assert list(trained.glob('*/vis_data/events.out.tfevents*'))
    log = next(trained.glob('*/*.log')).read_text()
    assert 'eta: ' in log
    assert 'loss_coactivity' in log


def test_every_loss_term_is_stored_and_finite(trained: Path) -> None:
    history = loss_history(trained / 'iter_12.pth')
    for term in ('loss_mil', 'loss_mil_supp', 'loss_coactivity', 'loss_mutual', 'loss_norm', 'loss_guide'):
        assert len(history[f'train/{term}']) == 12
        assert np.isfinite(history[f'train/{term}']).all()


def test_two_runs_with_one_seed_are_bit_identical_and_with_another_are_not(
    trained: Path, run_tool: Tool, small_data: Path, tmp_path: Path
) -> None:
    for name, seed in (('same', 0), ('other', 1)):
        run_tool(
            *('train.py', CONFIG, '--work-dir', tmp_path / name, '--data-root', small_data),
            *('--seed', seed, '--cfg-options', *SHORT),
        )
    assert_same_weights(trained / 'iter_12.pth', tmp_path / 'same' / 'iter_12.pth')
    assert loss_history(trained / 'iter_12.pth') == loss_history(tmp_path / 'same' / 'iter_12.pth')
    with pytest.raises(AssertionError):
        assert_same_weights(trained / 'iter_12.pth', tmp_path / 'other' / 'iter_12.pth')


def test_a_killed_run_resumes_to_the_same_weights(
    trained: Path, run_tool: Tool, small_data: Path, tmp_path: Path
) -> None:
    arguments = [CONFIG, '--work-dir', str(tmp_path), '--data-root', str(small_data), '--cfg-options', *SHORT]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / 'tools/train.py'), *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=-3
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob('iter_*.pth')) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    left = [path.name for path in tmp_path.glob('iter_*.pth')]
    assert left, 'the run was to be killed after its first checkpoint'

    done = run_tool('train.py', *arguments, '--resume')
    assert left == ['iter_12.pth'] or 'resumed epoch: 0, iter: ' in done.stdout + done.stderr
    assert_same_weights(trained / 'iter_12.pth', tmp_path / 'iter_12.pth')
    assert loss_history(trained / 'iter_12.pth') == loss_history(tmp_path / 'iter_12.pth')


def test_test_writes_predictions_and_scores_with_their_protocol(
    trained: Path, run_tool: Tool, small_data: Path, tmp_path: Path
) -> None:
    dump = tmp_path / 'out' / 'p.json'
    done = run_tool('test.py', CONFIG, trained, '--data-root', small_data, '--work-dir', tmp_path / 'w', '--dump', dump)
    result = json.loads(dump.with_name('p.result.json').read_text())
    assert result['protocol'] == 'wtal_grid'
    assert result['num_videos'] == 10
    assert result['meta']['selection'] == {'rule': 'last'}
    assert result['meta']['iteration'] == 12
    assert 'video_scores' not in result['meta']
    assert len(result['mAP']) == len(result['tious']) == 7
    assert 'wtal_grid' in done.stdout
    assert result['video_list_hash'][:8] in done.stdout

    predictions = json.loads(dump.read_text())
    assert predictions['meta']['checkpoint_sha256'] == result['meta']['checkpoint_sha256']
    assert result['num_predictions'] == sum(map(len, predictions['results'].values())) > 0
    # The stored predictions, scored by the tool that knows nothing of the model, give the same table.
    rescored = tmp_path / 'again.json'
    run_tool(
        *('evaluate.py', dump, small_data / 'annotations.json', '--protocol', 'wtal_grid'),
        *('--tious', '0.1:0.7:0.1', '--out', rescored),
    )
    assert json.loads(rescored.read_text())['mAP'] == pytest.approx(result['mAP'], abs=1e-9)


def test_video_scores_from_elsewhere_change_the_result_and_mark_it(
    trained: Path, run_tool: Tool, small_data: Path, tmp_path: Path
) -> None:
    content = json.loads((small_data / 'annotations.json').read_text())
    videos = [video for video, entry in content['database'].items() if entry['subset'] == 'test']
    wanted = content['classes'][3]
    scores = {video: {label: float(label == wanted) for label in content['classes']} for video in videos}
    path = tmp_path / 'scores.json'
    path.write_text(json.dumps(scores))
    arguments = ('test.py', CONFIG, trained, '--data-root', small_data, '--work-dir', tmp_path / 'w')
    done = run_tool(*arguments, '--external-scores', path)
    assert 'EXTERNAL VIDEO SCORES: scores.json' in done.stdout
    predictions = json.loads((tmp_path / 'w' / 'predictions.json').read_text())
    assert {row['label'] for rows in predictions['results'].values() for row in rows} == {wanted}
    result = json.loads((tmp_path / 'w' / 'result.json').read_text())
    mark = dict(
        source='external video scores', file='scores.json', sha256=hashlib.sha256(path.read_bytes()).hexdigest()
    )
    assert result['meta']['video_scores'] == predictions['meta']['video_scores'] == mark

    del scores[videos[0]]
    path.write_text(json.dumps(scores))
    done = run_tool(*arguments, '--external-scores', path, code=2)
    assert f'video {videos[0]} is missing' in done.stderr
    assert done.stderr.count('error: ') == 1
    assert 'Traceback' not in done.stderr


def test_selection_on_the_test_split_is_marked(run_tool: Tool, small_data: Path, tmp_path: Path) -> None:
    run_tool(
        *('train.py', CONFIG, '--work-dir', tmp_path, '--data-root', small_data, '--select-on-test'),
        *('--cfg-options', *SHORT),
    )
    best = torch.load(tmp_path / 'best_on_test.pth', weights_only=True)['meta']['selection']
    assert best['rule'] == 'best on the test split'
    done = run_tool('test.py', CONFIG, tmp_path / 'best_on_test.pth', '--data-root', small_data, '--work-dir', tmp_path)
    assert 'SELECTED ON THE TEST SPLIT' in done.stdout
    result = json.loads((tmp_path / 'result.json').read_text())
    assert result['meta']['selection']['rule'] == 'best on the test split'
    assert result['average'] == pytest.approx(best['score'], abs=1e-6)


def test_two_processes_train_and_test_as_one(
    trained: Path, run_tool: Tool, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('PORT', str(20000 + os.getpid() % 20000))
    monkeypatch.setenv('PYTHON', sys.executable)
    run_tool(
        *('dist_train.sh', CONFIG, 2, '--work-dir', tmp_path / 'train', '--data-root', small_data),
        *('--cfg-options', *SHORT, 'train_dataloader.batch_size=6'),
    )
    assert (tmp_path / 'train' / 'iter_12.pth').is_file()
    predictions = []
    for name, tool, processes in (('one', 'test.py', []), ('two', 'dist_test.sh', [2])):
        dump = tmp_path / name / 'p.json'
        run_tool(
            *(tool, CONFIG, trained, *processes, '--data-root', small_data, '--dump', dump),
            *('--work-dir', tmp_path / name),
        )
        predictions.append(json.loads(dump.read_text())['results'])
    one, two = predictions
    assert one.keys() == two.keys()
    for video in one:
        assert [p['label'] for p in one[video]] == [p['label'] for p in two[video]]
        np.testing.assert_allclose(
            [[*p['segment'], p['score']] for p in one[video]],
            [[*p['segment'], p['score']] for p in two[video]],
            atol=1e-5,
        )


def test_mixed_precision_changes_the_weights_a_little(
    trained: Path, run_tool: Tool, small_data: Path, tmp_path: Path
) -> None:
    run_tool('train.py', CONFIG, '--amp', '--work-dir', tmp_path, '--data-root', small_data, '--cfg-options', *SHORT)
    full, mixed = weights(trained / 'iter_12.pth'), weights(tmp_path / 'iter_12.pth')
    assert any(not torch.equal(full[key], mixed[key]) for key in full)
    for key in full:
        assert mixed[key].dtype == torch.float32
        assert (full[key] - mixed[key]).norm() <= 0.2 * full[key].norm() + 0.1
