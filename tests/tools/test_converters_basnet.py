"""The converter of the BaS-Net family's folders."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mmwtal.datasets.wtal_dataset import WTALDataset
from mmwtal.utils.errors import UserError


@pytest.fixture(scope='module')
def tool(repo_root: Path) -> ModuleType:
    path = repo_root / 'tools' / 'dataset_converters' / 'basnet.py'
    spec = importlib.util.spec_from_file_location('basnet_converter', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def convert(tool: ModuleType, *options: object) -> None:
    tool.main(tool.build_parser().parse_args([str(option) for option in options]))


VIDEOS = {'a': ('train', 20, 20), 'b': ('train', 12, 11), 'c': ('test', 15, 17)}


def write_source(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Three videos as released: times as text, no durations; RGB and flow of b and c differ in length."""
    rng = np.random.default_rng(0)
    database, arrays = {}, {}
    for name, (split, *lengths) in VIDEOS.items():
        arrays[name] = tuple(rng.standard_normal((length, 4)).astype(np.float32) for length in lengths)
        for modality, array in zip(('rgb', 'flow'), arrays[name], strict=True):
            place = folder / 'features' / split / modality
            place.mkdir(parents=True, exist_ok=True)
            np.save(place / f'{name}.npy', array)
        labels = ['Diving', 'CliffDiving'] if name == 'a' else ['Diving']
        annotations = [{'label': label, 'segment': ['1.0', '2.5']} for label in labels]
        database[name] = {'subset': split, 'annotations': annotations}
    (folder / 'gt.json').write_text(json.dumps({'database': database}))
    (folder / 'split_train.txt').write_text('a\nb\n')
    (folder / 'split_test.txt').write_text('c\n')
    return arrays


def test_converts_and_loads(tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arrays = write_source(tmp_path)
    convert(tool, tmp_path, tmp_path / 'out')
    for name, (rgb, flow) in arrays.items():
        length = min(len(rgb), len(flow))
        expected = np.concatenate([rgb[:length], flow[:length]], axis=1)
        np.testing.assert_array_equal(np.load(tmp_path / 'out' / 'features' / f'{name}.npy'), expected)
    sidecar = json.loads((tmp_path / 'out' / 'features' / 'features.json').read_text())
    assert (sidecar['fps'], sidecar['stride'], sidecar['width']) == (25, 16, 8)
    assert sidecar['modalities'] == {'rgb': [0, 4], 'flow': [4, 8]}
    audit = json.loads((tmp_path / 'out' / 'audit.json').read_text())
    assert [entry['what'] for entry in audit['changed']] == ['features of b', 'features of c']
    assert '12 RGB and 11 flow snippets cut to 11' in capsys.readouterr().out
    training = WTALDataset(data_root=tmp_path / 'out', subset='training')
    assert training.video_ids == ['a', 'b']
    assert [training.get_cat_ids(i) for i in range(2)] == [[1, 0], [1]]
    test = WTALDataset(data_root=tmp_path / 'out', subset='test', test_mode=True)
    np.testing.assert_array_equal(test.get_data_info(0)['segments'], [[1.0, 2.5]])
    assert float(test.get_data_info(0)['timebase'].to_seconds(15)) == pytest.approx(9.6)


def test_faults_are_reported_together(tool: ModuleType, tmp_path: Path) -> None:
    write_source(tmp_path)
    (tmp_path / 'split_test.txt').write_text('c\nc\nb\nghost\n')
    (tmp_path / 'features' / 'train' / 'flow' / 'a.npy').unlink()
    np.save(tmp_path / 'features' / 'test' / 'rgb' / 'c.npy', np.zeros((30, 4), np.float32))
    with pytest.raises(UserError) as caught:
        convert(tool, tmp_path, tmp_path / 'out')
    message = str(caught.value)
    for needle in (
        'split_test.txt: c is there more than once',
        'b is in split_train.txt and in split_test.txt',
        'gt.json has no entry for ghost of split_test.txt',
        'train/flow/a.npy: no such feature file',
        'c has 30 RGB and 17 flow snippets',
    ):
        assert needle in message
    assert not (tmp_path / 'out').exists()
    for name in ('split_test.txt', 'gt.json'):
        (tmp_path / name).unlink()
        with pytest.raises(UserError, match=rf'{name} does not exist'):
            convert(tool, tmp_path, tmp_path / 'out')
    with pytest.raises(UserError, match='is no folder'):
        convert(tool, tmp_path / 'none', tmp_path / 'out')


def test_widths_that_differ_between_splits(tool: ModuleType, tmp_path: Path) -> None:
    write_source(tmp_path)
    np.save(tmp_path / 'features' / 'test' / 'rgb' / 'c.npy', np.zeros((15, 5), np.float32))
    with pytest.raises(UserError, match=r'one width of RGB and one of flow, found \[\(4, 4\), \(5, 4\)\]'):
        convert(tool, tmp_path, tmp_path / 'out')


def test_annotations_alone_and_what_the_splits_leave_out(tool: ModuleType, tmp_path: Path) -> None:
    write_source(tmp_path)
    (tmp_path / 'split_train.txt').write_text('c\n')
    (tmp_path / 'split_test.txt').write_text('b\n')
    convert(tool, tmp_path, tmp_path / 'out', '--no-features')
    audit = json.loads((tmp_path / 'out' / 'audit.json').read_text())
    assert [entry['what'] for entry in audit['dropped']] == ['a']
    assert [entry['what'] for entry in audit['changed']] == ['subset of b', 'subset of c']
    assert audit['subsets']['training']['videos'] == audit['subsets']['test']['videos'] == 1
    assert not (tmp_path / 'out' / 'features').exists()
