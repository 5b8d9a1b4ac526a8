"""The converter of the ActivityNet arrays that the W-TALC family releases."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mmwtal.utils.errors import UserError


@pytest.fixture(scope='module')
def tool(repo_root: Path) -> ModuleType:
    path = repo_root / 'tools' / 'dataset_converters' / 'activitynet_arrays.py'
    spec = importlib.util.spec_from_file_location('activitynet_arrays', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def convert(tool: ModuleType, *options: object) -> tuple[dict, dict]:
    args = tool.build_parser().parse_args([str(option) for option in options])
    tool.main(args)
    return tuple(json.loads((args.out / name).read_text()) for name in ('annotations.json', 'audit.json'))


def object_array(items: list) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def write_annotations(folder: Path, **changes: object) -> Path:
    columns = {
        'videoname': np.array([b'video_4', b'video_5', b'video_9']),
        'url': np.array([f'https://www.youtube.com/watch?v={name}'.encode() for name in ('--0edUL8', 'b_5', 'c')]),
        'subset': np.array([b'training', b'validation', b'validation']),
        'duration': np.array([6.4, 12.8, 9.6]),
        'segments': object_array([[[1.0, 2.5]], [[0.0, 3.0], [0.0, 3.0]], [[2.0, 2.0]]]),
        'labels': object_array([[b'Surfing'], [b'Archery', b'Archery'], [b'Surfing']]),
        'labels_all': object_array([['Surfing'], ['Archery'], ['Surfing']]),
        'classlist': np.array([b'Surfing', b'Archery']),
        **changes,
    }
    folder.mkdir(exist_ok=True)
    for name, column in columns.items():
        if column is not None:
            np.save(folder / f'{name}.npy', column, allow_pickle=True)
    return folder


def test_ids_come_from_the_addresses(tool: ModuleType, tmp_path: Path) -> None:
    annotations, audit = convert(tool, write_annotations(tmp_path / 'a'), tmp_path / 'out')
    assert list(annotations['database']) == ['--0edUL8', 'b_5', 'c']
    assert annotations['classes'] == ['Archery', 'Surfing']
    assert annotations['database']['b_5']['labels'] == ['Archery']
    assert annotations['database']['b_5']['subset'] == 'validation'
    assert audit['notes']['zero_length_instances'] == ['c: Surfing [2, 2]']
    assert audit['notes']['duplicate_instances'] == ['b_5: Archery [0, 3], 2 times']


def test_ids_without_addresses(tool: ModuleType, tmp_path: Path) -> None:
    names = np.array(['3HHAEmr0Q34', 'FWPJWq-uhUw', 'czh5nNO_Eow'])
    annotations, _ = convert(tool, write_annotations(tmp_path / 'a', url=None, videoname=names), tmp_path / 'out')
    assert list(annotations['database']) == names.tolist()
    folder = write_annotations(tmp_path / 'b', url=np.array([b'https://youtu.be/x'] * 3))
    with pytest.raises(UserError, match=r'url\.npy: expected addresses'):
        convert(tool, folder, tmp_path / 'out2')


def test_features_empty_ones_and_blocked_videos(tool: ModuleType, tmp_path: Path) -> None:
    features = [np.ones((10, 8), np.float32), np.zeros((0, 8), np.float32), np.ones((15, 8), np.float32)]
    np.save(tmp_path / 'joint.npy', object_array(features), allow_pickle=True)
    (tmp_path / 'blocked.txt').write_text('c\n')
    folder = write_annotations(tmp_path / 'a')
    annotations, audit = convert(tool, folder, tmp_path / 'out', '--features', tmp_path / 'joint.npy')
    assert list(annotations['database']) == ['--0edUL8', 'c']
    assert audit['dropped'] == [{'what': 'b_5', 'why': 'its features have no snippet; 2 instances left with it'}]
    assert sorted(path.name for path in (tmp_path / 'out' / 'features').glob('*.npy')) == ['--0edUL8.npy', 'c.npy']
    options = ('--features', tmp_path / 'joint.npy', '--blocked', tmp_path / 'blocked.txt')
    annotations, audit = convert(tool, folder, tmp_path / 'b', *options)
    assert list(annotations['database']) == ['--0edUL8']
    assert [path.stem for path in (tmp_path / 'b' / 'features').glob('*.npy')] == ['--0edUL8']
    sidecar = json.loads((tmp_path / 'b' / 'features' / 'features.json').read_text())
    assert list(sidecar['videos']) == ['--0edUL8']
    assert sidecar['modalities'] == {'rgb': [0, 4], 'flow': [4, 8]}


def test_other_subsets_are_refused(tool: ModuleType, tmp_path: Path) -> None:
    folder = write_annotations(tmp_path / 'a', subset=np.array([b'training', b'test', b'validation']))
    with pytest.raises(UserError, match="b_5: expected the subset training or validation, found 'test'"):
        convert(tool, folder, tmp_path / 'out')
