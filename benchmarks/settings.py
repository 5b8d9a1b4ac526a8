"""mmwtal as it ships: a method's config for THUMOS14, on the inputs of the comparison."""

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from benchmarks.operation import Spec
from mmwtal.apis.runtime import prepare_runtime, use_amp
from mmwtal.apis.settings import prepare_config
from mmwtal.registry import MODELS
from tools.model_converters.official import BASES, convert, load_official

ROOT = Path(__file__).resolve().parents[1]


def shipped_config(spec: Spec, *, work_dir: Path) -> Config:
    """Return the config with the inputs, the length and the number of worker processes of the comparison."""
    config = ROOT / 'configs' / spec.method / f'{spec.method}_thumos14-i3d.py'
    cfg = prepare_config(config, data_root=spec.data_root, work_dir=spec.scratch / 'work' / work_dir)
    cfg.train_dataloader.dataset.pipeline[1].length = spec.length
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.num_workers = spec.workers
        loader.persistent_workers = spec.workers > 0
    prepare_runtime(cfg)
    if spec.side == 'mmwtal-amp':
        use_amp(cfg)
    return cfg


def converted_weights(spec: Spec) -> dict[str, torch.Tensor]:
    """Return the authors' weights under our names."""
    state, _, _ = convert(load_official(spec.weights), BASES[spec.method], str(spec.weights))
    return state


def converted_checkpoint(spec: Spec) -> Path:
    """Write the authors' weights as a checkpoint of ours."""
    path = spec.scratch / f'converted-{spec.method}.pth'
    torch.save({'state_dict': converted_weights(spec), 'meta': {}}, path)
    return path


def network(cfg: Config, spec: Spec) -> Any:
    """Return the config's model with the weights that both sides use."""
    model = MODELS.build(cfg.model)
    model.load_state_dict(converted_weights(spec))
    return model.to(spec.device)
