"""The picture of what models find in a video."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from mmwtal.apis.localized import Localized
from mmwtal.formats.action_texts import Action
from mmwtal.formats.annotations import VideoAnnotation
from mmwtal.video.container import VideoError
from mmwtal.video.reader import read_frames
from mmwtal.visualization.page import Page
from mmwtal.visualization.timeline import timeline_page
from mmwtal.visualization.timeline_data import Timeline, TimelineCurve, TimelineRow

_THUMBNAILS, _SHORT_SIDE = 12, 120


def result_page(found: Localized) -> Page:
    """Return the page of what a model found in a video, beside what is known of it and frames, where they are there."""
    source, count = found.source, len(found.actions)
    counted = f'{count} action{"" if count == 1 else "s"} found'
    return timeline_page(
        make_timeline(
            source.name,
            found.duration,
            {'model': found},
            truth=source.truth,
            video=source.video,
            note=f'{found.duration:.1f} s, {counted}; a bar is as high as its score',
        )
    )


def make_timeline(
    name: str,
    duration: float,
    found: Mapping[str, Localized | Sequence[Action]],
    *,
    truth: VideoAnnotation | None = None,
    video: Path | None = None,
    note: str = '',
) -> Timeline:
    """Return the time line of a video.

    Args:
        name: Its id.
        duration: Seconds.
        found: What each model found, by the model's name: with curves, or actions alone.
        truth: What is known of it.
        video: Its file, for thumbnails.
        note: Words below the title.
    """
    rows = [] if truth is None else [TimelineRow(name='ground truth', actions=_known_actions(truth), known=True)]
    for model, one in found.items():
        rows.append(TimelineRow(name=model, actions=one.actions if isinstance(one, Localized) else one))
    labels = Timeline(video=name, duration=duration, rows=rows).classes
    models = {model: one for model, one in found.items() if isinstance(one, Localized)}
    curves = [
        curve
        for model, one in models.items()
        for curve in _curves(one, labels, suffix=f', {model}' if len(found) > 1 else '')
    ]
    thumbnails = [] if video is None else _thumbnails(video, duration)
    return Timeline(video=name, duration=duration, rows=rows, curves=curves, thumbnails=thumbnails, note=note)


def _curves(found: Localized, labels: Sequence[str], *, suffix: str) -> Iterator[TimelineCurve]:
    """Yield the CAS of each class, all on one scale, and the attention."""
    columns = {label: found.cas[:, found.classes.index(label)] for label in labels if label in found.classes}
    if columns:
        bounds = (float(min(map(np.min, columns.values()))), float(max(map(np.max, columns.values()))))
    for label, values in columns.items():
        yield TimelineCurve(name=f'CAS{suffix}', times=found.times, values=values, label=label, bounds=bounds)
    yield TimelineCurve(name=f'attention{suffix}', times=found.times, values=found.attention)


def _known_actions(annotation: VideoAnnotation) -> list[Action]:
    if annotation.segments is None:
        return []
    pairs = zip(annotation.segments.tolist(), annotation.segment_labels, strict=True)
    return [Action(label=label, start=start, end=end, score=1.0) for (start, end), label in pairs]


def _thumbnails(path: Path, duration: float) -> list[np.ndarray]:
    """Return the frames in the middles of equal parts of a video; none where one cannot be read."""
    times = (np.arange(_THUMBNAILS) + 0.5) * duration / _THUMBNAILS
    try:
        return list(read_frames(path, times.tolist(), short_side=_SHORT_SIDE).frames)
    except VideoError:
        return []
