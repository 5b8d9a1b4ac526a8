"""The breakdown of an iteration: the stopwatch, a run under it, the page."""

import itertools
import json

import pytest

from benchmarks.breakdown import main, parser
from benchmarks.breakdown_report import to_markdown
from benchmarks.breakdown_worker import Job, measure
from benchmarks.phases import AROUND, BACKBONE, BACKWARD, DATA, HEAD, LOSSES, OPTIMIZER, PHASES, REST, Stopwatch
from mmwtal.datasets.synthetic import write_synthetic
from mmwtal.utils.errors import UserError

CONFIG = 'configs/quick/delu_synthetic.py'


@pytest.fixture(scope='module')
def synthetic(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'synthetic'
    write_synthetic(root, seed=0, num_train=12, num_test=2)
    return root


def clock(*times):
    remaining = iter(times)
    return lambda: float(next(remaining))


def test_the_outer_phase_stands_still_while_an_inner_one_lasts():
    watch = Stopwatch(clock(0, 1, 3, 7))
    with watch.phase('outer'), watch.phase('inner'):
        pass
    assert watch.take() == {'outer': 1 + 4, 'inner': 2}
    assert watch.take() == {}


def test_time_outside_every_phase_does_not_count():
    watch = Stopwatch(clock(0, 1, 10, 12))
    for _ in range(2):
        with watch.phase('work'):
            pass
    assert watch.take() == {'work': 1 + 2}


def test_a_phase_ends_with_an_error():
    watch = Stopwatch(clock(0, 2, 5, 6))
    with pytest.raises(ZeroDivisionError), watch.phase('first'):
        raise ZeroDivisionError
    with watch.phase('second'):
        pass
    assert watch.take() == {'first': 2, 'second': 1}


def test_a_watched_method_does_what_it_did():
    class Adder:
        def add(self, a, *, b):
            return a + b

    adder, watch = Adder(), Stopwatch(clock(0, 4))
    watch.watch(adder, 'add', 'adding')
    assert adder.add(1, b=2) == 3
    assert watch.take() == {'adding': 4}


def test_waiting_for_items_counts_and_using_them_does_not():
    watch = Stopwatch(clock(0, 1, 10, 12, 20, 23))
    assert list(watch.iterate(iter('ab'), 'waiting')) == ['a', 'b']
    assert watch.take() == {'waiting': 1 + 2 + 3}


def test_the_phases_of_a_run(synthetic, tmp_path, repo_root):
    job = Job(
        config=str(repo_root / CONFIG),
        data_root=str(synthetic),
        work_dir=str(tmp_path),
        threads=1,
        workers=0,
        warm_up=1,
        iterations=2,
    )
    result = measure(job)
    seconds = result['seconds']
    assert {name.partition(':')[0] for name in seconds} <= set(PHASES)
    assert {DATA, BACKBONE, HEAD, BACKWARD, OPTIMIZER, AROUND, REST} <= set(seconds)
    assert {f'{LOSSES}: loss_evidential', f'{LOSSES}: loss_uncertainty_guide', f'{LOSSES}: loss_mil'} <= set(seconds)
    assert all(len(values) == 2 and min(values) > 0 for values in seconds.values())
    assert result['shape'][0] == 10
    assert result['peak_memory_mib'] > 50
    assert json.loads(json.dumps(result)) == result


def test_the_script_measures_each_config_and_keeps_what_there_is(synthetic, tmp_path, repo_root, capsys):
    def run(*configs):
        words = [*(str(repo_root / 'configs/quick' / config) for config in configs), '--data-root', str(synthetic)]
        words += ['--out', str(tmp_path / 'out'), '--missing', '--threads', '1', '--warm-up', '0', '--iterations', '1']
        main(parser().parse_args(words))
        return json.loads((tmp_path / 'out.json').read_text())['rows']

    (first,) = run('delu_synthetic.py')
    assert (tmp_path / 'out.md').read_text() == to_markdown([first])
    assert first['threads'] == first['machine']['threads'] == 1
    added, kept = run('co2net_synthetic.py', 'delu_synthetic.py')
    assert kept == {**first, 'number': 2}
    assert added['config'] == 'co2net_synthetic'
    assert '| phase | co2net_synthetic, B = 10, T = ' in capsys.readouterr().out


def test_a_row_for_every_config_and_number_of_threads(tmp_path, monkeypatch):
    monkeypatch.setattr('benchmarks.breakdown.measured_row', lambda config, threads, _: measured(config.stem, threads))
    main(parser().parse_args(['a.py', 'b.py', '--data-root', str(tmp_path), '--out', str(tmp_path / 'out')]))
    rows = json.loads((tmp_path / 'out.json').read_text())['rows']
    assert [(row['config'], row['threads']) for row in rows] == [('a', 1), ('b', 1), ('a', 2), ('b', 2)]
    page = (tmp_path / 'out.md').read_text()
    assert '## 1 thread\n' in page
    assert '## 2 threads\n' in page


def measured(config, threads):
    return {**row(config, 0, {REST: [1.0]}), 'name': f'{config}, threads: {threads}', 'threads': threads}


def test_a_run_that_cannot_be_made(tmp_path, repo_root):
    words = [str(repo_root / CONFIG), '--data-root', str(tmp_path / 'nothing'), '--threads', '1']
    with pytest.raises(UserError, match=r'delu_synthetic.py: its run failed: .*nothing'):
        main(parser().parse_args(words))
    with pytest.raises(UserError, match='expected at least 1, found 0'):
        main(parser().parse_args([*words, '--iterations', '0']))


def row(name, number, seconds):
    return {
        'name': name,
        'number': number,
        'config': name,
        'threads': 1,
        'seconds': seconds,
        'shape': [10, 320, 2048],
        'peak_memory_mib': 1234.4,
        'workers': 0,
        'revisions': {'mmwtal': 'abc'},
        'machine': {
            'processor': 'A processor',
            'cores': 2,
            'memory_gib': 8.0,
            'system': 'Linux',
            'python': '3.11',
            'packages': {},
            'threads': 1,
            'device': 'cpu',
            'device_name': None,
            'load_at_start': 0.1,
        },
    }


def cells(page, name):
    return [
        [cell.strip() for cell in line.strip('|').split('|')][1:]
        for line in page.splitlines()
        if line.startswith(f'| {name} ')
    ]


def test_the_page_adds_up():
    losses = {f'{LOSSES}: loss_a': [0.1, 0.1, 0.1], f'{LOSSES}: loss_b': [0.1, 0.2, 0.3]}
    first = row('first', 1, {**losses, BACKWARD: [0.2, 0.6, 0.1], REST: [0.1, 0.1, 0.1]})
    second = row('second', 2, {BACKWARD: [0.5], REST: [0.5]})
    page = to_markdown([first, second])
    # The iterations take .5, 1.0 and .6 s; the medians are .3 (losses), .2 and .1.
    assert cells(page, LOSSES) == [['300.0 (50.0 %)', '']]
    assert cells(page, BACKWARD) == [['200.0 (33.3 %)', '500.0 (50.0 %)']]
    assert cells(page, 'remainder') == [['0.0 (0.0 %)', '0.0 (0.0 %)']]
    assert cells(page, '**iteration**') == [['**600.0**', '**1,000.0**']]
    assert cells(page, '`loss_b`') == [['200.0 (33.3 %)', '']]
    assert '| phase | first, B = 10, T = 320 [1] | second, B = 10, T = 320 [2] |' in page
    assert cells(page, 'peak memory of the process, MiB') == [['1,234', '1,234']]


def test_the_remainder_of_the_medians_is_stated():
    odd = row('odd', 1, {BACKWARD: [1.0, 2.0, 6.0], REST: [6.0, 2.0, 1.0]})
    assert cells(to_markdown([odd]), 'remainder') == [['3,000.0 (42.9 %)']]


def test_every_phase_has_a_name_of_its_own():
    for first, second in itertools.combinations(PHASES, 2):
        assert not first.startswith(second)
        assert not second.startswith(first)
