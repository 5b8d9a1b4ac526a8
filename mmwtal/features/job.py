"""Extracting the features of many videos: the offline job that fills the features of a data root."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from mmwtal.features.batcher import Batcher
from mmwtal.features.extractor import ExtractedVideo, VideoExtractor
from mmwtal.features.reading import StretchRequest, VideoDecoder, VideoEnd, read_stretch
from mmwtal.features.store import FEATURES_NAME, FeatureStore
from mmwtal.offline.job import ItemFailed, OfflineJob, State, VideoEntry
from mmwtal.offline.pool import WorkerPool
from mmwtal.registry import OFFLINE_JOBS, build_module
from mmwtal.utils.errors import UserError
from mmwtal.video.container import VideoError

Storage = Literal['float32', 'float16']


@OFFLINE_JOBS.register_module()
class FeatureExtraction(OfflineJob):
    """Snippet features of videos, an array of each in ``features/`` of a data root.

    Processes decode and compute flow, each one video at a time; the networks run in a thread of this process, on the
    snippets of all videos under way together. A video's array is complete on disk before its record says so.

    Args:
        extractor: What extracts: a :class:`VideoExtractor`, or its config.
        data_root: The data root.
        store: The folder of the job's records.
        decoders: Processes that decode.
        decode_timeout: Seconds after which a process that hangs over one batch of snippets is ended.
        storage: How features are stored: ``float32`` or ``float16``.
        features: Their folder in the data root: ``features``, or another one for a further stream.

    Raises:
        UserError: If a setting is wrong.
    """

    def __init__(
        self,
        *,
        extractor: Any,
        data_root: str | Path,
        store: str | Path,
        decoders: int = 2,
        decode_timeout: float = 600.0,
        storage: Storage = 'float32',
        features: str = FEATURES_NAME,
    ) -> None:
        if decoders < 1 or not decode_timeout > 0:
            raise UserError(
                f'FeatureExtraction: expected decoders and decode_timeout above 0, found {decoders} and '
                f'{decode_timeout}'
            )
        if storage not in get_args(Storage):
            raise UserError(f'storage of FeatureExtraction is one of {get_args(Storage)}, found {storage!r}')
        self.extractor: VideoExtractor = build_module(extractor, OFFLINE_JOBS)
        self.store = FeatureStore(data_root, store, features)
        self.storage = storage
        self._decoders, self._timeout = decoders, decode_timeout
        # A video whose last snippets are in the network, or that is being written, leaves its decoder to another.
        self.concurrency = 2 * decoders
        self._free: asyncio.LifoQueue[WorkerPool] | None = None
        self._pools: list[WorkerPool] = []
        self._network: ThreadPoolExecutor | None = None
        self._batcher: Batcher | None = None

    @property
    def identity(self) -> Mapping[str, Any]:
        """See :class:`OfflineJob`: all that the arrays depend on."""
        return {'kind': 'features', **self.extractor.identity, 'storage': self.storage}

    def sidecar(self) -> dict[str, Any]:
        """Return what ``features.json`` states of all videos together."""
        return {**self.extractor.sidecar(), 'storage': self.storage}

    async def open(self) -> None:
        """Bring the networks to their device; the processes start with their first videos."""
        self._network = ThreadPoolExecutor(1, thread_name_prefix='network')
        await asyncio.get_running_loop().run_in_executor(self._network, self.extractor.prepare)
        # A process keeps its video open between two batches of snippets, so each has a pool of its own.
        self._pools = [
            WorkerPool(read_stretch, size=1, setup=VideoDecoder, timeout=self._timeout, name='video decoder')
            for _ in range(self._decoders)
        ]
        self._free = asyncio.LifoQueue()
        for pool in reversed(self._pools):
            self._free.put_nowait(pool)
        self._batcher = Batcher(self.extractor.features, thread=self._network, most=self.extractor.batch_size)

    async def close(self) -> None:
        """End the processes and the thread."""
        pools, self._pools = self._pools, []
        await asyncio.gather(*(pool.close() for pool in pools))
        if self._batcher is not None:
            await self._batcher.close()
            self._batcher = None
        if self._network is not None:
            self._network.shutdown()
            self._network = None

    async def healthy(self) -> bool:
        """Say that all is there; nothing here is out of reach for a while."""
        return True

    async def process(self, entry: VideoEntry) -> Sequence[Mapping[str, Any]]:
        """Extract the features of a video; see :class:`OfflineJob`."""
        try:
            rows, end = await self._extract(entry.path)
        except VideoError as error:
            raise ItemFailed(str(error)) from error
        with np.errstate(over='ignore'):  # which is looked for below
            features = np.concatenate(rows).astype(self.storage)
        spoilt = int((~np.isfinite(features)).any(axis=1).sum())
        if spoilt:
            raise ItemFailed(
                f'{spoilt} of {len(features)} snippets have features that are no finite numbers in {self.storage}, '
                f'computed in {self.extractor.dtype}: take a wider dtype or storage'
            )
        done = ExtractedVideo(features=features, frames=end.frames, duration=end.duration)
        return [await asyncio.to_thread(self.store.save, entry, done, broken=end.broken)]

    def unsuccessful(self, entry: VideoEntry, state: State, reason: str) -> Sequence[Mapping[str, Any]]:
        """Remove what features there are of a video that has none, and return its record; see :class:`OfflineJob`."""
        self.store.discard(entry)
        return [{'video': entry.video, 'state': state, 'reason': reason}]

    def unfinished(self, entries: Sequence[VideoEntry], again: frozenset[State]) -> list[VideoEntry]:
        """Return the videos without a record, or whose array is gone; see :class:`OfflineJob`."""
        return self.store.unfinished(entries, again)

    async def _extract(self, path: Path) -> tuple[list[np.ndarray], VideoEnd]:
        """Return the features of a video; while some snippets are in the network the next ones are read."""
        assert self._batcher is not None
        rows: list[np.ndarray] = []
        under_way: asyncio.Future[np.ndarray] | None = None
        end: VideoEnd | None = None
        plan, number = self.extractor.plan(), 0
        try:
            async with self._decoder() as decoder:
                while end is None:
                    stretch = await decoder.call(StretchRequest(path=path, plan=plan, number=number))
                    number, end = number + 1, stretch.end
                    if under_way is not None:
                        rows.append(await under_way)
                    under_way = self._batcher.add(stretch)
            assert under_way is not None
            rows.append(await under_way)
        finally:
            # What nobody waits for any more: an error of it was the error of another video, too.
            if under_way is not None and not under_way.cancel() and not under_way.cancelled():
                under_way.exception()
        return rows, end

    @asynccontextmanager
    async def _decoder(self) -> AsyncIterator[WorkerPool]:
        assert self._free is not None
        pool = await self._free.get()
        try:
            yield pool
        finally:
            self._free.put_nowait(pool)
