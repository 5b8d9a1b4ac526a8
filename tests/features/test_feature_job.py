"""The job: what it batches, when memory is let go, and how faults of one video or of all show."""

import asyncio
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mmwtal.features.batcher import Batcher
from mmwtal.features.extractor import VideoExtractor
from mmwtal.features.job import FeatureExtraction
from mmwtal.features.reading import Stretch
from mmwtal.offline.folder import run_folder
from mmwtal.offline.job import VideoEntry
from mmwtal.offline.plan import Plan
from mmwtal.utils.errors import UserError

from ..video.video_files import write_video

pytest.importorskip('av', reason='needs PyAV: pip install "mmwtal[priors]"')

STREAMS = [{'name': 'rgb', 'backbone': {'type': 'TinyRandom', 'width': 6, 'side': 16}}]


def stretch(snippets: int, seconds: float = 0.0) -> Stretch:
    return Stretch(streams={}, snippets=snippets, seconds=seconds)


def test_what_waits_while_the_network_is_busy_goes_in_one_batch() -> None:
    batches: list[list[int]] = []
    begun, go = threading.Event(), threading.Event()

    def compute(stretches: list[Stretch]) -> list[np.ndarray]:
        batches.append([one.snippets for one in stretches])
        begun.set()
        assert go.wait(10)
        return [np.full((one.snippets, 1), one.seconds) for one in stretches]

    async def use(thread: ThreadPoolExecutor) -> list[np.ndarray]:
        batcher = Batcher(compute, thread=thread, most=8)
        first = batcher.add(stretch(8, 1.0))
        await asyncio.to_thread(begun.wait)
        others = [batcher.add(stretch(count, 2.0 + count)) for count in (3, 4, 2, 5, 1)]
        others[1].cancel()
        go.set()
        found = await asyncio.gather(first, *(one for one in others if not one.cancelled()))
        await batcher.close()
        return found

    with ThreadPoolExecutor(1) as thread:
        found = asyncio.run(use(thread))
    assert batches == [[8], [3, 2], [5, 1]]
    assert [(len(one), one[0, 0]) for one in found] == [(8, 1.0), (3, 5.0), (2, 4.0), (5, 7.0), (1, 3.0)]


def test_an_error_of_the_network_reaches_all_of_its_batch_and_the_next_one_works() -> None:
    faults = iter([UserError('no memory')])

    def compute(stretches: list[Stretch]) -> list[np.ndarray]:
        for fault in faults:
            raise fault
        return [np.zeros((one.snippets, 1)) for one in stretches]

    async def use(thread: ThreadPoolExecutor) -> list:
        batcher = Batcher(compute, thread=thread, most=8)
        both = await asyncio.gather(batcher.add(stretch(2)), batcher.add(stretch(3)), return_exceptions=True)
        return [*both, await batcher.add(stretch(4))]

    with ThreadPoolExecutor(1) as thread:
        first, second, third = asyncio.run(use(thread))
    assert isinstance(first, UserError)
    assert isinstance(second, UserError)
    assert third.shape == (4, 1)


class Spoilt(VideoExtractor):
    """Gives features that no float16 holds."""

    def features(self, stretches: list[Stretch]) -> list[np.ndarray]:
        return [np.where(rows == rows, 1e6, rows) for rows in super().features(stretches)]


def job_of(root: Path, kind: type[VideoExtractor] = VideoExtractor, **options) -> FeatureExtraction:
    extractor = kind(streams=STREAMS, fps=10.0, window=4, stride=4, batch_size=3, device='cpu')
    return FeatureExtraction(extractor=extractor, data_root=root, store=root / 'extraction', **options)


def run(job: FeatureExtraction, *paths: Path) -> Counter:
    entries = tuple(VideoEntry(video=path.stem, path=path, size=path.stat().st_size) for path in paths)
    job.store.begin(job.identity)
    return run_folder(job, Plan(root=paths[0].parent, entries=entries), job.store.folder).counts


@pytest.fixture(scope='module')
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp('videos') / 'film.mp4')


def test_features_that_the_storage_cannot_hold_fail_with_the_remedy(film: Path, tmp_path: Path) -> None:
    job = job_of(tmp_path, Spoilt, storage='float16')
    assert run(job, film) == {'failed': 1}
    reason = job.store.records()['film']['reason']
    assert reason.startswith('10 of 10 snippets have features that are no finite numbers in float16')
    assert not (tmp_path / 'features' / 'film.npy').exists()


def test_a_video_that_is_gone_fails_alone(film: Path, tmp_path: Path) -> None:
    gone = tmp_path / 'gone.mp4'
    gone.write_bytes(film.read_bytes())
    entries = (VideoEntry(video='gone', path=gone, size=1), VideoEntry(video='film', path=film, size=1))
    gone.unlink()
    job = job_of(tmp_path)
    job.store.begin(job.identity)
    counts = run_folder(job, Plan(root=tmp_path, entries=entries), job.store.folder).counts
    assert counts == {'ok': 1, 'failed': 1}
    assert 'does not exist' in job.store.records()['gone']['reason']
    assert job.unfinished(entries, frozenset()) == []
    assert [one.video for one in job.unfinished(entries, frozenset({'failed'}))] == ['gone']


def test_a_video_over_which_a_process_hangs_is_set_aside(film: Path, tmp_path: Path) -> None:
    job = job_of(tmp_path, decode_timeout=1e-4)
    assert run(job, film) == {'quarantined': 1}
    assert 'video decoder did not answer within 0.0001 s' in job.store.records()['film']['reason']
    assert run(job_of(tmp_path), film) == {}, 'it stays aside until it is asked for'


@pytest.mark.parametrize(
    ('options', 'message'),
    [({'decoders': 0}, 'decoders'), ({'decode_timeout': 0}, 'decode_timeout'), ({'storage': 'float64'}, 'float64')],
)
def test_wrong_settings(options: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        job_of(tmp_path, **options)
