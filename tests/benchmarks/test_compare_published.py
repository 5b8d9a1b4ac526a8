"""The comparison on a made-up checkout that takes a GPU for granted, as the authors' do."""

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import cases, compare_published, material, ours, published
from benchmarks import checkout as checkout_module
from benchmarks.compare_published import METHODS, choose, compare, main, parser
from benchmarks.machine import describe, revision
from benchmarks.operation import Spec, WaitMeter
from benchmarks.prepare import prepare
from benchmarks.report import add_statistics
from benchmarks.session import Session, WorkerFailure, environment
from mmwtal.datasets.thumos14 import Thumos14Dataset
from mmwtal.utils.errors import UserError
from tools.model_converters.official import BASES

OPTIONS = """
import sys
from argparse import Namespace
assert '--max-seqlen' in sys.argv

class parser:
    def parse_args():
        return Namespace(lr=0.1, weight_decay=0.0)
"""
MODEL = """
import torch
torch.set_default_tensor_type('torch.cuda.FloatTensor')

class CO2(torch.nn.Linear):
    def __init__(self, width, classes, opt):
        super().__init__(2, classes)
"""
UTILS = """
import numpy as np
import torch
from tensorboard_logger import log_value
torch.set_default_tensor_type('torch.cuda.FloatTensor')

def soft_nms(rows, threshold, sigma):
    print('printed by the authors')
    log_value('name', 1, 2)
    return torch.tensor(rows).cuda().numpy().astype(np.float).tolist()
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / 'checkout'
    (folder / 'utils').mkdir(parents=True)
    (folder / 'options.py').write_text(OPTIONS)
    (folder / 'model.py').write_text(MODEL)
    (folder / 'utils' / '__init__.py').touch()
    (folder / 'utils' / 'wsad_utils.py').write_text(UTILS)
    return folder


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / 'scratch' / 'authors').mkdir(parents=True)
    return tmp_path / 'scratch'


def make_spec(checkout: Path, scratch: Path, **fields) -> Spec:
    base = dict(side='published', operation='soft_nms', method='co2net', length=8, device='cpu', threads=1, workers=0)
    return Spec(**{**base, **fields, 'checkout': checkout, 'scratch': scratch})


def test_both_sides_of_a_comparison(checkout, scratch):
    case = next(case for case in cases.CASES if case.name == 'soft-nms')
    row = compare(case, checkout, scratch, Namespace(device='cpu', threads=1, workers=0, rounds=1))
    theirs, mine = row['sides']['published'], row['sides']['mmwtal']
    assert len(theirs['seconds']) == len(mine['seconds']) == 1
    assert theirs['outcome'][0] == mine['outcome'][0] == material.PROPOSALS
    # The stand-in leaves the scores as they are, and that shows.
    assert row['largest_relative_difference'] > 0.1
    assert row['sides']['mmwtal']['times_faster']['median'] > 0
    assert mine['peak_memory_mib'] > 50
    assert json.loads(json.dumps(row)) == row
    assert 'printed by the authors' in (scratch / 'published.log').read_text()


def test_the_reason_why_something_cannot_be_run(checkout, scratch):
    session = Session(make_spec(checkout, scratch, operation='decode'))
    try:
        with pytest.raises(WorkerFailure, match="ModuleNotFoundError: No module named 'proposal_methods'"):
            session.ask('warm')
    finally:
        session.close()


def test_only_the_authors_side_gets_stand_ins(checkout, scratch):
    theirs = environment(make_spec(checkout, scratch))
    mine = environment(make_spec(checkout, scratch, side='mmwtal'))
    assert 'stubs' in theirs['PYTHONPATH']
    assert 'stubs' not in mine['PYTHONPATH']
    assert theirs['OMP_NUM_THREADS'] == mine['OMP_NUM_THREADS'] == '1'


def test_a_spec_travels_as_json(checkout, scratch):
    spec = make_spec(checkout, scratch)
    assert Spec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_every_comparison_has_its_operation_on_both_sides():
    names = [case.name for case in cases.CASES]
    assert len(set(names)) == len(names)
    for case in cases.CASES:
        assert case.operation in published.OPERATIONS
        assert case.operation in ours.OPERATIONS


def test_comparisons_are_chosen_by_checkout_and_name(tmp_path):
    assert {case.method for case in choose(None, {'delu': tmp_path})} == {'delu'}
    assert [case.name for case in choose(['decode'], {'co2net': tmp_path})] == ['decode']
    for only, checkouts in ((['nothing'], {'co2net': tmp_path}), (['decode'], {'delu': tmp_path}), (None, {})):
        with pytest.raises(UserError, match=r'--only: no comparison nothing|nothing to compare'):
            choose(only, checkouts)


def test_measurements_of_several_runs_are_joined(checkout, tmp_path, scratch, monkeypatch, capsys):
    monkeypatch.setattr(compare_published, 'prepare', lambda *_: None)
    measured = []

    def stand_in(case, *_):
        measured.append(case.name)
        sides = {side: {'seconds': [1.0], 'outcome': [1.0], 'peak_memory_mib': 1.0} for side in case.sides}
        fields = {'title': case.title, 'note': case.note, 'goal': case.goal, 'shows_memory': False}
        return add_statistics({'name': case.name, **fields, 'sides': sides})

    monkeypatch.setattr(compare_published, 'compare', stand_in)

    def run(*options):
        words = [*options, '--scratch', str(scratch), '--out', str(tmp_path / 'out'), '--threads', '1']
        main(parser().parse_args(words))
        return json.loads((tmp_path / 'out.json').read_text())['rows']

    run('--co2net', str(checkout), '--only', 'soft-nms')
    rows = run('--co2net', str(checkout), '--ddgnet', str(checkout), '--only', 'soft-nms', 'ddgnet-decode', '--missing')
    assert measured == ['soft-nms', 'ddgnet-decode']
    assert [row['name'] for row in rows] == measured
    assert [set(row['revisions']) for row in rows] == [{'mmwtal', 'co2net'}, {'mmwtal', 'ddgnet'}]
    assert '| 2 | DDG-Net, whole decode' in capsys.readouterr().out


def test_every_method_has_its_checkout_config_and_weights(repo_root):
    assert {case.method for case in cases.CASES} == set(METHODS) == set(checkout_module.METHODS) <= set(BASES)
    for name in METHODS:
        assert (repo_root / f'configs/{name}/{name}_thumos14-i3d.py').is_file()


def test_the_inputs_in_both_layouts(tmp_path, monkeypatch):
    monkeypatch.setattr(material, 'WIDTH', 4)
    monkeypatch.setattr(material, 'SEQUENCES', 2)
    monkeypatch.setattr(material, 'DETECTIONS', 20)
    columns = {
        'videoname': [b'video_validation_0000001', b'video_test_0000003', b'video_test_0000004'],
        'subset': [b'validation', b'test', b'test'],
        'duration': [[6.4], [19.2], [9.6]],
        'segments': [[[1.0, 2.5]], [[0.0, 3.0]], [[4.0, 5.0]]],
        'labels': [[b'Diving'], [b'Diving'], [b'HighJump']],
        'labels_all': [[b'Diving'], [b'Diving'], [b'HighJump']],
    }
    folder = tmp_path / 'checkout' / material.AUTHORS_ANNOTATIONS
    folder.mkdir(parents=True)
    for name, values in columns.items():
        column = np.empty(3, dtype=object)
        column[:] = values
        np.save(folder / f'{name}.npy', np.array(values) if name in ('videoname', 'subset', 'duration') else column)
    np.save(folder / 'classlist.npy', np.array([b'Diving', b'HighJump']))
    (folder / 'Ambiguous_test.txt').write_text('video_test_0000003  12.8 16.0\n')
    prepare(tmp_path / 'scratch', tmp_path / 'checkout')
    theirs = np.load(tmp_path / 'scratch' / 'authors' / material.AUTHORS_FEATURES, allow_pickle=True)
    assert [video.shape for video in theirs] == [(10, 4), (30, 4), (15, 4)]
    dataset = Thumos14Dataset(data_root=str(tmp_path / 'scratch' / 'mmwtal'), subset='test', test_mode=True)
    assert list(dataset.video_ids) == ['video_test_0000003', 'video_test_0000004']
    assert [len(item.cas) for item in material.load_sequences(tmp_path / 'scratch' / 'sequences.npz')] == [15, 30]
    (tmp_path / 'checkout' / material.AUTHORS_ANNOTATIONS / 'duration.npy').unlink()
    prepare(tmp_path / 'scratch', tmp_path / 'checkout')  # is done already
    with pytest.raises(UserError, match=r'lacks duration\.npy'):
        prepare(tmp_path / 'other', tmp_path / 'checkout')


def test_a_folder_that_is_no_checkout(tmp_path):
    with pytest.raises(UserError, match='found no options'):
        main(parser().parse_args(['--co2net', str(tmp_path)]))


def test_the_script_starts():
    done = subprocess.run(
        [sys.executable, '-m', 'benchmarks.compare_published'],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert 'nothing to compare' in done.stderr


def test_the_machine_is_described(tmp_path):
    machine = describe('cpu', 2)
    assert machine['cores'] >= 1
    assert machine['packages']['torch'] != 'absent'
    assert revision(tmp_path / 'nowhere') == 'unknown'


def test_the_share_of_waiting(monkeypatch):
    times = iter([0.0, 1.0, 4.0, 4.0, 6.0, 8.0])
    monkeypatch.setattr('benchmarks.operation.time.perf_counter', lambda: next(times))
    meter = WaitMeter('cpu')
    for _ in range(2):
        meter.begin()
        meter.start()
        meter.end()
    assert meter.share() == (1 + 2) / (4 + 4)


def test_the_inputs_are_the_same_for_both_sides():
    first, second = material.features('a', 30), material.features('a', 30)
    assert first.shape == (30, material.WIDTH)
    assert first.dtype == np.float32
    assert (first >= 0).all()
    assert (first == second).all()
    assert (first != material.features('b', 30)).any()
    items = material.sequences({f'v{i}': 20 + i for i in range(40)})
    assert [len(item.cas) for item in items] == sorted(len(item.cas) for item in items)
    assert len({label for item in items for label in item.labels}) > 5


def test_the_detections_touch_ambiguous_stretches_only_where_they_say_so(monkeypatch):
    monkeypatch.setattr(material, 'DETECTIONS', 100)
    database = {
        'x': {'annotations': [{'label': 'b', 'segment': [3.2, 9.6]}], 'ambiguous': [[12.8, 16.0]]},
        'y': {'annotations': []},
    }
    table = material.detections(database, ['a', 'b'], {'x': 60, 'y': 40})
    start, end = table['segments'].T
    touches = (table['videos'] == 0) & (start < 25) & (end > 20)
    assert touches.any()
    assert (table['clear'] == ~touches).all()
    assert table['clear'].sum() == 100
    assert set(table['labels'][table['videos'] == 0]) == {1}
    assert (end > start).all()
