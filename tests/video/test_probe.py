"""A video's facts are those of its packets; a file that is none says why."""

import os
import pickle
import re
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mmwtal.utils.errors import UserError
from mmwtal.video.probe import VideoError, probe_video

from .video_files import HEIGHT, WIDTH, cut, patched, scratched, write_sound, write_video

VARIED = [0, 40, 80, 120, 1000, 1500, 1533, 1566, 4000]


def test_facts_of_a_plain_video(plain):
    found = probe_video(plain)
    assert (found.duration, found.fps, found.frames) == (pytest.approx(4.0), pytest.approx(10.0), 40)
    assert (found.width, found.height, found.rotation, found.codec) == (WIDTH, HEIGHT, 0, 'h264')
    assert (found.variable_rate, found.has_audio, found.truncated) == (False, False, False)
    assert pickle.loads(pickle.dumps(found)) == found


@pytest.mark.parametrize(
    ('name', 'options'),
    [
        ('b.mp4', {'options': {'bf': '3', 'preset': 'veryfast'}}),
        ('late.mkv', {'stamps': range(5000, 9000, 100)}),
        ('late.mp4', {'stamps': range(5000, 9000, 100)}),
        ('negative.mkv', {'stamps': range(-500, 3500, 100)}),
        ('plain.ts', {}),
        ('plain.avi', {'codec': 'mpeg4'}),
        ('sound.mp4', {'sound': True}),
        ('sound.mkv', {'sound': True}),
    ],
)
def test_duration_begins_with_the_first_frame_in_any_container(folder, name, options):
    found = probe_video(write_video(folder / f'probe-{name}', **options))
    assert (found.duration, found.fps, found.frames) == (pytest.approx(4.0), pytest.approx(10.0), 40)
    assert found.has_audio == ('sound' in name)
    assert (found.variable_rate, found.truncated) == (False, False)


@pytest.mark.parametrize('suffix', ['mp4', 'mkv'])
def test_a_variable_rate_is_seen(folder, suffix):
    found = probe_video(write_video(folder / f'varied.{suffix}', stamps=VARIED))
    assert found.variable_rate
    assert (found.frames, found.fps) == (9, pytest.approx(2.0))
    # The last frame has the usual length.
    assert found.duration == pytest.approx(4.0, abs=0.05)


@pytest.mark.parametrize(('degrees', 'clockwise'), [(90, 270), (-90, 90), (180, 180)])
def test_the_size_is_that_shown(folder, degrees, clockwise):
    found = probe_video(write_video(folder / f'turned{degrees}.mp4', rotation=degrees, stamps=[0, 100]))
    assert (found.rotation, found.width, found.height) == (clockwise, WIDTH, HEIGHT)


def test_pixels_that_are_not_square_widen_the_picture(folder):
    found = probe_video(write_video(folder / 'wide.mp4', aspect=Fraction(4, 3), stamps=[0, 100]))
    assert (found.width, found.height) == (85, 48)


def test_one_frame_is_a_video(folder):
    found = probe_video(write_video(folder / 'one.mp4', stamps=[0]))
    assert (found.frames, found.duration, found.fps) == (1, pytest.approx(0.1), pytest.approx(10.0))


@pytest.mark.parametrize('name', ['cut.mp4', 'cut.mkv', 'cut.avi'])
def test_a_cut_file_has_the_duration_of_what_is_left(folder, plain, name):
    whole = plain if name == 'cut.mp4' else write_video(folder / f'whole-{name}', codec='mpeg4')
    assert not probe_video(whole).truncated
    # Half of a small AVI file is its head and its index.
    found = probe_video(cut(whole, folder / name, 0.8 if name == 'cut.avi' else 0.6))
    assert found.truncated
    assert 1.2 < found.duration < 3.2


