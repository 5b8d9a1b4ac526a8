"""What a stored prediction says of the model that made it."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mmengine
import torch
from mmengine.config import Config

from mmwtal.engine.checkpoint import WEIGHT_AVERAGE
from mmwtal.version import __version__


def model_meta(cfg: Config, config_hash: str, path: Path, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return where predictions are from: config, checkpoint, iteration, how it was selected, seed and versions.

    Args:
        cfg: The config.
        config_hash: Of the config as written.
        path: The checkpoint.
        saved: Its content.
    """
    trained = saved.get('meta', {})
    meta = dict(
        config=Path(cfg.filename).name,
        config_sha256=config_hash,
        checkpoint=path.name,
        checkpoint_sha256=file_sha256(path),
        iteration=trained.get('iter'),
        selection=trained.get('selection', dict(rule='unknown')),
        seed=trained.get('seed'),
        versions=dict(mmwtal=__version__, torch=torch.__version__, mmengine=mmengine.__version__),
    )
    return meta | ({WEIGHT_AVERAGE: trained[WEIGHT_AVERAGE]} if WEIGHT_AVERAGE in trained else {})


def file_sha256(path: Path) -> str:
    """Return the hash of a file's content."""
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
