import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmwtal.formats.findings import Kind
from mmwtal.formats.sidecar import check_agreement, check_timebase_setting, read_sidecar, timebase_of
from mmwtal.structures import Timebase
from mmwtal.utils.errors import UserError


def read(tmp_path, content):
    (tmp_path / 'features.json').write_text(content if isinstance(content, str) else json.dumps(content))
    return read_sidecar(tmp_path)


def test_reads_a_sidecar(tmp_path):
    sidecar = read(
        tmp_path,
        {
            'fps': 25,
            'stride': 16,
            'width': 2048,
            'model': 'i3d',
            'modalities': {'rgb': [0, 1024], 'flow': [1024, 2048]},
            'videos': {'a': {'frames': 320, 'duration': 12.8, 'snippets': 20}, 'b': {'fps': 30, 'stride': 8}},
        },
    )
    assert sidecar.width == 2048
    assert sidecar.modalities == {'rgb': (0, 1024), 'flow': (1024, 2048)}
    assert (sidecar.video('a').frames, sidecar.video('a').snippets) == (320, 20)
    times = {v: timebase_of(v, sidecar=sidecar, fallback={}, duration=5.0) for v in ('a', 'b', 'not listed')}
    assert times['a'] == Timebase(fps=25, stride=16, window=16, duration=12.8)
    assert times['b'] == Timebase(fps=30, stride=8, window=8, duration=5.0)
    assert times['not listed'] == Timebase(fps=25, stride=16, window=16, duration=5.0)
    assert not sidecar.findings


def test_a_video_overrides_its_folder_value_by_value(tmp_path):
    sidecar = read(tmp_path, {'fps': 25, 'stride': 16, 'window': 64, 'videos': {'a': {'stride': 8}}})
    assert timebase_of('a', sidecar=sidecar, fallback={}, duration=None) == Timebase(fps=25, stride=8, window=64)


def test_a_folder_without_sidecar_has_none(tmp_path):
    assert read_sidecar(tmp_path) is None
    fallback = {'fps': 25.0, 'stride': 16.0}
    assert timebase_of('a', sidecar=None, fallback=fallback, duration=7.0) == Timebase(fps=25, stride=16, duration=7.0)


def test_a_configured_window_does_not_replace_the_stride_as_default_window(tmp_path):
    sidecar = read(tmp_path, {'fps': 25, 'stride': 16})
    timebase = timebase_of('a', sidecar=sidecar, fallback={'fps': 25, 'stride': 16, 'window': 64}, duration=None)
    assert timebase.window == 16


def test_an_unknown_grid_is_an_error(tmp_path):
    sidecar = read(tmp_path, {'fps': 25})
    with pytest.raises(ValueError, match='stride'):
        timebase_of('a', sidecar=sidecar, fallback={}, duration=None)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{', 'not valid JSON'),
        ('[]', 'found a list'),
        ({'fps': 0}, '"fps" must be a positive number'),
        ({'fps': 25, 'stride': '16'}, '"stride"'),
        ({'width': 2.5}, '"width"'),
        ({'videos': []}, '"videos" must be an object'),
        ({'modalities': {'rgb': [0, 0]}}, '"modalities"'),
        ({'modalities': {'rgb': [0, 2000]}, 'width': 1024}, '"modalities"'),
        ({'modalities': []}, '"modalities"'),
        ({'modalities': {'rgb': [0, True]}}, '"modalities"'),
    ],
)
def test_a_bad_sidecar_is_one_clear_error(tmp_path, content, message):
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path, content)
    assert str(tmp_path / 'features.json') in str(caught.value)


def test_faults_of_single_videos_are_found(tmp_path):
    text = '{"fps": 25, "stride": 16, "videos": {"a": 3, "b": {"frames": -1}, "c": {}, "d": {}, "d": {}}}'
    sidecar = read(tmp_path, text)
    found = {video: {finding.kind for finding in findings} for video, findings in sidecar.findings.items()}
    assert found == {'a': {Kind.MALFORMED}, 'b': {Kind.MALFORMED}, 'd': {Kind.DUPLICATE}}


def test_a_contradiction_names_both_values(tmp_path):
    sidecar = read(tmp_path, {'fps': 25, 'stride': 16, 'videos': {'b': {'fps': 30}}})
    check_agreement(sidecar, {'fps': 25.0, 'stride': 16.0, 'window': 16.0}, ['a'])
    with pytest.raises(UserError, match=r'stride=8\b.*stride=16\b'):
        check_agreement(sidecar, {'fps': 25.0, 'stride': 8.0}, ['a'])
    with pytest.raises(UserError, match=r'fps=25\b.*fps=30 for video b'):
        check_agreement(sidecar, {'fps': 25.0, 'stride': 16.0}, ['a', 'b'])
    with pytest.raises(UserError, match=r'window=64\b.*window=16\b'):
        check_agreement(sidecar, {'fps': 25.0, 'stride': 16.0, 'window': 64.0}, ['a'])


@pytest.mark.parametrize(
    'setting',
    [{}, {'fps': 25}, {'fps': 25, 'stride': 0}, {'fps': '25', 'stride': 16}, {'fps': 25, 'stride': None}, {'fsp': 25}],
)
def test_a_bad_setting_is_an_error(setting):
    with pytest.raises(UserError, match='timebase'):
        check_timebase_setting(setting)


def test_a_sound_setting_passes():
    assert check_timebase_setting({'fps': 25, 'stride': 16, 'window': None}) == {'fps': 25.0, 'stride': 16.0}


@given(
    entry=st.dictionaries(
        st.sampled_from(['frames', 'duration', 'snippets', 'fps', 'stride', 'window']),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just([]),
    )
)
def test_no_entry_breaks_the_reader(tmp_path_factory, entry):
    sidecar = read(tmp_path_factory.mktemp('fuzz'), {'fps': 25, 'stride': 16, 'videos': {'v': entry}})
    video = sidecar.video('v')
    assert all(value is None or value > 0 for value in (video.frames, video.duration, video.snippets))
    assert timebase_of('v', sidecar=sidecar, fallback={}, duration=None).fps > 0
