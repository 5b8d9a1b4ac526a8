"""The plan of a job: each video's file and what is known of it, made once for all runs and machines."""

import asyncio
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from mmwtal.offline.job import EngineDown, ItemFailed, VideoEntry
from mmwtal.offline.manifest import PLAN_NAME
from mmwtal.offline.pool import WorkerDied, WorkerPool
from mmwtal.offline.progress import Progress
from mmwtal.offline.video_files import FoundFiles, VideoFile, find_videos
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import content_digest, write_atomically
from mmwtal.utils.json_file import finite_number, read_json_object

_FORMAT = {'format': 'mmwtal video plan', 'version': 1}
# What an interrupted plan found; the next one takes it up.
UNFINISHED_NAME = f'.{PLAN_NAME}.unfinished'
_KEEP_SECONDS = 60.0
_FACTS = ('duration', 'fps', 'width', 'height')


class VideoFacts(Protocol):
    """What a probe finds; see :class:`~mmwtal.offline.job.VideoEntry`."""

    @property
    def duration(self) -> float:
        """Seconds."""

    @property
    def fps(self) -> float:
        """Mean frame rate."""

    @property
    def width(self) -> int:
        """Pixels as shown."""

    @property
    def height(self) -> int:
        """Pixels as shown."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The videos of a job.

    Args:
        root: The folder of their files.
        entries: Those that have a file, also one that cannot be read.
        missing: Ids of wanted videos without a file.
        duplicates: Ids of videos whose files have the same content.
        unasked: How many files of other videos are there.
        misnamed: Files whose names cannot be video ids, with the reason.
        modified: When each video's file was changed last, in nanoseconds, by id.
    """

    root: Path
    entries: tuple[VideoEntry, ...]
    missing: tuple[str, ...] = ()
    duplicates: tuple[tuple[str, ...], ...] = ()
    unasked: int = 0
    misnamed: tuple[str, ...] = ()
    modified: Mapping[str, int] = field(default_factory=dict)

    @property
    def unreadable(self) -> tuple[VideoEntry, ...]:
        """The videos that have a problem."""
        return tuple(entry for entry in self.entries if entry.problem)

    def write(self, store: Path, *, name: str = PLAN_NAME) -> None:
        """Write the plan into a job's folder; an earlier one is replaced as a whole.

        Raises:
            OSError: If it cannot be written.
        """
        videos = {
            entry.video: {
                'path': Path(os.path.relpath(entry.path, self.root)).as_posix(),
                'size': entry.size,
                'modified': self.modified.get(entry.video, 0),
                **{name: getattr(entry, name) for name in _FACTS},
                **({'problem': entry.problem} if entry.problem else {}),
            }
            for entry in self.entries
        }
        content = {
            **_FORMAT,
            'root': str(self.root),
            'missing': self.missing,
            'duplicates': self.duplicates,
            'unasked': self.unasked,
            'misnamed': self.misnamed,
            'videos': videos,
        }
        text = json.dumps(content, indent=1, allow_nan=False) + '\n'
        write_atomically(store / name, lambda file: file.write(text.encode()))


