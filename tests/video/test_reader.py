"""The frame that is read for a time is the one a player shows then, however the file is built."""

import multiprocessing
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.video import reader as reader_module
from mmwtal.video.container import VideoError
from mmwtal.video.jpeg import ClipRequest, encode_jpeg, read_clip
from mmwtal.video.probe import probe_video
from mmwtal.video.reader import VideoReader, iterate_frames, read_frames
from mmwtal.video.sampling import frame_times

from .video_files import HEIGHT, WIDTH, cut, number_of, scratched, write_video

VARIED = [0, 40, 80, 120, 1000, 1500, 1533, 1566, 4000]
OPEN_GOP = {'options': {'x264-params': 'open-gop=1:bframes=3', 'preset': 'veryfast'}}
KINDS = {
    'plain.mp4': {},
    'b.mp4': {'options': {'bf': '3', 'preset': 'veryfast'}},
    'open.mp4': OPEN_GOP,
    'open.mkv': OPEN_GOP,
    'open.ts': OPEN_GOP,
    'late.mkv': {'stamps': range(5000, 9000, 100)},
    'negative.mkv': {'stamps': range(-500, 3500, 100)},
    'plain.avi': {'codec': 'mpeg4'},
    'b.avi': {'codec': 'mpeg4', 'options': {'bf': '2'}},
    'h264.avi': {},
    'program.mpg': {'codec': 'mpeg2video', 'options': {'bf': '2'}, 'stamps': range(0, 1600, 40)},
    'turned.mp4': {'rotation': 90},
    'one key frame.mp4': {'options': {'g': '250'}},
}


@pytest.fixture(scope='module')
def kinds(folder: Path) -> dict[str, Path]:
    return {name: write_video(folder / f'read-{name}', **options) for name, options in KINDS.items()}


def numbers(frames: np.ndarray) -> list[int]:
    return [number_of(frame) for frame in frames]


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('gap', [0.0, 0.3, 2.0])
def test_each_time_gives_the_frame_shown_then(kinds, kind, gap, monkeypatch):
    # Whether by seeking, by decoding on, or both.
    monkeypatch.setattr(reader_module, '_FIRST_GAP', gap)
    step = 0.04 if kind == 'program.mpg' else 0.1
    asked = np.array([3.99, 0.0, 0.05, 0.1, 0.95, 2.5, 2.0, 1.3, 2.5]) * step / 0.1
    found = read_frames(kinds[kind], asked)
    expected = np.floor(asked / step + 1e-6).astype(int)
    assert numbers(found.frames) == expected.tolist()
    assert found.times == pytest.approx(expected * step, abs=1e-6)
    assert found.asked.tolist() == asked.tolist()
    assert found.broken == 0
    assert found.frames.shape == (9, HEIGHT, WIDTH, 3)


@pytest.mark.parametrize('kind', KINDS)
def test_all_frames_come_in_order(kinds, kind):
    times, frames = zip(*iterate_frames(kinds[kind]), strict=True)
    step = 0.04 if kind == 'program.mpg' else 0.1
    assert numbers(frames) == list(range(40))
    assert times == pytest.approx(np.arange(40) * step, abs=1e-6)


@pytest.mark.parametrize('suffix', ['mp4', 'mkv'])
@given(st.lists(st.floats(0, 3.999), min_size=1, max_size=8))
@settings(max_examples=15, deadline=None)
def test_a_variable_rate_goes_by_time_stamps(varied, suffix, asked):
    found = read_frames(varied[suffix], asked)
    expected = np.searchsorted(VARIED, np.array(asked) * 1000 + 1e-3, side='right') - 1
    assert numbers(found.frames) == expected.tolist()
    assert found.times == pytest.approx(np.array(VARIED)[expected] / 1000, abs=1e-6)


@pytest.fixture(scope='module')
def varied(folder: Path) -> dict[str, Path]:
    return {suffix: write_video(folder / f'read-varied.{suffix}', stamps=VARIED) for suffix in ('mp4', 'mkv')}


