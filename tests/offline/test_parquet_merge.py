"""Records as one Parquet file."""

import json
from pathlib import Path

import pytest

from mmwtal.offline.parquet import merge
from mmwtal.utils.errors import UserError

parquet = pytest.importorskip('pyarrow.parquet')

RECORDS = [
    {'video': 'a', 'state': 'ok', 'key': ['leaps', 'é'], 'n': 1, 'words': [], 'mixed': 'x', 'note': None},
    {'video': 'b', 'state': 'failed', 'key': [], 'details': {'model': 'm', 'times': [0.5]}, 'mixed': 3, 'words': []},
]


def test_a_row_a_record(tmp_path: Path) -> None:
    path = tmp_path / 'all.parquet'
    assert merge(iter(RECORDS), path) == 2
    table = parquet.read_table(path)
    first, second = table.to_pylist()
    assert first == {**RECORDS[0], 'mixed': '"x"', 'details': None}
    assert json.loads(second['details']) == RECORDS[1]['details']
    assert second['n'] is None
    assert second['mixed'] == '3'
    assert table.schema.field('words').type == table.schema.field('key').type
    assert [one.name for one in tmp_path.iterdir()] == ['all.parquet']


def test_no_records(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='no records yet'):
        merge([], tmp_path / 'all.parquet')
    assert list(tmp_path.iterdir()) == []


def test_half_characters_as_a_model_may_answer_them(tmp_path: Path) -> None:
    record = {'video': 'a', 'reason': 'no \ud800', 'details': {'context': 'x \udfff é'}}
    merge([record], tmp_path / 'all.parquet')
    [row] = parquet.read_table(tmp_path / 'all.parquet').to_pylist()
    assert row['reason'] == 'no \\ud800'
    assert json.loads(row['details']) == record['details']
