"""The THUMOS14 converter: the real annotations exactly, features in one pass, and clear refusals."""

import importlib.util
import json
import os
import pickle
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mmwtal.utils.errors import UserError


@pytest.fixture(scope='module')
def tool(repo_root: Path) -> ModuleType:
    path = repo_root / 'tools' / 'dataset_converters' / 'thumos14.py'
    spec = importlib.util.spec_from_file_location('thumos14_converter', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def convert(tool: ModuleType, *options: object) -> None:
    tool.main(tool.build_parser().parse_args([str(option) for option in options]))


def object_array(items: list) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def write_annotations(folder: Path, **changes: object) -> Path:
    """Three videos in the released format."""
    columns = {
        'videoname': np.array([b'video_validation_0000001', b'video_validation_0000002', b'video_test_0000003']),
        'subset': np.array([b'validation', b'validation', b'test']),
        'duration': np.array([[6.4], [12.8], [9.6]]),
        'segments': object_array([[[1.0, 2.5]], [[0.0, 3.0], [4.0, 20.0]], []]),
        'labels': object_array([[b'Diving'], [b'Diving', b'HighJump'], []]),
        'labels_all': object_array([[b'Diving'], [b'Diving'], []]),
        'classlist': np.array([b'Diving', b'HighJump']),
        'extracted_fps': np.array([10, 10, 10]),
        **changes,
    }
    folder.mkdir(exist_ok=True)
    for name, column in columns.items():
        np.save(folder / f'{name}.npy', column, allow_pickle=True)
    (folder / 'Ambiguous_test.txt').write_text('video_test_0000003  1.0 2.0\nvideo_test_0000009 3.0 4.0\n\n')
    return folder


def write_features(path: Path, lengths: tuple[int, ...] = (10, 20, 15), width: int = 8) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    features = [rng.standard_normal((length, width)).astype(np.float32) for length in lengths]
    np.save(path, object_array(features), allow_pickle=True)
    return features


def test_real_annotations(tool: ModuleType, tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture) -> None:
    source = shared_data / 'thumos14' / 'Thumos14reduced-Annotations'
    convert(tool, source, tmp_path / 'out')
    printed = capsys.readouterr().out
    content = json.loads((tmp_path / 'out' / 'annotations.json').read_text())
    database = content['database']
    counts = {
        subset: (len(videos), sum(len(entry['annotations']) for entry in videos))
        for subset in ('training', 'test')
        for videos in [[entry for entry in database.values() if entry['subset'] == subset]]
    }
    assert counts == {'training': (200, 3007), 'test': (212, 3358)}
    assert content['classes'] == [name.decode() for name in np.load(source / 'classlist.npy')]
    assert content['classes'] == sorted(content['classes'])
    assert len(content['classes']) == 20
    reference = json.loads((shared_data / 'thumos14' / 'thumos14_actionformer.json').read_text())['database']
    assert set(reference) == set(database)
    for name, entry in database.items():
        theirs = sorted((a['label'], *a['segment']) for a in reference[name]['annotations'])
        ours = sorted((a['label'], *a['segment']) for a in entry['annotations'])
        assert [label for label, *_ in ours] == [label for label, *_ in theirs]
        np.testing.assert_allclose([t for _, *t in ours], [t for _, *t in theirs], atol=0.011)

    assert database['video_test_0001496']['labels'] == ['FrisbeeCatch']
    assert {a['label'] for a in database['video_test_0001496']['annotations']} == {'CricketShot'}
    assert database['video_test_0000270']['labels'] == []
    assert len(database['video_test_0000270']['annotations']) == 29
    assert database['video_test_0000278']['ambiguous'] == [[0.0, 1.4], [95.7, 97.2]]

    audit = json.loads((tmp_path / 'out' / 'audit.json').read_text())
    assert audit['subsets']['training']['multi_label_videos'] == 21
    assert len(audit['notes']['instances_beyond_duration']) == 30
    assert len(audit['notes']['labels_unlike_instances']) == 28
    assert [entry['what'].rsplit(' ', 1)[1] for entry in audit['dropped']] == ['video_test_0001292'] * 3
    for needle in (
        '200     3007',
        '212     3358',
        '0000270 (kept)',
        '0001292 (absent)',
        '0001496 (kept)',
        'no features',
    ):
        assert needle in printed
    assert not (tmp_path / 'out' / 'features').exists()


def test_features_are_split_by_video(tool: ModuleType, tmp_path: Path) -> None:
    annotations = write_annotations(tmp_path / 'annotations')
    features = write_features(tmp_path / 'joint.npy')
    convert(tool, annotations, tmp_path / 'out', '--features', tmp_path / 'joint.npy')
    names = ['video_validation_0000001', 'video_validation_0000002', 'video_test_0000003']
    for name, expected in zip(names, features, strict=True):
        np.testing.assert_array_equal(np.load(tmp_path / 'out' / 'features' / f'{name}.npy'), expected)
    sidecar = json.loads((tmp_path / 'out' / 'features' / 'features.json').read_text())
    assert (sidecar['fps'], sidecar['stride'], sidecar['width']) == (25, 16, 8)
    assert sidecar['modalities'] == {'rgb': [0, 4], 'flow': [4, 8]}
    assert sidecar['videos'][names[1]] == {'duration': 12.8, 'snippets': 20}
    database = json.loads((tmp_path / 'out' / 'annotations.json').read_text())['database']
    assert database[names[1]]['labels'] == ['Diving']
    assert [a['label'] for a in database[names[1]]['annotations']] == ['Diving', 'HighJump']
    assert database[names[2]] == {
        'subset': 'test',
        'duration': 9.6,
        'annotations': [],
        'labels': [],
        'ambiguous': [[1.0, 2.0]],
    }
    assert list((tmp_path / 'out').rglob('*.tmp')) == []


def test_features_can_be_added_to_converted_annotations(tool: ModuleType, tmp_path: Path) -> None:
    annotations = write_annotations(tmp_path / 'annotations')
    write_features(tmp_path / 'joint.npy')
    convert(tool, annotations, tmp_path / 'out')
    with pytest.raises(UserError, match=r'holds annotations\.json, audit\.json already.*--overwrite'):
        convert(tool, annotations, tmp_path / 'out', '--features', tmp_path / 'joint.npy')
    convert(tool, annotations, tmp_path / 'out', '--features', tmp_path / 'joint.npy', '--overwrite')
    assert len(list((tmp_path / 'out' / 'features').glob('*.npy'))) == 3


@pytest.mark.parametrize('lengths', [(10, 20), (10, 20, 15, 5)])
def test_wrong_number_of_features_leaves_nothing_that_looks_finished(
    tool: ModuleType, tmp_path: Path, lengths: tuple[int, ...]
) -> None:
    annotations = write_annotations(tmp_path / 'annotations')
    write_features(tmp_path / 'joint.npy', lengths)
    with pytest.raises(UserError, match=r'joint\.npy: expected'):
        convert(tool, annotations, tmp_path / 'out', '--features', tmp_path / 'joint.npy')
    assert not (tmp_path / 'out' / 'annotations.json').exists()


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.path,)


