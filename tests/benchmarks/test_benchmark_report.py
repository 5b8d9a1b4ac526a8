import pytest

from benchmarks import breakdown_report, extraction, guidance_cost, inference, mllm_client
from benchmarks.report import add_statistics, to_markdown
from benchmarks.store import load_rows

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


def row(published, ours, **fields):
    sides = {'published': published, 'mmwtal': ours}
    base = {'number': 1, 'title': 'work', 'note': '', 'goal': None, 'shows_memory': False}
    base |= {'machine': MACHINE, 'workers': 0, 'revisions': {'mmwtal': 'abc', 'delu': 'def'}}
    return add_statistics({**base, **fields, 'sides': sides})


def side(*seconds, **fields):
    return {'seconds': list(seconds), 'outcome': [1.0], 'peak_memory_mib': 1234.0, 'waiting_share': None, **fields}


def page(*rows):
    return to_markdown(rows)


def cells(text):
    (line,) = (line for line in text.splitlines() if line.startswith('| 1 | work'))
    return [cell.strip() for cell in line.strip('|').split('|')][1:]


def test_a_row_of_the_table():
    text = page(row(side(0.2, 0.4, 0.2), side(0.001, 0.002, 0.001), goal=80))
    assert cells(text) == ['work', '200 ms (200 ms)', '1 ms (1 ms)', '**200** (200 to 200)', '80 ✓', 'equal']
    assert 'A processor, 2 cores, 8.0 GiB' in text
    assert '- mmwtal `abc`;' in text
    assert '- delu: `def`' in text


@pytest.mark.parametrize(
    ('ours', 'verdict'), [((2.0, 2.0), '1 missed'), ((1.0, 1.0), '1 ✓'), ((0.8, 1.4), '1 within the spread')]
)
def test_a_goal(ours, verdict):
    assert cells(page(row(side(1.0, 1.0), side(*ours), goal=1)))[4] == verdict


def test_what_cannot_be_run_is_said_and_not_invented():
    text = page(row({'failure': "No module named 'x|y'"}, side(1.0), goal=2))
    assert "cannot be run: No module named 'x\\|y'" in text
    assert cells(text.replace('\\|', ' '))[2:] == ['1 s (1 s)', '', '2', 'not comparable']


def test_results_that_differ():
    assert cells(page(row(side(1.0), side(1.0, outcome=[1.001]))))[5] == 'to 1e-03, relative'


def test_memory_notes_and_waiting():
    text = page(
        row(
            side(1.0, waiting_share=0.25),
            side(1.0, waiting_share=0.5),
            shows_memory=True,
            note='Mind this.',
            number=7,
        )
    )
    assert '| work | 1,234 | 1,234 |' in text
    assert 'published 25.0 %, mmwtal 50.0 %' in text
    assert '| 7 | work [7] |' in text
    assert '[7] Mind this.' in text


def test_the_stored_tables_are_those_of_the_stored_measurements(repo_root):
    stored = sorted((repo_root / 'benchmarks' / 'results').glob('*.json'))
    assert stored
    renders = {
        'breakdown': breakdown_report.to_markdown,
        'cpu': to_markdown,
        'extraction': extraction.to_markdown,
        'guidance': guidance_cost.to_markdown,
        'inference': inference.to_markdown,
        'mllm': mllm_client.to_markdown,
    }
    for path in stored:
        rows = load_rows(path)
        render = renders[path.name.split('-')[0]]
        assert path.with_suffix('.md').read_text(encoding='utf-8') == render(rows)