def test_resampling_shows_what_a_film_of_that_rate_would(varied, kinds):
    times, frames = zip(*iterate_frames(varied['mp4'], fps=5), strict=True)
    assert times == pytest.approx(np.arange(21) * 0.2)
    expected = np.searchsorted(VARIED, np.arange(21) * 200, side='right') - 1
    assert numbers(frames) == expected.tolist()
    times, frames = zip(*iterate_frames(kinds['b.mp4'], fps=25, start=1.0, end=2.0), strict=True)
    assert times == pytest.approx(1 + np.arange(25) / 25)
    assert numbers(frames) == [10 + int(k * 0.4 + 1e-6) for k in range(25)]


def test_stretches(kinds):
    found = [number_of(frame) for _, frame in iterate_frames(kinds['b.mp4'], start=1.25, end=1.6)]
    assert found == [13, 14, 15]
    assert list(iterate_frames(kinds['b.mp4'], start=7)) == []
    assert list(iterate_frames(kinds['b.mp4'], fps=10, start=7)) == []


def test_the_last_frame_is_shown_for_one_frame_beyond_the_end(plain):
    assert numbers(read_frames(plain, [3.95, 4.0, 4.09]).frames) == [39, 39, 39]
    with pytest.raises(VideoError, match=r'no frame at 4\.150 s, it ends at 4\.000 s'):
        read_frames(plain, [1.0, 4.15])
    with pytest.raises(ValueError, match='time -1 s'):
        read_frames(plain, [-1.0])
    with pytest.raises(ValueError, match='time nan s'):
        read_frames(plain, [float('nan')])
    assert len(read_frames(plain, []).frames) == 0


def test_packets_that_do_not_decode_are_counted_and_passed(folder, plain):
    path = scratched(plain, folder / 'scratched-middle.mp4', 0.45, 0.6)
    assert probe_video(path).duration == pytest.approx(4.0)
    found = read_frames(path, np.arange(0.05, 4, 0.1))
    assert 0 < found.broken < 12
    times = found.times.round(3)
    # What is whole is exact; over what is broken the last good frame stays.
    assert numbers(found.frames[:15]) == list(range(15))
    assert numbers(found.frames[30:]) == list(range(30, 40))
    assert (np.diff(times) >= 0).all()
    assert len(list(iterate_frames(path, fps=10))) == 40


def test_a_broken_tail_shows_the_last_good_frame(folder, plain):
    path = scratched(plain, folder / 'scratched-tail.mp4', 0.8, 1.0)
    found = read_frames(path, [0.5, 3.9])
    assert number_of(found.frames[0]) == 5
    assert 2.5 < found.times[1] < 3.5
    assert len(list(iterate_frames(path, fps=5))) == 20


def test_all_times_of_a_cut_file_can_be_read(folder, plain):
    for share in (0.3, 0.45, 0.6, 0.75, 0.9, 0.99):
        path = cut(plain, folder / f'read-cut-{share}.mp4', share)
        found = probe_video(path)
        times = frame_times(found.duration, fps=10, max_frames=99)
        frames = read_frames(path, times)
        assert np.abs(frames.times - times).max() < 0.2
        assert numbers(frames.frames[:-1]) == list(range(len(times) - 1))


def test_sizes(kinds, folder):
    def size(path: Path, **options: object) -> tuple[int, int]:
        return read_frames(path, [0.5], **options).frames.shape[1:3]

    assert size(kinds['plain.mp4'], short_side=24) == (24, 32)
    assert size(kinds['plain.mp4'], short_side=96) == (HEIGHT, WIDTH)
    assert size(kinds['plain.mp4'], short_side=96, enlarge=True) == (96, 128)
    wide = write_video(folder / 'read-wide.mp4', aspect=Fraction(4, 3))
    assert size(wide) == (48, 85)
    assert numbers(read_frames(wide, [0.5, 3.3], short_side=30).frames) == [5, 33]


def test_as_many_threads_as_asked_give_the_same(kinds):
    one, three = (read_frames(kinds['open.mp4'], [0.1, 3.0], threads=threads) for threads in (1, 3))
    assert (one.frames == three.frames).all()


