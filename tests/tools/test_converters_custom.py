"""The converter for own videos: from a folder of features and CSV files to a data root, with all faults at once."""

import csv
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.formats.sidecar import read_sidecar, timebase_of
from mmwtal.utils.errors import UserError

GRID = ('--fps', '25', '--stride', '16')


@pytest.fixture(scope='module')
def tool(repo_root: Path) -> ModuleType:
    path = repo_root / 'tools' / 'dataset_converters' / 'custom.py'
    spec = importlib.util.spec_from_file_location('custom_converter', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def convert(tool: ModuleType, *options: object) -> None:
    tool.main(tool.build_parser().parse_args([str(option) for option in options]))


def refusal(tool: ModuleType, *options: object) -> str:
    with pytest.raises(UserError) as caught:
        convert(tool, *options)
    return str(caught.value)


def write_features(folder: Path, dtype: object = np.float32, **lengths: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for name, length in lengths.items():
        np.save(folder / f'{name}.npy', rng.standard_normal((length, 8)).astype(dtype))
    return folder


def write(path: Path, text: str, encoding: str = 'utf-8') -> Path:
    path.write_text(text, encoding=encoding)
    return path


def read(root: Path) -> tuple[dict, dict, dict]:
    names = ('annotations.json', 'features/features.json', 'audit.json')
    annotations, sidecar, audit = (json.loads((root / name).read_text(encoding='utf-8')) for name in names)
    return annotations, sidecar, audit


def test_training_and_test_videos(tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    features = write_features(tmp_path / 'f', a=10, b=20, c=30, d=40, e=50, unused=3)
    labels = write(tmp_path / 'l.csv', 'a,jump\n\nb, jump ; run\nc,\n')
    test = write(tmp_path / 't.csv', 'd,1.0,2.5,run\nd,3,3,"jump"\ne,,,\n')
    convert(tool, features, labels, tmp_path / 'out', '--test-csv', test, *GRID)
    annotations, sidecar, audit = read(tmp_path / 'out')
    assert annotations['classes'] == ['jump', 'run']
    assert annotations['database']['a'] == {
        'subset': 'training',
        'duration': 6.4,
        'annotations': [],
        'labels': ['jump'],
    }
    assert annotations['database']['b']['labels'] == ['jump', 'run']
    assert annotations['database']['c']['labels'] == []
    assert annotations['database']['d']['annotations'] == [
        {'label': 'run', 'segment': [1.0, 2.5]},
        {'label': 'jump', 'segment': [3.0, 3.0]},
    ]
    assert annotations['database']['e'] == {'subset': 'test', 'duration': 32.0, 'annotations': []}
    assert (sidecar['fps'], sidecar['stride'], sidecar['width']) == (25, 16, 8)
    assert sidecar['videos']['d'] == {'duration': 25.6, 'snippets': 40}
    for name in 'abcde':
        assert (tmp_path / 'out' / 'features' / f'{name}.npy').read_bytes() == (features / f'{name}.npy').read_bytes()
    assert audit['dropped'] == [{'what': 'unused.npy', 'why': 'no CSV file names the video'}]
    assert audit['notes']['zero_length_instances'] == ['d: jump [3, 3]']
    assert audit['notes']['videos_without_labels'] == ['c', 'e']
    assert audit['notes']['multi_label_videos'] == ['b: jump, run', 'd: run, jump']
    assert audit['subsets']['training']['classes'] == {
        'jump': {'videos': 2, 'instances': 0},
        'run': {'videos': 1, 'instances': 0},
    }
    printed = capsys.readouterr().out
    assert 'durations of 5 videos were not stated' in printed
    assert 'training  3 ' in printed


def test_csv_dialect(tool: ModuleType, tmp_path: Path) -> None:
    features = write_features(tmp_path / 'f', **{'a': 10, 'b, c': 20, 'dé': 30})
    labels = write(tmp_path / 'l.csv', 'Label,Video\r\n"high jump, men; größe",a\r\n,"b, c"\r\n', encoding='utf-8-sig')
    test = write(tmp_path / 't.csv', 'end,start,label,video\n2,1,größe,dé\n')
    convert(tool, features, labels, tmp_path / 'out', '--test-csv', test, *GRID, '--train-subset', 'validation')
    annotations, *_ = read(tmp_path / 'out')
    assert annotations['classes'] == ['größe', 'high jump, men']
    assert annotations['database']['a']['labels'] == ['high jump, men', 'größe']
    assert annotations['database']['b, c'] == {
        'subset': 'validation',
        'duration': 12.8,
        'annotations': [],
        'labels': [],
    }
    assert annotations['database']['dé']['annotations'] == [{'label': 'größe', 'segment': [1.0, 2.0]}]


def test_all_problems_are_reported_at_once(tool: ModuleType, tmp_path: Path) -> None:
    features = write_features(tmp_path / 'f', a=10, b=20, c=30)
    np.save(features / 'flat.npy', np.zeros(5))
    np.save(features / 'wide.npy', np.zeros((4, 9), np.float32))
    np.save(features / 'whole.npy', np.zeros((4, 8), np.int64))
    np.save(features / 'pickled.npy', np.array([{}], dtype=object), allow_pickle=True)
    (features / 'empty.npy').touch()
    labels = write(
        tmp_path / 'l.csv',
        'video,label\na,jump\na,run\nb,jump;;run\nb\n,jump\nmissing,jump\nc,swim\n../a,jump\n'
        'flat,jump\nwide,jump\nwhole,jump\npickled,jump\nempty,jump\n',
    )
    test = write(
        tmp_path / 't.csv', 'c,0,1,jump\nb,x,1,jump\nb,3,2,jump\nb,-1,2,jump\nb,0,1,\nb,,,\nb,0,2,run\nb,30,31,run\n'
    )
    message = refusal(tool, features, labels, tmp_path / 'out', '--test-csv', test, *GRID, '--classes', 'jump,run')
    for needle in (
        f'{labels}, line 3: video a was given at {labels}, line 2 already',
        f"{labels}, line 4: an empty label beside others in 'jump;;run'",
        f'{labels}, line 5: expected 2 cells (video,label), found 1: b',
        f'{labels}, line 6: no video is named',
        f'{test}, line 2: expected start and end in seconds',
        f'{test}, line 3: expected 0 <= start <= end, found 3 and 2',
        f'{test}, line 4: expected 0 <= start <= end, found -1 and 2',
        f"{test}, line 5: expected one label, found ''",
        f'{test}, line 6: video b is said to have no instance',
        f'video c is in {labels} and in {test}',
        "label 'swim' is not among --classes jump,run",
        'missing.npy: no such feature file',
        'an id must not hold "/"',
        'flat.npy: expected a two-dimensional array (T, D), found shape (5,)',
        'wide: expected width 8, as most have, found 9',
        'whole.npy: expected float16, float32 or float64, found int64',
        'pickled.npy: cannot be read',
        'empty.npy: cannot be read',
        'video b: run [30, 31] starts after the video (12.8 s)',
    ):
        assert needle in message
    assert not (tmp_path / 'out').exists()


def test_unknown_and_contradictory_time_grids(tool: ModuleType, tmp_path: Path) -> None:
    features = write_features(tmp_path / 'f', a=10)
    labels = write(tmp_path / 'l.csv', 'a,jump\n')
    out = tmp_path / 'out'
    assert 'state them with --fps and --stride' in refusal(tool, features, labels, out)
    write(features / 'features.json', json.dumps({'fps': 30, 'stride': 8, 'videos': {'a': {'duration': 3.0}}}))
    message = refusal(tool, features, labels, out, '--fps', 25)
    assert '--fps 25 contradicts fps 30 in features.json' in message
    assert '--linear-time contradicts stride 8 in features.json' in refusal(
        tool, features, labels, out, '--linear-time'
    )
    durations = write(tmp_path / 'd.csv', 'video,duration\na,4.0\n')
    assert 'duration 4 s in' in refusal(tool, features, labels, out, '--durations', durations)
    write(durations, 'a,0\nb,x\nb,1\nb,1\n')
    message = refusal(tool, features, labels, out, '--durations', durations)
    assert 'line 1: expected seconds above 0' in message
    assert 'line 4: video b is given more than once' in message
    assert not out.exists()
    convert(tool, features, labels, out, '--fps', 30)
    annotations, sidecar, _ = read(out)
    assert (sidecar['fps'], sidecar['stride']) == (30, 8)
    assert annotations['database']['a']['duration'] == 3.0


def test_sidecar_of_the_features_is_taken_over(tool: ModuleType, tmp_path: Path) -> None:
    features = write_features(tmp_path / 'f', a=10, b=10)
    stated = {'fps': 30, 'stride': 8, 'window': 16, 'model': 'm', 'modalities': {'rgb': [0, 8]}}
    entry = {'frames': 90, 'stride': 9}
    write(features / 'features.json', json.dumps({**stated, 'videos': {'a': entry, 'other': {'frames': 3}}}))
    labels = write(tmp_path / 'l.csv', 'a,jump\nb,jump\n')
    convert(tool, features, labels, tmp_path / 'out')
    annotations, sidecar, audit = read(tmp_path / 'out')
    assert {key: sidecar[key] for key in stated} == stated
    assert sidecar['videos']['a'] == {'frames': 90, 'stride': 9, 'duration': 3.0, 'snippets': 10}
    assert 'other' not in sidecar['videos']
    # no duration stated: b(10) = (10 * 8 + (16 - 8) / 2) / 30
    assert annotations['database']['b']['duration'] == pytest.approx(2.8)
    assert audit['timebase']['videos_with_their_own'] == 1
    write(features / 'features.json', json.dumps({**stated, 'videos': {'a': {'snippets': 11}}}))
    message = refusal(tool, features, labels, tmp_path / 'out2', '--modalities', 'rgb=4,flow=4')
    assert 'has 10 snippets, but features.json says 11' in message
    assert 'contradicts' in message


def test_transposed_features(tool: ModuleType, tmp_path: Path) -> None:
    features = tmp_path / 'f'
    features.mkdir()
    for name, length in (('a', 10), ('b', 20)):
        np.save(features / f'{name}.npy', np.zeros((8, length), np.float32))
    labels = write(tmp_path / 'l.csv', 'a,jump\nb,jump\n')
    assert 'look like (D, T) with D = 8' in refusal(tool, features, labels, tmp_path / 'out', *GRID)


def test_dtypes_and_orders_that_are_not_stored(tool: ModuleType, tmp_path: Path) -> None:
    features = write_features(tmp_path / 'f', np.float16, half=5)
    write_features(features, np.float64, double=6)
    write_features(features, '>f4', big=7)
    np.save(features / 'fortran.npy', np.asfortranarray(np.arange(16, dtype=np.float32).reshape(2, 8)))
    labels = write(tmp_path / 'l.csv', 'half,jump\ndouble,jump\nbig,jump\nfortran,jump\n')
    convert(tool, features, labels, tmp_path / 'out', *GRID)
    for name, dtype in (('half', 'f2'), ('double', 'f4'), ('big', 'f4'), ('fortran', 'f4')):
        stored = np.load(tmp_path / 'out' / 'features' / f'{name}.npy')
        assert stored.dtype == np.dtype(dtype)
        assert stored.flags['C_CONTIGUOUS']
        np.testing.assert_array_equal(stored, np.load(features / f'{name}.npy').astype(dtype))
    changed = read(tmp_path / 'out')[2]['changed']
    assert {'what': 'features of double', 'why': 'float64 stored as float32'} in changed


def test_link_copy_and_in_place(tool: ModuleType, tmp_path: Path) -> None:
    features = write_features(tmp_path / 'f', a=5, b=6)
    labels = write(tmp_path / 'l.csv', 'a,jump\n')
    convert(tool, features, labels, tmp_path / 'out', *GRID, '--link')
    assert (tmp_path / 'out' / 'features' / 'a.npy').resolve() == features / 'a.npy'
    convert(tool, features, labels, tmp_path / 'out', *GRID, '--copy', '--overwrite')
    assert not (tmp_path / 'out' / 'features' / 'a.npy').is_symlink()

    root = tmp_path / 'root'
    write_features(root / 'features', a=5, b=6)
    write(
        root / 'features' / 'features.json', json.dumps({'fps': 25, 'stride': 16, 'videos': {'b': {'duration': 3.9}}})
    )
    before = (root / 'features' / 'a.npy').stat().st_mtime_ns
    convert(tool, root / 'features', labels, root)
    assert (root / 'features' / 'a.npy').stat().st_mtime_ns == before
    _, sidecar, audit = read(root)
    assert sidecar['videos'] == {'b': {'duration': 3.9}, 'a': {'duration': 3.2, 'snippets': 5}}
    assert audit['subsets']['training']['snippets']['total'] == 5

    write_features(root / 'features', np.float64, a=5)
    assert 'name another OUT' in refusal(tool, root / 'features', labels, root, '--overwrite')
    assert np.load(root / 'features' / 'a.npy').dtype == np.float64


def test_nothing_is_overwritten_unasked(tool: ModuleType, tmp_path: Path) -> None:
    features = write_features(tmp_path / 'f', a=5)
    labels = write(tmp_path / 'l.csv', 'a,jump\n')
    write_features(tmp_path / 'out' / 'features', a=1)
    assert 'holds features already' in refusal(tool, features, labels, tmp_path / 'out', *GRID)
    assert len(np.load(tmp_path / 'out' / 'features' / 'a.npy')) == 1
    assert 'is a file' in refusal(tool, features, labels, labels, *GRID)


@settings(max_examples=25, deadline=None)
@given(snippets=st.integers(1, 400), duration=st.floats(0.5, 4000), fps=st.sampled_from([None, 10, 29.97]))
def test_linear_time_spans_the_duration(
    tool: ModuleType,
    tmp_path_factory: pytest.TempPathFactory,
    snippets: int,
    duration: float,
    fps: float | None,
) -> None:
    folder = tmp_path_factory.mktemp('linear')
    features = write_features(folder / 'f', a=snippets)
    labels = write(folder / 'l.csv', 'a,jump\n')
    durations = write(folder / 'd.csv', f'a,{duration!r}\n')
    options = () if fps is None else ('--fps', fps)
    convert(tool, features, labels, folder / 'out', '--linear-time', '--durations', durations, *options)
    timebase = timebase_of('a', sidecar=read_sidecar(folder / 'out' / 'features'), fallback={}, duration=None)
    assert timebase.duration == duration
    np.testing.assert_allclose(timebase.to_seconds(np.array([0, snippets / 2, snippets])), [0, duration / 2, duration])


def test_linear_time_needs_durations(tool: ModuleType, tmp_path: Path) -> None:
    features = write_features(tmp_path / 'f', a=5)
    labels = write(tmp_path / 'l.csv', 'a,jump\n')
    message = refusal(tool, features, labels, tmp_path / 'out', '--linear-time', '--stride', 16)
    assert '--linear-time contradicts --stride 16' in message
    assert 'video a: --linear-time needs its duration' in message


def test_real_features_without_a_known_stride(tool: ModuleType, tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / 'features' / 'bbformer_i3d'
    truth = {
        name.removesuffix('.npy'): entry for name, entry in json.loads((source / 'gt.json').read_text())['GT'].items()
    }
    rows = [(name, *a['segment'], a['label']) for name, entry in truth.items() for a in entry['annotations']]
    for path, wanted in ((tmp_path / 'all.csv', truth), (tmp_path / 't.csv', ['tennis26'])):
        with path.open('w', newline='') as file:
            csv.writer(file).writerows(row for row in rows if row[0] in wanted)
    durations = write(tmp_path / 'd.csv', ''.join(f'{name},{entry["duration"]}\n' for name, entry in truth.items()))
    labels = write(tmp_path / 'l.csv', 'highjump,HighJump\n')
    options = ('--linear-time', '--durations', durations, '--modalities', 'rgb=1024,flow=1024')
    message = refusal(tool, source, labels, tmp_path / 'out', '--test-csv', tmp_path / 'all.csv', *options)
    assert 'golf.npy: no such feature file' in message
    assert f'video highjump is in {labels} and in' in message
    convert(tool, source, labels, tmp_path / 'out', '--test-csv', tmp_path / 't.csv', *options)
    annotations, sidecar, audit = read(tmp_path / 'out')
    assert annotations['database']['tennis26']['annotations'][0] == {'label': 'TennisSwing', 'segment': [2.0, 4.0]}
    assert sidecar['videos']['highjump']['stride'] * 164 / sidecar['fps'] == pytest.approx(24)
    assert sidecar['videos']['tennis26']['stride'] * 89 / sidecar['fps'] == pytest.approx(11)
    assert sidecar['modalities'] == {'rgb': [0, 1024], 'flow': [1024, 2048]}
    assert audit['features'] == {'files': 2, 'width': 2048, 'dtypes': {'float32': 2}}
    assert [entry['why'] for entry in audit['changed']] == ['float64 stored as float32'] * 2
    stored = np.load(tmp_path / 'out' / 'features' / 'highjump.npy')
    np.testing.assert_array_equal(stored, np.load(source / 'highjump.npy'))


def test_composed_gym_videos(tool: ModuleType, tmp_path: Path, shared_bench: Path) -> None:
    made = tmp_path / 'gym'
    script = [sys.executable, shared_bench / 'make_gym.py', made, '--dim', '0', '--train', '14', '--test', '6']
    subprocess.run(script, check=True, env={'OMP_NUM_THREADS': '1'})
    truth = json.loads((made / 'annotations.json').read_text())['database']
    training = {name: entry for name, entry in truth.items() if entry['subset'] == 'training'}
    test = {name: entry for name, entry in truth.items() if entry['subset'] == 'test'}
    with (tmp_path / 'l.csv').open('w', newline='') as file:
        csv.writer(file).writerows(
            (name, ';'.join(sorted({a['label'] for a in entry['annotations']}))) for name, entry in training.items()
        )
    with (tmp_path / 't.csv').open('w', newline='') as file:
        csv.writer(file).writerows(
            (name, *a['segment'], a['label']) for name, entry in test.items() for a in entry['annotations']
        )
    convert(tool, made / 'features', tmp_path / 'l.csv', tmp_path / 'out', '--test-csv', tmp_path / 't.csv')
    annotations, sidecar, audit = read(tmp_path / 'out')
    assert (sidecar['fps'], sidecar['stride'], sidecar['width']) == (25, 16, 2048)
    assert len(test) == 6
    for name, entry in annotations['database'].items():
        assert entry['duration'] == truth[name]['duration']
        if entry['subset'] == 'test':
            assert entry['annotations'] == truth[name]['annotations']
        else:
            assert set(entry['labels']) == {a['label'] for a in truth[name]['annotations']}
    assert audit['notes']['features_unlike_duration'] == []
    assert not any('durations of' in remark for remark in audit['remarks'])


def test_command_line(tmp_path: Path, repo_root: Path) -> None:
    features = write_features(tmp_path / 'f', a=5)
    labels = write(tmp_path / 'l.csv', 'a,jump\n')
    command = [
        sys.executable,
        repo_root / 'tools' / 'dataset_converters' / 'custom.py',
        features,
        labels,
        tmp_path / 'out',
    ]
    environment = {'PYTHONPATH': str(repo_root)}
    failed = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert failed.returncode == 2
    assert failed.stderr.startswith('error: ')
    assert 'Traceback' not in failed.stderr
    done = subprocess.run([*command, *GRID], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'data root:' in done.stdout


@pytest.mark.parametrize(('separator', 'name'), [(';', 'semicolons'), ('\t', 'tabs')])
def test_a_file_with_another_separator(tool: ModuleType, tmp_path: Path, separator: str, name: str) -> None:
    features = write_features(tmp_path / 'f', a=5, b=6)
    labels = write(tmp_path / 'l.csv', f'video{separator}label\na{separator}jump\nb{separator}run\n')
    assert f'separated by {name}: save the file with commas' in refusal(tool, features, labels, tmp_path / 'out', *GRID)


def test_one_transposed_file_among_others(tool: ModuleType, tmp_path: Path) -> None:
    features = write_features(tmp_path / 'f', a=5, b=6, c=7)
    np.save(features / 'c.npy', np.load(features / 'c.npy').T)
    labels = write(tmp_path / 'l.csv', 'a,jump\nb,run\nc,run\n')
    message = refusal(tool, features, labels, tmp_path / 'out', *GRID)
    assert 'c: expected width 8, as most have, found 7; it looks like (D, T)' in message


def test_a_single_transposed_file_whose_width_is_stated(tool: ModuleType, tmp_path: Path) -> None:
    np.save(write_features(tmp_path / 'f') / 'a.npy', np.ones((8, 5), np.float32))
    labels = write(tmp_path / 'l.csv', 'a,jump\n')
    message = refusal(tool, tmp_path / 'f', labels, tmp_path / 'out', *GRID, '--modalities', 'rgb=4,flow=4')
    assert '--modalities has 8 channels, the features have 5; the arrays look like (D, T)' in message


def test_what_is_to_mend_is_among_the_remarks(tool: ModuleType, tmp_path: Path) -> None:
    features = write_features(tmp_path / 'f', a=5, b=6)
    spoilt = np.load(features / 'b.npy')
    spoilt[2:4, 1] = np.inf
    np.save(features / 'b.npy', spoilt)
    convert(tool, features, write(tmp_path / 'l.csv', 'a,jump\nb,Jump\n'), tmp_path / 'out', *GRID)
    remarks = read(tmp_path / 'out')[2]['remarks']
    assert 'to mend: NaN or Inf in the features of 1 videos, which no dataset takes: b (2 snippets)' in remarks
    assert 'classes that differ only in case, perhaps one and the same: Jump, jump' in remarks


def test_faulty_headers_and_entries_of_the_feature_folder(tool: ModuleType, tmp_path: Path) -> None:
    features = write_features(tmp_path / 'f', a=5, b=6)
    (features / 'a.npy').write_bytes(b'\x93NUMPY\x01\x00\x10\x00' + b'{' * 15 + b'\n')
    labels = write(tmp_path / 'l.csv', 'a,jump\nb,run\n')
    assert 'a.npy: cannot be read as a .npy array' in refusal(tool, features, labels, tmp_path / 'out', *GRID)
    (features / 'features.json').write_text('{"fps": 25, "stride": 16, "videos": {"b": null}}')
    assert 'b.npy: features.json: the entry must be an object' in refusal(tool, features, labels, tmp_path / 'out')


def test_surrogates_of_a_sidecar_stay_json(tool: ModuleType, tmp_path: Path) -> None:
    features = write_features(tmp_path / 'f', a=5)
    (features / 'features.json').write_text('{"fps": 25, "stride": 16, "model": "\\udcff"}')
    convert(tool, features, write(tmp_path / 'l.csv', 'a,jump\n'), tmp_path / 'out')
    assert json.loads((tmp_path / 'out' / 'features' / 'features.json').read_bytes())['model'] == '\udcff'
