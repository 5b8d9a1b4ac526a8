"""tools/infer.py as a user runs it: real video files of every kind, all formats, honest exit codes."""

import csv
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmwtal.apis import init_localizer
from mmwtal.apis.inferencer import WTALInferencer
from mmwtal.datasets.synthetic import write_synthetic
from mmwtal.evaluation import evaluate
from mmwtal.utils.cli import run_tool

from ..video.video_files import cut, write_sound, write_video

ROOT = Path(__file__).resolve().parents[2]
CONFIG = str(ROOT / 'configs/quick/co2net_synthetic.py')
GUIDED = str(ROOT / 'configs/quick/co2net_dual-prior_synthetic.py')
EXTRACTOR = str(ROOT / 'configs/features/tiny_two-stream.py')
CLASSES = ['High <Jump> & "run"', 'Tennis, swing', '跳水']

Infer = Callable[..., tuple[int, str]]


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    sizes = {'num_classes': len(CLASSES), 'in_channels': 128}
    model = init_localizer(CONFIG, cfg_options={f'model.{key}': value for key, value in sizes.items()})
    path = tmp_path_factory.mktemp('model') / 'c.pth'
    torch.save({'state_dict': model.state_dict(), 'meta': {**sizes, 'dataset_meta': {'classes': CLASSES}}}, path)
    return path


