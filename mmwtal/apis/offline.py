"""Offline jobs from a config: built, planned and run in their folder; what the tools for texts and features share."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.registry import init_default_scope

from mmwtal.offline.job import OfflineJob
from mmwtal.registry import OFFLINE_JOBS
from mmwtal.utils.config.check import require_valid_config
from mmwtal.utils.config.origin import load_config
from mmwtal.utils.errors import UserError


def build_job(
    config: str | Path, *, data_root: Path, store: Path, cfg_options: Mapping[str, Any] | None = None
) -> OfflineJob:
    """Build the job of a config.

    Args:
        config: A config file with a ``job``.
        data_root: The data root.
        store: The folder of the job's records.
        cfg_options: Dotted keys and the values that replace the config's.

    Raises:
        UserError: If the config is wrong, has no job, or the job refuses its settings.
    """
    # Absolute, since workers of other machines are in folders of their own.
    places = {'data_root': data_root, 'store': store}
    places = {name: Path(os.path.abspath(place.expanduser())) for name, place in places.items()}
    return OFFLINE_JOBS.build({**job_config(config, cfg_options), **places})


def job_config(config: str | Path, cfg_options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the ``job`` of a config, checked; see :func:`build_job`."""
    cfg, origins = load_config(config, dict(cfg_options) if cfg_options else None)
    if 'job' not in cfg and 'model' in cfg:
        raise UserError(
            f'{config} is a config of a model and has no job: take one of configs/priors/ or configs/features/'
        )
    require_valid_config(cfg, origins)
    init_default_scope(cfg.default_scope)
    return dict(cfg.job)