def broken_files(folder: Path, plain: Path) -> dict[str, tuple[Path, str]]:
    def written(name: str, content: bytes) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    late_index = write_video(folder / 'late-index.mp4')
    picture = folder / 'picture.jpg'
    from mmwtal.video.jpeg import encode_jpeg

    picture.write_bytes(encode_jpeg(np.zeros((32, 32, 3), dtype=np.uint8)))
    return {
        'missing': (folder / 'missing.mp4', 'does not exist'),
        'folder': (folder, 'is a folder'),
        'device': (Path('/dev/null'), 'is no regular file'),
        'zero': (written('zero.mp4', b''), r'is empty \(0 bytes\)'),
        'text': (written('text.mp4', b'hello\n' * 99), 'is no video file.*ffmpeg says'),
        'text art': (written('text.txt', b'hello\n' * 99), 'is no video file but text'),
        'playlist': (written('list.mp4', f'#EXTM3U\n#EXTINF:9,\nfile://{plain}\n'.encode()), 'is no video file'),
        'picture': (picture, 'is no video file but a picture'),
        'no index': (cut(late_index, folder / 'no-index.mp4', 0.6), 'index .*is missing'),
        'head alone': (cut(plain, folder / 'head.mp4', 0.005), 'is no video file'),
        'sound': (write_sound(folder / 'sound.m4a'), 'no video stream, only audio'),
        'sound as mp4': (write_sound(folder / 'sound-alone.mp4'), 'no video stream, only audio'),
        'codec': (patched(plain, folder / 'codec.mp4', b'avc1\0', b'zzzz\0'), 'no decoder'),
        'no frame': (scratched(plain, folder / 'scratched.mp4', 0, 1), r'no frame of its h264.*\(40 packets failed\)'),
    }


BROKEN = ('missing', 'folder', 'device', 'zero', 'text', 'text art', 'playlist', 'picture', 'no index', 'head alone')
BROKEN += ('sound', 'sound as mp4', 'codec', 'no frame')


@pytest.fixture(scope='module')
def broken(folder: Path, plain: Path) -> dict[str, tuple[Path, str]]:
    return broken_files(folder, plain)


@pytest.mark.parametrize('kind', BROKEN)
def test_what_is_no_video_says_why(broken, kind):
    path, reason = broken[kind]
    with pytest.raises(VideoError, match=reason) as caught:
        probe_video(path)
    message = str(caught.value)
    assert str(path) in message
    assert '\n' not in message
    assert str(pickle.loads(pickle.dumps(caught.value))) == message


def test_every_kind_of_broken_file_is_tried(broken):
    assert set(broken) == set(BROKEN)


@pytest.mark.skipif(os.geteuid() == 0, reason='the superuser may read everything')
def test_a_file_that_must_not_be_read_says_so(folder, plain):
    path = folder / 'locked.mp4'
    shutil.copy(plain, path)
    path.chmod(0)
    with pytest.raises(VideoError, match='Permission denied'):
        probe_video(path)


NAMES = (
    *('with space.mp4', '-lead.mp4', 'a:b.mp4', 'http:x.mp4', 'per%03dcent.mp4', 'quote\'s "x".mp4', '日本 é.mp4'),
    *('#?&*[1].mp4', 'tab\tline\nend.mp4', 'no suffix', '.hidden.mp4', os.fsdecode(b'\xff\xfe.mp4')),
)


@pytest.mark.parametrize('name', NAMES)
def test_any_name_will_do(tmp_path, plain, monkeypatch, name):
    shutil.copy(plain, tmp_path / name)
    assert probe_video(tmp_path / name).frames == 40
    monkeypatch.chdir(tmp_path)
    assert probe_video(Path(name)).frames == 40
    (tmp_path / name).write_bytes(b'')
    with pytest.raises(VideoError, match='is empty') as caught:
        probe_video(Path(name))
    assert str(caught.value).isprintable()


def test_without_pyav_the_message_has_the_cure(plain, monkeypatch):
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(UserError, match=re.escape('pip install "mmwtal[priors]"')):
        probe_video(plain)


def test_a_child_process_reports_all_kinds_and_prints_nothing(broken, plain, repo_root):
    # Nothing of ffmpeg's own messages, no thread that keeps the process.
    script = """
import sys
from pathlib import Path
from mmwtal.video.probe import VideoError, probe_video
for name in sys.argv[1:]:
    try:
        probe_video(Path(name))
    except VideoError:
        print('reason')
    else:
        print('video')
"""
    paths = [str(path) for path, _ in broken.values()]
    result = subprocess.run(
        [sys.executable, '-c', script, *paths, str(plain)],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(repo_root), 'OMP_NUM_THREADS': '1'},
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ''
    assert result.stdout.split() == ['reason'] * len(paths) + ['video']


def test_real_videos_agree_with_their_containers(shared_data):
    import av

    paths = sorted(path for path in (shared_data / 'videos').rglob('*') if path.suffix in ('.mp4', '.avi'))
    assert len(paths) >= 9
    for path in paths:
        found = probe_video(path)
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stated = float(stream.duration * stream.time_base)
            assert found.frames == pytest.approx(stream.frames, abs=1)
            assert found.has_audio == bool(container.streams.audio)
        assert found.duration == pytest.approx(stated, abs=2 / found.fps), path
        assert found.fps == pytest.approx(float(stream.average_rate), rel=0.01)
        assert not found.truncated
        assert not found.variable_rate
