"""A job whose videos do what the tests say, and the processes that run it: ``python fake_job.py STORE SHARD COUNT``."""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmwtal.offline.folder import run_folder
from mmwtal.offline.job import OfflineJob, State, VideoEntry
from mmwtal.offline.ledger import Ledger, latest
from mmwtal.offline.manifest import Manifest
from mmwtal.offline.plan import Plan
from mmwtal.offline.shards import Shard
from mmwtal.utils.cli import run_tool

# More than a page of memory, so that kill -9 can cut a write short.
TEXT = 'x' * 3000
IDENTITY = {'kind': 'fake', 'model': 'm@1'}


class FakeJob(OfflineJob):
    """Writes two records a video, or does what ``acts`` says."""

    def __init__(self, store: Path, *, concurrency: int = 4, seconds: float = 0.0) -> None:
        self.store, self.concurrency, self.seconds = store, concurrency, seconds
        self.acts: Callable[[str], object] = str
        self.opens: Callable[[], object] = lambda: None
        self.health: Callable[[], bool] = lambda: True
        self.log: list[str] = []
        self.at_work = self.most_at_work = 0

    @property
    def identity(self) -> Mapping[str, Any]:
        return IDENTITY

    async def open(self) -> None:
        self.log.append('open')
        self.opens()

    async def close(self) -> None:
        self.log.append('close')

    async def healthy(self) -> bool:
        return self.health()

    async def process(self, entry: VideoEntry) -> Sequence[Mapping[str, Any]]:
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            await asyncio.sleep(self.seconds)
            self.log.append(entry.video)
            self.acts(entry.video)
        finally:
            self.at_work -= 1
        return [{'video': entry.video, 'label': label, 'state': 'ok', 'text': TEXT} for label in ('a', 'b')]

    def unsuccessful(self, entry: VideoEntry, state: State, reason: str) -> Sequence[Mapping[str, Any]]:
        return [{'video': entry.video, 'label': label, 'state': state, 'reason': reason} for label in ('a', 'b')]

    def unfinished(self, entries: Sequence[VideoEntry], again: frozenset[State]) -> list[VideoEntry]:
        records = latest(Ledger(self.store), 'video', 'label')
        done = {(record['video'], record['label']) for record in records if record['state'] not in again}
        return [entry for entry in entries if not {(entry.video, 'a'), (entry.video, 'b')} <= done]


def begin(store: Path) -> None:
    Manifest(store, kind='prior store', tool='a tool').begin(IDENTITY)


def plan_of(*videos: str) -> Plan:
    entries = tuple(VideoEntry(video=video, path=Path(f'/videos/{video}.mp4')) for video in videos)
    return Plan(root=Path('/videos'), entries=entries)


def records_of(store: Path) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {(record['video'], record['label']): record for record in latest(Ledger(store), 'video', 'label')}


if __name__ == '__main__':
    import argparse

    parser = argparse.ArgumentParser()
    for name, kind in (('store', Path), ('shard', int), ('count', int), ('videos', int), ('seconds', float)):
        parser.add_argument(name, type=kind)

    def main(args: argparse.Namespace) -> None:
        begin(args.store)
        job = FakeJob(args.store, seconds=args.seconds)
        plan = plan_of(*(f'v{number}' for number in range(args.videos)))
        run_folder(job, plan, args.store, Shard(args.shard, args.count), stream=sys.stdout)

    run_tool(main, parser)
