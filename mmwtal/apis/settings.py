"""From a config file and a command line to the config that a run uses."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.registry import init_default_scope

from mmwtal.registry import DATASETS
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
) -> Config:
    """Read a config, apply the command line to it and check it; nothing is built and no data are read.

    Args:
        config: The config file.
        cfg_options: Dotted keys and the values that replace the config's.
        data_root: Replaces ``data_root`` of every dataset and evaluator.
        work_dir: Replaces ``work_dir``; ``work_dirs/<config name>`` where neither is given.

    Raises:
        UserError: If the file cannot be read or anything in it is wrong; all problems in one message.
    """
    cfg, origins = load_config(config, dict(cfg_options) if cfg_options else None)
    require_valid_config(cfg, origins)
    init_default_scope(cfg.get('default_scope', 'mmwtal'))
    if data_root is not None:
        for owner in _owners_of_data_root(cfg):
            owner['data_root'] = str(data_root)
    if work_dir is not None:
        cfg.work_dir = str(work_dir)
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(config).stem)
    return cfg


def _owners_of_data_root(cfg: Config) -> Iterator[dict]:
    """Yield every dict of the data loaders and evaluators that states a data root, wrapped datasets included."""
    pending = [cfg[key] for key in (*_DATALOADERS, *_EVALUATORS) if cfg.get(key) is not None]
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
    if all(key in meta for key in keys):
        values, source = {key: meta[key] for key in keys}, 'the checkpoint'
    elif dataloader is not None and cfg.get(dataloader) is not None:
        dataset = DATASETS.build(cfg[dataloader]['dataset'])
        known = dict(num_classes=len(dataset.metainfo['classes']), in_channels=dataset.feature_width)
        values, source = {key: known[key] for key in keys}, f'the data under {dataset.data_root}'
    else:
        values, source = {}, ''
    for key in keys:
        if not isinstance(values.get(key), int):
            raise UserError(
                f"model.{key} is 'auto' and neither a checkpoint nor a dataset tells it; "
                f'state it: --cfg-options model.{key}=NUMBER'
            )
        cfg.model[key] = values[key]
        print_log(f"model.{key}: 'auto' -> {values[key]}, from {source}", logger='current')


def check_model_against_data(model_cfg: ConfigDict, dataset: Any) -> None:
    """Check that a model's sizes are the dataset's, before the first batch.

    Raises:
        UserError: Naming the size, the model's value and the dataset's.
    """
    found = dict(num_classes=len(dataset.metainfo['classes']), in_channels=dataset.feature_width)
    for key, value in found.items():
        if model_cfg.get(key) not in (None, value):
            raise UserError(
                f'model.{key} is {model_cfg[key]}, the dataset under {dataset.data_root} has {value}; '
                f"set model.{key}={value}, or 'auto'"
            )
