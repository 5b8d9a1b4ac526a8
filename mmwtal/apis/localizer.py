"""Building a localizer for use in Python, without a Runner."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmwtal.apis.settings import prepare_config, resolve_auto, unguided, weights_for
from mmwtal.engine.checkpoint import load_weights, read_checkpoint
from mmwtal.models.localizers.base import BaseLocalizer
from mmwtal.registry import MODELS
from mmwtal.utils.compat import prepare
from mmwtal.utils.config.options import apply_cfg_options
from mmwtal.utils.errors import UserError


def init_localizer(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str | torch.device = 'cpu',
    cfg_options: Mapping[str, Any] | None = None,
) -> BaseLocalizer:
    """Build the localizer of a config, in evaluation mode and without guidance, which only training needs.

    Args:
        config: A config file, or a loaded config.
        checkpoint: A checkpoint, or a work dir, of which the newest checkpoint is taken; None keeps random weights.
        device: Where the model goes.
        cfg_options: Dotted keys and the values that replace the config's.

    Returns:
        The model. Its ``cfg`` is the config; its ``dataset_meta`` holds the class names where the checkpoint has them.

    Raises:
        UserError: If the config or the checkpoint is wrong, or they do not fit each other.
    """
    prepare()
    check_device(device)
    if isinstance(config, Config):
        cfg = config.copy()
        apply_cfg_options(cfg, cfg_options or {})
        init_default_scope(cfg.get('default_scope', 'mmwtal'))
    else:
        cfg = prepare_config(config, cfg_options=cfg_options, guidance=False)
    return build_from_checkpoint(
        cfg, read_checkpoint(checkpoint) if checkpoint is not None else None, str(checkpoint), device
    )


def build_from_checkpoint(
    cfg: Config, checkpoint: Mapping[str, Any] | None, source: str, device: str | torch.device
) -> BaseLocalizer:
    """Build the localizer of a config as :func:`init_localizer` does.

    Args:
        cfg: A checked config, see :func:`mmwtal.apis.settings.prepare_config`.
        checkpoint: What was read from a checkpoint; None keeps random weights.
        source: What it was read from, for messages.
        device: Where the model goes.
    """
    cfg = unguided(cfg)
    saved = weights_for(cfg, dict(checkpoint)) if checkpoint is not None else None
    resolve_auto(cfg, checkpoint=saved, dataloader='train_dataloader')
    model = MODELS.build(cfg.model)
    if saved is not None:
        load_weights(model, saved, source)
        model.dataset_meta = saved.get('meta', {}).get('dataset_meta')
    model.cfg = cfg
    return model.to(device).eval()


def check_device(device: str | torch.device) -> None:
    """Check that a device is there.

    Raises:
        UserError: If it is none that torch knows, or a GPU and torch finds none.
    """
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise UserError(f'device {str(device)!r}: expected cpu, cuda or cuda:NUMBER') from None
    if kind == 'cuda' and not torch.cuda.is_available():
        raise UserError(f"device {str(device)!r}: torch finds no GPU here; use device='cpu'")
