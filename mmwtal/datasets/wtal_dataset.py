"""The dataset: videos of one subset as snippet features and, for training, nothing but video labels."""

import logging
import operator
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmwtal.datasets.feature_streams import check_streams, stream_settings
from mmwtal.datasets.records import audit_values, make_record
from mmwtal.datasets.samplers.class_pair_sampler import Draw
from mmwtal.datasets.selection import check_labels, choose_videos, existing_root, long_enough
from mmwtal.formats.agreement import check_features
from mmwtal.formats.annotations import VideoAnnotation, read_annotations, subset_name
from mmwtal.formats.checks import CheckedVideo, CheckReport, check_videos, raise_faults
from mmwtal.formats.class_names import choose_classes
from mmwtal.formats.feature_files import feature_path
from mmwtal.formats.findings import faults, render
from mmwtal.formats.sidecar import check_timebase_setting, read_sidecar
from mmwtal.formats.video_scores import read_video_scores
from mmwtal.registry import DATASETS, TRANSFORMS, build_module
from mmwtal.utils.errors import UserError


@DATASETS.register_module()
class WTALDataset(BaseDataset):
    """Untrimmed videos with snippet features, for weakly-supervised temporal action localization.

    The data root holds ``annotations.json`` (see :func:`~mmwtal.formats.annotations.read_annotations`), one file
    ``features/<video_id>.npy`` (T, D) a video, float16 or float32, and ``features/features.json`` (see
    :func:`~mmwtal.formats.sidecar.read_sidecar`).

    Everything is checked before the first sample, and all faulty videos are reported at once. In training
    (``test_mode=False``) segments are dropped when the annotations are loaded: no record and no sample holds them.

    A record, which the pipeline gets, has ``video_id``, ``feature_path``, ``num_snippets``, ``feature_width``,
    ``label_ids`` int64 (K,), ``num_classes``, ``timebase``, ``rng`` (the generator of this draw) and, in test mode and
    if the annotation file has them, ``segments`` float64 (N, 2) in seconds and ``segment_label_ids`` int64 (N,); with
    ``external_scores`` also ``video_scores`` float64 (C,); with ``streams`` also ``streams``, path and width by name.

    Args:
        data_root: The folder of the data set; ``~`` is expanded, and the other paths are relative to it.
        subset: ``training``, ``validation`` or ``test``.
        ann_file: The annotation file.
        features: The folder of the features.
        metainfo: May give ``classes``, the class names in the order of the labels. By default those of the
            annotation file are used, and where it states none, all its labels in alphabetical order. Where the file
            states classes, a part of them may be given: labels of the others are dropped, and a video that has no
            others stays as a negative.
        pipeline: Transforms or their configs.
        test_mode: Whether segments are kept.
        timebase: ``dict(fps=..., stride=...[, window=...])`` for features without a sidecar; where the sidecar states
            a value too, the two must agree.
        in_channels: D, if it is to be enforced; by default the sidecar's, or what most files agree on.
        expected_features: Further values that the sidecar must state, such as ``dict(model=dict(rgb='InceptionI3D'),
            crop='center')``; see :mod:`~mmwtal.formats.agreement`.
        external_scores: A JSON file ``{video_id: {label: score}}`` with scores of the videos from elsewhere, which
            decoding uses in place of the model's own; only in test mode. See
            :func:`~mmwtal.formats.video_scores.read_video_scores`.
        streams: Folders of further features of the same snippets by name, such as ``dict(clip='features-clip')``, for
            guidance; only in training. They are checked and sampled with the features, and in the data samples under
            their names.
        on_fault: ``raise`` to refuse a data set with faulty videos, ``skip`` to leave them out with a warning.
        min_snippets: Videos with fewer are left out, with a message.
        blocked: File of ids of videos that are left out, with a message; see
            :func:`~mmwtal.formats.video_list.read_video_list`. Give the metric the same.
        lazy_init: Whether to put off reading and checking until the data are first used.

    Raises:
        UserError: If the data cannot be used; see above.
    """

    data_root: str
    ann_file: str
    data_prefix: dict[str, str]

    # Time grid of feature sets that are released without a sidecar; a sidecar takes precedence.
    DEFAULT_TIMEBASE: ClassVar[Mapping[str, float]] = {}
    # Videos whose released segments lie beyond their end; these segments are kept, and noted.
    KNOWN_OUTSIDE: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        *,
        data_root: str | Path,
        subset: str,
        ann_file: str | Path = 'annotations.json',
        features: str | Path = 'features',
        metainfo: Mapping[str, Any] | None = None,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        timebase: Mapping[str, float] | None = None,
        in_channels: int | None = None,
        expected_features: Mapping[str, Any] | None = None,
        external_scores: str | Path | None = None,
        streams: Mapping[str, str | Path] | None = None,
        on_fault: Literal['raise', 'skip'] = 'raise',
        min_snippets: int = 1,
        blocked: str | Path | None = None,
        lazy_init: bool = False,
    ) -> None:
        if on_fault not in ('raise', 'skip'):
            raise UserError(f"on_fault must be 'raise' or 'skip', found {on_fault!r}")
        self.subset = subset_name(subset) or subset
        self.timebase_setting = None if timebase is None else check_timebase_setting(timebase)
        self.in_channels = in_channels
        self.expected_features = expected_features or {}
        if external_scores is not None and not test_mode:
            raise UserError('external_scores are for testing: set them of a dataset with test_mode=True')
        self.external_scores = None if external_scores is None else Path(external_scores)
        self.streams = stream_settings(streams)
        self._stream_widths: dict[str, int] = {}
        self.on_fault, self.min_snippets, self.blocked = on_fault, min_snippets, blocked
        self._feature_width = 0
        self._left_out: tuple[str, ...] = ()
        self._modalities: dict[str, int] | None = None
        super().__init__(
            ann_file=str(ann_file),
            metainfo=metainfo,
            data_root=str(data_root),
            data_prefix={'features': str(features)},
            # Built here, because mmengine looks them up in the scope that happens to be current.
            pipeline=[build_module(transform, TRANSFORMS) for transform in pipeline],
            test_mode=test_mode,
            lazy_init=lazy_init,
        )

    @property
    def feature_width(self) -> int:
        """D of the features."""
        self.full_init()
        return self._feature_width

    @property
    def stream_widths(self) -> dict[str, int]:
        """Width of each further stream of features, by name."""
        self.full_init()
        return dict(self._stream_widths)

    @property
    def modalities(self) -> dict[str, int] | None:
        """Width of each modality, in the order of the channels, as the sidecar states them; None if it does not."""
        self.full_init()
        return self._modalities

    @property
    def left_out(self) -> tuple[str, ...]:
        """Ids of the faulty videos that ``on_fault='skip'`` left out."""
        self.full_init()
        return self._left_out

    @property
    def video_ids(self) -> list[str]:
        """The ids of the videos, in the order of the samples."""
        return [self.get_data_info(index)['video_id'] for index in range(len(self))]

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the class indices of a video; empty for a negative video."""
        return self.get_data_info(idx)['label_ids'].tolist()

    def __getitem__(self, idx: int | Draw) -> Any:
        """Return a sample.

        Args:
            idx: The index of a video, or a draw of a batch sampler, which also seeds the transforms.

        Raises:
            UserError: If the features cannot be read, or a transform gives nothing. Another video is never taken in
                its place.
        """
        self.full_init()
        return self.prepare_data(idx)

    def prepare_data(self, idx: int | Draw) -> Any:
        """Return the record of a video after the pipeline; see :meth:`__getitem__`."""
        index = idx.index if isinstance(idx, Draw) else operator.index(idx)
        record = self.get_data_info(index)
        record['num_classes'] = len(self._metainfo['classes'])
        record['feature_width'] = self._feature_width
        if self.streams:
            paths = {name: str(feature_path(folder, record['video_id'])) for name, folder in self.streams.items()}
            record['streams'] = {name: (path, self._stream_widths[name]) for name, path in paths.items()}
        record['rng'] = np.random.default_rng(idx.seed if isinstance(idx, Draw) else self._seed_of(index))
        sample = self.pipeline(record)
        if sample is None:
            raise UserError(f'video {record["video_id"]}: a transform of the pipeline gave no sample')
        return sample

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return the record of a video.

        Args:
            idx: Its index; negative values count from the end.

        Raises:
            IndexError: If there is no such video.
        """
        count = len(self)
        if not -count <= idx < count:
            raise IndexError(f'index {idx} in a dataset of {count} videos')
        return super().get_data_info(idx % count)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the annotations, check everything and return the records of the subset."""
        folder = Path(self.data_prefix['features'])
        annotations = read_annotations(Path(self.ann_file))
        given = self._metainfo.get('classes')
        self._metainfo['classes'] = classes = choose_classes(annotations, given)
        if given is None and annotations.classes is None:
            self._log(f'{self.ann_file} states no classes: its {len(classes)} labels in alphabetical order are used')
        known = {*classes, *(annotations.classes or ())}
        blocked = None if self.blocked is None else Path(self.data_root, self.blocked).expanduser()
        chosen = choose_videos(annotations, self.subset, blocked=blocked)
        origin = f'subset {self.subset!r} in {self.ann_file}'
        videos = self._sound_videos(self._check(chosen, known, folder), folder, origin)
        check_labels(videos, classes, origin=origin, needed=not self.test_mode)
        class_index = {name: position for position, name in enumerate(classes)}
        records = [make_record(video, class_index, with_segments=self.test_mode) for video in videos]
        if self.external_scores is not None:
            ids = [record['video_id'] for record in records]
            scores = read_video_scores(self.external_scores, video_ids=ids, classes=classes)
            for record, row in zip(records, scores, strict=True):
                record['video_scores'] = row
        return records

    def _sound_videos(self, report: CheckReport, folder: Path, origin: str) -> list[CheckedVideo]:
        """Return the videos without a fault; raise or log the faults, as ``on_fault`` says, and log the notes."""
        sound = {video.annotation.video_id: video for video in report.videos}
        lengths = {name: video.num_snippets for name, video in sound.items()}
        long = {name: length for name, length in lengths.items() if length >= self.min_snippets}
        streams = check_streams(self.streams, long)
        findings = report.findings + audit_values(folder, list(sound)) + streams.findings
        found = faults(findings)
        if self.on_fault == 'raise':
            raise_faults(findings, origin=origin, total=report.total)
        for finding in found:
            sound.pop(finding.video_id, None)
        sound = long_enough(sound, self.min_snippets, origin=origin)
        if not sound or report.width is None:
            raise UserError(f'no video of {origin} can be used:\n{render(found, limit=20)}')
        if found:
            faulty = len({finding.video_id for finding in found})
            self._log(
                f'{faulty} of {report.total} videos of {origin} left out:\n{render(found, limit=None)}', logging.WARNING
            )
        notes = Counter(finding.kind for finding in findings if not finding.kind.is_fault)
        for kind, count in notes.items():
            self._log(f'{origin}: {kind.heading}, in {count} videos')
        self._feature_width = report.width
        self._stream_widths = streams.widths
        self._left_out = tuple(dict.fromkeys(finding.video_id for finding in found))
        return list(sound.values())

    def _join_prefix(self) -> None:
        root = existing_root(self.data_root)
        self.data_root = str(root)
        self.ann_file = str(root / Path(self.ann_file).expanduser())
        if self.external_scores is not None:
            self.external_scores = root / self.external_scores.expanduser()
        self.streams = {name: root / path for name, path in self.streams.items()}
        self.data_prefix = {key: str(root / Path(path).expanduser()) for key, path in self.data_prefix.items()}

    def _check(self, videos: Sequence[VideoAnnotation], classes: Collection[str], folder: Path) -> CheckReport:
        if not folder.is_dir():
            raise UserError(f'feature folder {folder} does not exist')
        sidecar = read_sidecar(folder)
        fallback = self.DEFAULT_TIMEBASE if self.timebase_setting is None else self.timebase_setting
        width = check_features(
            sidecar,
            folder,
            timebase=self.timebase_setting,
            fallback=fallback,
            in_channels=self.in_channels,
            expected=self.expected_features,
            video_ids=[video.video_id for video in videos],
        )
        self._modalities = None if sidecar is None else sidecar.widths_of_modalities or None
        self.feature_facts = {} if sidecar is None else sidecar.facts
        return check_videos(
            videos,
            folder=folder,
            classes=classes,
            sidecar=sidecar,
            fallback=fallback,
            width=width,
            known_outside=self.KNOWN_OUTSIDE,
        )

    def _seed_of(self, index: int) -> Sequence[int]:
        # A test sample is always the same; a training sample that a plain sampler draws follows numpy's global seed.
        return (index,) if self.test_mode else np.random.randint(2**32, size=4, dtype=np.uint32).tolist()

    @staticmethod
    def _log(message: str, level: int = logging.INFO) -> None:
        print_log(message, logger='current', level=level)
