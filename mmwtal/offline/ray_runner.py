"""Runs a job on a Ray cluster, for collections beyond one machine: Ray Data hands videos to workers on its nodes.

Each worker does its videos as a run on one machine does, and appends to a file of its own in the same folder of
records, which all nodes see.
"""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from mmwtal.offline.deaths import Deaths, deaths_of
from mmwtal.offline.job import OfflineJob, State, VideoEntry
from mmwtal.offline.ledger import Ledger, LedgerWriter
from mmwtal.offline.manifest import check_job
from mmwtal.offline.plan import Plan
from mmwtal.offline.progress import Progress, counted
from mmwtal.offline.runner import PATIENCE, Summary, do_videos, open_job
from mmwtal.utils.errors import UserError
from mmwtal.utils.extras import require

# How often Ray begins a batch again whose worker died. A video that kills does so in a child of the worker, so here it
# is nodes that are lost.
_RETRIES = 3
# Long enough to keep all slots of a worker busy but for its end, short enough to lose little with a node.
_ROUNDS_A_BATCH = 4
_NAME = 'ray'
_GRACE_SECONDS = 30.0


def run_on_ray(
    job: OfflineJob,
    plan: Plan,
    store: Path,
    *,
    workers: int,
    address: str = 'auto',
    resources: Mapping[str, float] | None = None,
    again: frozenset[State] = frozenset(),
    patience: float = PATIENCE,
    stream: TextIO | None = None,
) -> Summary:
    """Do the videos that are not done yet, on a Ray cluster.

    Args:
        job: The job; ``store`` has its manifest. It is pickled, and opened once in each worker.
        plan: The videos, in a folder that all nodes see.
        store: The folder of records, in a file system that all nodes share and that knows locks.
        workers: How many workers, each with ``job.concurrency`` videos at once.
        address: The cluster, as ``ray.init`` takes it: ``auto`` for the one that this machine belongs to, ``local`` for
            a new one of this machine alone. A connection that is there already is used, and stays.
        resources: What a worker takes of its node, as options of a Ray actor: ``num_cpus``, ``num_gpus``, ...
        again: States of records that count as not done.
        patience: Seconds that the engine may be out of reach before a worker, and so the run, gives up.
        stream: Where progress is shown; None for nowhere.

    Raises:
        UserError: If Ray is not installed or out of reach, the folder is of another job or being written, a worker died
            again and again, or no video can be done: the message of the first worker that found it.
        OSError: If a worker could not write: the disk is full.
        KeyboardInterrupt: After Ctrl-C; says what was written.
    """
    if workers < 1:
        raise UserError(f'a run on Ray needs 1 worker at least, found {workers}')
    # The workers are in folders of their own.
    store = Path(os.path.abspath(store))
    check_job(store, job.identity)
    started = time.monotonic()
    with Ledger(store).writer(_NAME, admit=_admit_driver):
        todo = job.unfinished(plan.entries, again)
        progress = Progress(len(todo), stream=stream)
        if todo:
            with _connected(address), deaths_of(store, _NAME) as deaths:
                if 'quarantined' in again:
                    deaths.forgive(entry.video for entry in todo)
                try:
                    for counts in _batches(job, todo, store, workers, dict(resources or {}), again, patience):
                        for state in counts.elements():
                            progress.done(state)
                except KeyboardInterrupt:
                    done = counted(progress.counts) or 'nothing'
                    raise KeyboardInterrupt(f'{done} counted: run the same command again to go on') from None
                finally:
                    progress.close()
    before = len(plan.entries) - len(todo)
    return Summary(counts=Counter(progress.counts), before=before, seconds=time.monotonic() - started)


