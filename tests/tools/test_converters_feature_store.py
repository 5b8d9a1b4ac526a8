"""Adding features to a data root: from HDF5, NPZ and folders, checked as a whole before anything is written."""

import importlib.util
import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mmwtal.conversion.audit import ConversionLog
from mmwtal.conversion.data_root import DataRootWriter
from mmwtal.conversion.feature_store import open_store
from mmwtal.datasets.wtal_dataset import WTALDataset
from mmwtal.utils.errors import UserError

LENGTHS = {'a': 10, 'b': 20, 'c': 15}
GRID = ('--fps', '25', '--stride', '16')


@pytest.fixture(scope='module')
def tool(repo_root: Path) -> ModuleType:
    path = repo_root / 'tools' / 'dataset_converters' / 'feature_store.py'
    spec = importlib.util.spec_from_file_location('feature_store_tool', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def convert(tool: ModuleType, *options: object) -> None:
    tool.main(tool.build_parser().parse_args([str(option) for option in options]))


def refusal(tool: ModuleType, *options: object) -> str:
    with pytest.raises(UserError) as caught:
        convert(tool, *options)
    return str(caught.value)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Annotations of three videos; c has an instance that starts after its end and no duration."""
    log = ConversionLog(converter='activitynet', sources={'annotations': 'x.json'}, remarks=['earlier remark'])
    log.drop('gone', 'blocked')
    database = {
        name: {'subset': subset, 'duration': 0.64 * LENGTHS[name], 'annotations': [{'label': 'run', 'segment': [1, 2]}]}
        for name, subset in (('a', 'training'), ('b', 'training'), ('c', 'test'))
    }
    database['b']['annotations'].append({'label': 'run', 'segment': [300.0, 310.0]})
    del database['c']['duration']
    DataRootWriter(tmp_path / 'root', log=log, with_features=False).finish(database=database, classes=['run'])
    return tmp_path / 'root'


def arrays(dtype: object = np.float32) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal((length, 8)).astype(dtype) for name, length in LENGTHS.items()}


def write_npz(path: Path, content: dict[str, np.ndarray]) -> Path:
    np.savez(path, **content)
    return path


def write_folder(path: Path, content: dict[str, np.ndarray]) -> Path:
    path.mkdir()
    for name, array in content.items():
        np.save(path / f'{name}.npy', array)
    return path


def write_hdf5(path: Path, content: dict[str, np.ndarray]) -> Path:
    h5py = pytest.importorskip('h5py', reason='HDF5 files need requirements/hdf5.txt')
    with h5py.File(path, 'w') as file:
        for name, array in content.items():
            file[name] = array
    return path


STORES: dict[str, Callable[[Path, dict[str, np.ndarray]], Path]] = {
    'features.npz': write_npz,
    'features': write_folder,
    'features.hdf5': write_hdf5,
    'any-name.bin': write_hdf5,
}


@pytest.mark.parametrize('name', STORES)
def test_each_kind_of_store(tool: ModuleType, tmp_path: Path, root: Path, name: str) -> None:
    content = arrays()
    convert(tool, STORES[name](tmp_path / name, content), root, *GRID, '--modalities', 'rgb=4,flow=4')
    for video, expected in content.items():
        np.testing.assert_array_equal(np.load(root / 'features' / f'{video}.npy'), expected)
    sidecar = json.loads((root / 'features' / 'features.json').read_text())
    assert sidecar['videos'] == {
        'a': {'duration': 6.4, 'snippets': 10},
        'b': {'duration': 12.8, 'snippets': 20},
        'c': {'snippets': 15},
    }
    assert sidecar['modalities'] == {'rgb': [0, 4], 'flow': [4, 8]}
    audit = json.loads((root / 'audit.json').read_text())
    assert audit['converter'] == 'activitynet + feature_store'
    assert audit['dropped'] == [{'what': 'gone', 'why': 'blocked'}], 'what the annotations dropped stays on record'
    earlier, outside = audit['remarks']
    assert earlier == 'earlier remark'
    assert outside == 'to mend: 1 instances lie wholly outside their video: b [300, 310] of 12.8 s'
    assert audit['sources'] == {'annotations': 'x.json', 'features': {'store': str(tmp_path / name), 'name': '{video}'}}
    assert len(WTALDataset(data_root=root, subset='test', test_mode=True)) == 1


@pytest.mark.parametrize('name', STORES)
def test_names_dtypes_and_orientation(tool: ModuleType, tmp_path: Path, root: Path, name: str) -> None:
    content = {f'v_{video}/c3d': array.T for video, array in arrays(np.float64).items()}
    content['v_other/c3d'] = np.zeros((8, 3))
    if name == 'features':
        content = {key.removesuffix('/c3d'): array for key, array in content.items()}
    template = 'v_{video}' if name == 'features' else 'v_{video}/c3d'
    store = STORES[name](tmp_path / name, content)
    convert(tool, store, root, *GRID, '--name', template, '--transposed')
    for video, expected in arrays().items():
        np.testing.assert_array_equal(np.load(root / 'features' / f'{video}.npy'), expected)
    audit = json.loads((root / 'audit.json').read_text())
    assert audit['dropped'][1]['what'] == f'1 entries of {store.name}'
    assert audit['changed'][0] == {'what': 'features of a', 'why': 'float64 stored as float32'}
    message = refusal(tool, store, root, *GRID, '--name', template, '--overwrite')
    assert 'the arrays look like (D, T) with D = 8: if so, add --transposed' in message


@pytest.mark.parametrize('name', STORES)
def test_all_faults_before_anything_is_written(tool: ModuleType, tmp_path: Path, root: Path, name: str) -> None:
    content = {'a': np.zeros(5, np.float32), 'b': np.zeros((5, 8), np.int64)}
    message = refusal(tool, STORES[name](tmp_path / name, content), root)
    for needle in (
        'a: expected a two-dimensional array (T, D), found shape (5,)',
        'b: expected float16, float32 or float64, found int64',
        'has no features of 1 of 3 videos, the first is c; it holds a, b, ...: correct --name, or leave',
    ):
        assert needle in message
    assert not (root / 'features').exists()
    assert (root / 'annotations.json').exists()


def test_missing_videos_can_be_dropped(tool: ModuleType, tmp_path: Path, root: Path) -> None:
    content = {name: array for name, array in arrays().items() if name != 'b'}
    store = write_npz(tmp_path / 'f.npz', content)
    convert(tool, store, root, *GRID, '--missing', 'drop')
    assert list(json.loads((root / 'annotations.json').read_text())['database']) == ['a', 'c']
    dropped = json.loads((root / 'audit.json').read_text())['dropped']
    assert dropped[1] == {'what': 'b', 'why': 'f.npz lacks it; 2 training instances left'}
    message = refusal(tool, store, root, *GRID, '--name', 'v_{video}', '--missing', 'drop', '--overwrite')
    assert 'has no features of 2 of 2 videos, the first is v_a' in message


def test_time_grids(tool: ModuleType, tmp_path: Path, root: Path) -> None:
    store = write_npz(tmp_path / 'f.npz', arrays())
    assert 'the fps and stride of the features are not known' in refusal(tool, store, root)
    assert 'video c: --linear-time needs its duration: name it in --durations' in refusal(
        tool, store, root, '--linear-time'
    )
    (tmp_path / 'd.csv').write_text('c,30\na,99\n')
    convert(tool, store, root, '--linear-time', '--durations', tmp_path / 'd.csv')
    database = json.loads((root / 'annotations.json').read_text())['database']
    assert (database['a']['duration'], database['c']['duration']) == (6.4, 30.0), 'the annotations come first'
    dataset = WTALDataset(data_root=root, subset='test', test_mode=True)
    assert float(dataset.get_data_info(0)['timebase'].to_seconds(15)) == pytest.approx(30)


def test_what_stands_already_is_kept(tool: ModuleType, tmp_path: Path, root: Path) -> None:
    store = write_npz(tmp_path / 'f.npz', arrays())
    convert(tool, store, root, *GRID)
    assert 'holds features already' in refusal(tool, store, root, *GRID)
    convert(tool, store, root, *GRID, '--overwrite')
    assert 'expected {video} in it' in refusal(tool, store, root, *GRID, '--name', 'x')
    assert 'has no annotations.json' in refusal(tool, store, tmp_path / 'none', *GRID)


def test_a_folder_states_its_own_grid(tool: ModuleType, tmp_path: Path, root: Path) -> None:
    store = write_folder(tmp_path / 'f', arrays())
    (store / 'features.json').write_text(json.dumps({'fps': 30, 'stride': 8, 'model': 'mine'}))
    convert(tool, store, root)
    sidecar = json.loads((root / 'features' / 'features.json').read_text())
    assert (sidecar['fps'], sidecar['stride'], sidecar['model']) == (30, 8, 'mine')


# Damaged and hostile stores


def test_what_is_no_store(tmp_path: Path) -> None:
    (tmp_path / 'a.npz').write_bytes(b'text')
    with pytest.raises(UserError, match=r"expected an HDF5 file.* starts with b'text'"):
        open_store(tmp_path / 'a.npz')
    with pytest.raises(UserError, match='does not exist'):
        open_store(tmp_path / 'none')


def test_pickles_in_an_archive_are_refused(tool: ModuleType, tmp_path: Path, root: Path) -> None:
    store = write_npz(tmp_path / 'f.npz', {**arrays(), 'a': np.array([{}, {}], dtype=object).reshape(2, 1)})
    assert 'a: expected float16, float32 or float64, found object' in refusal(tool, store, root, *GRID)


def test_a_truncated_archive(tool: ModuleType, tmp_path: Path, root: Path) -> None:
    store = write_npz(tmp_path / 'f.npz', arrays())
    content = store.read_bytes()
    store.write_bytes(content[: len(content) // 2])
    assert 'is not a sound .npz archive' in refusal(tool, store, root, *GRID)
    store.write_bytes(content.replace(b'descr', b'desxr'))
    assert 'f.npz, a: cannot be read' in refusal(tool, store, root, *GRID)


def test_a_shape_that_the_values_do_not_fill(tool: ModuleType, tmp_path: Path, root: Path) -> None:
    store = write_npz(tmp_path / 'f.npz', {name: array for name, array in arrays().items() if name != 'a'})
    buffer = io.BytesIO()
    np.save(buffer, arrays()['a'])
    with zipfile.ZipFile(store, 'a') as archive:
        archive.writestr('a.npy', buffer.getvalue().replace(b'(10, 8)', b'(99, 8)'))
    message = refusal(tool, store, root, *GRID)
    assert 'a: holds 320 bytes of values, 3168 are expected for float32 of shape (99, 8)' in message


def test_values_that_fail_their_checksum(tool: ModuleType, tmp_path: Path, root: Path) -> None:
    # Long enough for the header to be read before the checksum is known.
    store = write_npz(tmp_path / 'f.npz', {**arrays(), 'b': np.full((100_000, 8), 7, np.float32)})
    content = store.read_bytes()
    end = content.rindex(np.float32(7).tobytes())
    store.write_bytes(content[:end] + bytes(4) + content[end + 4 :])
    assert 'b cannot be read: Bad CRC-32' in refusal(tool, store, root, *GRID)
    assert (root / 'annotations.json').exists()


def test_members_that_are_no_arrays_are_not_seen(tool: ModuleType, tmp_path: Path, root: Path) -> None:
    store = write_npz(tmp_path / 'f.npz', arrays())
    with zipfile.ZipFile(store, 'a') as archive:
        archive.writestr('a.txt', 'not an array')
    convert(tool, store, root, *GRID)


def test_hdf5_groups_truncation_and_no_package(
    tool: ModuleType, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = write_hdf5(tmp_path / 'f.h5', {f'{name}/c3d': array for name, array in arrays().items()})
    assert 'a: is a group that holds c3d: add the name of the array to --name' in refusal(tool, store, root, *GRID)
    content = store.read_bytes()
    (tmp_path / 'half.h5').write_bytes(content[: len(content) // 2])
    assert 'is not a sound HDF5 file' in refusal(tool, tmp_path / 'half.h5', root, *GRID)
    monkeypatch.setitem(sys.modules, 'h5py', None)
    assert 'pip install -r requirements/hdf5.txt' in refusal(tool, store, root, *GRID)
