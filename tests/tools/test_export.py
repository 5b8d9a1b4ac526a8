"""Writing predictions and annotations for other projects: what comes back is what went out."""

import csv
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.conversion.thumos_text import CLASS_NUMBERS
from mmwtal.evaluation import evaluate
from mmwtal.evaluation.detections import read_detections
from mmwtal.utils.errors import UserError


def load(repo_root: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f'{name}_tool', repo_root / 'tools/dataset_converters' / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def tool(repo_root: Path) -> ModuleType:
    return load(repo_root, 'export')


def run(tool: ModuleType, *options: object) -> None:
    tool.main(tool.build_parser().parse_args([str(option) for option in options]))


def database(root: Path) -> dict:
    return json.loads((root / 'annotations.json').read_text())['database']


CLASSES = ['Billiards', 'Diving', 'HighJump']
DATABASE = {
    'v_1': {
        'subset': 'training',
        'duration': 30.25,
        'annotations': [{'label': 'Diving', 'segment': [1.1, 2.3]}, {'label': 'Diving', 'segment': [0.1, 0.1]}],
        'labels': ['Diving', 'HighJump'],
    },
    't_1': {
        'subset': 'test',
        'duration': 10.0,
        'annotations': [{'label': 'HighJump', 'segment': [1 / 3, 2.0]}, {'label': 'Billiards', 'segment': [3, 12.5]}],
        'ambiguous': [[4.5, 5.0]],
    },
    't_2': {'subset': 'test', 'duration': 12.5, 'annotations': []},
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / 'root').mkdir()
    content = {'classes': CLASSES, 'database': DATABASE}
    (tmp_path / 'root' / 'annotations.json').write_text(json.dumps(content))
    return tmp_path / 'root'


def without(*keys: str) -> dict:
    return {name: {key: value for key, value in entry.items() if key not in keys} for name, entry in DATABASE.items()}


# Annotations


@pytest.mark.parametrize('layout', ['activitynet', 'actionformer', 'opentad'])
def test_json_layouts_come_back(
    tool: ModuleType, repo_root: Path, tmp_path: Path, root: Path, layout: str, capsys: pytest.CaptureFixture
) -> None:
    run(tool, 'annotations', root, tmp_path / 'out.json', '--to', layout, '--fps', 30)
    printed = capsys.readouterr().out
    assert '3 videos, 4 instances' in printed
    assert '1 videos whose labels are not those of their instances: the labels' in printed
    assert ('1 ambiguous stretches' in printed) == (layout != 'opentad')
    run(load(repo_root, 'json_annotations'), layout, tmp_path / 'out.json', tmp_path / 'back')
    lost = ('labels',) if layout == 'opentad' else ('labels', 'ambiguous')
    assert database(tmp_path / 'back') == without(*lost)


def test_what_the_layouts_state(tool: ModuleType, tmp_path: Path, root: Path) -> None:
    run(tool, 'annotations', root, tmp_path / 'anet.json', '--to', 'activitynet')
    anet = json.loads((tmp_path / 'anet.json').read_text())
    assert anet['taxonomy'] == []
    assert [entry['subset'] for entry in anet['database'].values()] == ['training', 'testing', 'testing']
    run(tool, 'annotations', root, tmp_path / 'af.json', '--to', 'actionformer', '--fps', 30)
    former = json.loads((tmp_path / 'af.json').read_text())['database']['t_1']
    assert former['fps'] == 30
    assert former['annotations'][1] == {
        'label': 'Billiards',
        'segment': [3.0, 12.5],
        'segment(frames)': [90.0, 375.0],
        'label_id': 0,
    }
    options = ('--to', 'opentad', '--fps', 30, '--subsets', 'test=validation')
    run(tool, 'annotations', root, tmp_path / 'tad' / 'tad.json', *options)
    tad = json.loads((tmp_path / 'tad' / 'tad.json').read_text())['database']
    assert (tad['v_1']['frame'], tad['t_2']['subset']) == (908, 'validation')
    assert tad['t_1']['annotations'][-1] == {'label': 'Ambiguous', 'segment': [4.5, 5.0]}
    assert (tmp_path / 'tad' / 'category_idx.txt').read_text().split() == CLASSES


def test_csv_comes_back_through_the_converter_for_own_data(
    tool: ModuleType, repo_root: Path, tmp_path: Path, root: Path
) -> None:
    run(tool, 'annotations', root, tmp_path / 'csv', '--to', 'csv')
    (tmp_path / 'f').mkdir()
    for name in DATABASE:
        np.save(tmp_path / 'f' / f'{name}.npy', np.zeros((10, 4), np.float32))
    files = {name: tmp_path / 'csv' / f'{name}.csv' for name in ('labels', 'segments', 'durations')}
    run(
        load(repo_root, 'custom'),
        *(tmp_path / 'f', files['labels'], tmp_path / 'back', '--test-csv', files['segments']),
        *('--durations', files['durations'], '--linear-time'),
    )
    expected = without('ambiguous')
    expected['v_1']['annotations'] = []
    assert database(tmp_path / 'back') == expected


def test_thumos_texts_come_back(
    tool: ModuleType, repo_root: Path, tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture
) -> None:
    official = load(repo_root, 'thumos14_official')
    run(official, shared_data / 'thumos14' / 'official_txt' / 'test', tmp_path / 'a')
    capsys.readouterr()
    run(tool, 'annotations', tmp_path / 'a', tmp_path / 'txt', '--to', 'thumos14')
    assert '212 videos, 3358 instances as thumos14' in capsys.readouterr().out
    assert (tmp_path / 'txt' / 'Diving_test.txt').read_text().count('\n') == 388
    run(official, tmp_path / 'txt', tmp_path / 'b')
    first, second = database(tmp_path / 'a'), database(tmp_path / 'b')
    assert second == first


@settings(max_examples=10, deadline=None)
@given(
    times=st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e4)).map(sorted), min_size=1, max_size=5),
    subset=st.sampled_from(['training', 'test']),
)
def test_no_digit_is_lost(repo_root: Path, tmp_path_factory: pytest.TempPathFactory, times: list, subset: str) -> None:
    folder = tmp_path_factory.mktemp('digits')
    annotations = [{'label': 'Diving', 'segment': segment} for segment in times]
    content = {'v': {'subset': subset, 'duration': 1e4, 'annotations': annotations}}
    (folder / 'annotations.json').write_text(json.dumps({'classes': list(CLASS_NUMBERS), 'database': content}))
    tool = load(repo_root, 'export')
    run(tool, 'annotations', folder, folder / 'a.json', '--to', 'activitynet')
    run(load(repo_root, 'json_annotations'), 'activitynet', folder / 'a.json', folder / 'json')
    run(tool, 'annotations', folder, folder / 'txt', '--to', 'thumos14')
    run(load(repo_root, 'thumos14_official'), folder / 'txt', folder / 'official')
    assert database(folder / 'json')['v']['annotations'] == annotations
    assert database(folder / 'official')['v']['annotations'] == annotations


