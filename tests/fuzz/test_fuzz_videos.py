"""Whatever is in a video file: its frames are read, or one line says why not."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmwtal.video.jpeg import ClipRequest, read_clip
from mmwtal.video.probe import VideoError, probe_video
from mmwtal.video.reader import VideoReader
from mmwtal.video.sampling import frame_times

from .data_files import fuzz
from .mutations import spoilt_bytes

av = pytest.importorskip('av', reason='needs PyAV: pip install "mmwtal[priors]"')
# Frames of a file whose time stamps were spoilt: more are not read.
MOST = 60


@pytest.fixture(scope='module')
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp('fuzzed')
    film = np.random.default_rng(0).integers(0, 255, (20, 32, 48, 3), dtype=np.uint8)
    for suffix, codec in (('mp4', 'libx264'), ('mkv', 'libx264'), ('ts', 'libx264'), ('avi', 'mpeg4')):
        with av.open(str(folder / f'film.{suffix}'), 'w') as container:
            stream = container.add_stream(codec, rate=5, options={'g': '5'})
            stream.height, stream.width = film.shape[1:3]
            stream.pix_fmt = 'yuv420p'
            for picture in film:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format='rgb24')))
            container.mux(stream.encode(None))
    return {path.suffix: path.read_bytes() for path in sorted(folder.iterdir())}


@given(st.data())
@fuzz
def test_videos(files: dict[str, bytes], tmp_path: Path, data: st.DataObject) -> None:
    suffix = data.draw(st.sampled_from(sorted(files)))
    path = tmp_path / f'spoilt{suffix}'
    path.write_bytes(data.draw(spoilt_bytes(files[suffix])))
    reason = ''
    try:
        found = probe_video(path)
        assert 0 < found.duration < np.inf
        assert min(found.width, found.height, found.frames) > 0
        times = tuple(frame_times(found.duration, fps=2, max_frames=4))
        request = ClipRequest(
            path=path, duration=found.duration, fps=found.fps, start=0, end=found.duration, times=times, short_side=32
        )
        assert 1 <= len(read_clip(request).frames) <= 4
        with VideoReader(path, short_side=32) as reader:
            before = -1.0
            for time, picture in zip((found for found, _ in reader.frames()), range(MOST), strict=False):
                assert time > before, picture
                before = time
    except VideoError as error:
        reason = str(error)
    assert not reason or str(path) in reason
    assert '\n' not in reason


def test_the_files_are_videos(files: dict[str, bytes], tmp_path: Path) -> None:
    for suffix, content in files.items():
        (tmp_path / f'whole{suffix}').write_bytes(content)
        assert probe_video(tmp_path / f'whole{suffix}').frames == 20
