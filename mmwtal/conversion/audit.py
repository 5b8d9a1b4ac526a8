"""The audit of a conversion: counts, durations, what was dropped, changed or is peculiar, as data and as text."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmwtal.formats.annotations import SUBSETS
from mmwtal.structures.timebase import Timebase

# How far the features may end from the video's end before the audit mentions it: snippets, and part of the duration.
_SPAN_SNIPPETS = 2
_SPAN_PART = 0.02
# Released times carry the noise of their making (6.195294851794072): instances are the same to the microsecond.
_DIGITS = 6

_NOTES = {
    'zero_length_instances': 'instances of zero length',
    'duplicate_instances': 'instances given more than once',
    'instances_beyond_duration': 'instances that end after the video',
    'videos_without_labels': 'videos without labels',
    'videos_without_duration': 'videos without duration',
    'multi_label_videos': 'videos with several labels',
    'labels_unlike_instances': 'videos whose labels are not those of their instances',
    'features_unlike_duration': 'videos whose features span more or less time than the duration says',
}


@dataclass(kw_only=True)
class ConversionLog:
    """What a converter reports of its work.

    Args:
        converter: Its name.
        sources: What it read, or the settings that it wrote from: file paths and values by name.
        dropped: What did not come along: ``{"what", "why"}``.
        changed: What was altered on the way: ``{"what", "why"}``.
        remarks: What a user should know beside that.
    """

    converter: str
    sources: dict[str, Any]
    dropped: list[dict[str, str]] = field(default_factory=list)
    changed: list[dict[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def drop(self, what: str, why: str) -> None:
        """Record something that was left out."""
        self.dropped.append({'what': what, 'why': why})

    def change(self, what: str, why: str) -> None:
        """Record something that was altered."""
        self.changed.append({'what': what, 'why': why})


def make_audit(
    log: ConversionLog,
    *,
    database: Mapping[str, Mapping[str, Any]],
    classes: Sequence[str],
    sidecar: Mapping[str, Any] | None,
    dtypes: Mapping[str, str],
) -> dict[str, Any]:
    """Count what a data root holds.

    Args:
        log: What the converter reports.
        database: The ``database`` of ``annotations.json``.
        classes: The class names.
        sidecar: The content of ``features.json``; None if no features were written.
        dtypes: The dtype of each video's features.

    Returns:
        The audit, ready for JSON: ``subsets`` (counts, seconds, snippets, counts by class), ``timebase``,
        ``features``, ``dropped``, ``changed``, ``remarks`` and ``notes`` (lists by kind).
    """
    stated = (
        {} if sidecar is None else {name: sidecar['videos'][name] for name in database if name in sidecar['videos']}
    )
    snippets = {name: video['snippets'] for name, video in stated.items()}
    subsets: dict[str, Any] = {}
    for subset in SUBSETS:
        videos = {name: entry for name, entry in database.items() if entry['subset'] == subset}
        if videos:
            subsets[subset] = _subset_counts(videos, classes, [snippets[name] for name in videos if name in snippets])
    audit: dict[str, Any] = {
        'converter': log.converter,
        'sources': log.sources,
        'classes': list(classes),
        'subsets': subsets,
    }
    if sidecar is not None:
        audit['timebase'] = {key: sidecar.get(key) for key in ('fps', 'stride', 'window')}
        overrides = sum(any(key in video for key in ('fps', 'stride', 'window')) for video in stated.values())
        audit['timebase']['videos_with_their_own'] = overrides
        audit['features'] = {'files': len(dtypes), 'width': sidecar['width'], 'dtypes': dict(Counter(dtypes.values()))}
    # Once each: adding features to a data root keeps the remarks that its annotations got.
    remarks = list(dict.fromkeys([*log.remarks, *_peculiarities(database, classes)]))
    audit.update(dropped=log.dropped, changed=log.changed, remarks=remarks)
    audit['notes'] = _notes(database, sidecar)
    return audit


def video_labels(entry: Mapping[str, Any]) -> list[str]:
    """Return the labels of a database entry: ``labels`` if given, else those of its instances, without repetition."""
    return list(dict.fromkeys(entry.get('labels', [instance['label'] for instance in entry['annotations']])))


def shortened(names: Sequence[str]) -> str:
    """Return the first names of a list as text."""
    return ', '.join(names[:5]) + (', ...' if len(names) > 5 else '')


def _peculiarities(database: Mapping[str, Mapping[str, Any]], classes: Sequence[str]) -> list[str]:
    """Return remarks on what is probably a mistake of the annotations."""
    remarks = []
    outside = [
        f'{name} [{start:g}, {end:g}] of {entry["duration"]:g} s'
        for name, entry in database.items()
        for start, end in (instance['segment'] for instance in entry['annotations'])
        if start >= entry.get('duration', math.inf)
    ]
    if outside:
        remarks.append(f'to mend: {len(outside)} instances lie wholly outside their video: {shortened(outside)}')
    alike: dict[str, list[str]] = {}
    for name in classes:
        alike.setdefault(name.casefold(), []).append(name)
    for names in alike.values():
        if len(names) > 1:
            remarks.append(f'classes that differ only in case, perhaps one and the same: {", ".join(names)}')
    return remarks


def _subset_counts(
    videos: Mapping[str, Mapping[str, Any]], classes: Sequence[str], snippets: Sequence[int]
) -> dict[str, Any]:
    labels = [video_labels(entry) for entry in videos.values()]
    in_videos = Counter(label for names in labels for label in names)
    in_instances = Counter(instance['label'] for entry in videos.values() for instance in entry['annotations'])
    return {
        'videos': len(videos),
        'instances': in_instances.total(),
        'videos_without_labels': sum(not names for names in labels),
        'multi_label_videos': sum(len(names) > 1 for names in labels),
        'duration': _spread([entry['duration'] for entry in videos.values() if 'duration' in entry]),
        'snippets': _spread(snippets),
        'classes': {name: {'videos': in_videos[name], 'instances': in_instances[name]} for name in classes},
    }


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    figures = {'min': min(values), 'median': float(np.median(values)), 'max': max(values), 'total': sum(values)}
    return {name: round(value, 3) for name, value in figures.items()}


def _notes(database: Mapping[str, Mapping[str, Any]], sidecar: Mapping[str, Any] | None) -> dict[str, list[str]]:
    notes: dict[str, list[str]] = {kind: [] for kind in _NOTES}
    for name, entry in database.items():
        instances = [(instance['label'], *instance['segment']) for instance in entry['annotations']]
        duration = entry.get('duration', math.inf)
        if duration == math.inf:
            notes['videos_without_duration'].append(name)
        for label, start, end in instances:
            if start == end:
                notes['zero_length_instances'].append(_instance_text(name, label, start, end))
            if end > duration:
                notes['instances_beyond_duration'].append(
                    f'{_instance_text(name, label, start, end)} of {duration:g} s'
                )
        rounded = Counter((label, round(start, _DIGITS), round(end, _DIGITS)) for label, start, end in instances)
        notes['duplicate_instances'] += [
            f'{_instance_text(name, *instance)}, {count} times' for instance, count in rounded.items() if count > 1
        ]
        labels = video_labels(entry)
        if not labels:
            notes['videos_without_labels'].append(name)
        if len(labels) > 1:
            notes['multi_label_videos'].append(f'{name}: {", ".join(labels)}')
        of_instances = list(dict.fromkeys(label for label, *_ in instances))
        if instances and set(labels) != set(of_instances):
            text = f'{name}: labels {", ".join(labels) or "none"}; instances {", ".join(of_instances)}'
            notes['labels_unlike_instances'].append(text)
        if sidecar is not None and name in sidecar['videos'] and 'duration' in entry:
            notes['features_unlike_duration'] += _span_note(name, entry['duration'], sidecar)
    return notes


def _instance_text(name: str, label: str, start: float, end: float) -> str:
    return f'{name}: {label} [{start:g}, {end:g}]'


def _span_note(name: str, duration: float, sidecar: Mapping[str, Any]) -> list[str]:
    grid = {key: value for key, value in sidecar.items() if key in ('fps', 'stride', 'window')}
    grid |= {key: value for key, value in sidecar['videos'][name].items() if key in ('fps', 'stride', 'window')}
    timebase = Timebase(**grid)
    end = float(timebase.to_seconds(sidecar['videos'][name]['snippets']))
    if abs(end - duration) <= max(_SPAN_SNIPPETS * timebase.seconds_per_snippet, _SPAN_PART * duration):
        return []
    return [f'{name}: features end at {end:.1f} s, the video at {duration:.1f} s']


def format_audit(audit: Mapping[str, Any], *, limit: int = 5) -> str:
    """Return an audit as a text for people.

    Args:
        audit: What :func:`make_audit` returned.
        limit: How many entries of each list are shown; the rest is counted.
    """
    lines = [f'converted by {audit["converter"]}']
    if 'timebase' in audit:
        lines += _format_features(audit)
    else:
        lines.append('features       none written')
    lines += ['', *_format_subsets(audit['subsets']), '', *_format_classes(audit['classes'], audit['subsets'])]
    for title in ('dropped', 'changed'):
        entries = [f'{entry["what"]}: {entry["why"]}' for entry in audit[title]]
        lines += ['', *_format_list(title, entries, limit)]
    for kind, heading in _NOTES.items():
        if audit['notes'][kind]:
            lines += ['', *_format_list(f'noted: {heading}', audit['notes'][kind], limit)]
    if audit['remarks']:
        lines += ['', *_format_list('remarks', audit['remarks'], len(audit['remarks']))]
    return '\n'.join(lines)


def _format_features(audit: Mapping[str, Any]) -> list[str]:
    grid, features = audit['timebase'], audit['features']
    common = ', '.join(f'{key} {grid[key]:g}' for key in ('fps', 'stride', 'window') if grid[key] is not None)
    own = f'; {grid["videos_with_their_own"]} videos with their own' if grid['videos_with_their_own'] else ''
    dtypes = ', '.join(f'{count} {name}' for name, count in features['dtypes'].items())
    return [
        f'time grid      {common}{own}',
        f'features       {features["files"]} files ({dtypes}), width {features["width"]}',
    ]


def _format_subsets(subsets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    figures = '(min / median / max / total)'
    rows = [
        ['subset', 'videos', 'instances', 'no label', 'several', f'seconds {figures}', f'snippets {figures}'],
    ]
    for name, counts in subsets.items():
        spreads = [
            '-' if counts[key] is None else ' / '.join(f'{value:.{digits}f}' for value in counts[key].values())
            for key, digits in (('duration', 1), ('snippets', 0))
        ]
        keys = ('videos', 'instances', 'videos_without_labels', 'multi_label_videos')
        rows.append([name, *(str(counts[key]) for key in keys), *spreads])
    return _table(rows)


def _format_classes(classes: Iterable[str], subsets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    rows = [['class', *(f'{subset} {what}' for subset in subsets for what in ('videos', 'instances'))]]
    for name in classes:
        counts = [subsets[subset]['classes'][name] for subset in subsets]
        rows.append([name, *(str(count[what]) for count in counts for what in ('videos', 'instances'))])
    return _table(rows)


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ['  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _format_list(title: str, entries: Sequence[str], limit: int) -> list[str]:
    lines = [f'{title} ({len(entries)})', *(f'  {entry}' for entry in entries[:limit])]
    return lines if len(entries) <= limit else [*lines, f'  ... and {len(entries) - limit} more in audit.json']
