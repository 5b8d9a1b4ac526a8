import os

import numpy as np
import pytest

from mmwtal.formats import value_audit
from mmwtal.formats.findings import Kind
from mmwtal.formats.value_audit import CACHE_NAME, ValueAudit


@pytest.fixture
def folder(tmp_path):
    for name, bad in {'sound': None, 'nan': np.nan, 'inf': -np.inf}.items():
        array = np.ones((10, 4), np.float16)
        if bad is not None:
            array[[3, 7], 2] = bad
        np.save(tmp_path / f'{name}.npy', array)
    return tmp_path


IDS = ['sound', 'nan', 'inf']


def test_finds_nan_and_inf(folder):
    audit = ValueAudit(folder=folder)
    assert audit.pending(IDS) == IDS
    assert audit.run(IDS) is None
    found = audit.findings(IDS)
    assert [(f.video_id, f.kind) for f in found] == [('nan', Kind.VALUES), ('inf', Kind.VALUES)]
    assert '2 snippets, the first is number 3' in found[0].detail


def test_finds_them_in_any_chunk(folder, monkeypatch):
    monkeypatch.setattr(value_audit, '_CHUNK_VALUES', 8)
    audit = ValueAudit(folder=folder)
    audit.run(IDS)
    assert '2 snippets, the first is number 3' in audit.findings(['nan'])[0].detail
    assert audit.findings(['sound']) == []


def test_a_verdict_is_kept_until_the_file_changes(folder):
    ValueAudit(folder=folder).run(IDS)
    again = ValueAudit(folder=folder)
    assert again.pending(IDS) == []
    assert [f.video_id for f in again.findings(IDS)] == ['nan', 'inf']
    # The same size, another time: only this file is audited again.
    np.save(folder / 'nan.npy', np.ones((10, 4), np.float16))
    os.utime(folder / 'nan.npy', ns=(1, 1))
    again = ValueAudit(folder=folder)
    assert again.pending(IDS) == ['nan']
    again.run(IDS)
    assert [f.video_id for f in ValueAudit(folder=folder).findings(IDS)] == ['inf']


def test_a_cached_verdict_is_used_rather_than_the_values(folder):
    ValueAudit(folder=folder).run(IDS)
    stamp = os.stat(folder / 'sound.npy')
    np.save(folder / 'sound.npy', np.full((10, 4), np.nan, np.float16))
    os.utime(folder / 'sound.npy', ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert ValueAudit(folder=folder).pending(IDS) == []


def test_two_audits_keep_each_others_verdicts(folder):
    one, two = ValueAudit(folder=folder), ValueAudit(folder=folder)
    one.run(['sound'])
    two.run(['nan'])
    assert ValueAudit(folder=folder).pending(IDS) == ['inf']
    assert [path.name for path in folder.glob(f'{CACHE_NAME}*')] == [CACHE_NAME]


@pytest.mark.parametrize('content', ['', '{', '[]', '{"version": 0}', '{"version": 1, "files": {"sound": [1, "2"]}}'])
def test_a_spoilt_cache_is_made_anew(folder, content):
    (folder / CACHE_NAME).write_text(content)
    audit = ValueAudit(folder=folder)
    assert audit.pending(IDS) == IDS
    assert audit.run(IDS) is None
    assert ValueAudit(folder=folder).pending(IDS) == []


def test_a_folder_that_cannot_be_written_is_audited_all_the_same(folder):
    (folder / CACHE_NAME).mkdir()
    audit = ValueAudit(folder=folder)
    assert audit.run(IDS)
    assert [f.video_id for f in audit.findings(IDS)] == ['nan', 'inf']
    assert [path.name for path in folder.glob(f'{CACHE_NAME}*')] == [CACHE_NAME]
