"""Batches of snippets from several videos for one network, formed by who waits when the network is free."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mmwtal.features.reading import Stretch

Compute = Callable[[Sequence[Stretch]], list[np.ndarray]]


class Batcher:
    """Runs a network in a thread, each time on all stretches that wait, as far as a batch holds them.

    While the network is what is slow, stretches wait and batches are full; else it is free at once and nobody waits.

    Args:
        compute: Returns the features of each stretch of a batch.
        thread: Where it is called.
        most: Most snippets of a batch; a stretch is never divided.
    """

    def __init__(self, compute: Compute, *, thread: ThreadPoolExecutor, most: int) -> None:
        self._compute, self._thread, self._most = compute, thread, most
        self._waiting: deque[tuple[Stretch, asyncio.Future[np.ndarray]]] = deque()
        self._work: asyncio.Task[None] | None = None

    def add(self, stretch: Stretch) -> asyncio.Future[np.ndarray]:
        """Have a stretch computed; return what will hold its features, (n, D). Once cancelled, it is left out."""
        future: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
        self._waiting.append((stretch, future))
        if self._work is None:
            self._work = asyncio.create_task(self._run())
        return future

    async def close(self) -> None:
        """Wait for the batch in the network; what waits is cancelled."""
        for _, future in self._waiting:
            future.cancel()
        self._waiting.clear()
        if self._work is not None:
            await self._work

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := self._next():
            computed = loop.run_in_executor(self._thread, self._compute, [stretch for stretch, _ in batch])
            await asyncio.wait([computed])
            error = computed.exception()
            for number, (_, future) in enumerate(batch):
                if future.done():
                    continue
                if error is not None:
                    future.set_exception(error)
                else:
                    future.set_result(computed.result()[number])
        self._work = None

    def _next(self) -> list[tuple[Stretch, asyncio.Future[np.ndarray]]]:
        batch: list[tuple[Stretch, asyncio.Future[np.ndarray]]] = []
        count = 0
        while self._waiting and (not batch or count + self._waiting[0][0].snippets <= self._most):
            stretch, future = self._waiting.popleft()
            if not future.cancelled():
                batch.append((stretch, future))
                count += stretch.snippets
        return batch
