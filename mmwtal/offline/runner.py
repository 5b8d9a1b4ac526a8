"""Runs a job over videos: many at once, faults sorted into states, each video's records written when it is done."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, get_args

from mmwtal.offline.deaths import Deaths
from mmwtal.offline.job import EngineDown, ItemFailed, OfflineJob, State, VideoEntry
from mmwtal.offline.pool import WorkerDied
from mmwtal.offline.progress import Progress
from mmwtal.utils.errors import UserError

#: A video that ended its process so often is set aside.
MAX_DEATHS = 3
#: Seconds that an engine may be out of reach before a run gives up.
PATIENCE = 600.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0

Write = Callable[[Sequence[Mapping[str, Any]]], None]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run did.

    Args:
        counts: Videos by the state that this run gave them; of several records of a video the worst state counts.
        before: Videos that were done before this run.
        seconds: How long it took.
    """

    counts: Counter[State]
    before: int
    seconds: float


async def run_job(
    job: OfflineJob,
    entries: Sequence[VideoEntry],
    *,
    write: Write,
    deaths: Deaths,
    progress: Progress,
    patience: float = PATIENCE,
) -> None:
    """Open a job, do videos, and close it however that ends; see :func:`open_job` and :func:`do_videos`."""
    await open_job(job, progress=progress, patience=patience, left=len(entries))
    try:
        await do_videos(job, entries, write=write, deaths=deaths, progress=progress, patience=patience)
    finally:
        await job.close()


async def open_job(job: OfflineJob, *, progress: Progress, patience: float, left: int) -> None:
    """Open a job, again and again while what it needs is out of reach; it is closed where that fails.

    Args:
        job: The job.
        progress: Is told of waiting.
        patience: Seconds until it gives up.
        left: How many videos are to do, for the message.

    Raises:
        UserError: If it cannot be opened, or was out of reach for too long.
    """
    waiting, ready = _Waiting(patience, progress), False
    while not ready:
        down: EngineDown | None = None
        try:
            await job.open()
            ready = True
        except EngineDown as error:
            down = error
        finally:
            if not ready:
                await job.close()
        if down is not None:
            await waiting.pause(down, left)


async def do_videos(
    job: OfflineJob,
    entries: Sequence[VideoEntry],
    *,
    write: Write,
    deaths: Deaths,
    progress: Progress,
    patience: float = PATIENCE,
) -> None:
    """Do videos, ``job.concurrency`` at once; each one's records are written as soon as it is done.

    A video that ends its process goes to the end of the queue, and is set aside after three times. While the engine is
    out of reach no video begins, and none is charged. When this ends by an exception, those under way are not done.

    Args:
        job: The job, open.
        entries: Those that are not done yet.
        write: Writes the records of a video; called in one thread.
        deaths: How often videos ended their process.
        progress: Counts them.
        patience: Seconds that the engine may be out of reach without a video being done.

    Raises:
        UserError: If no video can be done, or the engine was out of reach for too long.
        OSError: If records cannot be written.
    """
    run = _Run(job, entries, write, deaths, progress, patience)
    try:
        await run.until_done()
    finally:
        await run.stop()


