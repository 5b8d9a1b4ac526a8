"""What stored comparisons refer to is as it was: the embedded dataset's defaults and the base models' quick configs."""

import copy
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

MESSAGE = (
    'these are frozen: stored results (configs/quick/results, configs/README.md) and later comparisons were '
    'made with them and would no longer be comparable. Change them only on purpose: python tools/analysis/frozen.py '
    '--write, then make all stored results again. Changed:\n'
)


@pytest.fixture(scope='module')
def tool(repo_root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location('frozen_tool', repo_root / 'tools/analysis/frozen.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def stored(tool: ModuleType) -> dict:
    return json.loads(tool.STORED.read_text())


def test_nothing_frozen_has_changed(tool: ModuleType, stored: dict) -> None:
    changes = tool.differences(stored, tool.fingerprints())
    assert not changes, MESSAGE + '\n'.join(changes)


def test_all_base_models_are_frozen(tool: ModuleType, stored: dict, repo_root: Path) -> None:
    assert 'co2net_synthetic' in stored['configs']
    folders = {path.parent.name for path in (repo_root / 'configs').glob('*/metafile.yml')} - {'quick'}
    quick = {path.stem.removesuffix('_synthetic') for path in (repo_root / 'configs/quick').glob('*_synthetic.py')}
    assert {f'{base}_synthetic' for base in folders & quick} <= stored['configs'].keys()
    assert stored['dataset']['features'].keys() >= {'synthetic_test_0000', 'synthetic_training_0000'}


def test_changes_are_found_and_rounding_is_not(tool: ModuleType, stored: dict) -> None:
    changed = copy.deepcopy(stored)
    changed['dataset']['settings']['noise_sd'] = 1.6
    changed['configs']['co2net_synthetic'] = 'other'
    del changed['dataset']['features']['synthetic_test_0000']
    figures = changed['dataset']['features']['synthetic_test_0020']
    figures[3] *= 1.001
    found = tool.differences(stored, changed)
    assert [line.split(':')[0] for line in found] == [
        'configs.co2net_synthetic',
        'dataset.features.synthetic_test_0000',
        'dataset.features.synthetic_test_0020',
        'dataset.settings.noise_sd',
    ]
    rounded = copy.deepcopy(stored)
    for values in rounded['dataset']['features'].values():
        values[2:] = [value * (1 + 1e-6) for value in values[2:]]
    assert tool.differences(stored, rounded) == []


def test_figures_of_features_see_values_and_their_order(tool: ModuleType) -> None:
    features = np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32)
    figures = tool.feature_figures(features)
    for other in (features[::-1], features[:, ::-1], features * 1.01, features + 0.01, features[:-1]):
        assert not np.allclose(tool.feature_figures(np.ascontiguousarray(other))[2:], figures[2:], rtol=tool.TOLERANCE)
    assert tool.feature_figures(features * (1 + 1e-7)) == pytest.approx(figures, rel=tool.TOLERANCE)
