"""Training a quick config anew gives the result that it states: one config in every run, all with ``-m slow``."""

import json
from pathlib import Path

import pytest

from mmwtal.datasets.synthetic import write_synthetic
from mmwtal.utils.config.origin import load_config

from .conftest import ROOT, Tool

FOLDER = ROOT / 'configs' / 'quick'
QUICK = sorted(path for path in FOLDER.glob('*.py') if (FOLDER / 'results' / f'{path.stem}.json').is_file())
IN_EVERY_RUN = 'co2net_synthetic'
PARAMETERS = [
    pytest.param(path, id=path.stem, marks=() if path.stem == IN_EVERY_RUN else pytest.mark.slow) for path in QUICK
]


@pytest.fixture(scope='session')
def embedded_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded dataset as it is written by default."""
    root = tmp_path_factory.mktemp('embedded') / 'synthetic'
    write_synthetic(root)
    return root


def test_one_config_is_trained_in_every_run() -> None:
    assert IN_EVERY_RUN in [path.stem for path in QUICK]


@pytest.mark.parametrize('path', QUICK, ids=lambda path: path.stem)
def test_a_quick_config_states_what_to_expect_itself(path: Path) -> None:
    """What a base config expects is not what a config that inherits from it gives."""
    cfg, origins = load_config(path)
    assert '_expected' in cfg, (
        f'{path.name} states no _expected; store its results, and tools/analysis/model_zoo.py says what to write'
    )
    written_in = Path(origins.key(('_expected',)).source).resolve()
    assert written_in == path, f'{path.name}: _expected is that of its base {written_in.name}; state its own'
    assert cfg['_expected'].keys() == {'protocol', 'seed', 'average', 'tolerance'}


@pytest.mark.timeout(900)
@pytest.mark.parametrize('path', PARAMETERS)
def test_training_anew_gives_the_expected_result(
    path: Path, embedded_data: Path, run_tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = load_config(path)[0]['_expected']
    monkeypatch.setenv('OMP_NUM_THREADS', '1')  # as the stored results were made
    own = ['--work-dir', tmp_path, '--data-root', embedded_data]
    run_tool('train.py', path, '--seed', expected.seed, *own, timeout=800)
    run_tool('test.py', path, tmp_path, *own)
    result = json.loads((tmp_path / 'result.json').read_text())
    assert result['protocol'] == expected.protocol
    found = result['average']
    assert abs(found - expected.average) <= expected.tolerance, (
        f'{path.name}, seed {expected.seed}, protocol {expected.protocol}: expected an average mAP of '
        f'{expected.average:.2f} within {expected.tolerance:g} points, found {found:.2f}. A change of code has changed '
        'what training gives. If that is meant, make the results again with tools/analysis/multi_seed.py'
    )
