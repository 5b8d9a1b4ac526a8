import json

import pytest

from benchmarks.store import Store, conditions, ranges
from mmwtal.utils.errors import UserError

MACHINE = {
    'processor': 'A processor',
    'cores': 2,
    'memory_gib': 8.0,
    'system': 'Linux',
    'python': '3.11',
    'packages': {'torch': '2'},
    'threads': 2,
    'device': 'cpu',
    'device_name': None,
    'load_at_start': 0.1,
}


def row(name, **fields):
    return {'name': name, 'machine': MACHINE, 'workers': 0, 'revisions': {'mmwtal': 'abc'}, **fields}


def open_store(prefix, order=('a', 'b', 'c')):
    return Store(prefix, order=order, render=lambda rows: ' '.join(f'{r["number"]}{r["name"]}' for r in rows))


def test_rows_of_several_runs_stand_together_in_order(tmp_path):
    prefix = tmp_path / 'new' / 'results-1.0'
    open_store(prefix).put(row('c', value=1))
    later = open_store(prefix)
    assert 'c' in later
    assert 'a' not in later
    later.put(row('a'))
    later.put(row('own'))
    later.put(row('c', value=2))
    rows = json.loads((prefix.parent / 'results-1.0.json').read_text())['rows']
    assert [(r['number'], r['name']) for r in rows] == [(1, 'a'), (2, 'c'), (3, 'own')]
    assert rows[1]['value'] == 2
    assert (prefix.parent / 'results-1.0.md').read_text() == '1a 2c 3own' == later.page()


def test_without_a_file_the_rows_stay_in_memory(tmp_path):
    store = open_store(None)
    store.put(row('a'))
    assert store.page() == '1a'
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('content', ['{', '[]', '{"rows": [{"name": "a"}]}', '{"machine": {}}'])
def test_a_file_with_something_else_is_not_replaced(tmp_path, content):
    (tmp_path / 'mine.json').write_text(content)
    with pytest.raises(UserError, match=r'mine.json: expected measurements.*--out another name'):
        open_store(tmp_path / 'mine')
    assert (tmp_path / 'mine.json').read_text() == content


def test_what_was_measured_on_what():
    busy = {**MACHINE, 'load_at_start': 1.5}
    one = [{**row('a'), 'number': 1}, {**row('b', machine=busy), 'number': 2}]
    (line,) = conditions(one)
    assert line.startswith('- mmwtal `abc`; A processor, 2 cores')
    assert line.endswith('2 threads, 0 loading processes for mmwtal; load average 1.50 before.')
    newer = {**row('c', revisions={'mmwtal': 'def', 'delu': '123'}), 'number': 3}
    first, second, authors = conditions([*one, newer])
    assert first.startswith('- 1-2: mmwtal `abc`')
    assert second.startswith('- 3: mmwtal `def`')
    assert authors == '- delu: `123`'


def test_ranges():
    assert ranges([1, 2, 3, 7, 9, 10]) == '1-3, 7, 9-10'