def test_seeking_saves_decoding(folder, monkeypatch):
    path = write_video(folder / 'long.mp4', stamps=range(0, 200_000, 100))
    decoded = []
    original = reader_module.VideoSource.frames

    def counted(self: object):
        for item in original(self):
            decoded.append(item[0])
            yield item

    monkeypatch.setattr(reader_module.VideoSource, 'frames', counted)
    found = read_frames(path, [10.05, 100.05, 190.05])
    assert found.times == pytest.approx([10.0, 100.0, 190.0])
    assert len(decoded) < 50


def read_in_child(path: Path, connection: object) -> None:
    clip = read_clip(request_of(path))
    connection.send((len(clip.frames), clip.frames[-1].time))


def request_of(path: Path, **options: object) -> ClipRequest:
    times = tuple(frame_times(4.0, fps=2, max_frames=99))
    return ClipRequest(path=path, duration=4.0, fps=10.0, start=0.0, end=4.0, times=times, **options)


def test_a_clip_is_jpeg_with_the_times_of_its_frames(kinds, varied):
    clip = read_clip(request_of(kinds['turned.mp4'], short_side=24, quality=95))
    assert (clip.start, clip.end, clip.duration, clip.fps) == (0.0, 4.0, 4.0, 10.0)
    assert [frame.time for frame in clip.frames] == pytest.approx([0.2, 0.7, 1.2, 1.7, 2.2, 2.7, 3.2, 3.7])
    pictures = [cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR_RGB) for frame in clip.frames]
    assert pictures[0].shape == (24, 32, 3)
    assert numbers(pictures) == [2, 7, 12, 17, 22, 27, 32, 37]
    # A frame that is shown for long is sent once.
    assert [frame.time for frame in read_clip(request_of(varied['mp4'])).frames] == pytest.approx([0.12, 1.0, 1.566])


def test_a_clip_is_read_in_a_child_process(plain):
    context = multiprocessing.get_context('spawn')
    here, there = context.Pipe()
    process = context.Process(target=read_in_child, args=(plain, there))
    process.start()
    assert here.poll(60)
    assert here.recv() == (8, pytest.approx(3.7))
    process.join(30)
    assert process.exitcode == 0


def test_jpeg_has_the_colours_and_the_quality_asked_for():
    red = np.zeros((32, 32, 3), dtype=np.uint8)
    red[..., 0] = 200
    back = cv2.imdecode(np.frombuffer(encode_jpeg(red), np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(back.astype(int) - [0, 0, 200]).max() < 6
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    assert len(encode_jpeg(noise, quality=30)) < len(encode_jpeg(noise, quality=95)) / 2


def test_a_real_video_of_constant_rate_is_as_opencv_reads_it(shared_data):
    path = shared_data / 'videos/thumos14_clips/video_validation_0000986.mp4'
    capture = cv2.VideoCapture(str(path))
    count = 0
    for number, (time, frame) in enumerate(iterate_frames(path, end=4.0)):
        done, other = capture.read()
        assert done
        assert time == pytest.approx(number / 30, abs=1e-5)
        # The two convert colours with different rounding.
        assert np.abs(frame.astype(int) - other[:, :, ::-1]).mean() < 1.5
        count += 1
    assert count == 120


@pytest.mark.parametrize('name', ['other/demo.mp4', 'other/test.avi', 'activitynet/v_GGSY1Qvo990.mp4'])
def test_real_videos_are_read_to_their_end(shared_data, name):
    path = shared_data / 'videos' / name
    found = probe_video(path)
    with VideoReader(path, short_side=64) as reader:
        times = [time for time, _ in reader.frames()]
    assert len(times) == found.frames
    assert (np.diff(times) > 0).all()
    assert times[0] == 0
    assert times[-1] == pytest.approx(found.duration, abs=1.5 / found.fps)
    middle = read_frames(path, frame_times(found.duration, fps=1, max_frames=8), short_side=64)
    assert np.abs(middle.times - middle.asked).max() < 1.01 / found.fps
