"""tools/extract_features.py: from videos and labels to a data root that trains, through crashes and broken files."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from mmwtal.datasets.wtal_dataset import WTALDataset
from mmwtal.features.extractor import VideoExtractor
from mmwtal.formats.sidecar import read_sidecar
from mmwtal.offline.shards import Shard
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError

from ..video.video_files import cut, scratched, write_sound, write_video

pytest.importorskip('av', reason='needs PyAV: pip install "mmwtal[priors]"')

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'extract_features.py'
CONFIG = ROOT / 'configs' / 'features' / 'tiny_two-stream.py'
# Each process takes its time to start.
SMALL = ['--workers', '1', '--cfg-options', 'job.extractor.device=cpu', 'job.decoders=1']
VARIED = [0, 40, 80, 120, 1000, 1500, 1533, 1566, 2600, 2640]
# What the config says.
STREAMS = [
    {'name': 'rgb', 'backbone': {'type': 'TinyRandom'}},
    {'name': 'flow', 'backbone': {'type': 'TinyRandom', 'channels': 2}, 'flow': {'type': 'DISFlow', 'preset': 'fast'}},
]
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture) -> Run:
    spec = importlib.util.spec_from_file_location('extract_features_tool', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def call(*argv: str | Path, config: Path = CONFIG, settings: Sequence[str] = ()) -> tuple[int, str]:
        with pytest.raises(SystemExit) as end:
            run_tool(
                module.main,
                module.build_parser(),
                [str(word) for word in (config, *argv, *SMALL, *settings)],
            )
        said, error = capsys.readouterr()
        return end.value.code, said + error

    return call


@pytest.fixture(scope='module')
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('videos')
    film = write_video(folder / 'film.mp4')
    write_video(folder / 'varied.mp4', stamps=VARIED)
    write_video(folder / 'turned.mp4', rotation=90, sound=True)
    scratched(film, folder / 'scratched.mp4', 0.4, 0.5)
    cut(film, folder / 'broken.mp4', 0.5)
    write_sound(folder / 'sound.mp4')
    (folder / 'deeper').mkdir()
    write_video(folder / 'deeper' / 'short.mkv', stamps=[0, 100])
    return folder


@pytest.fixture(scope='module')
def labels(videos: Path) -> Path:
    path = videos.parent / f'{videos.name}.csv'
    path.write_text('video,label\nfilm,run\nvaried,run;jump\nturned,jump\nshort,\nbroken,run\nabsent,jump\n')
    return path


@pytest.fixture(scope='module')
def segments(videos: Path) -> Path:
    path = videos.parent / f'{videos.name}-test.csv'
    path.write_text('scratched,0.5,1.5,run\n')
    return path


def features(out: Path) -> dict[str, np.ndarray]:
    return {path.stem: np.load(path) for path in sorted((out / 'features').glob('*.npy'))}


def test_from_videos_and_labels_to_a_data_root(
    run: Run, videos: Path, labels: Path, segments: Path, tmp_path: Path
) -> None:
    out = tmp_path / 'root'
    words = (videos, out, '--labels', labels, '--test-csv', segments)
    code, said = run(*words)
    assert code == 1, said
    assert '5 videos of 0.00 hours can be read' in said
    assert '5 ok, 1 failed' in said
    assert 'broken: ' in said
    assert 'moov' in said
    assert '1 labels have no video file:\n  absent' in said
    assert '1 other video files are there, which no CSV file names' in said
    made = features(out)
    assert {video: array.shape for video, array in made.items()} == {
        'film': (6, 128),
        'scratched': (6, 128),
        'short': (1, 128),
        'turned': (6, 128),
        'varied': (4, 128),
    }
    extractor = VideoExtractor(streams=STREAMS, device='cpu')
    for video, found in made.items():
        np.testing.assert_allclose(found, extractor.extract(next(videos.rglob(f'{video}.*'))).features, atol=1e-5)
    sidecar = read_sidecar(out / 'features')
    assert sidecar.video('film').frames == 100
    assert sidecar.video('varied').duration == pytest.approx(2.64 + 0.04, abs=0.05)
    train = WTALDataset(data_root=out, subset='training', on_fault='raise', pipeline=[])
    assert sorted(train.video_ids) == ['film', 'short', 'turned', 'varied']
    assert train.modalities == {'rgb': 64, 'flow': 64}
    assert train.metainfo['classes'] == ('jump', 'run')
    test = WTALDataset(data_root=out, subset='test', test_mode=True, pipeline=[])
    assert test[0]['segments'].tolist() == [[0.5, 1.5]]
    dropped = {one['what']: one['why'] for one in json.loads((out / 'audit.json').read_text())['dropped']}
    assert 'moov' in dropped['broken']
    assert 'its file is missing' in dropped['absent']
    # Again: nothing to do; a feature file that is gone is made again.
    stamp = (out / 'features' / 'film.npy').stat().st_mtime_ns
    (out / 'features' / 'varied.npy').unlink()
    code, said = run(*words)
    assert (code, '1 ok in' in said) == (0, True), said
    np.testing.assert_array_equal(features(out)['varied'], made['varied'])
    assert (out / 'features' / 'film.npy').stat().st_mtime_ns == stamp
    code, said = run(*words, '--status')
    assert code == 0
    assert 'videos    6 planned, 1 missing' in said
    assert '5 ok, 1 failed, 0 to do' in said
    assert 'snippets  23' in said


def test_another_config_and_folder_are_refused(run: Run, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / 'out'
    rgb = CONFIG.with_name('tiny_rgb.py')
    code, said = run(videos, out, config=rgb)
    assert (code, '5 ok, 2 failed' in said) == (1, True), said
    assert not (out / 'annotations.json').exists()
    code, said = run(videos, out)
    assert code == 2
    assert 'is of another job' in said
    assert 'streams.flow: absent there' in said
    code, said = run(videos, out, '--overwrite')
    assert (code, features(out)['film'].shape) == (1, (6, 128))
    foreign = tmp_path / 'foreign' / 'features'
    foreign.mkdir(parents=True)
    np.save(foreign / 'film.npy', np.zeros((3, 4), dtype=np.float32))
    code, said = run(videos, foreign.parent)
    assert code == 2
    assert 'holds features that this tool did not extract' in said


def test_shards_make_one_sidecar_and_float16(run: Run, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / 'out'
    for shard in (1, 0):
        code, said = run(videos, out, '--num-shards', '2', '--shard', shard, settings=['job.storage=float16'])
        assert code in (0, 1), said
    assert {array.dtype for array in features(out).values()} == {np.dtype(np.float16)}
    sidecar = json.loads((out / 'features' / 'features.json').read_text())
    assert (sorted(sidecar['videos']), sidecar['storage']) == (sorted(features(out)), 'float16')
    assert len(sidecar['videos']) == 5


def test_retry_after_a_file_is_mended(run: Run, videos: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(videos, tmp_path / 'videos')
    run(folder, tmp_path / 'out')
    shutil.copy(folder / 'film.mp4', folder / 'broken.mp4')
    assert 'nothing to do' in run(folder, tmp_path / 'out')[1]
    code, said = run(folder, tmp_path / 'out', '--retry')
    assert (code, '1 ok, 1 failed' in said) == (1, True), said
    assert 'broken' in features(tmp_path / 'out')
    # A video whose file is another one by now is done again.
    shutil.copy(folder / 'varied.mp4', folder / 'film.mp4')
    assert '1 ok in' in run(folder, tmp_path / 'out')[1]
    np.testing.assert_array_equal(features(tmp_path / 'out')['film'], features(tmp_path / 'out')['varied'])


def test_mistakes(run: Run, videos: Path, tmp_path: Path) -> None:
    assert 'there is no folder of videos' in run(tmp_path / 'absent', tmp_path / 'out')[1]
    assert 'nothing was extracted to' in run(videos, tmp_path / 'out', '--status')[1]
    assert '--test-csv and --classes go with --labels' in run(videos, tmp_path / 'out', '--classes', 'a')[1]
    priors = ROOT / 'configs' / 'priors' / 'tiny_in-process.py'
    assert run(videos, tmp_path / 'out', config=priors)[0] == 2
    bad = tmp_path / 'bad.csv'
    bad.write_text('film,run\nfilm,jump\n')
    code, said = run(videos, tmp_path / 'out', '--labels', bad)
    assert (code, 'video film was given' in said) == (2, True)


def test_a_video_that_changed_and_fails_leaves_no_features_of_the_old_one(
    run: Run, videos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / 'videos'
    folder.mkdir()
    for name in ('film.mp4', 'varied.mp4', 'turned.mp4'):
        shutil.copy(videos / name, folder)
    labels, out = tmp_path / 'labels.csv', tmp_path / 'out'
    labels.write_text('film,run\nvaried,run\nturned,jump\n')
    words = (folder, out, '--labels', labels)
    assert run(*words)[0] == 0
    # One is gone with its features, one is another file by now, which cannot be read.
    (out / 'features' / 'film.npy').unlink()
    (folder / 'film.mp4').unlink()
    shutil.copy(videos / 'broken.mp4', folder / 'varied.mp4')
    code, said = run(*words)
    assert (code, '1 videos have no features:\n  varied: ' in said) == (1, True), said
    assert sorted(features(out)) == ['turned']
    assert list(json.loads((out / 'annotations.json').read_text())['database']) == ['turned']
    assert list(read_sidecar(out / 'features').videos) == ['turned']
    (out / 'features' / 'turned.npy').unlink()
    said = run(*words, '--status')[1]
    assert '1 failed, 2 to do' in said


def test_a_mistake_costs_nothing_of_another_config(run: Run, videos: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / 'videos', tmp_path / 'out'
    folder.mkdir()
    shutil.copy(videos / 'film.mp4', folder)
    assert run(folder, out)[0] == 0
    other = {'config': CONFIG.with_name('tiny_rgb.py')}
    mistakes = [
        (['--shard', '3', '--num-shards', '2'], [], 'shards are numbered'),
        (['--ray', 'auto', '--shard', '1'], [], 'leave out --num-shards and --shard'),
        (['--gpus', '1'], [], '--gpus'),
        ([], ['job.extractor.device=nowhere'], "device 'nowhere'"),
    ]
    for words, settings, message in mistakes:
        code, said = run(folder, out, '--overwrite', *words, settings=settings, **other)
        assert (code, message in said) == (2, True), said
        assert features(out)['film'].shape == (6, 128)
    assert run(folder, out)[0] == 0


def test_shards_that_end_before_a_labelled_video_is_done(run: Run, videos: Path, tmp_path: Path) -> None:
    folder, out, labels = tmp_path / 'videos', tmp_path / 'out', tmp_path / 'labels.csv'
    folder.mkdir()
    shutil.copy(videos / 'film.mp4', folder)
    labels.write_text('film,run\n')
    own = next(number for number in range(2) if Shard(number, 2).has('film'))
    words = (folder, out, '--labels', labels, '--num-shards', '2', '--shard')
    code, said = run(*words, 1 - own)
    assert (code, '1 videos are left to other shards' in said) == (0, True), said
    assert run(*words, own)[0] == 0
    assert list(json.loads((out / 'annotations.json').read_text())['database']) == ['film']


def test_kill_9_loses_and_doubles_nothing(run: Run, videos: Path, tmp_path: Path) -> None:
    folder = tmp_path / 'videos'
    folder.mkdir()
    for number in range(8):
        shutil.copy(videos / 'film.mp4', folder / f'v{number:02d}.mp4')
    out = tmp_path / 'out'
    command = [sys.executable, str(TOOL), str(CONFIG), str(folder), str(out), *SMALL]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list(out.glob('features/*.npy')) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, 'the kill came in time'
    there = {path.name: path.stat().st_mtime_ns for path in out.glob('features/*.npy')}
    assert 0 < len(there) < 8
    code, said = run(folder, out)
    assert code == 0, said
    arrays = list(features(out).values())
    assert len(arrays) == 8
    assert all(np.allclose(array, arrays[0], atol=1e-5) for array in arrays)
    records = [json.loads(line) for path in (out / 'extraction').glob('*.jsonl') for line in path.open()]
    assert len({one['video'] for one in records}) == len(records) == 8
    # At most the one that was between its array and its record is made again.
    again = [name for name, stamp in there.items() if (out / 'features' / name).stat().st_mtime_ns != stamp]
    assert len(again) <= 2


def test_real_clips(run: Run, shared_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / 'videos'
    folder.mkdir()
    for name in ('other/test.avi', 'activitynet/v_GGSY1Qvo990.mp4'):
        shutil.copy(shared_data / 'videos' / name, folder)
    labels = tmp_path / 'labels.csv'
    labels.write_text('test,juggle\nv_GGSY1Qvo990,other\n')
    code, said = run(folder, tmp_path / 'out', '--labels', labels)
    assert code == 0, said
    dataset = WTALDataset(data_root=tmp_path / 'out', subset='training', pipeline=[])
    spans = {one['video_id']: one['num_snippets'] * 0.64 for one in map(dataset.__getitem__, range(2))}
    assert spans == {'test': pytest.approx(6.56, abs=0.64), 'v_GGSY1Qvo990': pytest.approx(18.09, abs=0.64)}
    with pytest.raises(UserError, match=r"model\.rgb='InceptionI3D', but .* says 'TinyRandom'"):
        WTALDataset(data_root=tmp_path / 'out', subset='training', expected_features={'model': {'rgb': 'InceptionI3D'}})


def test_a_further_stream_lies_beside_the_features(run: Run, videos: Path, labels: Path, tmp_path: Path) -> None:
    out = tmp_path / 'root'
    run(videos, out, '--labels', labels)
    annotations = (out / 'annotations.json').read_bytes()
    rgb = CONFIG.with_name('tiny_rgb.py')
    small = {'config': rgb, 'settings': ['job.features=features-small']}
    code, said = run(videos, out, '--labels', labels, **small)
    assert code == 1, said
    assert (out / 'annotations.json').read_bytes() == annotations
    dataset = WTALDataset(data_root=out, subset='training', pipeline=[], streams={'small': 'features-small'})
    assert (dataset.feature_width, dataset.stream_widths) == (128, {'small': 64})
    code, said = run(videos, out, '--status', **small)
    assert (code, '4 ok, 1 failed, 0 to do' in said) == (0, True), said
    code, said = run(videos, out, settings=['job.features=../other'])
    assert (code, "found '../other'" in said) == (2, True)
