"""Writing annotations in the formats that other projects read; pure functions from an annotation set to contents."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from mmwtal.conversion.label_csv import LABEL_SEPARATOR
from mmwtal.conversion.thumos_text import AMBIGUOUS
from mmwtal.formats.annotations import AnnotationSet, VideoAnnotation
from mmwtal.formats.findings import shown
from mmwtal.utils.errors import UserError

# THUMOS14's names for the subsets, as they stand in the names of its files.
_THUMOS_SUBSETS = {'training': 'val', 'validation': 'val', 'test': 'test'}


def activitynet_json(annotations: AnnotationSet, *, subsets: Mapping[str, str]) -> dict[str, Any]:
    """Return the content of a ground-truth file in ActivityNet's layout, with an empty taxonomy.

    Args:
        annotations: The annotations.
        subsets: The name of each of our subsets; those that are not named keep theirs, but for ``test``, which
            ActivityNet calls ``testing``.
    """
    names = {'test': 'testing', **subsets}
    database = {
        name: {**_duration(video), 'subset': _subset(video, names), 'annotations': _instances(video)}
        for name, video in annotations.videos.items()
    }
    return {'version': 'VERSION 1.3', 'taxonomy': [], 'database': database}


def actionformer_json(
    annotations: AnnotationSet, *, classes: Sequence[str], subsets: Mapping[str, str], fps: float
) -> dict[str, Any]:
    """Return the content of an annotation file as ActionFormer reads it.

    Args:
        annotations: The annotations.
        classes: The class names; ``label_id`` counts in their order.
        subsets: The name of each of our subsets; those that are not named keep theirs.
        fps: Frames a second of the videos, which ``segment(frames)`` counts in.

    Raises:
        UserError: If a video has no duration.
    """
    _require_durations(annotations)
    ids = {label: number for number, label in enumerate(classes)}
    database = {}
    for name, video in annotations.videos.items():
        instances = [
            {
                'label': instance['label'],
                'segment': instance['segment'],
                'segment(frames)': [time * fps for time in instance['segment']],
                'label_id': ids[instance['label']],
            }
            for instance in _instances(video)
        ]
        database[name] = {
            'subset': _subset(video, subsets),
            'duration': video.duration,
            'fps': fps,
            'annotations': instances,
        }
    return {'version': 'mmwtal', 'database': database}


def opentad_json(annotations: AnnotationSet, *, subsets: Mapping[str, str], fps: float) -> dict[str, Any]:
    """Return the content of an annotation file as OpenTAD reads it; ambiguous stretches come as its class "Ambiguous".

    Args:
        annotations: The annotations.
        subsets: The name of each of our subsets; those that are not named keep theirs.
        fps: Frames a second of the videos, which the number of frames follows from.

    Raises:
        UserError: If a video has no duration.
    """
    _require_durations(annotations)
    database = {}
    for name, video in annotations.videos.items():
        ambiguous = [{'label': AMBIGUOUS, 'segment': stretch} for stretch in video.ambiguous.tolist()]
        duration = 0.0 if video.duration is None else video.duration
        database[name] = {
            'duration': duration,
            'frame': round(duration * fps),
            'subset': _subset(video, subsets),
            'annotations': [*_instances(video), *ambiguous],
        }
    return {'version': {}, 'taxonomy': {}, 'database': database}


def thumos_texts(annotations: AnnotationSet, *, classes: Sequence[str]) -> dict[str, str]:
    """Return the text files of the THUMOS14 challenge by their names, ``CLASS_test.txt`` and ``CLASS_val.txt``.

    Args:
        annotations: The annotations.
        classes: The class names; each gets its files, also one without an instance.

    Raises:
        UserError: If a class name or a video id cannot stand in these files.
    """
    for name in (*classes, *annotations.videos):
        if not name.isprintable() or any(character.isspace() or character in '/\\' for character in name):
            raise UserError(f'{shown(name)}: a name with spaces or slashes cannot stand in THUMOS14 text files')
    suffixes = {_THUMOS_SUBSETS[subset] for subset in annotations.subset_counts()}
    files = [f'{label}_{suffix}.txt' for suffix in suffixes for label in (*classes, AMBIGUOUS)]
    lines: dict[str, list[str]] = {name: [] for name in files}
    for name, video in annotations.videos.items():
        suffix = _THUMOS_SUBSETS[video.subset or 'test']
        stretches = [(i['label'], i['segment']) for i in _instances(video)]
        for label, (start, end) in [*stretches, *((AMBIGUOUS, stretch) for stretch in video.ambiguous.tolist())]:
            lines[f'{label}_{suffix}.txt'].append(f'{name}  {start!r} {end!r}')
    return {name: ''.join(f'{line}\n' for line in content) for name, content in lines.items()}


def csv_texts(annotations: AnnotationSet) -> dict[str, str]:
    """Return the CSV files that ``tools/dataset_converters/custom.py`` reads, by their names.

    ``labels.csv`` has the labels of the training videos, ``segments.csv`` the instances of all others and
    ``durations.csv`` the durations as far as they are known.

    Raises:
        UserError: If a class name holds the separator of labels.
    """
    for label in annotations.all_labels():
        if LABEL_SEPARATOR in label:
            raise UserError(f'{shown(label)}: a class name with {LABEL_SEPARATOR!r} cannot stand in a CSV of labels')
    labels: list[list[str]] = [['video', 'label']]
    segments: list[list[str]] = [['video', 'start', 'end', 'label']]
    for name, video in annotations.videos.items():
        if video.subset == 'training':
            labels.append([name, LABEL_SEPARATOR.join(video.labels)])
            continue
        rows = [[name, *map(repr, i['segment']), i['label']] for i in _instances(video)]
        segments += rows or [[name, '', '', '']]
    known = [[name, repr(video.duration)] for name, video in annotations.videos.items() if video.duration is not None]
    files = {'labels.csv': labels, 'segments.csv': segments, 'durations.csv': [['video', 'duration'], *known]}
    return {name: to_csv(rows) for name, rows in files.items()}


def left_out(annotations: AnnotationSet, layout: str) -> list[str]:
    """Return what the files of a layout cannot hold, in words.

    Args:
        annotations: The annotations.
        layout: ``activitynet``, ``actionformer``, ``opentad``, ``thumos14`` or ``csv``.
    """
    videos = annotations.videos.values()
    of_instances = [video for video in videos if set(video.labels) != set(video.segment_labels)]
    if layout == 'csv':
        of_instances = [video for video in of_instances if video.subset != 'training']
    lost = [(len(of_instances), 'videos whose labels are not those of their instances: the labels')]
    if layout not in ('opentad', 'thumos14'):
        lost.append((sum(len(video.ambiguous) for video in videos), 'ambiguous stretches'))
    if layout == 'thumos14':
        empty = sum(not len(video.segment_labels) for video in videos)
        lost += [(len(annotations.videos), 'durations'), (empty, 'videos without an instance')]
    if layout == 'csv':
        train = sum(len(video.segment_labels) for video in videos if video.subset == 'training')
        lost.append((train, 'segments of training videos'))
    return [f'{count} {what}' for count, what in lost if count]


def to_csv(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as CSV text."""
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(rows)
    return text.getvalue()


def _instances(video: VideoAnnotation) -> list[dict[str, Any]]:
    segments = [] if video.segments is None else video.segments.tolist()
    return [{'label': label, 'segment': segment} for label, segment in zip(video.segment_labels, segments, strict=True)]


def _subset(video: VideoAnnotation, names: Mapping[str, str]) -> str:
    subset = video.subset or 'test'
    return names.get(subset, subset)


def _duration(video: VideoAnnotation) -> dict[str, float]:
    return {} if video.duration is None else {'duration': video.duration}


def _require_durations(annotations: AnnotationSet) -> None:
    missing = [name for name, video in annotations.videos.items() if video.duration is None]
    if missing:
        raise UserError(
            f'{annotations.path}: {len(missing)} videos have no duration, which this layout needs, the first is '
            f'{shown(missing[0])}: convert with --durations'
        )
