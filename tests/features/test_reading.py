"""The frames of each snippet are those a player shows at its times, whatever the file's own rate and the batches."""

import pickle
from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmwtal.features.reading import (
    ReadingPlan,
    StreamReading,
    StretchRequest,
    VideoDecoder,
    read_stretch,
    read_stretches,
)
from mmwtal.features.snippets import SnippetGrid
from mmwtal.video.container import VideoError
from mmwtal.video.flow import FlowMethod, FlowOfVideo

from ..video.video_files import HEIGHT, WIDTH, cut, number_of, write_video

pytest.importorskip('av', reason='needs PyAV: pip install "mmwtal[priors]"')

VARIED = [0, 40, 80, 120, 1000, 1500, 1533, 1566, 2600, 2640]


class PairFlow(FlowMethod, FlowOfVideo):
    """Says which pairs it was asked for: the numbers of both pictures."""

    @property
    def identity(self) -> dict:
        return {'type': 'PairFlow'}

    def check(self) -> None:
        """Nothing is needed."""

    def of_video(self, path: Path, fps: float) -> FlowOfVideo:
        return self

    def after(self, number: int, earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
        pair = [number_of(earlier), number_of(later)]
        return np.broadcast_to(np.array(pair, dtype=np.float32), (*earlier.shape[:2], 2)).copy()


def stream(frames: int, **options) -> StreamReading:
    made = {'name': 'rgb', 'short_side': HEIGHT, 'crop': HEIGHT, 'whole': True, 'interpolation': 'bilinear'}
    return StreamReading(**{**made, 'frames': frames, **options})


def plan_of(*streams: StreamReading, window: int, stride: int, fps: float = 10.0, **options) -> ReadingPlan:
    grid = SnippetGrid(window=window, stride=stride, partial=options.get('partial', 'drop'))
    return ReadingPlan(streams=streams, fps=fps, grid=grid, snippets=options.get('snippets', 3))


def shown(path: Path, plan: ReadingPlan, name: str = 'rgb') -> list[list]:
    """Return the numbers that the frames of each snippet show; of flow, pairs."""
    found = []
    for stretch in read_stretches(path, plan):
        frames = stretch.streams[name]
        assert stretch.snippets == len(frames.index) <= plan.snippets
        assert len(frames.pictures) <= frames.index.max() + 1, 'each frame is sent once'
        if name == 'flow':
            numbers = frames.pictures[:, 0, 0].astype(int).tolist()
        else:
            numbers = [number_of(one) for one in frames.pictures]
        found += [[numbers[place] for place in row] for row in frames.index]
    return found


@pytest.fixture(scope='module')
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty frames, ten a second."""
    return write_video(tmp_path_factory.mktemp('videos') / 'film.mp4')


@pytest.fixture(scope='module')
def varied(film: Path) -> Path:
    """A film of a variable rate."""
    return write_video(film.with_name('varied.mp4'), stamps=VARIED)


@pytest.mark.parametrize('snippets', [1, 3, 100])
@pytest.mark.parametrize(('window', 'stride'), [(4, 4), (4, 2), (5, 3), (3, 7), (1, 1), (40, 40)])
def test_whole_snippets_of_a_film(film: Path, window: int, stride: int, snippets: int) -> None:
    plan = plan_of(stream(window), window=window, stride=stride, snippets=snippets)
    expected = [list(range(first, first + window)) for first in range(0, 41 - window, stride)]
    assert shown(film, plan) == expected


def test_the_end_of_a_video(film: Path) -> None:
    drop, pad = (plan_of(stream(16), window=16, stride=16, partial=rule) for rule in ('drop', 'pad'))
    assert shown(film, drop) == [list(range(16)), list(range(16, 32))]
    assert shown(film, pad) == [*shown(film, drop), [*range(32, 40), *[39] * 8]]
    last = [stretch.end for stretch in read_stretches(film, pad)]
    assert last[:-1] == [None] * (len(last) - 1)
    assert (last[-1].frames, last[-1].broken) == (40, 0)
    assert last[-1].duration == pytest.approx(4.0, abs=1e-3)
    # Shorter than a snippet: one, by either rule.
    for rule in ('drop', 'pad'):
        assert shown(film, plan_of(stream(50), window=50, stride=50, partial=rule)) == [[*range(40), *[39] * 10]]


@pytest.mark.parametrize('fps', [10.0, 25.0, 7.0])
def test_a_variable_rate_is_resampled_by_its_time_stamps(varied: Path, fps: float) -> None:
    window = 4
    found = shown(varied, plan_of(stream(window), window=window, stride=window, fps=fps, partial='pad'))
    stamps = np.array(VARIED) / 1000
    duration = stamps[-1] + 0.04
    times = np.arange(int(np.ceil(duration * fps - 1e-6))) / fps
    frames = (np.searchsorted(stamps, times + 1e-6, side='right') - 1).tolist()
    frames += [frames[-1]] * (-len(frames) % window)
    assert list(chain(*found)) == frames
    assert Counter(frames).most_common(1)[0][1] > 3, 'some frame is shown for long'


def test_a_stream_that_sees_few_frames_of_each_snippet(film: Path) -> None:
    assert shown(film, plan_of(stream(1), window=16, stride=16)) == [[8], [24]]
    found = shown(film, plan_of(stream(2), window=16, stride=16, partial='pad'))
    assert found == [[4, 12], [20, 28], [36, 39]], 'the last frame is in place of those beyond the end'


@pytest.mark.parametrize('fps', [7.0, 3.0])
def test_padding_shows_the_last_frame_of_the_resampled_video(film: Path, fps: float) -> None:
    dense = shown(film, plan_of(stream(16), window=16, stride=16, fps=fps, partial='pad'))
    assert dense[-1][-2:] == [dense[-1][-1]] * 2
    assert dense[-1][-1] < 39, 'the file has frames after it'
    for seen in (1, 2, 5):
        plan = plan_of(stream(seen), window=16, stride=16, fps=fps, partial='pad')
        offsets = plan.grid.frames_of(0, 1, seen)[0].tolist()
        assert shown(film, plan) == [[row[offset] for offset in offsets] for row in dense]


def test_flow_is_that_to_the_next_frame_and_the_last_frame_has_the_one_before(film: Path) -> None:
    flow = stream(16, name='flow', flow=PairFlow())
    for snippets in (1, 10):
        plan = plan_of(stream(16), flow, window=16, stride=16, partial='pad', snippets=snippets)
        pairs = [[number, number + 1] for number in range(39)]
        assert list(chain(*shown(film, plan, 'flow'))) == [*pairs, *[[38, 39]] * 9]
        assert list(chain(*shown(film, plan))) == [*range(40), *[39] * 8]
    sparse = plan_of(stream(1, name='flow', flow=PairFlow()), window=10, stride=10, partial='pad')
    assert shown(film, sparse, 'flow') == [[[5, 6]], [[15, 16]], [[25, 26]], [[35, 36]]]


def test_a_single_frame_has_no_flow(tmp_path: Path) -> None:
    path = write_video(tmp_path / 'one.mp4', stamps=[0])
    plan = plan_of(stream(4, name='flow', flow=PairFlow()), window=4, stride=4)
    assert shown(path, plan, 'flow') == [[[0, 0]] * 4]


def test_streams_of_several_sizes(film: Path) -> None:
    small = stream(4, name='small', short_side=None, crop=20, whole=False)
    central = stream(4, name='central', short_side=60, crop=30, whole=False, interpolation='bicubic')
    stretch = next(read_stretches(film, plan_of(stream(4), small, central, window=4, stride=4, snippets=2)))
    shapes = {name: one.pictures.shape for name, one in stretch.streams.items()}
    assert shapes == {'rgb': (8, HEIGHT, WIDTH, 3), 'small': (8, 20, 20, 3), 'central': (8, 30, 30, 3)}
    whole = stream(4, name='whole', short_side=60, interpolation='bicubic')
    full = next(read_stretches(film, plan_of(whole, window=4, stride=4, snippets=2))).streams['whole'].pictures
    np.testing.assert_array_equal(stretch.streams['central'].pictures, full[:, 15:45, 25:55])


@given(st.integers(16, 2000), st.integers(16, 2000), st.integers(8, 400))
def test_the_shorter_side_becomes_what_is_asked_for_and_proportions_stay(width: int, height: int, side: int) -> None:
    new = stream(4, short_side=side).size((width, height))
    assert min(new) == side
    assert (new[0] <= new[1]) or width > height
    assert abs(max(new) - max(height, width) * side / min(height, width)) <= 0.5
    assert stream(4, short_side=None, crop=20).size((width, height)) == (20, 20)


def test_a_decoder_goes_on_or_begins_again(film: Path, varied: Path) -> None:
    plan = pickle.loads(pickle.dumps(plan_of(stream(4), window=4, stride=4, snippets=2)))
    whole = [one.streams['rgb'].pictures for one in read_stretches(film, plan)]
    decoder = VideoDecoder()

    def read(path: Path, number: int) -> np.ndarray:
        return read_stretch(decoder, StretchRequest(path=path, plan=plan, number=number)).streams['rgb'].pictures

    for number in (0, 1, 2):
        np.testing.assert_array_equal(read(film, number), whole[number])
    read(varied, 0)
    # As a new process does in the midst of a video.
    np.testing.assert_array_equal(read(film, 3), whole[3])
    np.testing.assert_array_equal(read(film, 4), whole[4])
    assert len(whole) == 5
    np.testing.assert_array_equal(read(film, 0), whole[0])


def test_what_is_no_video(film: Path) -> None:
    with pytest.raises(VideoError, match='does not exist'):
        next(read_stretches(film.with_name('absent.mp4'), plan_of(stream(4), window=4, stride=4)))
    broken = cut(film, film.with_name('cut.mp4'), 0.5)
    with pytest.raises(VideoError, match='moov'):
        next(read_stretches(broken, plan_of(stream(4), window=4, stride=4)))
