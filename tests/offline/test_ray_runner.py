"""A job on a local Ray of two workers: one of them dies, nothing is lost and nothing is done twice."""

import json
import os
import signal
from collections import Counter
from functools import partial
from itertools import product
from pathlib import Path

import pytest

from mmwtal.offline.folder import run_folder
from mmwtal.offline.ledger import Ledger
from mmwtal.offline.ray_runner import run_on_ray
from mmwtal.utils.errors import UserError

from .fake_job import FakeJob, begin, plan_of, records_of

ray = pytest.importorskip('ray')

VIDEOS = [f'v{number}' for number in range(48)]


@pytest.fixture(scope='module', autouse=True)
def cluster(repo_root: Path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('PYTHONPATH', str(repo_root))  # for the workers, which find this file by its name
        # A cluster of its own: without an address Ray would join one that happens to run on this machine.
        ray.init(address='local', num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


def once(marker: Path, fatal: str, video: str) -> None:
    """End the process, the first time that it works on a video."""
    if video == fatal and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def always(fatal: str, video: str) -> None:
    if video == fatal:
        os.kill(os.getpid(), signal.SIGKILL)


def refused(video: str) -> None:
    if video == 'v20':
        raise UserError('no such model: m@1')


def lines_of(store: Path) -> list[dict]:
    return [json.loads(line) for path in store.glob('ray-*.jsonl') for line in path.read_text().splitlines()]


def test_a_worker_dies_and_finished_videos_are_skipped(tmp_path: Path) -> None:
    job = FakeJob(tmp_path / 'store', seconds=0.01)
    begin(job.store)
    job.acts = partial(once, tmp_path / 'died', 'v7')
    summary = run_on_ray(job, plan_of(*VIDEOS), job.store, workers=2)
    assert (tmp_path / 'died').exists()
    assert set(summary.counts) == {'ok'}
    lines = lines_of(job.store)
    assert Counter((line['video'], line['label']) for line in lines) == dict.fromkeys(product(VIDEOS, 'ab'), 1)
    assert len(list(job.store.glob('ray-*.jsonl'))) >= 2
    again = run_on_ray(job, plan_of(*VIDEOS), job.store, workers=2)
    assert (again.counts, again.before) == ({}, 48)


def test_a_mistake_stops_all_with_its_message_and_the_rest_can_be_done(tmp_path: Path) -> None:
    job = FakeJob(tmp_path / 'store', concurrency=1)
    begin(job.store)
    job.acts = refused
    with pytest.raises(UserError, match=r'^no such model: m@1$'):
        run_on_ray(job, plan_of(*VIDEOS), job.store, workers=2)
    there = {video for video, _ in records_of(job.store)}
    assert 'v20' not in there
    job.acts = str
    with (
        Ledger(job.store).writer('shard-0-of-1'),
        pytest.raises(UserError, match=r'shard-0-of-1\.jsonl is being written'),
    ):
        run_on_ray(job, plan_of(*VIDEOS), job.store, workers=2)
    run_folder(job, plan_of(*VIDEOS), job.store)
    assert {video for video, _ in records_of(job.store)} == set(VIDEOS)
    lines = Counter((line['video'], line['label']) for line in lines_of(job.store))
    assert set(lines.values()) == {1}


@pytest.mark.slow
def test_videos_that_end_every_worker_end_the_run(tmp_path: Path) -> None:
    job = FakeJob(tmp_path / 'store', concurrency=1)
    begin(job.store)
    job.acts = partial(always, 'v7')
    with pytest.raises(UserError, match=r'^4 workers on Ray died with the same videos \(v'):
        run_on_ray(job, plan_of('v7'), job.store, workers=1)
