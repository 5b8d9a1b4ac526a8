"""Times are evenly spread; windows cover everything and none is a sliver."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mmwtal.video.sampling import frame_times, windows

SECONDS = st.floats(0.01, 20_000)


def test_times_are_the_middles_of_equal_parts():
    assert frame_times(4.0, fps=1, max_frames=10) == [0.5, 1.5, 2.5, 3.5]
    assert frame_times(4.0, fps=1, max_frames=2) == [1.0, 3.0]
    assert frame_times(0.2, fps=1, max_frames=10) == [0.1]
    assert frame_times(10.0, fps=0.5, max_frames=10, start=4.0, end=8.0) == [5.0, 7.0]


@given(SECONDS, st.floats(0.01, 60), st.integers(1, 300))
def test_times_are_inside_and_even(duration, fps, most):
    times = np.array(frame_times(duration, fps=fps, max_frames=most))
    assert 1 <= len(times) <= most
    assert abs(len(times) - duration * fps) <= 0.51 or len(times) in (1, most)
    assert times[0] > 0
    assert times[-1] < duration
    assert np.allclose(np.diff(times), duration / len(times))


@pytest.mark.parametrize('stretch', [(2.0, 2.0), (-1.0, 2.0), (3.0, 2.0), (0.0, 5.1), (float('nan'), 2.0)])
def test_no_stretch_is_refused(stretch):
    with pytest.raises(ValueError, match='no stretch'):
        frame_times(5.0, fps=1, max_frames=3, start=stretch[0], end=stretch[1])


@pytest.mark.parametrize('wrong', [{'fps': 0}, {'max_frames': 0}, {'fps': float('nan')}])
def test_nothing_to_sample_is_refused(wrong):
    with pytest.raises(ValueError, match='nothing to sample'):
        frame_times(5.0, **{'fps': 1.0, 'max_frames': 3, **wrong})


def test_windows():
    assert windows(60.0, one_pass=120, window=60, overlap=10) == [(0.0, 60.0)]
    assert windows(130.0, one_pass=120, window=60, overlap=10) == [(0.0, 60.0), (35.0, 95.0), (70.0, 130.0)]
    assert windows(110.0, one_pass=60, window=60, overlap=10) == [(0.0, 60.0), (50.0, 110.0)]
    # A window may be longer than what one pass takes: then one window is enough.
    assert windows(70.0, one_pass=60, window=80, overlap=10) == [(0.0, 70.0)]


@given(SECONDS, st.floats(1, 600), st.floats(1, 600), st.floats(0, 0.9))
@example(110.00000000000001, 60.0, 60.0, 10 / 60)
def test_windows_cover_everything_alike(duration, one_pass, window, share):
    found = windows(duration, one_pass=one_pass, window=window, overlap=share * window)
    starts, ends = np.array(found).T
    assert starts[0] == 0
    assert ends[-1] == duration
    assert (starts >= 0).all()
    if len(found) == 1:
        assert duration <= max(one_pass, window)
        return
    assert np.allclose(ends - starts, window)
    assert (np.diff(starts) > 0).all()
    assert ((ends[:-1] - starts[1:]) >= share * window - 1e-6 * duration).all()
    # No more of them than it takes.
    assert len(found) - 1 <= (duration - share * window) / ((1 - share) * window) + 1e-6


@pytest.mark.parametrize(('window', 'overlap'), [(10, 10), (10, 11), (0, 0), (10, -1)])
def test_windows_that_do_not_get_on_are_refused(window, overlap):
    with pytest.raises(ValueError, match='overlap'):
        windows(100.0, one_pass=10, window=window, overlap=overlap)


def test_no_video_has_no_windows():
    with pytest.raises(ValueError, match='no stretches'):
        windows(0.0, one_pass=10, window=10, overlap=1)
