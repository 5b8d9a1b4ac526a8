"""From a config file and a command line to the config that a run uses."""

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from torch.nn import Module

from mmwtal.engine.checkpoint import GUIDANCE, without_guidance
from mmwtal.models.backbones.base import BaseBackbone
from mmwtal.registry import DATASETS, MODELS
from mmwtal.utils.config.check import require_valid_config
from mmwtal.utils.config.origin import load_config
from mmwtal.utils.errors import UserError

_DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_EVALUATORS = ('val_evaluator', 'test_evaluator')


def prepare_config(
    config: str | Path,
    *,
    cfg_options: Mapping[str, Any] | None = None,
    data_root: str | Path | None = None,
    work_dir: str | Path | None = None,
    guidance: bool = True,
) -> Config:
    """Read a config, apply the command line to it and check it; nothing is built and no data are read.

    Args:
        config: The config file.
        cfg_options: Dotted keys and the values that replace the config's.
        data_root: Replaces ``data_root`` of every dataset and evaluator, and what of the guidance has one.
        work_dir: Replaces ``work_dir``; ``work_dirs/<config name>`` where neither is given.
        guidance: Whether the guidance is checked. A test does without, and must not import what it names; the config
            that is returned holds it all the same.

    Raises:
        UserError: If the file cannot be read or anything in it is wrong; all problems in one message.
    """
    cfg, origins = load_config(config, dict(cfg_options) if cfg_options else None)
    if 'job' in cfg:
        raise UserError(f'{config} is a config of an offline job and has no model to train or test')
    require_valid_config(cfg if guidance else unguided(cfg), origins)
    init_default_scope(cfg.get('default_scope', 'mmwtal'))
    for owner in _owners_of_data_root(cfg):
        owner['data_root'] = str(Path(data_root if data_root is not None else owner['data_root']).expanduser())
    for key in _DATALOADERS:
        if cfg.get(key) is not None and not cfg[key].get('num_workers'):
            # torch refuses these settings of worker processes where there are none.
            for setting in ('persistent_workers', 'prefetch_factor'):
                cfg[key].pop(setting, None)
    default = Path('work_dirs') / Path(config).stem
    cfg.work_dir = str(Path(work_dir if work_dir is not None else cfg.get('work_dir') or default).expanduser())
    return cfg


def unguided(cfg: Config) -> Config:
    """Return a config whose model is built without guidance; the same object where it has none, or fuses it at test."""
    model = cfg.get('model')
    guidance = model.get(GUIDANCE) if isinstance(model, dict) else None
    if guidance is None or (isinstance(guidance, dict) and guidance.get('fuse_key')):
        return cfg
    changed = cfg.copy()
    changed.model = {**model, GUIDANCE: None}
    return changed


