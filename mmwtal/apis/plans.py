"""The plan of a job in its folder: begun, taken up where it was interrupted, extended."""

import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from mmwtal.offline.plan import UNFINISHED_NAME, Plan, find_plan, plan_videos
from mmwtal.offline.progress import Progress
from mmwtal.video.probe import probe_video
from mmwtal.video.source import VideoError


class Store(Protocol):
    """The folder of a job's records, and what else the job leaves."""

    @property
    def folder(self) -> Path:
        """The folder of the records."""

    def check(self, job: Mapping[str, Any] | None) -> None:
        """Check, without writing anything, that it can be a job's, of whichever if that is None."""

    def is_of(self, job: Mapping[str, Any]) -> bool:
        """Return whether it is a job's already."""

    def clear(self) -> None:
        """Remove what a job left."""

    def begin(self, job: Mapping[str, Any]) -> None:
        """Make it a job's."""


def plan_in_store(
    store: Store,
    job: Mapping[str, Any],
    videos: Path,
    wanted: Collection[str] | None,
    *,
    workers: int,
    overwrite: bool = False,
) -> Plan:
    """Find and probe videos, and begin a store; an earlier or interrupted plan of its job is taken up.

    Args:
        store: The store.
        job: The job's identity.
        videos: The folder of videos.
        wanted: Their ids; None for all that are there.
        workers: Processes that probe.
        overwrite: Replace a store of another job; one of this job is kept.

    Raises:
        UserError: If the store is of another job, a video has two files, or no video is there.
    """
    folder = store.folder
    store.check(None if overwrite else job)
    replaced = overwrite and not store.is_of(job)
    known = None if replaced else find_plan(folder, videos)
    known = find_plan(folder, videos, name=UNFINISHED_NAME) or known

    def keep(plan: Plan) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        plan.write(folder, name=UNFINISHED_NAME)

    plan = plan_videos(
        videos,
        wanted,
        probe_video,
        known=known,
        unreadable=VideoError,
        workers=workers,
        progress=lambda total: Progress(total, stream=sys.stderr),
        keep=keep,
    )
    # Only now: no mistake in what the plan is made of costs the records that are there.
    if replaced:
        store.clear()
    store.begin(job)
    plan.write(folder)
    (folder / UNFINISHED_NAME).unlink(missing_ok=True)
    return plan
