"""Reading ``annotations.json``: ActivityNet-style JSON into checked records, one a video."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmwtal.formats.findings import Finding, Kind, shown
from mmwtal.utils.errors import UserError
from mmwtal.utils.json_file import JsonObject, finite_number, json_type, positive_number, read_json_object

SUBSETS = ('training', 'validation', 'test')
# Most file systems allow 255 bytes for a name; the features append '.npy'.
_MAX_ID_BYTES = 250

_Report = Callable[[Kind, str], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class VideoAnnotation:
    """What the annotation file says of one video.

    Args:
        video_id: Its id, which is also the name of its feature file.
        subset: One of ``SUBSETS``; None if the entry states none that is known, or several.
        duration: Seconds; None if not stated.
        labels: Classes that occur in it, without repetition: ``labels`` of the entry if given, else those of its
            segments. Empty for a negative video.
        segments: Start and end in seconds, float64, (N, 2); None if the entry has no ``annotations``.
        segment_labels: The class of each segment, N.
        ambiguous: Stretches that cannot be judged, seconds, float64, (M, 2).
        findings: What is wrong with the entry.
    """

    video_id: str
    subset: str | None
    duration: float | None
    labels: tuple[str, ...]
    segments: np.ndarray | None
    segment_labels: tuple[str, ...]
    ambiguous: np.ndarray
    findings: tuple[Finding, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class AnnotationSet:
    """A whole annotation file.

    Args:
        path: The file.
        classes: Its ``classes``; None if not stated.
        videos: Its videos by id, in the order of the file, faulty ones included.
    """

    path: Path
    classes: tuple[str, ...] | None
    videos: dict[str, VideoAnnotation]

    def in_subset(self, subset: str) -> list[VideoAnnotation]:
        """Return the videos of a subset, and the faulty ones that may belong to any."""
        return [video for video in self.videos.values() if video.subset in (subset, None)]

    def subset_counts(self) -> dict[str, int]:
        """Return the number of videos of each subset that is present."""
        counts = Counter(video.subset for video in self.videos.values())
        return {subset: counts[subset] for subset in SUBSETS if counts[subset]}

    def all_labels(self) -> list[str]:
        """Return every label that the file mentions, sorted."""
        return sorted({label for video in self.videos.values() for label in (*video.labels, *video.segment_labels)})


def subset_name(name: object) -> str | None:
    """Return the canonical name of a subset ("testing" is read as "test"); None if it is not known."""
    lowered = name.lower() if isinstance(name, str) else ''
    lowered = 'test' if lowered == 'testing' else lowered
    return lowered if lowered in SUBSETS else None


def video_id_problem(video_id: str) -> str | None:
    """Return why a video id cannot be the name of a file below the data root; None if it can."""
    if not video_id.strip() or video_id in ('.', '..'):
        return 'an id needs a visible character, and must not be "." or ".."'
    if any(separator in video_id for separator in '/\\'):
        return 'an id must not hold "/" or "\\": its files would leave their folder'
    if not video_id.isprintable():
        return 'an id must not hold control or other unprintable characters'
    if len(video_id.encode()) > _MAX_ID_BYTES:
        return f'an id must not be longer than {_MAX_ID_BYTES} bytes'
    return None


def read_annotations(path: Path) -> AnnotationSet:
    """Read an annotation file.

    The format is ``{"classes"?: [...], "database": {id: {"subset", "duration"?, "annotations"?: [{"label", "segment"}],
    "labels"?: [...], "ambiguous"?: [[start, end], ...]}}}``, times in seconds. Other keys are ignored.

    Args:
        path: The file.

    Returns:
        Its content. What is wrong with single videos is in their ``findings``.

    Raises:
        UserError: If the file as a whole cannot be read: not JSON, no database, bad ``classes``.
    """
    content = read_json_object(path, what='annotation file')
    database = content.get('database')
    if not isinstance(database, JsonObject):
        found = 'no such key' if 'database' not in content else json_type(database)
        raise UserError(f'annotation file {path}: expected {{"database": {{video id: {{...}}}}}}, found {found}')
    classes = content.get('classes')
    if classes is not None:
        classes = class_names(classes, origin=f'"classes" of annotation file {path}')
    duplicates = set(database.duplicates)
    videos = {video_id: _read_video(video_id, entry, video_id in duplicates) for video_id, entry in database.items()}
    return AnnotationSet(path=path, classes=classes, videos=videos)


def class_names(value: object, *, origin: str) -> tuple[str, ...]:
    """Return checked class names.

    Args:
        value: What should be a list of distinct names.
        origin: Where it was written, for messages.

    Raises:
        UserError: If it is not a non-empty list of distinct, non-empty strings.
    """
    if not isinstance(value, list | tuple) or not value or not all(isinstance(name, str) and name for name in value):
        raise UserError(f'{origin} must be a non-empty list of class names, found {value!r:.200}')
    twice = [name for name, count in Counter(value).items() if count > 1]
    if twice:
        raise UserError(f'{origin} names the class {shown(twice[0])} more than once')
    return tuple(value)


def _read_video(video_id: str, entry: object, duplicate: bool) -> VideoAnnotation:
    findings: list[Finding] = []

    def report(kind: Kind, detail: str) -> None:
        findings.append(Finding(kind=kind, video_id=video_id, detail=detail))

    problem = video_id_problem(video_id)
    if problem:
        report(Kind.BAD_ID, problem)
    if duplicate:
        report(Kind.DUPLICATE, 'the id has more than one entry in "database"')
    if not isinstance(entry, JsonObject):
        report(Kind.MALFORMED, f'the entry must be an object, found {json_type(entry)}')
        entry = JsonObject([('subset', None)])
    elif subset_name(entry.get('subset')) is None:
        report(Kind.SUBSET, f'"subset" is {entry.get("subset")!r:.80}')
    for key in entry.duplicates:
        report(Kind.MALFORMED, f'the key {key!r} is given more than once')
    duration = positive_number(entry.get('duration'))
    if duration is None and entry.get('duration') is not None:
        report(Kind.MALFORMED, f'"duration" must be a positive number of seconds, found {entry["duration"]!r:.80}')
    segments, segment_labels = _read_segments(entry.get('annotations'), report)
    if segments is not None:
        _check_segments(segments, duration, report)
    labels = _read_labels(entry.get('labels'), report)
    return VideoAnnotation(
        video_id=video_id,
        # An id with two entries may belong to any subset, so that it is reported whichever is loaded.
        subset=None if duplicate else subset_name(entry.get('subset')),
        duration=duration,
        labels=tuple(dict.fromkeys(segment_labels if labels is None else labels)),
        segments=segments,
        segment_labels=segment_labels,
        ambiguous=_read_ambiguous(entry.get('ambiguous'), report),
        findings=tuple(findings),
    )


def _read_segments(value: object, report: _Report) -> tuple[np.ndarray | None, tuple[str, ...]]:
    if value is None:
        return None, ()
    if not isinstance(value, list):
        report(Kind.MALFORMED, f'"annotations" must be a list, found {json_type(value)}')
        return None, ()
    segments, labels = [], []
    for number, instance in enumerate(value):
        segment = _segment(instance.get('segment')) if isinstance(instance, JsonObject) else None
        label = instance.get('label') if isinstance(instance, JsonObject) else None
        if segment is None or not isinstance(label, str) or not label:
            expected = '{"label": name, "segment": [start, end]} with times in seconds'
            report(Kind.MALFORMED, f'"annotations"[{number}] must be {expected}, found {instance!r:.120}')
            continue
        segments.append(segment)
        labels.append(label)
    return np.array(segments, dtype=np.float64).reshape(-1, 2), tuple(labels)


def _segment(value: object) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    start, end = finite_number(value[0]), finite_number(value[1])
    return None if start is None or end is None else (start, end)


def _check_segments(segments: np.ndarray, duration: float | None, report: _Report) -> None:
    start, end = segments.T
    last = np.inf if duration is None else duration
    outside = (start < 0) | (start >= last)
    whole = '' if duration is None else f' of {duration:g} s'
    found = {
        Kind.REVERSED: (end < start, 'ends before it starts'),
        Kind.OUTSIDE: (outside, f'does not start within the video{whole}'),
        Kind.PAST_END: (~outside & (end > last), f'ends after the video{whole}'),
        Kind.ZERO_LENGTH: (end == start, 'has no length'),
    }
    for kind, (at, what) in found.items():
        if at.any():
            count = int(at.sum())
            first = segments[at][0].tolist()
            report(kind, f'segment {first} {what}' + (f'; so do {count - 1} more' if count > 1 else ''))


def _read_labels(value: object, report: _Report) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(label, str) and label for label in value):
        report(Kind.MALFORMED, f'"labels" must be a list of class names, found {value!r:.120}')
        return None
    return value


def _read_ambiguous(value: object, report: _Report) -> np.ndarray:
    stretches = [_segment(stretch) for stretch in value] if isinstance(value, list) else []
    if (value is not None and not isinstance(value, list)) or None in stretches:
        report(Kind.MALFORMED, f'"ambiguous" must be a list of [start, end] in seconds, found {value!r:.120}')
        stretches = []
    return np.array(stretches, dtype=np.float64).reshape(-1, 2)