def weights_for(cfg: Config, checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return a checkpoint with those weights that the model of a config has at test; see :func:`unguided`."""
    return checkpoint if cfg.model.get(GUIDANCE) is not None else without_guidance(checkpoint)


def _owners_of_data_root(cfg: Config) -> Iterator[dict]:
    """Yield every dict that states a data root: of data loaders and evaluators, wrapped datasets too, and guidance."""
    pending = [cfg[key] for key in (*_DATALOADERS, *_EVALUATORS) if cfg.get(key) is not None]
    pending.append(cfg.model.get('guidance'))
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if 'data_root' in node:
                yield node
            pending.extend(node.values())
        elif isinstance(node, list | tuple):
            pending.extend(node)


def resolve_auto(cfg: Config, *, checkpoint: Mapping[str, Any] | None = None, dataloader: str | None = None) -> None:
    """Replace ``'auto'`` for the model's ``num_classes`` and ``in_channels`` by numbers, in the config itself.

    A number on the command line has already replaced the word. What is left comes from the checkpoint, or else from
    the data.

    Args:
        cfg: The config; changed in place.
        checkpoint: A read checkpoint; its ``meta`` states both numbers.
        dataloader: Key of the data loader whose dataset is asked.

    Raises:
        UserError: If a word is left and there is nothing to ask.
    """
    keys = [key for key in ('num_classes', 'in_channels') if cfg.model.get(key) == 'auto']
    if not keys:
        return
    meta = checkpoint.get('meta', {}) if checkpoint is not None else {}
    found = {key: (meta[key], 'the checkpoint') for key in keys if key in meta}
    if len(found) < len(keys) and dataloader is not None and cfg.get(dataloader) is not None:
        dataset = DATASETS.build(cfg[dataloader]['dataset'])
        source = f'the data under {dataset.data_root}'
        sizes = dict(num_classes=len(dataset.metainfo['classes']), in_channels=dataset.feature_width)
        found = {**{key: (sizes[key], source) for key in keys}, **found}
    for key in keys:
        if key not in found:
            raise UserError(
                f"model.{key} is 'auto' and neither a checkpoint nor a dataset tells it; "
                f'state it: --cfg-options model.{key}=NUMBER'
            )
        cfg.model[key], source = found[key]
        print_log(f"model.{key}: 'auto' -> {cfg.model[key]}, from {source}", logger='current')


def check_against_data(model: Module, dataset: Any, checkpoint: Mapping[str, Any] | None = None) -> None:
    """Check that a model is one for a dataset, before the first batch.

    Args:
        model: The localizer; its sizes, the number and widths of the modalities that its backbone takes apart and, in
            training, the streams of features that its guidance takes must be the dataset's.
        dataset: The dataset.
        checkpoint: What the model was read from; the class names that it states, if any, must be the dataset's.

    Raises:
        UserError: Naming what differs, the model's value and the dataset's.
    """
    classes = tuple(dataset.metainfo['classes'])
    for key, value in dict(num_classes=len(classes), in_channels=dataset.feature_width).items():
        if getattr(model, key) != value:
            raise UserError(
                f'model.{key} is {getattr(model, key)}, the dataset under {dataset.data_root} has {value}; '
                f"set model.{key}={value}, or 'auto'"
            )
    _check_modalities(getattr(model, 'backbone', None), dataset)
    _check_streams(getattr(model, 'guidance', None), dataset)
    meta = (checkpoint or {}).get('meta', {}).get('dataset_meta') or {}
    trained = tuple(meta.get('classes') or classes)
    for number, (ours, theirs) in enumerate(zip(trained, classes, strict=True)):
        if ours != theirs:
            raise UserError(
                f'class {number} of the checkpoint is {ours!r}, of the dataset under {dataset.data_root} {theirs!r}: a '
                'score would be given to the wrong class; give the dataset the order of the checkpoint with '
                f'metainfo=dict(classes={list(trained)})'
            )


def _check_modalities(backbone: Any, dataset: Any) -> None:
    """Check that a backbone that takes modalities apart finds those of the dataset, where both are known."""
    taken, stated = getattr(backbone, 'modalities', None), dataset.modalities
    if taken is None or stated is None or tuple(taken) == tuple(stated.values()):
        return
    found = ', '.join(f'{name} of {width} channels' for name, width in stated.items())
    if len(taken) != len(stated):
        names = ', '.join(_backbones_for_any_modalities()) or 'none of the registered ones, write your own'
        raise UserError(
            f'{type(backbone).__name__} needs features of {len(taken)} modalities, features.json under '
            f'{dataset.data_root} states {len(stated)}: {found}; use features of {len(taken)} modalities, or a model '
            f'whose backbone takes any number ({names})'
        )
    raise UserError(
        f'the backbone takes modalities of {tuple(taken)} channels, features.json under {dataset.data_root} states '
        f'{found}; set model.backbone.modalities={list(stated.values())}'
    )


def _check_streams(guidance: Any, dataset: Any) -> None:
    """Check that training data have the streams of features that the guidance takes by name, and test data none."""
    if dataset.test_mode:
        if dataset.streams:
            raise UserError(
                'streams are for training, testing reads none: leave dataset.streams out of test_dataloader and '
                'val_dataloader'
            )
        return
    for name, width in getattr(guidance, 'named_streams', {}).items():
        found = dataset.stream_widths.get(name)
        if found is None:
            raise UserError(
                f'the guidance takes the feature stream {name!r}, and the training data have none of that name; set '
                f"train_dataloader.dataset.streams=dict({name}='features-{name}'), a folder of the data root with "
                'a row for each snippet of the features, or another stream of the guidance'
            )
        if found != width:
            raise UserError(
                f'the guidance takes the feature stream {name!r} with stream_channels={width}, under '
                f'{dataset.streams[name]} it has {found} channels; set stream_channels={found}'
            )


def _backbones_for_any_modalities() -> list[str]:
    return sorted(
        name
        for name, kind in MODELS.module_dict.items()
        if inspect.isclass(kind)
        and issubclass(kind, BaseBackbone)
        and 'modalities' not in inspect.signature(kind).parameters
    )
