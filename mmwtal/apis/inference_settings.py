"""What inference takes from a config and a checkpoint: classes, transforms, the time grid, the extractor."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from mmengine.config import Config

from mmwtal.datasets.transforms.loading import LoadSnippetFeatures
from mmwtal.formats.annotations import class_names
from mmwtal.formats.sidecar import check_timebase_setting
from mmwtal.registry import DATASETS, TRANSFORMS, build_module
from mmwtal.utils.errors import UserError

_ALL_SNIPPETS = ({'type': 'SampleSnippets', 'mode': 'full'}, {'type': 'PackWTALInputs'})


class ExtractedFeatures(Protocol):
    """The features of a video."""

    @property
    def features(self) -> np.ndarray:
        """They, (T, D)."""

    @property
    def duration(self) -> float:
        """Seconds of the video."""


class Extractor(Protocol):
    """What makes features of videos; see :class:`mmwtal.features.extractor.VideoExtractor`."""

    @property
    def width(self) -> int:
        """D of the features that it makes."""

    def sidecar(self) -> dict[str, Any]:
        """Return what ``features.json`` says of the features that it makes: ``fps``, ``stride``, ``window``, ..."""

    def extract(self, path: Path, *, progress: Callable[[float], None] | None = None) -> ExtractedFeatures:
        """Return the features of a video; ``progress`` is told up to which second they are there."""


def class_names_of(cfg: Config, checkpoint: Mapping[str, Any], count: int) -> tuple[str, ...]:
    """Return the names of a model's classes: the checkpoint's, or else those of the config's test dataset.

    Args:
        cfg: The config.
        checkpoint: What was read of the checkpoint.
        count: How many the model has.

    Raises:
        UserError: If neither says them, or it says another number of them.
    """
    given = (checkpoint.get('meta', {}).get('dataset_meta') or {}).get('classes')
    origin = 'the checkpoint'
    if given is None:
        dataset = _test_dataset(cfg)
        given, origin = (dataset.get('metainfo') or {}).get('classes'), 'metainfo["classes"] of the test dataset'
        if given is None:
            given = getattr(_dataset_class(dataset), 'METAINFO', {}).get('classes')
    if given is None:
        raise UserError(
            'neither the checkpoint nor the config names the classes: state them in the order of the labels with '
            'test_dataloader.dataset.metainfo=dict(classes=[...])'
        )
    names = class_names(given, origin=origin)
    if len(names) != count:
        raise UserError(f'the model has {count} classes, {origin} names {len(names)}')
    return names


def test_pipeline(cfg: Config) -> list[Any]:
    """Return the transforms of the test after the one that reads features; all snippets are taken by default."""
    transforms = [build_module(one, TRANSFORMS) for one in _test_dataset(cfg).get('pipeline', _ALL_SNIPPETS)]
    return [one for one in transforms if not isinstance(one, LoadSnippetFeatures)]


def grid_without_sidecar(cfg: Config, trained_on: Mapping[str, Any]) -> dict[str, float]:
    """Return ``fps``, ``stride`` and ``window`` of features without a sidecar: the config's, else the training's.

    Args:
        cfg: The config.
        trained_on: What the checkpoint says of the features of its training.

    Returns:
        What is known of them.
    """
    dataset = _test_dataset(cfg)
    if dataset.get('timebase') is not None:
        return check_timebase_setting(dataset['timebase'])
    own = getattr(_dataset_class(dataset), 'DEFAULT_TIMEBASE', {})
    return dict(own) or {key: trained_on[key] for key in ('fps', 'stride', 'window') if key in trained_on}


def build_extractor(extractor: str | Path | Mapping[str, Any] | Extractor | None, *, device: str) -> Extractor | None:
    """Return an extractor, built if it is a config.

    Args:
        extractor: A config file with a ``job`` that has an ``extractor``, that extractor's config, an extractor or
            None.
        device: Where one that is built runs.

    Raises:
        UserError: If the config is none of an extraction.
    """
    if isinstance(extractor, str | Path):
        from mmwtal.apis.offline import job_config

        job = job_config(extractor)
        if 'extractor' not in job:
            raise UserError(f'{extractor} is no config of an extraction of features: take one of configs/features/')
        extractor = dict(job['extractor'])
    if not isinstance(extractor, Mapping):
        return extractor
    from mmwtal.features.extractor import VideoExtractor

    settings = {key: value for key, value in extractor.items() if key != 'type'}
    return VideoExtractor(**{**settings, 'device': device})


def _test_dataset(cfg: Config) -> Mapping[str, Any]:
    return (cfg.get('test_dataloader') or {}).get('dataset') or {}


def _dataset_class(dataset: Mapping[str, Any]) -> Any:
    kind = dataset.get('type')
    return DATASETS.get(kind) if isinstance(kind, str) else kind