def test_malicious_files_are_refused(tool: ModuleType, tmp_path: Path) -> None:
    annotations = write_annotations(
        tmp_path / 'annotations', labels=object_array([Evil(tmp_path / 'executed'), [], []])
    )
    with pytest.raises(UserError, match=r'labels\.npy.*mkdir.*Nothing in it was executed'):
        convert(tool, annotations, tmp_path / 'out')
    annotations = write_annotations(tmp_path / 'annotations')
    np.save(tmp_path / 'joint.npy', object_array([np.zeros((3, 4)), Evil(tmp_path / 'executed'), 0]), allow_pickle=True)
    with pytest.raises(UserError, match=r'joint\.npy.*mkdir'):
        convert(tool, annotations, tmp_path / 'out', '--features', tmp_path / 'joint.npy')
    assert not (tmp_path / 'executed').exists()
    assert pickle.dumps(Evil(tmp_path / 'x')), 'the object pickles, so the files did hold it'


def test_inconsistent_annotations_are_reported_together(tool: ModuleType, tmp_path: Path) -> None:
    annotations = write_annotations(
        tmp_path / 'annotations',
        subset=np.array([b'validation', b'background', b'test']),
        labels=object_array([[b'Swimming'], [b'Diving'], []]),
    )
    with pytest.raises(UserError) as caught:
        convert(tool, annotations, tmp_path / 'out')
    message = str(caught.value)
    assert "video_validation_0000002: expected the subset validation or test, found 'background'" in message
    assert 'classlist.npy lacks the labels Swimming' in message
    assert '; 2 segments, but 1 labels' in message
    (annotations / 'segments.npy').unlink()
    with pytest.raises(UserError, match=r'lacks segments\.npy'):
        convert(tool, annotations, tmp_path / 'out')
    with pytest.raises(UserError, match='is no folder'):
        convert(tool, tmp_path / 'none', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_ambiguous_stretches_in_another_encoding(tool: ModuleType, tmp_path: Path) -> None:
    annotations = write_annotations(tmp_path / 'annotations')
    (annotations / 'Ambiguous_test.txt').write_bytes('größe 1.0 2.0\n'.encode('latin-1'))
    with pytest.raises(UserError, match=r'Ambiguous_test\.txt is not UTF-8 text \(line 1'):
        convert(tool, annotations, tmp_path / 'out')


def test_malformed_ambiguous_line(tool: ModuleType, tmp_path: Path) -> None:
    annotations = write_annotations(tmp_path / 'annotations')
    (annotations / 'Ambiguous_test.txt').write_text('video_test_0000003 1.0 2.0\nvideo_test_0000003 1.0\n')
    with pytest.raises(UserError, match=r'Ambiguous_test\.txt, line 2'):
        convert(tool, annotations, tmp_path / 'out')


@pytest.mark.parametrize('content', ['text', 'numbers', 'other length'])
def test_a_wrong_feature_file_leaves_the_earlier_conversion(tool: ModuleType, tmp_path: Path, content: str) -> None:
    annotations = write_annotations(tmp_path / 'annotations')
    convert(tool, annotations, tmp_path / 'out')
    before = (tmp_path / 'out' / 'annotations.json').read_bytes()
    wrong = tmp_path / 'wrong.npy'
    if content == 'text':
        wrong.write_text('# README')
    elif content == 'numbers':
        np.save(wrong, np.zeros((3, 4), np.float32))
    else:
        write_features(wrong, (10, 20))
    with pytest.raises(UserError, match=r'wrong\.npy'):
        convert(tool, annotations, tmp_path / 'out', '--features', wrong, '--overwrite')
    assert (tmp_path / 'out' / 'annotations.json').read_bytes() == before
    assert not (tmp_path / 'out' / 'features').exists()


@pytest.mark.parametrize(
    ('column', 'value', 'expected'),
    [
        ('duration', np.array([6.4, np.nan, 9.6]), 'video_validation_0000002: expected the duration in seconds'),
        ('duration', object_array([6.4, 10**400, 9.6]), 'video_validation_0000002: expected the duration in seconds'),
        ('segments', object_array([[[1.0, 2.5]], None, []]), 'video_validation_0000002: segments: expected a list'),
        ('segments', object_array([[['a', 2.5]], [], []]), r'video_validation_0000001: expected \[start, end\]'),
        ('labels', object_array([[b'\xff'], [], []]), 'video_validation_0000001: labels: .* is not UTF-8'),
        ('labels_all', object_array([3, [], []]), 'video_validation_0000001: labels_all: expected a list, found 3'),
        ('videoname', object_array([b'a/b', b'x', b'y']), 'a/b: an id must not hold'),
        ('videoname', object_array([None, b'x', b'y']), 'videoname.npy: expected names, found None'),
        ('classlist', object_array([b'Diving', b'Diving']), 'more than once'),
        ('classlist', np.array(3), 'found the shapes'),
    ],
)
def test_annotations_of_other_types(
    tool: ModuleType, tmp_path: Path, column: str, value: np.ndarray, expected: str
) -> None:
    annotations = write_annotations(tmp_path / 'annotations', **{column: value})
    with pytest.raises(UserError, match=expected):
        convert(tool, annotations, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
