"""No part of a base model escapes the contract test: each is in a shipped config, each backbone in a quick one."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mmwtal.models  # noqa: F401  fills the registry
from mmwtal.decoders.base import BaseDecoder
from mmwtal.models.backbones.base import BaseBackbone
from mmwtal.models.heads.base import BaseHead
from mmwtal.models.losses.base import BaseLoss
from mmwtal.registry import DECODERS, MODELS

from .contract_models import CONFIGS, EXAMPLES, model_of, quick_configs, shipped_cases


def types_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get('type'), str):
            yield value['type'].removeprefix('mmwtal.')
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from types_in(item)


def types_of(paths: list[Path]) -> set[str]:
    return {name for path in paths for name in types_in(model_of(path))}


def registered(kind: type) -> set[str]:
    """The package's own registered classes of a kind."""
    entries = {**MODELS.module_dict, **DECODERS.module_dict}
    return {
        name
        for name, entry in entries.items()
        if inspect.isclass(entry) and issubclass(entry, kind) and entry.__module__.startswith('mmwtal.')
    }


@pytest.mark.parametrize('kind', [BaseBackbone, BaseHead, BaseLoss, BaseDecoder])
def test_every_registered_part_is_used_by_a_shipped_config(kind: type) -> None:
    offline = {'_base_', 'features', 'priors'}
    shipped = types_of([path for path in sorted(CONFIGS.rglob('*.py')) if not offline & {*path.parts}])
    parts = registered(kind)
    assert parts
    unused = sorted(parts - shipped)
    assert not unused, f'no config under configs/ uses {unused}, so that no test runs them: add one, or remove them'


@pytest.mark.parametrize('kind', [BaseBackbone, BaseHead])
def test_every_base_model_has_a_quick_config(kind: type) -> None:
    missing = sorted(registered(kind) - types_of(list(quick_configs().values())))
    assert not missing, f'the contract test does not run {missing}: add configs/quick/NAME_synthetic.py'


def test_the_folder_of_every_quick_config_is_found() -> None:
    found = shipped_cases()
    assert tuple(found[: len(EXAMPLES)]) == EXAMPLES
    for name, quick in quick_configs().items():
        assert {quick, CONFIGS / name / f'{name}_thumos14-i3d.py'} <= set(found), (
            f'{name} has a quick config: add configs/{name}/{name}_thumos14-i3d.py'
        )
