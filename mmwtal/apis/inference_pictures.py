"""The picture of what inference finds in a video."""

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


def result_page(found: Localized, classes: tuple[str, ...]) -> Page:
    """Return the page of what was found in a video, with frames of it and what is known of it, where they are there."""
    rows = [TimelineRow(name='model', actions=found.actions)]
    if found.source.truth is not None:
        rows.insert(0, TimelineRow(name='ground truth', actions=known_actions(found.source.truth), known=True))
    shown_classes = Timeline(video=found.source.name, duration=found.duration, rows=rows).classes
    columns = [classes.index(label) for label in shown_classes if label in classes]
    cas = found.cas[:, columns]
    bounds = (float(cas.min()), float(cas.max())) if cas.size else (0.0, 1.0)
    curves = [
        TimelineCurve(name='CAS', times=found.times, values=found.cas[:, column], label=classes[column], bounds=bounds)
        for column in columns
    ]
    curves.append(TimelineCurve(name='attention', times=found.times, values=found.attention))
    return timeline_page(
        Timeline(
            video=found.source.name,
            duration=found.duration,
            rows=rows,
            curves=curves,
            thumbnails=[] if found.source.video is None else thumbnails(found.source.video, found.duration),
            note=f'{found.duration:.1f} s, {len(found.actions)} actions found; a bar is as high as its score',
        )
    )


def known_actions(annotation: VideoAnnotation) -> list[Action]:
    """Return the annotated actions of a video."""
    if annotation.segments is None:
        return []
    pairs = zip(annotation.segments.tolist(), annotation.segment_labels, strict=True)
    return [Action(label=label, start=start, end=end, score=1.0) for (start, end), label in pairs]


def thumbnails(path: Path, duration: float) -> list[np.ndarray]:
    """Return the frames in the middles of equal parts of a video; none where one cannot be read."""
    times = (np.arange(_THUMBNAILS) + 0.5) * duration / _THUMBNAILS
    try:
        return list(read_frames(path, times.tolist(), short_side=_SHORT_SIDE).frames)
    except VideoError:
        return []
