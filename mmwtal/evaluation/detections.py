"""Detections: the columnar table that the rules work on, and reading it from a result file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmwtal.evaluation.json_source import Source, describe, read_object
from mmwtal.utils.errors import UserError
from mmwtal.utils.json_file import finite_numbers


@dataclass(frozen=True, kw_only=True, eq=False)
class Detections:
    """Predictions for any number of videos.

    Args:
        video_ids: Names of the videos, V.
        classes: Names of the classes, C.
        videos: Video of each detection, an index into ``video_ids``, int64, (N,).
        labels: Class of each detection, an index into ``classes``, int64, (N,).
        segments: Start and end in seconds, float64, (N, 2).
        scores: float64, (N,).
        place: Where they are from, for messages.

    Raises:
        ValueError: If the columns differ in length or an index is out of range.
        UserError: If a number is not finite or a segment ends before it starts; the message names the video.
    """

    video_ids: tuple[str, ...]
    classes: tuple[str, ...]
    videos: np.ndarray
    labels: np.ndarray
    segments: np.ndarray
    scores: np.ndarray
    place: str = 'predictions'

    def __post_init__(self) -> None:
        for name, dtype in (('videos', np.int64), ('labels', np.int64), ('segments', float), ('scores', float)):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=dtype))
        n = len(self.scores)
        if self.videos.shape != (n,) or self.labels.shape != (n,) or self.segments.shape != (n, 2):
            raise ValueError(
                f'{self.place}: videos {self.videos.shape}, labels {self.labels.shape}, segments '
                f'{self.segments.shape} and scores {self.scores.shape} do not fit (N,), (N,), (N, 2), (N,)'
            )
        for name, column, names in (
            ('videos', self.videos, self.video_ids),
            ('labels', self.labels, self.classes),
        ):
            if n and not 0 <= column.min() <= column.max() < len(names):
                raise ValueError(f'{self.place}: {name} must be in 0 ... {len(names) - 1}')
        fine = np.isfinite(self.segments).all(axis=1) & np.isfinite(self.scores)
        fine &= self.segments[:, 1] >= self.segments[:, 0]
        if not fine.all():
            row = int(np.argmin(fine))
            raise UserError(
                f'{self.place}: video {self.video_ids[self.videos[row]]}: expected a finite score and a segment '
                f'[start, end] in seconds with start <= end, found score {self.scores[row]:g} and segment '
                f'{self.segments[row].tolist()}; {int((~fine).sum())} of {n} predictions are like that'
            )

    def to_dict(self, *, version: str) -> dict[str, Any]:
        """Return the content of an ActivityNet result file, with every video, also one without a detection.

        Args:
            version: What wrote it.
        """
        results: dict[str, list[dict[str, Any]]] = {video: [] for video in self.video_ids}
        rows = zip(
            self.videos.tolist(), self.labels.tolist(), self.segments.tolist(), self.scores.tolist(), strict=True
        )
        for video, label, segment, score in rows:
            results[self.video_ids[video]].append({'label': self.classes[label], 'segment': segment, 'score': score})
        return {'version': version, 'results': results, 'external_data': {}}

    def select(self, keep: np.ndarray) -> 'Detections':
        """Return the detections that a boolean mask (N,) keeps, or those of given rows (n,), in their order."""
        return Detections(
            video_ids=self.video_ids,
            classes=self.classes,
            videos=self.videos[keep],
            labels=self.labels[keep],
            segments=self.segments[keep],
            scores=self.scores[keep],
            place=self.place,
        )


def read_detections(source: Source) -> Detections:
    """Read an ActivityNet result file.

    Args:
        source: Its path or its content: ``{"results": {video: [{"label", "segment": [start, end], "score"}]}}``, in
            seconds. The order of the detections is kept: it decides between equal scores.

    Raises:
        UserError: If the file cannot be read or is not of this form, a score or a time is not a finite number, or a
            segment ends before it starts. The message names file, video and place in its list.
    """
    content, place = read_object(source, 'predictions', key='results', other='database')
    results = content['results']
    names: list[str] = []
    segments: list[Any] = []
    scores: list[Any] = []
    counts: list[int] = []
    for video, items in results.items():
        if not isinstance(items, list | tuple):
            raise UserError(f'{place}: video {video}: expected a list of predictions, found {describe(items)}')
        try:
            names += [item['label'] for item in items]
            segments += [item['segment'] for item in items]
            scores += [item['score'] for item in items]
        except (KeyError, TypeError, IndexError):
            _raise_first_fault(results, place)
        counts.append(len(items))

    times, points = finite_numbers(segments, (2,)), finite_numbers(scores, ())
    classes = tuple(dict.fromkeys(names)) if all(isinstance(name, str) for name in names) else None
    if times is None or points is None or classes is None or (times[:, 1] < times[:, 0]).any():
        _raise_first_fault(results, place)
        raise AssertionError('predictions that pass one by one pass together')
    index_of = {name: i for i, name in enumerate(classes)}
    return Detections(
        video_ids=tuple(results),
        classes=classes,
        videos=np.repeat(np.arange(len(counts)), counts),
        labels=np.array([index_of[name] for name in names], dtype=np.int64),
        segments=times,
        scores=points,
        place=place,
    )


def _raise_first_fault(results: Mapping[str, Any], place: str) -> None:
    for video, items in results.items():
        for number, item in enumerate(items):
            where = f'{place}: video {video}, prediction {number}'
            if not isinstance(item, Mapping) or not {'label', 'segment', 'score'} <= item.keys():
                raise UserError(
                    f'{where}: expected {{"label": text, "segment": [start, end], "score": number}}, '
                    f'found {describe(item)}'
                )
            if not isinstance(item['label'], str):
                raise UserError(f'{where}: expected a class name under "label", found {describe(item["label"])}')
            if finite_numbers([item['score']], ()) is None:
                raise UserError(f'{where}: expected a finite number under "score", found {describe(item["score"])}')
            times = finite_numbers([item['segment']], (2,))
            if times is None or times[0, 1] < times[0, 0]:
                raise UserError(
                    f'{where}: expected [start, end] in seconds with start <= end under "segment", '
                    f'found {describe(item["segment"])}'
                )