def test_what_annotations_cannot_be_written(tool: ModuleType, tmp_path: Path, root: Path) -> None:
    with pytest.raises(UserError, match=r'counts in frames: state the frames a second .* --fps'):
        run(tool, 'annotations', root, tmp_path / 'o.json', '--to', 'opentad')
    content = {'database': {'a b': {'subset': 'test', 'annotations': [{'label': 'x;y', 'segment': [1, 2]}]}}}
    (tmp_path / 'odd.json').write_text(json.dumps(content))
    for layout, message in (
        ('thumos14', 'a name with spaces or slashes'),
        ('csv', "a class name with ';'"),
        ('actionformer', '1 videos have no duration'),
        ('opentad', '1 videos have no duration'),
    ):
        with pytest.raises(UserError, match=message):
            run(tool, 'annotations', tmp_path / 'odd.json', tmp_path / 'o', '--to', layout, '--fps', 30)
    run(tool, 'annotations', root, tmp_path / 'o.json', '--to', 'activitynet')
    with pytest.raises(UserError, match='is there already'):
        run(tool, 'annotations', root, tmp_path / 'o.json', '--to', 'activitynet')
    run(tool, 'annotations', root, tmp_path / 'o.json', '--to', 'activitynet', '--overwrite')
    (tmp_path / 'odd.json').write_text('{"database": {"a": {"subset": "none"}}}')
    with pytest.raises(UserError, match='faulty entries'):
        run(tool, 'annotations', tmp_path / 'odd.json', tmp_path / 'p.json', '--to', 'activitynet')


