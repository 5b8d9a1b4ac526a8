"""Paired measurement: the sides take turns, so that what disturbs the machine disturbs all of them."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from benchmarks.session import WorkerFailure


class Worker(Protocol):
    """What :class:`benchmarks.session.Session` offers."""

    def ask(self, command: str) -> dict[str, Any]:
        """Send a command and return the reply."""

    def close(self) -> None:
        """End it."""


Open = Callable[[str], Worker]


def measure(sides: Sequence[str], open_worker: Open, *, rounds: int) -> dict[str, dict[str, Any]]:
    """Time the sides in turns.

    Args:
        sides: Their names.
        open_worker: Starts the worker of a side.
        rounds: Samples of each side; one round takes them in order, the next in reverse order.

    Returns:
        For each side ``seconds`` (one a round), ``outcome``, ``peak_memory_mib`` and the rest of the worker's last
        reply; or ``failure``, the reason why it could not be run.
    """
    workers: dict[str, Worker] = {}
    failures: dict[str, str] = {}
    seconds: dict[str, list[float]] = {side: [] for side in sides}

    def ask(side: str, command: str) -> dict[str, Any]:
        if side in failures:
            return {}
        try:
            return workers[side].ask(command)
        except WorkerFailure as failure:
            failures[side] = str(failure)
            return {}

    try:
        for side in sides:
            workers[side] = open_worker(side)
            ask(side, 'warm')
        for number in range(rounds):
            for side in sides if number % 2 == 0 else reversed(sides):
                reply = ask(side, 'sample')
                if reply:
                    seconds[side].append(reply['seconds'])
        replies = {side: ask(side, 'finish') for side in sides}
    finally:
        for worker in workers.values():
            worker.close()
    return {
        side: {'failure': failures[side]} if side in failures else {'seconds': seconds[side], **replies[side]}
        for side in sides
    }


def speedup(published: Sequence[float], ours: Sequence[float]) -> dict[str, float]:
    """Return how many times faster ours is, round by round: median, quartiles, and the ratio of the fastest samples."""
    ratios = [theirs / mine for theirs, mine in zip(published, ours, strict=True)]
    low, high = _quartiles(ratios)
    return {'median': statistics.median(ratios), 'low': low, 'high': high, 'of_minima': min(published) / min(ours)}


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return median, minimum and quartiles."""
    low, high = _quartiles(seconds)
    return {'median': statistics.median(seconds), 'min': min(seconds), 'low': low, 'high': high}


def disagreement(results: Mapping[str, Mapping[str, Any]]) -> float | None:
    """Return the largest relative difference between the outcomes of the sides; None where there are not two.

    A different number of values is an infinite difference.
    """
    outcomes = [result['outcome'] for result in results.values() if result.get('outcome')]
    if len(outcomes) < 2:
        return None
    first = outcomes[0]
    if any(len(other) != len(first) for other in outcomes[1:]):
        return float('inf')
    pairs = [pair for other in outcomes[1:] for pair in zip(first, other, strict=True)]
    return max(abs(a - b) / max(abs(a), abs(b), 1e-12) for a, b in pairs)


def _quartiles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method='inclusive')
    return low, high
