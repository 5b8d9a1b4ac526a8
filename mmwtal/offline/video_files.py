"""Finding the files of videos below a folder."""

import os
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from mmwtal.formats.annotations import video_id_problem
from mmwtal.formats.findings import shown
from mmwtal.offline.ledger import raise_problems
from mmwtal.utils.errors import UserError

SUFFIXES = frozenset(('.mp4', '.mkv', '.avi', '.webm', '.mov', '.m4v', '.mpg', '.mpeg', '.flv', '.wmv', '.ts'))


@dataclass(frozen=True, kw_only=True)
class VideoFile:
    """The file of a video.

    Args:
        path: Its name below the folder.
        size: Its bytes.
        modified: When it was changed last, in nanoseconds.
        problem: Why it must not be opened; empty if it may be.
    """

    path: str
    size: int = 0
    modified: int = 0
    problem: str = ''


@dataclass(frozen=True, kw_only=True)
class FoundFiles:
    """What is found below a folder.

    Args:
        files: The files of videos by id, ids in their order.
        missing: Wanted videos without a file.
        unasked: How many files of videos nobody asked for.
        misnamed: Files whose names cannot be video ids, with the reason.
    """

    files: dict[str, VideoFile]
    missing: tuple[str, ...]
    unasked: int
    misnamed: tuple[str, ...]


def find_videos(root: Path, wanted: Collection[str] | None) -> FoundFiles:
    """Find videos' files: those whose names without ending are the ids, at any depth.

    Hidden folders are skipped, hidden files unless a wanted id begins with a dot; links to folders are not followed.
    A link to a file counts where it leads to one below ``root``. The composed and the decomposed form of an accented
    letter are the same, since file systems change one into the other.

    Args:
        root: The folder.
        wanted: Video ids; None for all that is there.

    Raises:
        UserError: If the folder cannot be read, or there are two files for a video.
    """
    if not root.is_dir():
        raise UserError(f'the folder of videos {root} does not exist, or is no folder')
    by_stem = _by_stem(root, frozenset() if wanted is None else frozenset(map(_composed, wanted)))
    misnamed: list[str] = []
    if wanted is None:
        for stem in sorted(by_stem):
            if problem := video_id_problem(stem):
                misnamed += [f'{shown(path)}: {problem}' for path in by_stem[stem]]
        ids = {stem: stem for stem in sorted(by_stem) if not video_id_problem(stem)}
    else:
        ids = {_composed(video): video for video in wanted}
    clashes = [_clash(ids[stem], _distinct(root, by_stem[stem])) for stem in ids if len(by_stem.get(stem, ())) > 1]
    raise_problems(f'videos below {root}', [clash for clash in clashes if clash])
    files = {video: _described(root, by_stem[stem][0]) for stem, video in ids.items() if stem in by_stem}
    return FoundFiles(
        files=files,
        missing=tuple(video for stem, video in ids.items() if stem not in by_stem),
        unasked=0 if wanted is None else sum(len(paths) for stem, paths in by_stem.items() if stem not in ids),
        misnamed=tuple(misnamed),
    )


def _by_stem(root: Path, wanted: Collection[str]) -> dict[str, list[str]]:
    """Return the files below a folder by their names without ending; hidden ones only if they are wanted."""
    found: dict[str, list[str]] = defaultdict(list)

    def fail(error: OSError) -> None:
        raise UserError(f'the folder of videos {error.filename} cannot be read: {error.strerror}')

    for folder, folders, names in os.walk(root, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        for name in sorted(names):
            stem, suffix = os.path.splitext(name)
            stem = _composed(stem)
            if suffix.lower() in SUFFIXES and (not name.startswith('.') or stem in wanted):
                found[stem].append(os.path.relpath(os.path.join(folder, name), root))
    return dict(found)


def _composed(name: str) -> str:
    return unicodedata.normalize('NFC', name)


def _distinct(root: Path, paths: list[str]) -> list[str]:
    """Leave out links to a file that is there too."""
    return list({os.path.realpath(root / path): path for path in reversed(paths)}.values())[::-1]


def _clash(video: str, paths: list[str]) -> str:
    if len(paths) < 2:
        return ''
    return f'{shown(video)} has {len(paths)} files, {", ".join(map(shown, paths))}: keep one, or rename the others'


def _described(root: Path, path: str) -> VideoFile:
    real_root, real = os.path.realpath(root), os.path.realpath(root / path)
    if os.path.commonpath([real_root, real]) != real_root:
        return VideoFile(path=path, problem=f'is a link that leads out of {root}: copy the file, or name its folder')
    try:
        facts = os.stat(real)
    except OSError as error:
        return VideoFile(path=path, problem=f'cannot be read: {error.strerror}')
    if not stat.S_ISREG(facts.st_mode):
        return VideoFile(path=path, problem='is no regular file')
    problem = '' if facts.st_size else 'the file is empty'
    return VideoFile(path=path, size=facts.st_size, modified=facts.st_mtime_ns, problem=problem)