@contextmanager
def _connected(address: str) -> Iterator[None]:
    ray = require('ray', 'scale')
    if ray.is_initialized():
        yield
        return
    try:
        ray.init(address=address)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(
            f'no Ray cluster at {address!r} ({error}): start one (ray start --head), or name its address'
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _batches(
    job: OfflineJob,
    todo: Sequence[VideoEntry],
    store: Path,
    workers: int,
    resources: dict[str, Any],
    again: frozenset[State],
    patience: float,
) -> Iterator[Counter[State]]:
    """Have Ray do videos; yield the states of each batch."""
    ray, data = require('ray', 'scale'), require('ray.data', 'scale')
    size = min(_ROUNDS_A_BATCH * job.concurrency, -(-len(todo) // workers))
    # Any order will do; a dictionary of a video is a row, a block is a batch.
    items = [{'number': number} for number in range(len(todo))]
    begun = ray.remote(num_cpus=0)(_Begun).remote()
    context = data.DataContext.get_current()
    bars, context.enable_progress_bars = context.enable_progress_bars, False
    try:
        rows = iter(
            data.from_items(items, override_num_blocks=-(-len(items) // size))
            .map_batches(
                _Worker,
                fn_constructor_args=(job, ray.put(list(todo)), store, again, patience, begun),
                batch_size=None,
                batch_format='numpy',
                compute=data.ActorPoolStrategy(size=workers),
                **resources,
            )
            .iter_rows()
        )
        try:
            for row in rows:
                _raise_fault(row)
                yield Counter(json.loads(row['counts']))
        finally:
            # Ray ends the workers when nobody can ask for rows any more; a traceback would keep them.
            del rows
            _await_end(Ledger(store))
    except ray.exceptions.RayActorError as error:
        raise UserError(
            f'a worker on Ray is lost ({str(error).splitlines()[0]}): see the logs of Ray; what was written is kept, '
            'run the same command again to go on'
        ) from error
    finally:
        context.enable_progress_bars = bars


def _await_end(ledger: Ledger) -> None:
    """Wait for the workers to be gone, so that the same command can be run at once."""
    deadline = time.monotonic() + _GRACE_SECONDS
    while any(_is_worker(name) for name in ledger.busy()) and time.monotonic() < deadline:
        time.sleep(0.05)


def _raise_fault(row: Mapping[str, Any]) -> None:
    """Raise what stopped a worker. It comes as a value, since Ray would bury its message in tracebacks."""
    if row['fault']:
        raise (UserError if row['kind'] == 'UserError' else OSError)(str(row['fault']))


class _Worker:
    """What a process of Ray does: made once, then called with one batch after the other."""

    def __init__(
        self,
        job: OfflineJob,
        entries: Any,
        store: Path,
        again: frozenset[State],
        patience: float,
        begun: Any,
    ) -> None:
        self._ray = require('ray', 'scale')
        self._job, self._store, self._again, self._patience = job, store, again, patience
        self._entries: list[VideoEntry] = self._ray.get(entries)
        self._begun = begun
        self._loop = asyncio.new_event_loop()
        self._stack = ExitStack()
        self._files: tuple[LedgerWriter, Deaths] | None = None
        self._fault: tuple[str, str] | None = None

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[str]]:
        """Do videos; return a row with their states, or with what stops the whole run."""
        entries = [self._entries[int(number)] for number in batch['number']]
        progress = Progress(len(entries))
        if self._fault is None:
            try:
                self._loop.run_until_complete(self._do(entries, progress))
            except (UserError, OSError) as error:
                self._fault = ('UserError' if isinstance(error, UserError) else 'OSError', str(error))
        kind, fault = self._fault or ('', '')
        return {'counts': [json.dumps(progress.counts)], 'kind': [kind], 'fault': [fault]}

    async def _do(self, entries: Sequence[VideoEntry], progress: Progress) -> None:
        if self._files is None:
            # Files and job stay open until the process ends.
            name = f'{_NAME}-{self._ray.get_runtime_context().get_worker_id()}'
            writer = self._stack.enter_context(Ledger(self._store).writer(name, admit=_admit_worker))
            deaths = self._stack.enter_context(deaths_of(self._store, name))
            await open_job(self._job, progress=progress, patience=self._patience, left=len(entries))
            self._files = writer, deaths
        writer, deaths = self._files
        videos = [entry.video for entry in entries]
        times, again = await self._begun.begin.remote(videos)
        if times > _RETRIES:
            raise UserError(
                f'{times} workers on Ray died with the same videos ({videos[0]} and {len(videos) - 1} more): see the '
                'logs of Ray; what was written is kept, run the same command again to go on'
            )
        if again:
            # The worker that had this batch is gone, and what it finished is on disk. A job may keep in mind what it
            # found unfinished, so it is asked about all videos.
            open_ones = {entry.video for entry in self._job.unfinished(self._entries, self._again)}
            entries = [entry for entry in entries if entry.video not in again or entry.video in open_ones]
        await do_videos(
            self._job,
            entries,
            write=writer.append,
            deaths=deaths,
            progress=progress,
            patience=self._patience,
        )


class _Begun:
    """How often workers began each video: Ray begins a batch again whose worker died."""

    def __init__(self) -> None:
        self._times: Counter[str] = Counter()

    def begin(self, videos: Sequence[str]) -> tuple[int, set[str]]:
        """Count videos; return how often, at most, one was begun before, and which were."""
        earlier = {video for video in videos if self._times[video]}
        times = max(self._times[video] for video in videos)
        self._times.update(videos)
        return times, earlier


def _is_worker(writer: str) -> bool:
    return writer.startswith(f'{_NAME}-')


def _admit_driver(others: Sequence[str]) -> None:
    if others:
        raise UserError(f'{others[0]}.jsonl is being written: both runs would do the same videos; wait for it')


def _admit_worker(others: Sequence[str]) -> None:
    _admit_driver([other for other in others if other != _NAME and not _is_worker(other)])
