"""A run in its folder: each fault ends in its state, nothing that was written is lost, and the same command goes on."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mmwtal.offline.deaths import deaths_of
from mmwtal.offline.folder import run_folder
from mmwtal.offline.job import EngineDown, ItemFailed, State, VideoEntry
from mmwtal.offline.ledger import Ledger
from mmwtal.offline.plan import Plan
from mmwtal.offline.pool import WorkerDied, WorkerPool
from mmwtal.offline.runner import Summary
from mmwtal.offline.shards import Shard
from mmwtal.utils.errors import UserError

from .fake_job import FakeJob, begin, plan_of, records_of

SCRIPT = Path(__file__).with_name('fake_job.py')


@pytest.fixture
def job(tmp_path: Path) -> FakeJob:
    begin(tmp_path / 'store')
    return FakeJob(tmp_path / 'store')


def run(job: FakeJob, *videos: str, shard: Shard = Shard(), **options) -> Summary:  # noqa: B008
    return run_folder(job, plan_of(*videos), job.store, shard, **options)


def states(job: FakeJob) -> dict[str, State]:
    return {video: record['state'] for (video, _), record in records_of(job.store).items()}


def reasons(job: FakeJob) -> dict[str, str]:
    return {video: record.get('reason', '') for (video, _), record in records_of(job.store).items()}


def raising(errors: dict[str, Exception], times: int = 1_000) -> Callable[[str], None]:
    """Raise an error when a video is worked on, so many times."""
    left = Counter(dict.fromkeys(errors, times))

    def act(video: str) -> None:
        if left[video]:
            left[video] -= 1
            raise errors[video]

    return act


def test_each_fault_has_its_state_and_a_rerun_does_nothing(job: FakeJob) -> None:
    job.acts = raising({'b': ItemFailed('no picture'), 'c': WorkerDied('helper died (SIGSEGV)')})
    plan = plan_of('a', 'b', 'c', 'd')
    [*entries] = plan.entries
    entries[3] = type(entries[3])(video='d', path=entries[3].path, problem='the file is empty')
    plan = Plan(root=plan.root, entries=tuple(entries))
    summary = run_folder(job, plan, job.store)
    assert states(job) == {'a': 'ok', 'b': 'failed', 'c': 'quarantined', 'd': 'failed'}
    assert summary.counts == {'ok': 1, 'failed': 2, 'quarantined': 1}
    assert reasons(job)['b'] == 'no picture'
    assert reasons(job)['c'] == 'ended its process 3 times; the last time: helper died (SIGSEGV)'
    assert reasons(job)['d'] == 'the file is empty'
    assert job.log.count('c') == 3
    assert 'd' not in job.log
    assert job.log[0] == 'open'
    assert job.log[-1] == 'close'
    before = records_of(job.store)
    job.log.clear()
    assert run_folder(job, plan, job.store).before == 4
    assert job.log == []
    assert records_of(job.store) == before


def test_many_videos_at_once_but_no_more_than_stated(job: FakeJob) -> None:
    job.seconds = 0.01
    run(job, *map(str, range(20)))
    assert job.most_at_work == 4


def test_deaths_are_remembered_and_forgiven_on_purpose(job: FakeJob) -> None:
    # Twice in a run that is then stopped, once in the next.
    job.acts = raising({'a': WorkerDied('died'), 'b': UserError('stop')})
    job.concurrency = 1

    def stop_after_two(video: str) -> None:
        if job.log.count('a') == 3:
            raise UserError('stop')
        raise WorkerDied('died')

    job.acts = stop_after_two
    with pytest.raises(UserError, match=r'^stop$'):
        run(job, 'a')
    assert states(job) == {}
    job.log.clear()
    run(job, 'a')
    assert states(job) == {'a': 'quarantined'}
    assert job.log.count('a') == 1
    # Set aside for good, unless it is asked for: then it has three lives again.
    run(job, 'a')
    assert job.log.count('a') == 1
    job.log.clear()
    job.acts = raising({'a': WorkerDied('died')}, times=2)
    run(job, 'a', again=frozenset({'quarantined'}))
    assert job.log.count('a') == 3
    assert states(job) == {'a': 'ok'}


def test_forgiven_deaths_stay_so_in_whatever_order_files_are_read(job: FakeJob) -> None:
    with deaths_of(job.store, 'shard-1-of-2') as deaths:
        for _ in range(3):
            deaths.add('a', 'died')
    with deaths_of(job.store, 'shard-0-of-1') as deaths:
        deaths.forgive(['a', 'b'])
    for writer in ('ray-1', 'shard-2-of-3'):
        with deaths_of(job.store, writer) as deaths:
            assert deaths.count('a') == 0
            assert deaths.count('b') == 0


def test_failed_videos_are_done_again_on_purpose(job: FakeJob) -> None:
    job.acts = raising({'a': ItemFailed('no picture')})
    run(job, 'a', 'b')
    job.acts = str
    assert run(job, 'a', 'b', again=frozenset({'refused'})).counts == {}
    assert run(job, 'a', 'b', again=frozenset({'failed'})).counts == {'ok': 1}
    assert states(job) == {'a': 'ok', 'b': 'ok'}
    assert job.log.count('b') == 1


def test_a_video_that_dies_goes_to_the_end(job: FakeJob) -> None:
    job.concurrency = 1
    job.acts = raising({'a': WorkerDied('died')}, times=1)
    run(job, 'a', 'b', 'c')
    assert job.log == ['open', 'a', 'b', 'c', 'a', 'close']


@pytest.fixture
def quick_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('mmwtal.offline.runner._FIRST_PAUSE', 0.01)
    monkeypatch.setattr('mmwtal.offline.runner._LONGEST_PAUSE', 0.05)


@pytest.mark.usefixtures('quick_pauses')
def test_an_engine_that_is_down_charges_nobody(job: FakeJob) -> None:
    answers = [False, False, True]
    job.health = lambda: answers.pop(0)
    job.acts = raising({video: EngineDown('refused') for video in 'abcd'}, times=1)
    summary = run(job, *'abcdefgh')
    assert summary.counts == {'ok': 8}
    assert answers == []
    assert 'e' not in job.log[:5], 'no video begins while it is down'


@pytest.mark.usefixtures('quick_pauses')
@pytest.mark.parametrize('says_healthy', [True, False])
def test_patience_has_an_end_whatever_the_engine_says(says_healthy: bool, job: FakeJob) -> None:
    job.health = lambda: says_healthy
    job.acts = raising({video: EngineDown('refused') for video in 'bcdefgh'})
    with pytest.raises(UserError, match=r'^out of reach for 0 s: refused; 7 videos are left.*same command'):
        run(job, *'abcdefgh', patience=0.2)
    assert states(job) == {'a': 'ok'}
    assert job.log[-1] == 'close'
    job.acts = str
    assert run(job, *'abcdefgh').counts == {'ok': 7}


@pytest.mark.usefixtures('quick_pauses')
def test_a_job_that_cannot_be_opened_yet(job: FakeJob) -> None:
    tries = iter([EngineDown('starting'), EngineDown('starting'), None])

    def open_at_the_third() -> None:
        error = next(tries)
        if error:
            raise error

    job.opens = open_at_the_third
    assert run(job, 'a').counts == {'ok': 1}
    assert job.log == ['open', 'close', 'open', 'close', 'open', 'a', 'close']


@pytest.mark.parametrize('error', [UserError('no such model'), KeyError('a defect')])
def test_what_concerns_all_videos_stops_the_run(error: Exception, job: FakeJob) -> None:
    job.acts = raising({'c': error})
    job.concurrency = 1
    with pytest.raises(type(error), match=str(error)):
        run(job, *'abcdef')
    assert job.log == ['open', 'a', 'b', 'c', 'close']
    assert states(job) == {'a': 'ok', 'b': 'ok'}
    job.opens = raising({'x': error})
    job.log.clear()
    job.opens = lambda: raising({'x': error})('x')
    with pytest.raises(type(error)):
        run(job, *'abcdef')
    assert job.log == ['open', 'close']


def test_a_folder_of_another_job_is_refused(job: FakeJob, tmp_path: Path) -> None:
    class Other(FakeJob):
        identity = {'kind': 'fake', 'model': 'm@2'}

    with pytest.raises(UserError, match=r'of another job .*model: "m@1" there, "m@2" here'):
        run(Other(job.store), 'a')
    with pytest.raises(UserError, match=r'manifest.*does not exist'):
        run(FakeJob(tmp_path / 'nowhere'), 'a')


def test_shards_share_the_videos_and_no_other_division_joins(job: FakeJob) -> None:
    videos = [f'v{number}' for number in range(40)]
    with (
        Ledger(job.store).writer('shard-1-of-2'),
        pytest.raises(UserError, match=r'shard-1-of-2\.jsonl is being written and this is shard-0-of-3'),
    ):
        run(job, *videos, shard=Shard(0, 3))
    with Ledger(job.store).writer('shard-1-of-2'):
        summary = run(job, *videos, shard=Shard(0, 2))
        with pytest.raises(UserError, match=r'another process writes .*shard-1-of-2\.jsonl'):
            run(job, *videos, shard=Shard(1, 2))
    assert 10 < summary.counts['ok'] < 30
    # What one division has done, another does not do again.
    other = run(job, *videos)
    assert other.counts['ok'] + other.before == 40
    assert other.before == summary.counts['ok']
    assert set(states(job)) == set(videos)
    for number, count in ((2, 2), (-1, 2), (0, 0)):
        with pytest.raises(UserError, match='shards are numbered'):
            Shard(number, count)


class EvaluatingJob(FakeJob):
    """Has a child process evaluate what its videos are called."""

    async def open(self) -> None:
        self.pool = WorkerPool(eval, size=2, timeout=30, name='helper')

    async def close(self) -> None:
        await self.pool.close()

    async def process(self, entry: VideoEntry) -> Sequence[Mapping[str, Any]]:
        await self.pool.call(entry.video)
        return await super().process(entry)


def test_real_deaths_and_their_neighbours(job: FakeJob) -> None:
    job = EvaluatingJob(job.store)
    fatal = '__import__("os")._exit(5)'
    summary = run(job, '1 + 1', fatal, '2 + 2', '3 + 3')
    assert summary.counts == {'ok': 3, 'quarantined': 1}
    assert reasons(job)[fatal] == 'ended its process 3 times; the last time: helper died (exit code 5)'
    with pytest.raises(ZeroDivisionError):
        run(job, '1 / 0')


# In processes of their own


def start(store: Path, shard: int = 0, count: int = 1, *, videos: int = 60, seconds: float = 0.01, **options):
    command = [sys.executable, str(SCRIPT), *map(str, (store, shard, count, videos, seconds))]
    environment = {**os.environ, 'PYTHONPATH': str(SCRIPT.parents[2])}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **options
    )


def lines_of(store: Path) -> list[dict]:
    found = []
    for path in sorted(store.glob('*.jsonl')):
        found += [json.loads(line) for line in path.read_text().splitlines()]
    return found


def written(store: Path) -> int:
    return sum(path.stat().st_size for path in store.glob('*.jsonl'))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.parametrize('rounds', [3, pytest.param(20, marks=pytest.mark.slow)])
def test_kill_9_of_two_writers_at_random_moments(rounds: int, tmp_path: Path) -> None:
    undisturbed = FakeJob(tmp_path / 'undisturbed')
    begin(undisturbed.store)
    count = 30 * rounds
    run(undisturbed, *(f'v{number}' for number in range(count)))
    store, rng = tmp_path / 'store', random.Random(rounds)
    killed = 0
    for _ in range(rounds):
        before = {(line['video'], line['label']) for line in lines_of(store)}
        seen = written(store)
        processes = [start(store, shard, 2, videos=count) for shard in range(2)]
        wait_until(lambda seen=seen, ps=processes: written(store) > seen or all(p.poll() is not None for p in ps))
        for process in processes:
            time.sleep(rng.uniform(0, 0.03))
            process.kill()
        for process in processes:
            process.communicate()
            killed += process.returncode == -signal.SIGKILL
        assert before <= set(records_of(store)), 'nothing that was written is lost'
    assert killed > rounds, 'the kills came in time'
    for shard in range(2):
        _, stderr = start(store, shard, 2, videos=count, seconds=0.0).communicate(timeout=60)
        assert stderr == ''
    lines = lines_of(store)
    assert max(Counter((line['video'], line['label']) for line in lines).values()) == 1, 'none doubled'
    assert records_of(store) == records_of(undisturbed.store)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number: int, tmp_path: Path) -> None:
    store = tmp_path / 'store'
    process = start(store, videos=2000, seconds=0.02)
    wait_until(lambda: written(store) > 0)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    [line] = stderr.splitlines()
    done = len({video for video, _ in records_of(store)})
    assert line == (
        f'interrupted: by {signal.Signals(number).name}; {done} ok written, {2000 - done} videos left: run the same '
        'command again to go on'
    )
    assert stdout.splitlines()[-1].startswith(f'{done}/2000 videos, {done} ok, ')


def test_a_full_disk_stops_the_run_and_keeps_what_is_there(tmp_path: Path) -> None:
    store = tmp_path / 'store'
    limit = 150_000

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = start(store, videos=60, preexec_fn=small_files)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    [line] = stderr.splitlines()
    assert 'disk full' in line
    assert 'shard-0-of-1.jsonl' in line
    lines = lines_of(store)
    assert 10 < len(lines) < 60
    assert all(count == 2 for count in Counter(line['video'] for line in lines).values()), 'whole videos only'
    start(store, videos=60).communicate(timeout=60)
    assert len(lines_of(store)) == 120


@pytest.mark.parametrize('patience', [-1.0, float('nan')])
def test_patience_is_a_number_of_seconds(patience: float, job: FakeJob) -> None:
    with pytest.raises(UserError, match='patience is a number of seconds'):
        run(job, 'a', patience=patience)
