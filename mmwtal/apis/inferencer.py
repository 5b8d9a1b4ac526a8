"""Localizing actions in a user's own videos, without a Runner, a process group, a GPU or any guidance."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.infer import BaseInferencer

from mmwtal.apis.inference_inputs import InferenceInput, Input, InputFinder, with_videos
from mmwtal.apis.inference_settings import (
    Extractor,
    build_extractor,
    class_names_of,
    grid_without_sidecar,
    test_pipeline,
)
from mmwtal.apis.localized import FAILURES, Failure, Localized, localized
from mmwtal.apis.localizer import build_from_checkpoint, check_device
from mmwtal.apis.provenance import model_meta
from mmwtal.apis.settings import prepare_config
from mmwtal.engine.checkpoint import FEATURES, find_checkpoint, read_checkpoint
from mmwtal.formats.feature_facts import check_same_features, feature_facts
from mmwtal.formats.feature_files import map_features
from mmwtal.registry import SCOPE
from mmwtal.structures import Timebase, WTALDataSample
from mmwtal.utils.compat import prepare
from mmwtal.utils.config.digest import config_sha256
from mmwtal.utils.config.options import apply_cfg_options
from mmwtal.utils.errors import UserError


@dataclass(frozen=True, kw_only=True, eq=False)
class _Prepared:
    source: InferenceInput
    data: dict[str, Any]


_Batch = list[_Prepared | Failure]


class WTALInferencer(BaseInferencer):
    """Localizes actions in videos, or in features of videos, by mmengine's conventions for inferencers.

    ``inferencer(inputs)`` returns everything at once; :meth:`find` and :meth:`localize` give one video after the other,
    in memory that does not grow with their number. A video that fails never stops the others.

    Args:
        config: The config that the model was trained with: its file, or what ``prepare_config`` made of it.
        checkpoint: A checkpoint, or a work dir, whose newest checkpoint is taken.
        extractor: Makes the features of videos: a config of ``configs/features/``, the extractor's own config, or the
            extractor. None: inputs must be features.
        device: Where the models run; a GPU, where there is one, by default.
        scope: Registry scope of the model.
        cfg_options: Dotted keys and the values that replace those of the config.
        score_threshold: Actions with a lower score are left out.
        top_k: So many actions of a video are kept, those with the highest scores.
        progress: Is told up to which second of a video its features have been made.

    Raises:
        UserError: If config or checkpoint is wrong, or the extractor makes features unlike those of the training.
    """

    preprocess_kwargs: set = {'data_root', 'videos'}
    visualize_kwargs: set = {'return_vis'}

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path,
        *,
        extractor: str | Path | Mapping[str, Any] | Extractor | None = None,
        device: str | torch.device | None = None,
        scope: str = SCOPE,
        cfg_options: Mapping[str, Any] | None = None,
        score_threshold: float | None = None,
        top_k: int | None = None,
        progress: Callable[[InferenceInput, float], None] | None = None,
    ) -> None:
        prepare()
        device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
        check_device(device)
        if top_k is not None and top_k < 1:
            raise UserError(f'top_k must be at least 1, found {top_k}')
        self._score_threshold, self._top_k, self._progress = score_threshold, top_k, progress
        if isinstance(config, Config):
            cfg = config.copy()  # 'auto' is replaced in it
            apply_cfg_options(cfg, cfg_options or {})
        else:
            cfg = prepare_config(config, cfg_options=cfg_options, guidance=False)
        self._config_sha256 = config_sha256(cfg)  # of the config as written: 'auto' is replaced later
        self._checkpoint = find_checkpoint(checkpoint)
        self._saved = read_checkpoint(self._checkpoint)
        super().__init__(cfg, str(self._checkpoint), str(device), scope, show_progress=False)
        #: The names of the classes, in the order of the labels.
        self.classes = class_names_of(self.cfg, self._saved, self.model.num_classes)
        self._trained_on: Mapping[str, Any] = self._saved['meta'].get(FEATURES) or {}
        self.extractor = build_extractor(extractor, device=str(device))
        if self.extractor is not None:
            self._check_extractor(self.extractor)

    @property
    def meta(self) -> dict[str, Any]:
        """Where predictions are from, as ``tools/test.py`` stores it."""
        return model_meta(self.cfg, self._config_sha256, self._checkpoint, self._saved)

    def __call__(
        self, inputs: Input | Sequence[Input], return_datasamples: bool = False, batch_size: int = 1, **kwargs: Any
    ) -> dict[str, Any]:
        """Localize the actions of videos.

        Args:
            inputs: A video, a folder, a list, features, or several; see :meth:`InputFinder.find`.
            return_datasamples: Whether predictions are :class:`WTALDataSample`.
            batch_size: How many videos the model sees at once.
            **kwargs: ``data_root`` and ``videos``, see :meth:`find`; ``return_vis``, whether to draw time lines.

        Returns:
            ``predictions``, one a video: its id under ``video``, seconds under ``duration``, and under ``actions``
            ``label``, ``segment`` and ``score`` of each; ``visualization``, RGB pictures (H, W, 3), uint8, of the same
            videos, empty without ``return_vis``; ``failures``, ``video`` and ``reason`` of each that failed.

        Raises:
            UserError: If an input is not there, or features are not made like those of the training.
        """
        finding, _, visualizing, _ = self._dispatch_kwargs(**kwargs)
        found = self.find(inputs, **finding)
        outcomes = list(self.localize(found, batch_size=batch_size))
        done = [outcome for outcome in outcomes if isinstance(outcome, Localized)]
        results = self.postprocess(done, self.visualize(found, done, **visualizing), return_datasamples)
        failed = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        return {**results, 'failures': [{'video': one.source.name, 'reason': one.reason} for one in failed]}

    def find(
        self,
        inputs: Input | Sequence[Input],
        *,
        data_root: str | Path | None = None,
        videos: str | Path | None = None,
    ) -> list[InferenceInput]:
        """Return the videos that inputs mean.

        Args:
            inputs: See :meth:`InputFinder.find`.
            data_root: See :meth:`InputFinder.find`.
            videos: A folder with the files of videos whose features are given, for pictures.

        Raises:
            UserError: Also if features are not made like those of the training, or videos are given and no extractor.
        """
        finder = InputFinder(width=self.model.in_channels, grid=grid_without_sidecar(self.cfg, self._trained_on))
        found = finder.find(inputs, data_root=data_root)
        for sidecar in finder.sidecars.values():
            if sidecar is not None:
                check_same_features(self._trained_on, sidecar.facts, place=str(sidecar.path))
        unread = [one for one in found if one.features is None and not one.problem]
        if unread and self.extractor is None:
            raise UserError(
                f'input {unread[0].video} is no file of features (.npy), and to make features of videos an extractor '
                'is needed: give a config of configs/features/ as the extractor, or give features'
            )
        return found if videos is None else with_videos(found, Path(videos).expanduser())

    def localize(self, found: Iterable[InferenceInput], *, batch_size: int = 1) -> Iterator[Localized | Failure]:
        """Yield what is found in each video, or why nothing could be looked for, in their order."""
        if batch_size < 1:
            raise UserError(f'batch_size must be at least 1, found {batch_size}')
        for batch in self.preprocess(found, batch_size=batch_size):
            yield from self.forward(batch)

    def preprocess(self, inputs: Iterable[InferenceInput], batch_size: int = 1, **kwargs: Any) -> Iterator[_Batch]:
        """Yield the videos in batches; features are made or read when their batch is due."""
        batch: _Batch = []
        for source in inputs:
            batch.append(self._prepared(source))
            # A failure that comes first waits for nothing.
            if sum(isinstance(one, _Prepared) for one in batch) in (0, batch_size):
                yield batch
                batch = []
        if batch:
            yield batch

    @torch.no_grad()
    def forward(self, inputs: _Batch, **kwargs: Any) -> list[Localized | Failure]:
        """Return what the model finds in a batch; where a batch fails, its videos are tried one by one."""
        prepared = [one for one in inputs if isinstance(one, _Prepared)]
        try:
            found: Iterator[Localized | Failure] = iter(self._predicted(prepared))
        except FAILURES as error:
            if len(prepared) > 1:
                return [outcome for one in inputs for outcome in self.forward([one])]
            found = iter([Failure.because(error, prepared[0].source)])
        return [one if isinstance(one, Failure) else next(found) for one in inputs]

    def visualize(
        self, inputs: Sequence[InferenceInput], preds: Sequence[Localized], return_vis: bool = False
    ) -> list[np.ndarray]:
        """Return a picture of the time line of each video, RGB (H, W, 3), uint8; none without ``return_vis``."""
        if not return_vis:
            return []
        from mmwtal.apis.inference_pictures import result_page

        return [result_page(one).render() for one in preds]

    def postprocess(
        self, preds: Sequence[Localized], visualization: list[np.ndarray], return_datasample: bool = False
    ) -> dict[str, Any]:
        """Return predictions and pictures; see :meth:`__call__`."""
        if return_datasample:
            return {'predictions': [one.sample for one in preds], 'visualization': visualization}
        predictions = [
            {
                'video': one.source.name,
                'duration': one.duration,
                'actions': [action.to_json() for action in one.actions],
            }
            for one in preds
        ]
        return {'predictions': predictions, 'visualization': visualization}

    def _init_model(self, cfg: Config, weights: str, device: str = 'cpu') -> torch.nn.Module:
        return build_from_checkpoint(cfg, self._saved, weights, device)

    def _init_pipeline(self, cfg: Config) -> list[Any]:
        return test_pipeline(cfg)

    def _init_visualizer(self, cfg: Config) -> None:
        """Draw time lines; mmengine's visualizer draws on pictures."""

    def _check_extractor(self, extractor: Extractor) -> None:
        check_same_features(self._trained_on, feature_facts(extractor.sidecar()), place='the config of the extractor')
        if extractor.width != self.model.in_channels:
            raise UserError(
                f'the model takes features of width {self.model.in_channels}, the extractor makes features of width '
                f'{extractor.width}: give the extractor that made the features of the training'
            )

    def _prepared(self, source: InferenceInput) -> _Prepared | Failure:
        """Return what the model gets of a video: its features after the transforms of the test."""
        if source.problem:
            return Failure(source=source, reason=source.problem)
        try:
            features, timebase = self._features(source)
            origin = source.features if isinstance(source.features, Path) else source.video or source.name
            record: Any = {
                'video_id': source.name,
                'feature': features,
                'feature_path': str(origin),
                'num_snippets': len(features),
                'feature_width': features.shape[1],
                'label_ids': np.zeros(0, dtype=np.int64),
                'num_classes': self.model.num_classes,
                'timebase': timebase,
                'rng': np.random.default_rng(0),
            }
            for transform in self.pipeline:
                record = transform(record)
        except FAILURES as error:
            return Failure.because(error, source)
        return _Prepared(source=source, data=record)

    def _features(self, source: InferenceInput) -> tuple[np.ndarray, Timebase]:
        """Return features (T, D) and their time grid, made from the video where there are none."""
        if source.features is None:
            assert self.extractor is not None
            assert source.video is not None
            tell = None if self._progress is None else partial(self._progress, source)
            made = self.extractor.extract(source.video, progress=tell)
            grid = {key: self.extractor.sidecar()[key] for key in ('fps', 'stride', 'window')}
            return made.features, Timebase(**grid, duration=made.duration)
        assert source.timebase is not None
        features = source.features if isinstance(source.features, np.ndarray) else map_features(source.features)
        if features.ndim != 2 or features.shape[1] != self.model.in_channels:
            raise UserError(f'expected features (T, {self.model.in_channels}), found the shape {features.shape}')
        return features, source.timebase

    def _predicted(self, batch: Sequence[_Prepared]) -> list[Localized]:
        if not batch:
            return []
        data = self.model.data_preprocessor(self.collate_fn([one.data for one in batch]))
        output, samples = self.model.predict(data['inputs'], data['data_samples'], data['mask'])
        return [
            localized(one.source, self._kept(sample), output, row, classes=self.classes)
            for row, (one, sample) in enumerate(zip(batch, samples, strict=True))
        ]

    def _kept(self, sample: WTALDataSample) -> WTALDataSample:
        """Return a sample with those of its actions alone that the user asks for."""
        found = sample.pred_instances
        if self._score_threshold is not None:
            found = found[found.scores >= self._score_threshold]
        if self._top_k is not None and len(found) > self._top_k:
            # Those kept stay in the decoder's order, which decides between equal scores.
            found = found[found.scores.argsort(descending=True, stable=True)[: self._top_k].sort().values]
        sample.pred_instances = found
        return sample
