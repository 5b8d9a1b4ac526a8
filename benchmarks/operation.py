"""What a side of a comparison does, again and again."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Spec:
    """All that a worker is told. It travels as JSON.

    Args:
        side: 'published', 'mmwtal' or 'mmwtal-amp'.
        operation: Name of what is timed; a key of ``OPERATIONS`` of both sides.
        method: 'co2net', 'delu' or 'ddgnet'.
        length: Snippets of a training sample.
        checkout: Folder of the authors' code.
        scratch: Folder with the inputs, see :mod:`benchmarks.material`.
        device: 'cpu' or 'cuda'.
        threads: Threads of torch.
        workers: Processes that load data for mmwtal; the published code has none.
    """

    side: str
    operation: str
    method: str
    length: int
    checkout: Path
    scratch: Path
    device: str
    threads: int
    workers: int

    @property
    def is_published(self) -> bool:
        """Whether the authors' code is to run."""
        return self.side == 'published'

    @property
    def authors_folder(self) -> Path:
        """The inputs in the authors' layout."""
        return self.scratch / 'authors'

    @property
    def data_root(self) -> Path:
        """The same inputs in mmwtal's layout."""
        return self.scratch / 'mmwtal'

    @property
    def weights(self) -> Path:
        """The weights that both sides start from, as the authors' state dict."""
        return self.scratch / f'weights-{self.method}.pth'

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return {name: str(value) if isinstance(value, Path) else value for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Return the spec that :meth:`to_dict` was called on."""
        return cls(**{**fields, 'checkout': Path(fields['checkout']), 'scratch': Path(fields['scratch'])})


class WaitMeter:
    """Measures which share of the training iterations the device waits for its input.

    Call :meth:`begin` where an iteration begins, :meth:`start` where the network starts and :meth:`end` where the
    iteration ends. On a GPU these are events in its own queue: an iteration that was issued while the GPU was still
    working on the one before begins, for the GPU, when that one is done.
    """

    def __init__(self, device: str) -> None:
        self._on_gpu = device == 'cuda'
        self._marks: list[Any] = []

    def begin(self) -> None:
        """Mark the beginning of an iteration."""
        self._mark()

    def start(self, *_: object) -> None:
        """Mark the start of the network; may serve as a forward pre-hook."""
        self._mark()

    def end(self) -> None:
        """Mark the end of an iteration."""
        self._mark()

    def share(self) -> float:
        """Return the time from beginnings to starts over the time from beginnings to ends."""
        triples = list(zip(*[iter(self._marks)] * 3, strict=True))
        waited = sum(self._between(begin, start) for begin, start, _ in triples)
        return waited / sum(self._between(begin, end) for begin, _, end in triples)

    def _mark(self) -> None:
        if not self._on_gpu:
            self._marks.append(time.perf_counter())
            return
        import torch

        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self._marks.append(event)

    def _between(self, first: Any, second: Any) -> float:
        return first.elapsed_time(second) if self._on_gpu else second - first


def _nothing() -> Sequence[float]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Operation:
    """Something to be timed.

    Args:
        run: Does it once.
        outcome: Numbers on which both sides should agree, asked for after the last run; not timed.
        units: Of how many equal things (videos, say) ``run`` does the work; times are stated for one.
        waiting: Filled by ``run``, for training iterations.
    """

    run: Callable[[], object]
    outcome: Callable[[], Sequence[float]] = _nothing
    units: int = 1
    waiting: WaitMeter | None = None
