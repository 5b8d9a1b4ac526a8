"""Where the time of a training iteration goes: clocks around the parts of a run, nested ones counted once."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

DATA = 'waiting for data'
PREPROCESSING = 'preprocessing'
BACKBONE = 'backbone, forward'
HEAD = 'head, forward'
LOSSES = 'loss terms, forward'
GUIDANCE = 'guidance, forward'
BACKWARD = 'backward'
OPTIMIZER = 'optimiser step'
AROUND = 'seeding, hooks, logging'
REST = 'everything else'

PHASES = (DATA, PREPROCESSING, BACKBONE, HEAD, LOSSES, GUIDANCE, BACKWARD, OPTIMIZER, AROUND, REST)


class Stopwatch:
    """Adds up seconds by phase; while an inner phase lasts, the outer one stands still, so that the sum is exact.

    Args:
        clock: Gives the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._open: list[str] = []
        self._since = 0.0
        self._seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count what is enclosed as a phase."""
        self._settle()
        self._open.append(name)
        try:
            yield
        finally:
            self._settle()
            self._open.pop()

    def watch(self, owner: Any, method: str, name: str) -> None:
        """Count every call of an object's method as a phase."""
        original = getattr(owner, method)

        @wraps(original)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.phase(name):
                return original(*args, **kwargs)

        setattr(owner, method, timed)

    def iterate(self, items: Iterator[Any], name: str) -> Iterator[Any]:
        """Yield items; waiting for each counts as a phase."""
        while True:
            with self.phase(name):
                item = next(items, None)
            if item is None:
                return
            yield item

    def take(self) -> dict[str, float]:
        """Return the seconds by phase since the last time, and begin anew."""
        taken, self._seconds = self._seconds, {}
        return taken

    def _settle(self) -> None:
        now = self._clock()
        if self._open:
            self._seconds[self._open[-1]] = self._seconds.get(self._open[-1], 0.0) + now - self._since
        self._since = now


def watch_run(watch: Stopwatch, runner: Any) -> None:
    """Put a stopwatch on the parts of a run that has begun: its loop, model, losses and optimizer.

    A loss term is the phase ``LOSSES`` with the term's name after a colon.
    """
    loop, model, optim_wrapper = runner.train_loop, runner.model, runner.optim_wrapper
    loop.watch_batches(lambda batches: watch.iterate(batches, DATA))
    watch.watch(loop, '_seed_iteration', AROUND)
    watch.watch(runner, 'call_hook', AROUND)
    watch.watch(model.data_preprocessor, 'forward', PREPROCESSING)
    watch.watch(model.backbone, 'forward', BACKBONE)
    watch.watch(model.head, 'forward', HEAD)
    for name, loss in model.head.losses.items():
        watch.watch(loss, 'forward', f'{LOSSES}: {name}')
    if model.guidance is not None:
        watch.watch(model.guidance, 'forward', GUIDANCE)
    watch.watch(optim_wrapper, 'backward', BACKWARD)
    for method in ('step', 'zero_grad'):
        watch.watch(optim_wrapper, method, OPTIMIZER)
