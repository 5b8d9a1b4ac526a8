"""Ground truth: the columnar table that the rules work on, and reading it from an annotation file."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import numpy as np

from mmwtal.evaluation.json_source import Source, describe, read_object
from mmwtal.utils.errors import UserError
from mmwtal.utils.json_file import finite_numbers


def _no_segments() -> np.ndarray:
    return np.zeros((0, 2))


def _no_videos() -> np.ndarray:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class GroundTruth:
    """The instances of one subset.

    Args:
        subset: Its name.
        video_ids: The subset's videos, V, also those without an instance.
        classes: The classes with at least one instance, C.
        videos: Video of each instance, an index into ``video_ids``, int64, (M,).
        labels: Class of each instance, an index into ``classes``, int64, (M,).
        segments: Start and end in seconds, float64, (M, 2).
        known_classes: All classes that the file knows, also those without an instance in the subset.
        ambiguous_videos: Video of each ambiguous stretch, int64, (A,).
        ambiguous_segments: Start and end in seconds, float64, (A, 2).
    """

    subset: str
    video_ids: tuple[str, ...]
    classes: tuple[str, ...]
    videos: np.ndarray
    labels: np.ndarray
    segments: np.ndarray
    known_classes: frozenset[str]
    ambiguous_videos: np.ndarray = field(default_factory=_no_videos)
    ambiguous_segments: np.ndarray = field(default_factory=_no_segments)

    @property
    def video_list_hash(self) -> str:
        """Twelve hexadecimal digits that change with the set of videos, not with its order."""
        return sha256('\n'.join(sorted(self.video_ids)).encode(errors='backslashreplace')).hexdigest()[:12]

    def restricted_to(self, classes: Iterable[str]) -> 'GroundTruth':
        """Return the instances of some classes, in all videos; for a model that knows a part of the classes."""
        wanted = set(classes)
        kept = [index for index, name in enumerate(self.classes) if name in wanted]
        return self.of_instances(np.isin(self.labels, kept))

    def without(self, video_ids: Collection[str]) -> 'GroundTruth':
        """Return the ground truth without some videos, their instances and ambiguous stretches.

        Args:
            video_ids: Videos to leave out; those that are not in the subset do not matter.

        Raises:
            UserError: If no instance would be left.
        """
        kept = self.of_videos(np.array([video not in video_ids for video in self.video_ids], dtype=bool))
        if not kept.classes:
            raise UserError(f'all instances of subset {self.subset!r} lie in videos that are left out (blocked)')
        return kept

    def of_videos(self, wanted: np.ndarray) -> 'GroundTruth':
        """Return the ground truth of the videos that a boolean mask (V,) keeps."""
        number = np.cumsum(wanted) - 1
        stretches = wanted[self.ambiguous_videos]
        kept = replace(
            self,
            video_ids=tuple(video for video, keep in zip(self.video_ids, wanted, strict=True) if keep),
            videos=number[self.videos],
            ambiguous_videos=number[self.ambiguous_videos][stretches],
            ambiguous_segments=self.ambiguous_segments[stretches],
        )
        return kept.of_instances(wanted[self.videos])

    def of_instances(self, wanted: np.ndarray) -> 'GroundTruth':
        """Return the instances that a boolean mask (M,) keeps, and the classes that then have one."""
        labels = self.labels[wanted]
        occurring = np.unique(labels)
        return replace(
            self,
            classes=tuple(self.classes[label] for label in occurring),
            videos=self.videos[wanted],
            labels=np.searchsorted(occurring, labels),
            segments=self.segments[wanted],
        )


def read_ground_truth(source: Source, subset: str | None = None) -> GroundTruth:
    """Read the instances of one subset.

    Args:
        source: Path of an annotation file, or its content: ``{"database": {id: {"subset", "annotations": [{"label",
            "segment": [start, end]}], "ambiguous"?: [[start, end], ...]}}, "classes"?: [...]}``. Seconds may be texts.
        subset: Case does not matter, and ``testing`` is ``test``. By default ``test`` if there is one, else the only
            one.

    Raises:
        UserError: If the file cannot be read, is not of this form, holds a segment that is not finite or ends before it
            starts, or has no instance in the subset.
    """
    content, place = read_object(source, 'ground truth', key='database', other='results')
    database = content['database']
    subsets = {video: _subset_name(entry, f'{place}: video {video}') for video, entry in database.items()}
    chosen = _choose_subset(subsets, subset, place)
    video_ids = tuple(video for video, name in subsets.items() if name == chosen)

    videos: list[int] = []
    names: list[str] = []
    segments: list[Any] = []
    ambiguous_videos: list[int] = []
    ambiguous: list[Any] = []
    for index, video in enumerate(video_ids):
        annotations = _list_of(database[video], 'annotations', f'{place}: video {video}')
        names += _labels(annotations, f'{place}: video {video}')
        segments += [annotation.get('segment') for annotation in annotations]
        videos += [index] * len(annotations)
        stretches = _list_of(database[video], 'ambiguous', f'{place}: video {video}')
        ambiguous += stretches
        ambiguous_videos += [index] * len(stretches)
    if not names:
        counts: Counter[str] = Counter()
        for video, entry in database.items():
            counts[subsets[video]] += len(_as_list(entry.get('annotations')))
        having = ', '.join(f'{name} {count}' for name, count in counts.items()) or 'none in any subset'
        raise UserError(
            f'{place}: expected annotated instances in subset {chosen!r}, found none in its {len(video_ids)} videos; '
            f'choose another subset or file (instances by subset: {having})'
        )
    classes = tuple(sorted(set(names)))
    index_of = {name: i for i, name in enumerate(classes)}
    return GroundTruth(
        subset=chosen,
        video_ids=video_ids,
        classes=classes,
        videos=np.array(videos, dtype=np.int64),
        labels=np.array([index_of[name] for name in names], dtype=np.int64),
        segments=_segments(segments, videos, video_ids, f'{place}: "segment"'),
        known_classes=frozenset(classes) | _declared_classes(content, place) | _labels_elsewhere(database),
        ambiguous_videos=np.array(ambiguous_videos, dtype=np.int64),
        ambiguous_segments=_segments(ambiguous, ambiguous_videos, video_ids, f'{place}: "ambiguous"'),
    )


def _canonical(subset: str) -> str:
    name = subset.lower()
    return 'test' if name == 'testing' else name


def _subset_name(entry: Any, place: str) -> str:
    if not isinstance(entry, Mapping) or not isinstance(entry.get('subset'), str):
        raise UserError(f'{place}: expected an object with a text under "subset", found {describe(entry)}')
    return _canonical(entry['subset'])


def _choose_subset(subsets: Mapping[str, str], wanted: str | None, place: str) -> str:
    counts = Counter(subsets.values())
    there = ', '.join(f'{name} ({count} videos)' for name, count in counts.items()) or 'no video at all'
    if wanted is not None:
        if _canonical(wanted) not in counts:
            raise UserError(f'{place}: there is no subset {wanted!r}; it has {there}')
        return _canonical(wanted)
    if 'test' in counts or len(counts) == 1:
        return 'test' if 'test' in counts else next(iter(counts))
    raise UserError(f'{place}: expected a subset "test" or a single one, found {there}; name the subset to evaluate')


def _list_of(entry: Mapping[str, Any], key: str, place: str) -> list[Any]:
    value = entry.get(key, [])
    if not isinstance(value, list | tuple):
        raise UserError(f'{place}: expected a list under {key!r}, found {describe(value)}')
    return list(value)


def _labels(annotations: list[Any], place: str) -> list[str]:
    for number, annotation in enumerate(annotations):
        if not isinstance(annotation, Mapping) or not isinstance(annotation.get('label'), str):
            raise UserError(
                f'{place}, annotation {number}: expected {{"label": text, "segment": [start, end]}}, '
                f'found {describe(annotation)}'
            )
    return [annotation['label'] for annotation in annotations]


def _segments(values: list[Any], videos: list[int], video_ids: tuple[str, ...], place: str) -> np.ndarray:
    segments = finite_numbers(values, (2,))
    if segments is not None and (segments[:, 1] >= segments[:, 0]).all():
        return segments
    for value, video in zip(values, videos, strict=True):
        one = finite_numbers([value], (2,))
        if one is None or one[0, 1] < one[0, 0]:
            raise UserError(
                f'{place} of video {video_ids[video]}: expected [start, end] in seconds with start <= end, '
                f'found {describe(value)}; correct it in the file'
            )
    raise AssertionError('segments that pass one by one pass together')


def _declared_classes(content: Mapping[str, Any], place: str) -> frozenset[str]:
    classes = _list_of(content, 'classes', place)
    if not all(isinstance(name, str) for name in classes):
        raise UserError(f'{place}: expected a list of texts under "classes", found {describe(classes)}')
    return frozenset(classes)


def _labels_elsewhere(database: Mapping[str, Any]) -> frozenset[str]:
    """Return the labels of all subsets, as far as entries outside the one that is evaluated are well formed."""
    labels: set[str] = set()
    for entry in database.values():
        for annotation in _as_list(entry.get('annotations')):
            if isinstance(annotation, Mapping) and isinstance(annotation.get('label'), str):
                labels.add(annotation['label'])
        labels.update(label for label in _as_list(entry.get('labels')) if isinstance(label, str))
    return frozenset(labels)


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
