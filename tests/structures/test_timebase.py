import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmwtal.structures import Timebase

positive = st.floats(0.1, 1000)


def test_snippets_of_thumos14_are_0_64_seconds():
    timebase = Timebase(fps=25, stride=16)
    assert timebase.seconds_per_snippet == 0.64
    np.testing.assert_allclose(timebase.to_seconds([0, 1, 10]), [0, 0.64, 6.4])


def test_overlapping_windows_meet_in_the_middle():
    # Windows of 16 frames every 8: snippet 0 sees frames 0 to 16, snippet 1 sees 8 to 24; they meet at frame 12.
    timebase = Timebase(fps=10, stride=8, window=16)
    np.testing.assert_allclose(timebase.to_seconds([0, 1, 2]), [0.4, 1.2, 2.0])


def test_times_are_clipped_to_the_video():
    timebase = Timebase(fps=1, stride=1, duration=5.5)
    np.testing.assert_allclose(timebase.to_seconds([-1, 5, 6]), [0, 5, 5.5])
    assert Timebase(fps=1, stride=4, window=2).to_seconds(0) == 0


@given(positive, positive, st.none() | positive, st.lists(st.floats(0, 1e4), min_size=1))
def test_to_snippets_is_the_inverse(fps, stride, window, boundaries):
    timebase = Timebase(fps=fps, stride=stride, window=window)
    seconds = timebase.to_seconds(boundaries)
    inside = seconds > 0
    back = timebase.to_snippets(seconds)
    np.testing.assert_allclose(back[inside], np.asarray(boundaries)[inside], rtol=1e-6, atol=1e-6)


@given(st.integers(1, 500), st.integers(1, 500))
def test_resampling_keeps_both_ends(old, new):
    timebase = Timebase(fps=25, stride=16, duration=1000)
    resampled = timebase.resampled(old, new)
    np.testing.assert_allclose(resampled.to_seconds([0, new]), timebase.to_seconds([0, old]))
    assert timebase.resampled(old, old) is timebase


def test_resampling_keeps_the_offset_of_wide_windows():
    timebase = Timebase(fps=10, stride=8, window=16)
    np.testing.assert_allclose(timebase.resampled(10, 5).to_seconds([0, 5]), timebase.to_seconds([0, 10]))


@pytest.mark.parametrize('field', ['fps', 'stride', 'window', 'duration'])
@pytest.mark.parametrize('value', [0, -1, float('nan'), float('inf')])
def test_values_must_be_positive(field, value):
    with pytest.raises(ValueError, match=field):
        Timebase(**{'fps': 25, 'stride': 16, field: value})


def test_the_time_base_needs_no_torch():
    code = 'import sys; from mmwtal.structures import Timebase; assert "torch" not in sys.modules'
    subprocess.run([sys.executable, '-c', code], check=True)
