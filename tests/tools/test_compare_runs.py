"""Comparing stored runs: the figures by hand, what is refused, what is said about few seeds."""

import importlib.util
import json
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from mmwtal.evaluation.run_comparison import compare_runs
from mmwtal.evaluation.runs import read_runs, to_text
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError

A = {0: 40.0, 1: 42.0, 2: 44.0}
B = {0: 41.0, 1: 45.0, 2: 46.0}


def result(seed: int | None, average: float, **changed: object) -> dict:
    """A result of two thresholds, one point around ``average``, and two classes."""
    mean_ap = [average + 1, average - 1]
    content = {
        'protocol': 'wtal_grid',
        'protocol_hash': 'aaa',
        'tious': [0.3, 0.5],
        'subset': 'test',
        'video_list': None,
        'video_list_hash': 'vvv',
        'num_videos': 10,
        'num_instances': 30,
        'num_removed_instances': 0,
        'mAP': mean_ap,
        'average': average,
        'per_class': {'run': [value + 2 for value in mean_ap], 'jump': [value - 2 for value in mean_ap]},
    }
    meta = {'config': 'x.py', 'config_sha256': 'ccc', 'seed': seed, 'iteration': 3, 'selection': {'rule': 'last'}}
    meta |= changed.pop('meta', {})
    return {**content, **changed, 'meta': meta}


@pytest.fixture
def runs(tmp_path: Path) -> Callable[..., Path]:
    """Write the results of a model: averages by seed."""

    def write(name: str, averages: dict[int, float], **changed: object) -> Path:
        for seed, average in averages.items():
            folder = tmp_path / name / f'seed_{seed}'
            folder.mkdir(parents=True)
            (folder / 'result.json').write_text(json.dumps(result(seed, average, **changed)))
        return tmp_path / name

    return write


