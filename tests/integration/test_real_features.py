"""Training and testing on real I3D features, 2,048 wide, through the own-data converter."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Tool

CONFIG = 'configs/co2net/co2net_custom.py'
# The published width; few and short iterations.
SHORT = [
    'train_cfg.max_iters=2',
    'train_dataloader.batch_size=6',
    'train_dataloader.dataset.pipeline.1.length=32',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'test_dataloader.num_workers=0',
]


def write_csv(path: Path, rows: list[tuple]) -> Path:
    with path.open('w', newline='', encoding='utf-8') as file:
        csv.writer(file).writerows(rows)
    return path


def train_and_test(run_tool: Tool, root: Path, work_dir: Path) -> dict:
    run_tool('train.py', CONFIG, '--data-root', root, '--work-dir', work_dir, '--cfg-options', *SHORT)
    run_tool('test.py', CONFIG, work_dir, '--data-root', root, '--work-dir', work_dir, '--cfg-options', *SHORT[-1:])
    return json.loads((work_dir / 'result.json').read_text())


@pytest.mark.slow
def test_two_real_videos_whose_stride_is_not_known(run_tool: Tool, shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / 'features' / 'bbformer_i3d'
    truth = json.loads((source / 'gt.json').read_text())['GT']
    features = tmp_path / 'features'
    features.mkdir()
    labels, segments, durations = [], [], []
    for name in ('highjump', 'tennis26'):
        instances = truth[f'{name}.npy']['annotations']
        for video in (name, f'{name}_test'):
            shutil.copy(source / f'{name}.npy', features / f'{video}.npy')
            durations.append((video, truth[f'{name}.npy']['duration']))
        labels.append((name, instances[0]['label']))
        segments += [(f'{name}_test', *instance['segment'], instance['label']) for instance in instances]
    run_tool(
        *('dataset_converters/custom.py', features, write_csv(tmp_path / 'labels.csv', labels), tmp_path / 'root'),
        *('--test-csv', write_csv(tmp_path / 'segments.csv', segments), '--linear-time'),
        *('--durations', write_csv(tmp_path / 'durations.csv', durations)),
    )
    result = train_and_test(run_tool, tmp_path / 'root', tmp_path / 'work')
    assert (result['num_videos'], result['num_instances']) == (2, 4)
    predictions = json.loads((tmp_path / 'work' / 'predictions.json').read_text())['results']
    assert predictions.keys() == {'highjump_test', 'tennis26_test'}
    for video, duration in (('highjump_test', 24.0), ('tennis26_test', 11.0)):
        assert predictions[video]
        assert all(0 <= p['segment'][0] < p['segment'][1] <= duration for p in predictions[video])


def test_composed_videos_of_real_features(run_tool: Tool, shared_bench: Path, tmp_path: Path) -> None:
    made = tmp_path / 'gym'
    script = [sys.executable, shared_bench / 'make_gym.py', made, '--dim', '0', '--train', '24', '--test', '6']
    subprocess.run(script, check=True, env={'OMP_NUM_THREADS': '1'})
    database = json.loads((made / 'annotations.json').read_text())['database']
    labels = [
        (video, ';'.join(sorted({instance['label'] for instance in entry['annotations']})))
        for video, entry in database.items()
        if entry['subset'] == 'training'
    ]
    segments = [
        (video, *instance['segment'], instance['label'])
        for video, entry in database.items()
        if entry['subset'] == 'test'
        for instance in entry['annotations']
    ]
    run_tool(
        *('dataset_converters/custom.py', made / 'features', write_csv(tmp_path / 'labels.csv', labels)),
        *(tmp_path / 'root', '--test-csv', write_csv(tmp_path / 'segments.csv', segments)),
    )
    result = train_and_test(run_tool, tmp_path / 'root', tmp_path / 'work')
    assert result['protocol'] == 'anet'
    assert (result['num_videos'], result['num_instances']) == (6, len(segments))
    assert result['average'] == pytest.approx(sum(result['mAP']) / len(result['mAP']))
