"""Every config that is shipped passes the config check."""

from pathlib import Path

import pytest

from mmwtal.utils.config.check import check_config
from mmwtal.utils.config.origin import load_config

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
LEAVES = sorted(path for path in CONFIGS.rglob('*.py') if '_base_' not in path.parts)


def test_there_are_configs():
    assert LEAVES


@pytest.mark.parametrize('path', LEAVES, ids=lambda path: str(path.relative_to(CONFIGS)))
def test_a_shipped_config_has_no_problems(path):
    cfg, origins = load_config(path)
    assert [str(problem) for problem in check_config(cfg, origins)] == []
    assert all(origins.value((key,)).line is not None for key in cfg)


RECIPES = [path for path in LEAVES if path.parent.name != 'quick' and path.stem.startswith(f'{path.parent.name}_')]


@pytest.mark.parametrize('path', RECIPES, ids=lambda path: path.stem)
def test_a_recipe_scales_its_learning_rate_against_its_own_batch(path):
    cfg, _ = load_config(path)
    assert cfg.auto_scale_lr == {'base_batch_size': cfg.train_dataloader.batch_size, 'enable': False}