# Predictions


def rows(path: Path) -> list[tuple]:
    """Return video, label, start, end and score of a result file, in order."""
    results = json.loads(path.read_text())['results']
    return [
        (video, item['label'], *map(float, item['segment']), item['score'])
        for video, items in results.items()
        for item in items
    ]


def test_real_predictions_come_back(
    tool: ModuleType, tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture
) -> None:
    source = shared_data / 'thumos14' / 'stpn_predictions' / 'results.json'
    expected = rows(source)
    assert len(expected) > 5_000
    for name in ('activitynet', 'thumos14', 'csv'):
        run(tool, 'predictions', source, tmp_path / name, '--to', name)
    assert f'{len(expected)} predictions' in capsys.readouterr().out
    assert rows(tmp_path / 'activitynet') == expected
    with (tmp_path / 'csv').open(newline='') as file:
        back = [
            (r['video'], r['label'], *(float(r[k]) for k in ('start', 'end', 'score'))) for r in csv.DictReader(file)
        ]
    assert back == expected
    labels = {number: label for label, number in CLASS_NUMBERS.items()}
    lines = [line.split() for line in (tmp_path / 'thumos14').read_text().splitlines()]
    assert [(v, labels[int(n)], float(s), float(e), float(p)) for v, s, e, n, p in lines] == expected


def test_the_exported_result_file_scores_the_same(tool: ModuleType, tmp_path: Path, shared_data: Path) -> None:
    folder = shared_data / 'thumos14' / 'stpn_predictions'
    run(tool, 'predictions', folder / 'results.json', tmp_path / 'out.json', '--to', 'activitynet')
    before, after = (
        evaluate(path, folder / 'gt.json', protocol='anet', tious='0.1:0.9:0.1')
        for path in (folder / 'results.json', tmp_path / 'out.json')
    )
    assert after == before
    assert after.average == pytest.approx(21.25, abs=0.005)


def test_class_numbers_and_what_cannot_be_written(tool: ModuleType, tmp_path: Path) -> None:
    source = tmp_path / 'p.json'
    results = {'v': [{'label': 'run', 'segment': [0.5, 2], 'score': 1e-5}], 'empty': []}
    source.write_text(json.dumps({'results': results, 'meta': {'protocol': 'anet'}}))
    with pytest.raises(UserError, match=r"class 'run' has no number \(and 0 more\); state them with --class-numbers"):
        run(tool, 'predictions', source, tmp_path / 'o.txt', '--to', 'thumos14')
    (tmp_path / 'numbers.txt').write_text('3 run\n')
    options = ('--to', 'thumos14', '--class-numbers', tmp_path / 'numbers.txt')
    run(tool, 'predictions', source, tmp_path / 'o.txt', *options)
    assert (tmp_path / 'o.txt').read_text() == 'v 0.5 2.0 3 1e-05\n'
    run(tool, 'predictions', source, tmp_path / 'o.json', '--to', 'activitynet')
    assert set(json.loads((tmp_path / 'o.json').read_text())) == {'version', 'results', 'external_data'}
    assert read_detections(tmp_path / 'o.json').video_ids == ('v', 'empty')
    (tmp_path / 'numbers.txt').write_text('3 run\n3 jump\n')
    with pytest.raises(UserError, match=r'line 2: .* repeats a class or a number'):
        run(tool, 'predictions', source, tmp_path / 'q.txt', *options)
    source.write_text(json.dumps({'results': {'a b': results['v']}}))
    (tmp_path / 'numbers.txt').write_text('3 run\n')
    with pytest.raises(UserError, match="video 'a b': an id with spaces"):
        run(tool, 'predictions', source, tmp_path / 'q.txt', *options)