@pytest.fixture
def infer(checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Infer:
    """Run the tool; return its exit code and all that it says."""
    monkeypatch.chdir(ROOT)
    spec = importlib.util.spec_from_file_location('infer_tool', ROOT / 'tools' / 'infer.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*words: object, model: Path = checkpoint) -> tuple[int, str]:
        argv = [*words, '--config', CONFIG, '--checkpoint', model, '--device', 'cpu']
        with pytest.raises(SystemExit) as end:
            run_tool(module.main, module.build_parser(), [str(word) for word in argv])
        return int(end.value.code or 0), ''.join(capsys.readouterr())

    return run


@pytest.fixture(scope='module')
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos as users have them; two of them are none."""
    pytest.importorskip('av', reason='needs PyAV: pip install "mmwtal[priors]"')
    folder = tmp_path_factory.mktemp('videos')
    write_video(folder / 'plain & <simple>.mp4')
    write_video(folder / 'varied.mkv', stamps=[0, 40, 80, 120, 1000, 1500, 1533, 1566, 4000])
    write_video(folder / 'rotated.mp4', rotation=90)
    write_video(folder / 'sound.mp4', sound=True)
    cut(write_video(folder / 'whole.mkv'), folder / 'truncated.mkv', 0.6)
    (folder / 'whole.mkv').unlink()
    write_sound(folder / 'audio.mp4')
    (folder / 'text.mp4').write_text('no video')
    return folder


GOOD = ['plain & <simple>', 'rotated', 'sound', 'truncated', 'varied']


def test_videos_of_every_kind(infer, videos, tmp_path, checkpoint):
    out = tmp_path / 'found'
    code, said = infer(videos, '--extractor', EXTRACTOR, '--out', out)
    assert code == 1, said
    assert said.count('FAILED') == 2
    assert 'audio: FAILED: ' in said
    assert 'no video stream, only audio' in said
    assert 'text: FAILED: ' in said
    assert '2 of 7 videos failed' in said
    content = json.loads((out / 'predictions.json').read_text())
    assert sorted(content['results']) == GOOD
    assert sorted(content['meta']['left_out']) == ['audio', 'text']
    assert content['meta']['config'] == 'co2net_synthetic.py'
    assert len(content['meta']['checkpoint_sha256']) == 64
    with (out / 'predictions.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(map(len, content['results'].values())) > 0
    assert {row['video'] for row in rows} <= set(GOOD)
    assert {row['label'] for row in rows} <= set(CLASSES)
    for name in GOOD:
        assert (out / 'vtt' / f'{name}.vtt').read_text().startswith('WEBVTT\n\n')
        picture = cv2.imread(str(out / 'pictures' / f'{name}.png'))
        assert picture.shape[1] == 1200
    # Nothing else, and nothing half-written.
    assert sorted(path.name for path in out.iterdir()) == ['pictures', 'predictions.csv', 'predictions.json', 'vtt']
    assert {path.stem for path in out.rglob('*.*')} == {*GOOD, 'predictions'}
    # The extractor's own way gives the same.
    inferencer = WTALInferencer(CONFIG, checkpoint, extractor=EXTRACTOR, device='cpu')
    assert inferencer.extractor is not None
    features = inferencer.extractor.extract(videos / 'sound.mp4').features
    np.save(tmp_path / 'sound.npy', features)
    (tmp_path / 'features.json').write_text(json.dumps({**inferencer.extractor.sidecar(), 'versions': {}}))
    again = inferencer(tmp_path / 'sound.npy')['predictions'][0]['actions']
    assert [one['score'] for one in again] == [one['score'] for one in content['results']['sound']]


def test_what_is_written_is_scored_by_the_evaluation(infer, tmp_path, checkpoint):
    write_synthetic(tmp_path / 'root', seed=0, num_train=6, num_test=3)
    saved = torch.load(checkpoint, weights_only=True)
    classes = json.loads((tmp_path / 'root' / 'annotations.json').read_text())['classes']
    saved['meta']['dataset_meta'] = {'classes': classes[:3]}
    torch.save(saved, tmp_path / 'c.pth')
    code, said = infer(tmp_path / 'root', '--out', tmp_path / 'found', '--formats', 'json', model=tmp_path / 'c.pth')
    assert code == 0, said
    assert [path.name for path in (tmp_path / 'found').iterdir()] == ['predictions.json']
    result = evaluate(tmp_path / 'found' / 'predictions.json', tmp_path / 'root' / 'annotations.json', protocol='anet')
    assert result.average >= 0


def test_a_name_cannot_leave_the_folder(infer, tmp_path):
    root = tmp_path / 'root'
    (root / 'features').mkdir(parents=True)
    database = {name: {'subset': 'test', 'duration': 3.2, 'annotations': []} for name in ('../out', 'a/b', 'ok')}
    (root / 'annotations.json').write_text(json.dumps({'classes': CLASSES, 'database': database}))
    (root / 'features' / 'features.json').write_text(json.dumps({'fps': 25, 'stride': 16}))
    np.save(root / 'features' / 'ok.npy', np.zeros((5, 128), np.float32))
    np.save(root / 'out.npy', np.zeros((5, 128), np.float32))
    code, said = infer(root, '--out', tmp_path / 'deep' / 'found')
    assert code == 1
    assert said.count('FAILED: ') == 2
    assert 'must not hold "/"' in said
    files = {str(path.relative_to(tmp_path / 'deep')) for path in (tmp_path / 'deep').rglob('*') if path.is_file()}
    assert files == {
        *('found/predictions.json', 'found/predictions.csv', 'found/vtt/ok.vtt', 'found/pictures/ok.png'),
    }


def write_features(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for number, name in enumerate(names):
        rng = np.random.default_rng(number)
        np.save(folder / f'{name}.npy', rng.standard_normal((40, 128)).astype(np.float32))
    (folder / 'features.json').write_text(json.dumps({'fps': 25, 'stride': 16}))
    return folder


def test_exit_codes(infer, tmp_path):
    folder = write_features(tmp_path / 'features', 'a', 'b')
    out = tmp_path / 'found'
    assert infer(folder, '--out', out)[0] == 0
    (folder / 'a.npy').write_bytes(b'spoilt')
    assert infer(folder, '--out', out)[0] == 1
    (folder / 'b.npy').write_bytes(b'spoilt')
    code, said = infer(folder, '--out', out)
    assert (code, '2 of 2 videos failed' in said) == (1, True)
    for words in ([tmp_path / 'absent.mp4'], [], [folder, '--out', folder], [folder, '--top-k', '0']):
        code, said = infer(*words, *(() if '--out' in words else ('--out', tmp_path / 'new')))
        assert (code, 'error: ' in said) == (2, True)
    assert not (tmp_path / 'new').exists()
    (tmp_path / 'file').touch()
    code, said = infer(folder, '--out', tmp_path / 'file')
    assert (code, 'choose another with --out' in said) == (2, True)


def test_odd_names(infer, tmp_path):
    # The longest that an id may be; half-written files have longer names.
    names = ['a --> b, "c"', "d'e  f", '跳水', '$x^2$', 'ü' * 125]
    folder = write_features(tmp_path / 'features', *names)
    code, said = infer(folder, '--out', tmp_path / 'found', '--top-k', '2')
    assert code == 0, said
    with (tmp_path / 'found' / 'predictions.csv').open(newline='') as file:
        assert {row['video'] for row in csv.DictReader(file)} <= set(names)
    for kind, end in (('vtt', '.vtt'), ('pictures', '.png')):
        assert {path.name for path in (tmp_path / 'found' / kind).iterdir()} == {f'{name}{end}' for name in names}


def test_what_was_found_before_an_interruption_stays(infer, tmp_path, monkeypatch):
    folder = write_features(tmp_path / 'features', 'a', 'b', 'c')
    localize = WTALInferencer.localize

    def interrupted(self, found, **options):
        for outcome in localize(self, found, **options):
            if outcome.source.name == 'b':
                raise KeyboardInterrupt
            yield outcome

    monkeypatch.setattr(WTALInferencer, 'localize', interrupted)
    code, said = infer(folder, '--out', tmp_path / 'found')
    assert (code, 'interrupted' in said) == (130, True)
    content = json.loads((tmp_path / 'found' / 'predictions.json').read_text())
    assert list(content['results']) == ['a']
    assert content['meta']['left_out'] == ['b', 'c']


def test_thumbnails_of_videos_whose_features_are_given(infer, tmp_path):
    pytest.importorskip('av', reason='needs PyAV: pip install "mmwtal[priors]"')
    folder = write_features(tmp_path / 'features', 'a', 'b')
    (tmp_path / 'videos').mkdir()
    write_video(tmp_path / 'videos' / 'a.mp4', stamps=range(0, 25_600, 200))
    (tmp_path / 'videos' / 'b.mp4').write_text('no video')
    assert infer(folder, '--videos', tmp_path / 'videos', '--out', tmp_path / 'found')[0] == 0
    pictures = tmp_path / 'found' / 'pictures'
    heights = [cv2.imread(str(pictures / f'{name}.png')).shape[0] for name in ('a', 'b')]
    assert heights[0] > heights[1]


# Runs the tool where nothing of texts and language models can be imported, then says what it needed.
# The peak is not ru_maxrss, in which a child begins with the size of the process that started it.
PEAK = "print('peak', int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) // 1024)"

ALONE = f"""
import runpy, sys

class Forbid:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(('mmwtal.priors', 'mmwtal.text_encoders')):
            raise AssertionError(name + ' is imported')
        if name.partition('.')[0] in ('transformers', 'openai', 'av', 'ray', 'pyarrow'):
            raise ModuleNotFoundError('No module named ' + name, name=name)

sys.meta_path.insert(0, Forbid())
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name='__main__')
finally:
    import torch.distributed
    print('group', torch.distributed.is_initialized(), torch.cuda.is_initialized())
    {PEAK}
"""


def run_alone(*words: object) -> str:
    command = [sys.executable, '-c', ALONE, str(ROOT / 'tools' / 'infer.py'), *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done.stdout


def test_features_of_two_hours_need_no_texts_no_group_and_little_memory(checkpoint, tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / 'long.npy', rng.standard_normal((11_250, 128)).astype(np.float32))
    (tmp_path / 'features.json').write_text(json.dumps({'fps': 25, 'stride': 16}))
    said = run_alone(
        *(tmp_path / 'long.npy', '--config', GUIDED, '--checkpoint', checkpoint, '--out', tmp_path / 'found'),
        # Whose config is of a job, as those are that ask language models.
        *('--extractor', EXTRACTOR, '--device', 'cpu', '--top-k', '200', '--formats', 'json'),
    )
    assert 'group False False' in said
    assert int(said.split('peak ')[1]) < 2048
    found = json.loads((tmp_path / 'found' / 'predictions.json').read_text())['results']['long']
    assert max(one['segment'][1] for one in found) == pytest.approx(7200, abs=60)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_video_of_two_hours(checkpoint, tmp_path):
    pytest.importorskip('av', reason='needs PyAV: pip install "mmwtal[priors]"')
    write_video(tmp_path / 'long.mp4', stamps=range(0, 7_200_000, 200))
    base = ROOT / 'configs/features/tiny_rgb.py'
    stream = "dict(name='rgb', backbone=dict(type='TinyRandom', width=128))"
    (tmp_path / 'wide.py').write_text(f"_base_ = ['{base}']\njob = dict(extractor=dict(streams=[{stream}]))\n")
    words = ['--config', CONFIG, '--checkpoint', checkpoint, '--extractor', tmp_path / 'wide.py']
    words += ['--out', tmp_path / 'found', '--device', 'cpu']
    watched = (
        'import runpy, sys; sys.argv = sys.argv[1:]\n'
        f"try:\n    runpy.run_path(sys.argv[0], run_name='__main__')\nfinally:\n    {PEAK}"
    )
    command = [sys.executable, '-c', watched, str(ROOT / 'tools' / 'infer.py'), str(tmp_path / 'long.mp4')]
    done = subprocess.run(
        [*command, *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=3000, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert int(done.stdout.split('peak ')[1]) < 2048


@pytest.mark.slow
def test_every_real_clip(infer, shared_data, tmp_path):
    clips = [path for path in (shared_data / 'videos').rglob('*') if path.suffix in ('.mp4', '.avi')]
    assert len(clips) >= 9
    out = tmp_path / 'found'
    code, said = infer(shared_data / 'videos', '--extractor', EXTRACTOR, '--out', out, '--formats', 'json', 'vtt')
    assert code == 0, said
    assert set(json.loads((out / 'predictions.json').read_text())['results']) == {path.stem for path in clips}