@pytest.fixture(scope='module')
def tool(repo_root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location('compare_runs_tool', repo_root / 'tools/analysis/compare_runs.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def call(tool: ModuleType, capsys: pytest.CaptureFixture) -> Callable[..., str]:
    """Run the tool; return what it says, or the message if it refuses."""

    def run(*words: object, code: int = 0) -> str:
        with pytest.raises(SystemExit) as end:
            run_tool(tool.main, tool.build_parser(), list(map(str, words)))
        out, error = capsys.readouterr()
        assert end.value.code == code, out + error
        return error if code else out

    return run


def test_figures_by_hand(runs: Callable[..., Path], call: Callable[..., str], tmp_path: Path) -> None:
    """Differences 1, 3, 2: mean 2, sd 1, t(2) = 4.3027, half width 4.3027 / sqrt(3) = 2.4842."""
    text = call(runs('a', A), runs('b', B), '--out', tmp_path / 'c.json', '--markdown', tmp_path / 'c.md')
    for expected in (
        '42.00 ± 2.00',
        '44.00 ± 2.65',
        '+2.00 [-0.48, +4.48]',
        'b (3 pairs)',
        'protocol wtal_grid (hash aaa)',
    ):
        assert expected in text
    few = 'note: b: an interval of 3 pairs says little: t is 4.3, where five pairs have 2.8; add seeds'
    assert [line for line in text.splitlines() if line.startswith('note: ')] == [few]
    content = json.loads((tmp_path / 'c.json').read_text())
    assert [one['name'] for one in content['runs']] == ['a', 'b']
    assert content['runs'][0]['mean']['mAP'] == [43, 41]
    assert content['runs'][1]['sd']['average'] == pytest.approx(math.sqrt(7))
    [difference] = content['differences']
    assert (difference['name'], difference['from'], difference['seeds']) == ('b', 'a', [0, 1, 2])
    half = 4.302653 / math.sqrt(3)
    for low, middle, high in (
        (difference[key]['average'] for key in ('low', 'mean', 'high')),
        (difference[key]['mAP'][1] for key in ('low', 'mean', 'high')),
        (difference[key]['per_class']['jump'][0] for key in ('low', 'mean', 'high')),
        (difference[key]['per_class_average']['run'] for key in ('low', 'mean', 'high')),
    ):
        assert (low, middle, high) == pytest.approx((2 - half, 2, 2 + half), abs=1e-5)
    markdown = (tmp_path / 'c.md').read_text()
    assert '| average | +2.00 [-0.48, +4.48] |' in markdown
    assert '| run | 44.00 ± 2.00 | +2.00 [-0.48, +4.48] |' in markdown


def test_little_is_said_of_few_pairs_alone(runs: Callable[..., Path], call: Callable[..., str]) -> None:
    averages = {seed: 40.0 + seed for seed in range(4)}
    assert 'note: ' not in call(runs('a', averages), runs('b', {seed: 50.0 - seed for seed in averages}))
    two = call(runs('c', {0: 40.0, 1: 42.0}), runs('d', {0: 41.0, 1: 44.0}))
    assert 'note: d: an interval of 2 pairs says little: t is 12.7, where five pairs have 2.8; add seeds' in two


def test_a_constant_lead_is_certain_though_runs_vary(runs: Callable[..., Path]) -> None:
    sets = [read_runs(runs('a', A)), read_runs(runs('b', {seed: average + 1.5 for seed, average in A.items()}))]
    [difference] = compare_runs(sets).differences
    assert difference.values.low[0, -1] == pytest.approx(1.5)
    assert difference.values.high[0, -1] == pytest.approx(1.5)


def test_seeds_are_paired_whatever_their_order_and_only_common_ones(
    runs: Callable[..., Path], call: Callable[..., str]
) -> None:
    text = call(runs('a', A), runs('b', {7: 99.0, 2: 46.0, 1: 45.0}))
    assert 'note: b and a are paired over the common seeds alone (1, 2): a has 3 runs, b 3 runs' in text
    assert 'b (2 pairs)' in text
    assert '+2.50 [' in text
    text = call(runs('c', {1: 40.0}), runs('d', {2: 41.0}))
    assert 'd and c have no seed in common, so no difference is stated: c has 1 run, d 1 run' in text
    assert 'points' not in text


def test_one_run_states_no_spread_and_no_interval(runs: Callable[..., Path], call: Callable[..., str]) -> None:
    a, b = runs('a', {0: 40.0}), runs('b', {0: 41.0})
    text = call(a, b / 'seed_0' / 'result.json')
    assert 'note: a is one run: it has no standard deviation, and no interval can be stated' in text
    assert '±' not in text
    assert '[' not in text
    assert '+1.00' in text
    unknown = b / 'seed_0' / 'result.json'
    unknown.write_text(json.dumps(result(None, 41.0)))
    assert 'no seed in common' in call(a, unknown)


@pytest.mark.parametrize(
    ('changed', 'kind', 'both'),
    [
        ({'protocol': 'anet'}, 'protocol', 'protocol: wtal_grid in a, anet in b'),
        ({'protocol_hash': 'bbb'}, 'protocol', 'hash of the protocol: aaa in a, bbb in b'),
        ({'tious': [0.5, 0.7]}, 'protocol', 'tIoU thresholds: 0.3, 0.5 in a, 0.5, 0.7 in b'),
        ({'video_list_hash': 'www'}, 'videos', 'hash of the video list: vvv in a, www in b'),
        ({'subset': 'validation'}, 'videos', 'subset: test in a, validation in b'),
        ({'num_instances': 31}, 'videos', 'ground-truth instances: 30 in a, 31 in b'),
        ({'meta': {'left_out': ['v']}}, 'videos', 'faulty videos left out: none in a, v in b'),
        (
            {'meta': {'selection': {'rule': 'best on the test split'}}},
            'selection',
            'selection of the checkpoint: last in a, best on the test split in b',
        ),
        ({'meta': {'video_scores': {'sha256': 'sss'}}}, 'selection', 'external video scores: none in a, sss in b'),
    ],
)
def test_runs_that_are_not_alike(
    changed: dict, kind: str, both: str, runs: Callable[..., Path], call: Callable[..., str], tmp_path: Path
) -> None:
    a, b = runs('a', A), runs('b', B, **changed)
    message = call(a, b, '--out', tmp_path / 'c.json', code=2)
    assert both in message
    assert message.endswith(f'--allow {kind}\n')
    assert not (tmp_path / 'c.json').exists()
    others = ','.join({'protocol', 'videos', 'selection'} - {kind} - ({'protocol'} if 'instances' in both else set()))
    assert both in call(a, b, '--allow', others, code=2)
    assert f'NOT ALIKE, and compared nonetheless: {both}' in call(a, b, '--allow', kind)


def test_all_differences_are_named_at_once(runs: Callable[..., Path], call: Callable[..., str]) -> None:
    a = runs('a', A)
    b = runs('b', B, protocol='anet', video_list_hash='www', meta={'selection': {'rule': 'unknown'}})
    message = call(a, b, code=2)
    assert all(part in message for part in ('anet', 'www', 'unknown', '--allow protocol,videos,selection'))


def test_common_thresholds_and_classes_are_compared(runs: Callable[..., Path], call: Callable[..., str]) -> None:
    changed = {'tious': [0.5, 0.7], 'per_class': {'run': [50.0, 40.0], 'swim': [1.0, 2.0]}}
    text = call(runs('a', A), runs('b', B, **changed), '--allow', 'protocol,videos')
    assert '2 classes that not all runs have are left out: jump, swim' in text
    # At 0.5 alone a has 41 on average and b, whose first threshold that is, 45.
    assert '+4.00' in text
    assert '0.7' not in text.split('mAP (%)')[1]
    message = call(runs('c', A), runs('d', B, tious=[0.6, 0.7]), '--allow', 'protocol', code=2)
    assert 'no tIoU threshold in common' in message


def test_a_folder_of_runs_that_differ_in_more_than_their_seed(
    runs: Callable[..., Path], call: Callable[..., str]
) -> None:
    a, b = runs('a', A), runs('b', B)
    for key, value in (('protocol', 'anet'), ('meta', {'config_sha256': 'ddd'})):
        (b / 'seed_1' / 'result.json').write_text(json.dumps(result(1, 45.0, **{key: value})))
        assert 'differ in their seed alone' in call(a, b, code=2)
    (b / 'seed_1' / 'result.json').write_text(json.dumps(result(0, 45.0)))
    assert 'expected runs of different seeds, found the seed 0 in several' in call(a, b, code=2)


def test_a_summary_reads_as_the_runs_that_it_sums_up(runs: Callable[..., Path], tmp_path: Path) -> None:
    found = read_runs(runs('a', A))
    summary = tmp_path / 'stored' / 'model.json'
    summary.parent.mkdir()
    summary.write_text(to_text(found.to_dict()))
    again = read_runs(summary)
    assert again.name == 'model'
    assert again.facts == found.facts
    assert again.runs == found.runs
    assert again.origin == found.origin
    assert len(summary.read_text().splitlines()) < 30
    assert read_runs(summary, name='other').name == 'other'


def test_names(runs: Callable[..., Path], call: Callable[..., str], tmp_path: Path) -> None:
    a, b = runs('a', A), runs('b', B)
    assert 'second (3 pairs)' in call(a, b, '--names', 'first', 'second')
    assert 'expected one for each of the 2' in call(a, b, '--names', 'first', code=2)
    assert 'need different names' in call(a, b, '--names', 'x', 'x', code=2)
    assert 'need different names' in call(a, a, code=2)
    assert 'expected two or more' in call(a, code=2)
    twin = runs('twins/a', B)
    assert f'{twin} (3 pairs)' in call(a, twin)


@pytest.mark.parametrize(
    ('change', 'expected'),
    [
        (lambda r: r.pop('protocol'), "the key 'protocol'"),
        (lambda r: r.pop('mAP'), 'under "mAP"'),
        (lambda r: r.update(mAP=[1.0]), '2 numbers'),
        (lambda r: r.update(mAP=[1.0, 'x']), '2 numbers'),
        (lambda r: r.update(average=None), 'under "average"'),
        (lambda r: r.update(per_class={}), 'under "per_class"'),
        (lambda r: r.update(per_class={'run': 5}), 'for each class'),
        (lambda r: r.update(tious=[]), 'under "tious"'),
        (lambda r: r.update(tious=['x', 'y']), 'under "tious"'),
        (lambda r: r.update(tious=['0.3', '0.5']), 'under "tious"'),
        (lambda r: r.update(tious=[True, 0.5]), 'under "tious"'),
        (lambda r: r.update(mAP=[1.0, True]), '2 numbers'),
        (lambda r: r['meta'].update(seed=True), "a whole number under 'seed'"),
        (lambda r: r.update(meta=[]), 'under "meta"'),
        (lambda r: r['meta'].update(seed='x'), "a whole number under 'seed'"),
        (lambda r: r.update(runs=5), 'under "runs"'),
        (lambda r: r.update(runs=[5]), 'under "runs"'),
    ],
)
def test_malformed_results(change: Callable[[dict], object], expected: str, tmp_path: Path) -> None:
    content = result(0, 40.0) | {'selection': 'last'}
    change(content)
    path = tmp_path / 'result.json'
    path.write_text(json.dumps(content))
    with pytest.raises(UserError) as caught:
        read_runs(path)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)


def test_runs_of_one_set_have_the_same_classes(runs: Callable[..., Path], call: Callable[..., str]) -> None:
    a, b = runs('a', A), runs('b', B)
    file = b / 'seed_1' / 'result.json'
    content = json.loads(file.read_text())
    content['per_class'].popitem()
    file.write_text(json.dumps(content))
    message = call(a, b, code=2)
    assert 'the same classes' in message
    assert str(b) in message


def test_outputs_that_would_harm(runs: Callable[..., Path], call: Callable[..., str], tmp_path: Path) -> None:
    a, b = runs('a', A), runs('b', B)
    file = a / 'seed_0' / 'result.json'
    before = file.read_bytes()
    assert 'is one of the runs' in call(file, b, '--out', file, code=2)
    assert 'is one of the runs' in call(a, b, '--out', file, code=2)
    assert 'is a folder' in call(file, b, '--markdown', b, code=2)
    assert 'both name' in call(file, b, '--out', tmp_path / 'x', '--markdown', tmp_path / 'x', code=2)
    assert 'cannot be written' in call(file, b, '--out', tmp_path / 'no' / 'x', code=2)
    assert file.read_bytes() == before
    assert 'expected some of protocol, videos, selection' in call(a, b, '--allow', 'everything', code=2)