def read_plan(store: Path, root: Path | None = None, *, name: str = PLAN_NAME) -> Plan:
    """Read the plan of a job's folder.

    Args:
        store: The folder.
        root: Where the videos are on this machine; None for where they were when the plan was made.
        name: The plan's file, or :data:`UNFINISHED_NAME`.

    Raises:
        UserError: If there is no plan, or it is not one of this format.
    """
    path = store / name
    content = read_json_object(path, what='plan')
    if {key: content.get(key) for key in _FORMAT} != _FORMAT:
        raise UserError(f'{path} is no plan that this version reads, expected {_FORMAT}: remove it and make it again')
    try:
        folder = Path(content['root']) if root is None else root
        return Plan(
            root=folder,
            entries=tuple(_entry(video, facts, folder) for video, facts in content['videos'].items()),
            missing=tuple(content['missing']),
            duplicates=tuple(tuple(group) for group in content['duplicates']),
            unasked=int(content['unasked']),
            misnamed=tuple(content['misnamed']),
            modified={video: int(facts['modified']) for video, facts in content['videos'].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f'{path} is damaged ({type(error).__name__}: {error}): remove it and make the plan again'
        ) from None


def find_plan(store: Path, root: Path | None = None, *, name: str = PLAN_NAME) -> Plan | None:
    """Return the plan of a job's folder, None where there is none, as of imported texts; see :func:`read_plan`."""
    return read_plan(store, root, name=name) if (store / name).exists() else None


def _entry(video: str, facts: Mapping[str, Any], root: Path) -> VideoEntry:
    path = PurePosixPath(facts['path'])
    if path.is_absolute() or '..' in path.parts:
        raise ValueError(f'{path} leads out of the folder of videos')
    found = {name: facts[name] for name in ('size', *_FACTS)}
    if any(finite_number(value) is None or value < 0 for value in found.values()):
        raise ValueError(f'video {video!r} has {found}')
    return VideoEntry(video=video, path=root / path, problem=str(facts.get('problem', '')), **found)


def plan_videos(
    root: Path,
    wanted: Collection[str] | None,
    probe: Callable[[Path], VideoFacts],
    *,
    known: Plan | None = None,
    unreadable: type[Exception] = ItemFailed,
    workers: int = 2,
    timeout: float = 60.0,
    progress: Callable[[int], Progress] = Progress,
    keep: Callable[[Plan], object] | None = None,
) -> Plan:
    """Find the file of each video and look into it, in child processes that a corrupt file may end.

    Args:
        root: The folder that has the files, at any depth; see :func:`~mmwtal.offline.video_files.find_videos`.
        wanted: Ids of videos, as a mapping or a sequence; None for all that are there.
        probe: Looks into a file; a function that pickle finds by name.
        known: An earlier plan: readable files of it that did not change are not looked into again.
        unreadable: What ``probe`` raises where a file cannot be read, with the reason.
        workers: How many files are looked into at once.
        timeout: Seconds after which a file counts as one that cannot be read.
        progress: Makes what shows the progress, of the number of files.
        keep: Takes what is known so far, once a minute and when this ends early: as ``known`` it spares the next call
            that work.

    Raises:
        UserError: If there are two files for a video, or no videos at all.
    """
    root = Path(os.path.abspath(root))
    found = find_videos(root, wanted)
    if not found.files:
        those = 'no video' if wanted is None else f'none of the {len(wanted)} videos'
        raise UserError(f'{those} found below {root}: a file is named by its video id, with an ending such as .mp4')
    earlier = {} if known is None else _unchanged(known, found)
    new = {video: file for video, file in found.files.items() if video not in earlier}
    made = {video: replace(entry, path=root / found.files[video].path) for video, entry in earlier.items()}

    def so_far() -> Plan:
        return Plan(
            root=root,
            entries=tuple(made[video] for video in found.files if video in made),
            missing=found.missing,
            unasked=found.unasked,
            misnamed=found.misnamed,
            modified={video: found.files[video].modified for video in made},
        )

    shown, kept = progress(len(new)), time.monotonic()

    def done(entry: VideoEntry) -> None:
        nonlocal kept
        made[entry.video] = entry
        shown.done('failed' if entry.problem else 'ok')
        if keep is not None and time.monotonic() - kept >= _KEEP_SECONDS:
            keep(so_far())
            kept = time.monotonic()

    try:
        asyncio.run(_probe_all(root, new, probe, unreadable, workers, timeout, done))
    finally:
        shown.close()
        if keep is not None and len(made) < len(found.files):
            keep(so_far())
    return replace(so_far(), duplicates=_duplicates(made.values()))


def _unchanged(known: Plan, found: FoundFiles) -> dict[str, VideoEntry]:
    """Return the entries of readable files that did not change; what could not be read may be by now."""
    return {
        entry.video: entry
        for entry in known.entries
        if not entry.problem
        and (file := found.files.get(entry.video)) is not None
        and not file.problem
        and (file.size, file.modified) == (entry.size, known.modified.get(entry.video))
    }


async def _probe_all(
    root: Path,
    files: Mapping[str, VideoFile],
    probe: Callable[[Path], VideoFacts],
    unreadable: type[Exception],
    workers: int,
    timeout: float,
    done: Callable[[VideoEntry], None],
) -> None:
    pool = WorkerPool(probe, size=workers, timeout=timeout, name='video probe')

    async def one(video: str, file: VideoFile) -> None:
        entry = VideoEntry(video=video, path=root / file.path, size=file.size, problem=file.problem)
        if not entry.problem:
            try:
                facts = await pool.call(entry.path)
                found = {name: getattr(facts, name) for name in _FACTS}
                entry = replace(entry, **found)
            except (unreadable, WorkerDied) as error:
                entry = replace(entry, problem=str(error) or type(error).__name__)
        done(entry)

    tasks = [asyncio.create_task(one(video, file)) for video, file in files.items()]
    try:
        await asyncio.gather(*tasks)
    except EngineDown as error:
        raise UserError(f'videos cannot be looked into: {error}') from None
    finally:
        for task in tasks:
            task.cancel()
        await pool.close()


def _duplicates(entries: Iterable[VideoEntry]) -> tuple[tuple[str, ...], ...]:
    """Return groups of readable videos with the same content; only files of the same size are read."""
    by_size: dict[int, list[VideoEntry]] = defaultdict(list)
    for entry in entries:
        if not entry.problem:
            by_size[entry.size].append(entry)
    by_content: dict[str, list[str]] = defaultdict(list)
    for group in by_size.values():
        if len(group) > 1:
            for entry in group:
                # One that is gone since it was looked into is no duplicate; what asks for it will say so.
                with suppress(OSError):
                    by_content[content_digest(entry.path)].append(entry.video)
    return tuple(tuple(sorted(videos)) for videos in by_content.values() if len(videos) > 1)
