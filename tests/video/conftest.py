"""Videos that several tests read."""

from pathlib import Path

import pytest

from .video_files import write_video

pytest.importorskip('av', reason='needs PyAV: pip install "mmwtal[priors]"')


@pytest.fixture(scope='session')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('videos')


@pytest.fixture(scope='session')
def plain(folder: Path) -> Path:
    """Forty frames, ten a second, with the index at the beginning."""
    return write_video(folder / 'plain.mp4', muxing={'movflags': 'faststart'})
