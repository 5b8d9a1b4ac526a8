"""The metric that the Runner uses: mAP under a named rule."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from logging import WARNING
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmwtal.evaluation.detections import Detections
from mmwtal.evaluation.evaluator import evaluate
from mmwtal.evaluation.ground_truth import GroundTruth, read_ground_truth
from mmwtal.evaluation.protocols import get_protocol
from mmwtal.evaluation.result import EvaluationResult
from mmwtal.evaluation.tious import parse_tious
from mmwtal.evaluation.video_lists import VIDEO_LISTS, get_video_list
from mmwtal.formats.video_list import read_video_list
from mmwtal.registry import METRICS
from mmwtal.utils.errors import UserError
from mmwtal.version import __version__

VideoDetections = tuple[str, np.ndarray, np.ndarray, np.ndarray]
"""Video id, segments (N, 2) in seconds, scores (N,), labels (N,)."""


@METRICS.register_module()
class WTALMetric(BaseMetric):
    """Mean average precision of temporal detections.

    The ground truth is read from the annotation file at construction, so that a fault in it shows before any training;
    samples carry predictions only. Every rank hands in all it has; a video that comes twice, because a sampler padded
    the ranks to one length, counts once.

    After :meth:`evaluate`, rank 0 has ``result``, an :class:`EvaluationResult`, and ``predictions``, the content of an
    ActivityNet result file, with the videos in alphabetical order. Elsewhere both are None.

    Args:
        data_root: Root of the dataset.
        ann_file: Annotation file, relative to ``data_root`` or absolute.
        subset: Its subset to evaluate.
        protocol: Name of the rule; see :mod:`mmwtal.evaluation.protocols`.
        tious: Thresholds, as numbers or as ``'START:STOP:STEP'``; the rule's own by default.
        videos: The videos to evaluate: the name of a list, see :mod:`mmwtal.evaluation.video_lists`, or a file with one
            id a line, relative to ``data_root`` or absolute; by default the whole subset.
        blocked: File of ids of videos that do not count, relative to ``data_root`` or absolute; see
            :func:`~mmwtal.formats.video_list.read_video_list`. Instances and predictions in them are left out, with a
            message; the hash of the video list changes with it.
        prefix: Put before the names of the returned values, with a slash.

    Raises:
        UserError: If the annotation file, the subset, the rule, the list of videos or a threshold is faulty.
    """

    default_prefix = ''  # None would make mmengine warn

    def __init__(
        self,
        *,
        data_root: str,
        ann_file: str = 'annotations.json',
        subset: str = 'test',
        protocol: str = 'wtal_grid',
        tious: str | Iterable[float] | None = None,
        videos: str | None = None,
        blocked: str | Path | None = None,
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix=prefix)
        self.protocol = get_protocol(protocol)
        self.tious = parse_tious(self.protocol.default_tious if tious is None else tious)
        root = Path(data_root).expanduser()
        self.ground_truth = read_ground_truth(root / ann_file, subset)
        self._blocked = frozenset(() if blocked is None else read_video_list(root / Path(blocked).expanduser()))
        if self._blocked:
            every = self.ground_truth
            self.ground_truth = every.without(self._blocked)
            count = len(every.video_ids) - len(self.ground_truth.video_ids)
            message = f'{count} of {len(every.video_ids)} videos of the ground truth left out: in {blocked}'
            print_log(message, logger='current')
        self.videos = None
        if videos is not None:
            self.videos = get_video_list(videos if videos in VIDEO_LISTS else root / videos)
        evaluated = self.ground_truth if self.videos is None else self.videos.apply(self.ground_truth)
        self.video_ids = evaluated.video_ids
        self.results: list[VideoDetections] = []
        self.result: EvaluationResult | None = None
        self.predictions: dict[str, Any] | None = None

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Take over the predictions of a batch.

        Args:
            data_batch: Not used.
            data_samples: Data samples, or dicts of their fields, with ``video_id`` and ``pred_instances``.
        """
        for sample in data_samples:
            fields = sample.to_dict() if isinstance(sample, BaseDataElement) else sample
            instances = fields['pred_instances']
            self.results.append(
                (
                    fields['video_id'],
                    _to_array(instances['segments'], np.float64).reshape(-1, 2),
                    _to_array(instances['scores'], np.float64),
                    _to_array(instances['labels'], np.int64),
                )
            )

    def evaluate(self, size: int) -> dict[str, float]:
        """Gather the predictions of all ranks and evaluate them on rank 0.

        Args:
            size: Samples of the whole dataset. mmengine's metrics cut off padding by it; here the video ids tell.

        Returns:
            ``mAP@TIOU`` for each threshold and ``average``, in percent, on every rank.

        Raises:
            UserError: On every rank, if no video of the subset was predicted or a prediction is not finite.
        """
        gathered = all_gather_object(self.results)
        self.results = []
        self.result = self.predictions = None
        outcome: list[dict[str, float] | UserError | None] = [None]
        if is_main_process():
            try:
                outcome = [self.compute_metrics([video for part in gathered for video in part])]
            except UserError as error:
                # The other ranks wait for the outcome below; they must learn of a failure too.
                outcome = [error]
        broadcast_object_list(outcome)
        if isinstance(outcome[0], UserError):
            raise outcome[0]
        values = outcome[0] or {}
        return {f'{self.prefix}/{name}' if self.prefix else name: value for name, value in values.items()}

    def compute_metrics(self, results: list[VideoDetections]) -> dict[str, float]:
        """Evaluate the predictions of all ranks; a video's first entry counts."""
        by_video = {entry[0]: entry for entry in reversed(results) if entry[0] not in self._blocked}
        self._check_videos(by_video)
        detections = self._detections([by_video[video] for video in sorted(by_video)])
        # A class that the model knows is not an unknown one, also where the annotation file never mentions it.
        truth = replace(
            self._truth_for(detections.classes),
            known_classes=self.ground_truth.known_classes | frozenset(detections.classes),
        )
        self.result = evaluate(detections, truth, protocol=self.protocol, tious=self.tious, videos=self.videos)
        self.predictions = detections.to_dict(version=f'mmwtal {__version__}')
        pairs = zip(self.result.tious, self.result.mAP, strict=True)
        return {**{f'mAP@{tiou:g}': value for tiou, value in pairs}, 'average': self.result.average}

    def _truth_for(self, classes: Sequence[str]) -> GroundTruth:
        """Return the ground truth of the dataset's classes, which may be a part of those of the annotation file."""
        truth = self.ground_truth.restricted_to(classes)
        if not truth.classes:
            raise UserError(
                f'WTALMetric: none of the classes of the dataset ({", ".join(classes[:5])}, ...) has an instance in '
                f'subset {truth.subset!r}; give dataset and metric the same annotation file'
            )
        left_out = len(self.ground_truth.segments) - len(truth.segments)
        if left_out:
            print_log(
                f'{left_out} instances of {len(self.ground_truth.classes) - len(truth.classes)} classes outside '
                f'metainfo["classes"] of the dataset are left out of the ground truth: this result is for '
                f'{len(truth.classes)} classes and not comparable with one for all',
                logger='current',
                level=WARNING,
            )
        return truth

    def _check_videos(self, by_video: dict[str, VideoDetections]) -> None:
        expected = self.video_ids
        missing = [video for video in expected if video not in by_video]
        if len(missing) == len(expected):
            raise UserError(
                f'WTALMetric: none of the {len(expected)} videos of subset {self.ground_truth.subset!r} was predicted; '
                f'expected ids such as {expected[0]}, found {sorted(by_video)[:3] or "no prediction at all"}; '
                'give dataset and metric the same annotation file and subset'
            )
        if missing:
            names = ', '.join(missing[:5]) + (', ...' if len(missing) > 5 else '')
            print_log(
                f'{len(missing)} of {len(expected)} videos of the ground truth got no prediction sample, so all their '
                f'instances count as missed: {names}',
                logger='current',
                level=WARNING,
            )

    def _detections(self, videos: list[VideoDetections]) -> Detections:
        classes = tuple((self.dataset_meta or {}).get('classes') or ())
        for video, _, _, labels in videos:
            if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
                raise UserError(
                    f'WTALMetric: video {video}: expected labels below {len(classes)}, the number of classes in the '
                    f"dataset's metainfo, found {labels.max()}; model and dataset must have the same classes"
                )
        return Detections(
            video_ids=tuple(video for video, *_ in videos),
            classes=classes,
            videos=np.repeat(np.arange(len(videos)), [len(scores) for _, _, scores, _ in videos]),
            segments=np.concatenate([segments for _, segments, _, _ in videos]),
            scores=np.concatenate([scores for _, _, scores, _ in videos]),
            labels=np.concatenate([labels for _, _, _, labels in videos]),
        )


def _to_array(values: Any, dtype: type) -> np.ndarray:
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
    return np.asarray(array, dtype=dtype)
