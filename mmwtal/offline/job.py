"""What an offline job is: the seam between the runner, which knows of faults, and what is done with one video."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

State = Literal['ok', 'failed', 'refused', 'quarantined']


class ItemFailed(Exception):
    """A video that cannot be done, with the reason for its record; the others go on."""


class EngineDown(Exception):
    """What does the work is out of reach for now: no video's fault, none is charged."""


@dataclass(frozen=True, kw_only=True)
class VideoEntry:
    """A video as the plan of a job knows it.

    Args:
        video: Its id.
        path: Its file.
        size: Bytes of the file.
        duration: Seconds, from its time stamps; 0 where it cannot be read.
        fps: Mean frame rate; 0 where it cannot be read.
        width: Pixels of a frame as it is shown.
        height: Pixels of a frame as it is shown.
        problem: Why it cannot be read; empty if it can.
    """

    video: str
    path: Path
    size: int = 0
    duration: float = 0.0
    fps: float = 0.0
    width: int = 0
    height: int = 0
    problem: str = ''


class OfflineJob(ABC):
    """Work on videos, one at a time, of which many are under way at once.

    An instance may be pickled before :meth:`open`, which is called in the process that works.
    """

    #: How many videos are worked on at the same time.
    concurrency: int

    @property
    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """What results depend on, as JSON can hold it; its hash is the fingerprint of the job's folder."""

    @abstractmethod
    async def open(self) -> None:
        """Get ready: load a model, greet a server.

        Raises:
            UserError: If it cannot work at all: a wrong address, model or key.
            EngineDown: If what it needs is out of reach for now.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of what :meth:`open` took; also after it failed."""

    @abstractmethod
    async def healthy(self) -> bool:
        """Say whether what does the work is in reach; asked after :class:`EngineDown`, before videos go on."""

    @abstractmethod
    async def process(self, entry: VideoEntry) -> Sequence[Mapping[str, Any]]:
        """Work on a video.

        Returns:
            Its records as JSON can hold them, each with ``video`` and ``state``; they are written together.

        Raises:
            ItemFailed: If this video cannot be done.
            WorkerDied: If a process that worked on it died (:mod:`mmwtal.offline.pool`).
            EngineDown: If the video is to be tried again later.
            UserError: If no video can be done: the run stops.
        """

    @abstractmethod
    def unsuccessful(self, entry: VideoEntry, state: State, reason: str) -> Sequence[Mapping[str, Any]]:
        """Return the records of a video that failed or is quarantined."""

    @abstractmethod
    def unfinished(self, entries: Sequence[VideoEntry], again: frozenset[State]) -> list[VideoEntry]:
        """Return the videos that are still to do.

        Args:
            entries: Videos of the plan.
            again: States of records that count as not done.
        """