class _Run:
    """The queue, the videos under way, and the wait for an engine that is out of reach."""

    def __init__(
        self,
        job: OfflineJob,
        entries: Sequence[VideoEntry],
        write: Write,
        deaths: Deaths,
        progress: Progress,
        patience: float,
    ) -> None:
        self.job, self.write, self.deaths, self.progress = job, write, deaths, progress
        self.queue = deque(entries)
        self.under_way: dict[asyncio.Task[None], VideoEntry] = {}
        self.recovery: asyncio.Task[None] | None = None
        self.waiting = _Waiting(patience, progress)
        # Waiting for the disk holds up the video that is written, and no other.
        self.disk = ThreadPoolExecutor(1, thread_name_prefix='records')

    async def until_done(self) -> None:
        while self.queue or self.under_way:
            while self.recovery is None and self.queue and len(self.under_way) < self.job.concurrency:
                entry = self.queue.popleft()
                self.under_way[asyncio.create_task(self._do(entry))] = entry
            watched = {*self.under_way, *([self.recovery] if self.recovery else [])}
            done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            if self.recovery in done:
                self.recovery.result()
                self.recovery = None
            for task in done & self.under_way.keys():
                self._settle(task, self.under_way.pop(task))

    async def stop(self) -> None:
        """Cancel what is under way, and wait for what is being written."""
        tasks = [*self.under_way, *([self.recovery] if self.recovery else [])]
        for task in tasks:
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            # Also if interrupted once more: the files that it writes into are closed next.
            self.disk.shutdown()

    def _settle(self, task: asyncio.Task[None], entry: VideoEntry) -> None:
        try:
            task.result()
        except EngineDown as error:
            self.queue.appendleft(entry)
            if self.recovery is None:
                self.recovery = asyncio.create_task(self._recover(error))
        except _AnotherTime:
            self.queue.append(entry)

    async def _recover(self, error: EngineDown) -> None:
        while True:
            await self.waiting.pause(error, len(self.queue) + len(self.under_way))
            try:
                async with asyncio.timeout(_LONGEST_PAUSE):
                    if await self.job.healthy():
                        return
            except (TimeoutError, EngineDown):
                continue  # no answer is an answer

    async def _do(self, entry: VideoEntry) -> None:
        records = await self._records(entry)
        await asyncio.get_running_loop().run_in_executor(self.disk, self._write, records)

    async def _records(self, entry: VideoEntry) -> Sequence[Mapping[str, Any]]:
        if entry.problem:
            return self.job.unsuccessful(entry, 'failed', entry.problem)
        if self.deaths.count(entry.video) >= MAX_DEATHS:
            # The run before this one ended between the death and the record of it.
            return self.job.unsuccessful(
                entry, 'quarantined', f'ended the process that worked on it {MAX_DEATHS} times'
            )
        try:
            return await self.job.process(entry)
        except ItemFailed as error:
            return self.job.unsuccessful(entry, 'failed', str(error))
        except WorkerDied as error:
            loop, reason = asyncio.get_running_loop(), str(error)
            count = await loop.run_in_executor(self.disk, self.deaths.add, entry.video, reason)
            if count < MAX_DEATHS:
                raise _AnotherTime from error
            reason = f'ended its process {count} times; the last time: {reason}'
            return self.job.unsuccessful(entry, 'quarantined', reason)

    def _write(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.write(records)
        self.progress.done(_worst(records))
        self.waiting.over()


class _AnotherTime(Exception):
    """A video goes to the end of the queue."""


class _Waiting:
    """Growing pauses while an engine is out of reach, until patience is at its end.

    An engine that says it is healthy and still does nothing does not start the clock anew; a video that is done does.
    """

    def __init__(self, patience: float, progress: Progress) -> None:
        if not patience >= 0:
            raise UserError(f'patience is a number of seconds from 0, found {patience}')
        self._patience, self._progress = patience, progress
        self._since: float | None = None
        self._pause = _FIRST_PAUSE

    def over(self) -> None:
        """A video is done."""
        self._since, self._pause = None, _FIRST_PAUSE

    async def pause(self, error: EngineDown, left: int) -> None:
        """Wait before the engine is asked again.

        Raises:
            UserError: If it has been out of reach for too long.
        """
        now = time.monotonic()
        if self._since is None:
            self._since = now
            self._progress.note(f'out of reach: {error}; waiting up to {self._patience:.0f} s')
        rest = self._since + self._patience - now
        if rest <= 0:
            raise UserError(
                f'out of reach for {self._patience:.0f} s: {error}; {left} videos are left, none was charged for it: '
                'run the same command again when it is back'
            )
        await asyncio.sleep(min(self._pause, rest))
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


def _worst(records: Sequence[Mapping[str, Any]]) -> State:
    states = {record['state'] for record in records}
    ranked: tuple[State, ...] = get_args(State)
    return max((state for state in ranked if state in states), key=ranked.index, default='ok')
