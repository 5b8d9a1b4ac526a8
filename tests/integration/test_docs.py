"""What docs/concepts.md tells a newcomer to write works as written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT, SHORT, Tool


@pytest.fixture
def gated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the page tells to make, beside the checkout."""
    (tmp_path / 'mmwtal').symlink_to(ROOT)
    own = tmp_path / 'gated'
    own.mkdir()
    for text in re.findall(r'```python\n(.*?)```', (ROOT / 'docs/concepts.md').read_text(), flags=re.DOTALL):
        (tmp_path / text.splitlines()[0].removeprefix('# ')).write_text(text)
    assert len(list(own.iterdir())) == 4
    monkeypatch.setenv('PYTHONPATH', str(own), prepend=':')
    return own


@pytest.mark.parametrize('name', ['gated_synthetic.py', 'pooled_synthetic.py'])
def test_the_recipe_for_a_new_part(name: str, run_tool: Tool, gated: Path, small_data: Path, tmp_path: Path) -> None:
    assert 'ok' in run_tool('check_config.py', gated / name).stdout
    options = ['--work-dir', tmp_path / 'w', '--data-root', small_data]
    run_tool('train.py', gated / name, *options, '--cfg-options', *SHORT, 'train_cfg.max_iters=2')
    run_tool('test.py', gated / name, tmp_path / 'w', *options)


def test_the_contract_of_a_model_outside_the_tree(gated: Path) -> None:
    script, option = 'tests/models/test_model_contract.py', '--model-config'
    assert f'python -m pytest {script} {option} ../gated/gated_synthetic.py' in (ROOT / 'docs/concepts.md').read_text()

    def run() -> subprocess.CompletedProcess:
        return subprocess.run(
            # Two processes are tested with the example as one of the shipped models.
            [sys.executable, '-m', 'pytest', script, option, gated / 'gated_synthetic.py', '-k', 'not two_processes'],
            cwd=ROOT,
            env={**os.environ, 'PYTEST_ADDOPTS': '-p no:cacheprovider -p no:xdist'},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    sound = run()
    assert sound.returncode == 0, sound.stdout[-3000:]
    assert 'co2net' not in sound.stdout
    module = gated / 'gated.py'
    careful, careless = 'masked(inputs.transpose(1, 2), mask)', 'inputs.transpose(1, 2)'
    assert careful in module.read_text()
    module.write_text(module.read_text().replace(careful, careless))
    broken = run()
    assert broken.returncode == 1, broken.stdout[-3000:]
    assert 'test_a_video_has_the_same_output_alone_and_in_any_batch[gated_synthetic-nan]' in broken.stdout
