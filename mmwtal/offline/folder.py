"""A run of a job in its folder, from beginning to end: what a tool calls."""

import asyncio
import signal
import threading
import time
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from types import FrameType
from typing import TextIO

from mmwtal.offline.deaths import deaths_of
from mmwtal.offline.job import OfflineJob, State
from mmwtal.offline.ledger import Ledger
from mmwtal.offline.manifest import check_job
from mmwtal.offline.plan import Plan
from mmwtal.offline.progress import Progress, counted
from mmwtal.offline.runner import PATIENCE, Summary, run_job
from mmwtal.offline.shards import Shard

_ALL = Shard()


def run_folder(
    job: OfflineJob,
    plan: Plan,
    store: Path,
    shard: Shard = _ALL,
    *,
    again: frozenset[State] = frozenset(),
    patience: float = PATIENCE,
    stream: TextIO | None = None,
) -> Summary:
    """Do the videos of a shard that are not done yet.

    Args:
        job: The job; ``store`` has its manifest.
        plan: The videos.
        store: The folder of records.
        shard: Which videos.
        again: States of records that count as not done.
        patience: Seconds that the engine may be out of reach before it gives up.
        stream: Where progress is shown; None for nowhere.

    Raises:
        UserError: If the folder is of another job, another process does these videos, or no video can be done.
        OSError: If records cannot be written: the disk is full.
        KeyboardInterrupt: After Ctrl-C, SIGTERM or SIGHUP; says what was written.
    """
    check_job(store, job.identity)
    started = time.monotonic()
    with (
        Ledger(store).writer(shard.writer, admit=shard.admit) as writer,
        deaths_of(store, shard.writer) as deaths,
    ):
        own = shard.pick(plan.entries)
        todo = job.unfinished(own, again)
        if 'quarantined' in again:
            deaths.forgive(entry.video for entry in todo)
        progress = Progress(len(todo), stream=stream)
        if todo:
            work = run_job(job, todo, write=writer.append, deaths=deaths, progress=progress, patience=patience)
            stopped_by: list[str] = []
            try:
                asyncio.run(_until_signal(work, stopped_by))
            except asyncio.CancelledError:
                if not stopped_by:
                    raise
                done = counted(progress.counts) or 'nothing'
                raise KeyboardInterrupt(
                    f'by {stopped_by[0]}; {done} written, {len(todo) - progress.counts.total()} videos left: run the '
                    'same command again to go on'
                ) from None
            finally:
                progress.close()
    seconds = time.monotonic() - started
    return Summary(counts=Counter(progress.counts), before=len(own) - len(todo), seconds=seconds)


async def _until_signal(work: Coroutine[None, None, None], stopped_by: list[str]) -> None:
    """Await ``work``; a signal cancels it and puts its name into ``stopped_by``."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped_by.append(signal.Signals(number).name)
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)

    # What is ignored stays so: SIGHUP under nohup, SIGINT of a job that a script has in the background.
    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    numbers = [number for number in wanted if signal.getsignal(number) != signal.SIG_IGN]
    if threading.current_thread() is not threading.main_thread():
        numbers.clear()
    earlier = {number: signal.signal(number, stop) for number in numbers}
    try:
        await work
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
