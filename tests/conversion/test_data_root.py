"""Writing a data root: nothing half-written looks finished, nothing is replaced unasked, and the audit counts right."""

import json
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from mmwtal.conversion.audit import ConversionLog, format_audit
from mmwtal.conversion.data_root import DataRootWriter, write_atomically
from mmwtal.utils.errors import UserError

SIDECAR = {'fps': 25, 'stride': 16, 'window': 16}


def make_log() -> ConversionLog:
    return ConversionLog(converter='test', sources={})


def entry(subset: str, duration: float, *instances: tuple[str, float, float], **more: object) -> dict:
    annotations = [{'label': label, 'segment': [start, end]} for label, start, end in instances]
    return {'subset': subset, 'duration': duration, 'annotations': annotations, **more}


def test_audit_counts_and_notes(tmp_path: Path) -> None:
    writer = DataRootWriter(tmp_path / 'root', log=make_log())
    for name, length in (('a', 10), ('b', 20), ('c', 90)):
        writer.add_features(name, np.zeros((length, 4), np.float64 if name == 'a' else np.float16))
    database = {
        'a': entry('training', 6.4, ('run', 1, 2), ('run', 1, 2), ('jump', 3, 3)),
        'b': entry('training', 12.8, labels=['jump']),
        'c': entry('test', 9.6, ('run', 9, 10), labels=[]),
    }
    audit = writer.finish(database=database, classes=['jump', 'run'], sidecar=SIDECAR)
    assert audit['subsets']['training'] == {
        'videos': 2,
        'instances': 3,
        'videos_without_labels': 0,
        'multi_label_videos': 1,
        'duration': {'min': 6.4, 'median': 9.6, 'max': 12.8, 'total': 19.2},
        'snippets': {'min': 10, 'median': 15, 'max': 20, 'total': 30},
        'classes': {'jump': {'videos': 2, 'instances': 1}, 'run': {'videos': 1, 'instances': 2}},
    }
    assert audit['notes'] == {
        'zero_length_instances': ['a: jump [3, 3]'],
        'duplicate_instances': ['a: run [1, 2], 2 times'],
        'instances_beyond_duration': ['c: run [9, 10] of 9.6 s'],
        'videos_without_labels': ['c'],
        'videos_without_duration': [],
        'multi_label_videos': ['a: run, jump'],
        'labels_unlike_instances': ['c: labels none; instances run'],
        'features_unlike_duration': ['c: features end at 57.6 s, the video at 9.6 s'],
    }
    assert audit['features'] == {'files': 3, 'width': 4, 'dtypes': {'float32': 1, 'float16': 2}}
    assert audit['changed'] == [{'what': 'features of a', 'why': 'float64 stored as float32'}]
    assert json.loads((tmp_path / 'root' / 'audit.json').read_text()) == audit
    text = format_audit(audit, limit=1)
    for needle in ('training  2       3', '6.4 / 9.6 / 12.8 / 19.2', '10 / 15 / 20 / 30', 'run    1                2'):
        assert needle in text
    assert 'noted: videos without labels (1)' in text


def test_nothing_looks_finished_before_the_end(tmp_path: Path) -> None:
    root = tmp_path / 'root'
    writer = DataRootWriter(root, log=make_log())
    writer.add_features('a', np.zeros((2, 4), np.float32))
    assert {path.name for path in root.rglob('*')} == {'features', 'a.npy'}
    with pytest.raises(UserError, match='holds features already'):
        DataRootWriter(root, log=make_log())
    writer.finish(database={'a': entry('training', 1.28)}, classes=['run'], sidecar=SIDECAR)
    with pytest.raises(UserError, match=r'holds annotations\.json, audit\.json, features already'):
        DataRootWriter(root, log=make_log())
    DataRootWriter(root, log=make_log(), overwrite=True)
    assert not (root / 'annotations.json').exists(), 'until it is finished again it does not load'


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / 'file'
    path.write_text('old')

    def fail(file: BinaryIO) -> None:
        file.write(b'half')
        raise OSError('disk full')

    with pytest.raises(OSError, match='disk full'):
        write_atomically(path, fail)
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ('video_id', 'features', 'message'),
    [
        ('../a', np.zeros((2, 4), np.float32), 'must not hold'),
        ('', np.zeros((2, 4), np.float32), 'visible character'),
        ('a', np.zeros(4, np.float32), r'expected a two-dimensional array \(T, D\), found shape \(4,\)'),
        ('a', np.zeros((0, 4), np.float32), 'empty array'),
        ('a', np.zeros((2, 4), np.int16), 'found int16'),
    ],
)
def test_unsuitable_features(tmp_path: Path, video_id: str, features: np.ndarray, message: str) -> None:
    writer = DataRootWriter(tmp_path / 'root', log=make_log())
    with pytest.raises(UserError, match=message):
        writer.add_features(video_id, features)
    assert list((tmp_path / 'root' / 'features').iterdir()) == []


def test_features_of_several_widths(tmp_path: Path) -> None:
    writer = DataRootWriter(tmp_path / 'root', log=make_log())
    writer.add_features('a', np.zeros((2, 4), np.float32))
    writer.add_features('b', np.zeros((2, 5), np.float32))
    database = {'a': entry('training', 1.28), 'b': entry('training', 1.28)}
    with pytest.raises(UserError, match=r'one width, found \[4, 5\]'):
        writer.finish(database=database, classes=['run'], sidecar=SIDECAR)
    assert not (tmp_path / 'root' / 'annotations.json').exists()


def test_a_link_is_replaced_and_not_what_it_leads_to(tmp_path: Path) -> None:
    np.save(tmp_path / 'source.npy', np.ones((2, 3), np.float32))
    writer = DataRootWriter(tmp_path / 'out', log=ConversionLog(converter='x', sources={}))
    writer.adopt_features('a', tmp_path / 'source.npy', link=True)
    writer.add_features('a', np.zeros((5, 3), np.float32))
    assert np.load(tmp_path / 'source.npy').shape == (2, 3)
    assert np.load(tmp_path / 'out' / 'features' / 'a.npy').shape == (5, 3)


def test_instances_outside_their_video_are_to_mend(tmp_path: Path) -> None:
    log = ConversionLog(converter='x', sources={})
    writer = DataRootWriter(tmp_path / 'out', log=log, with_features=False)
    instances = [{'label': 'run', 'segment': [12.0, 13.0]}, {'label': 'run', 'segment': [9.0, 13.0]}]
    entry = {'subset': 'test', 'duration': 10.0, 'annotations': instances}
    remarks = writer.finish(database={'v': entry}, classes=['run'])['remarks']
    assert remarks == ['to mend: 1 instances lie wholly outside their video: v [12, 13] of 10 s']
