"""What docs/concepts.md tells a newcomer to write works as written."""

import re
from pathlib import Path

import pytest

from .conftest import ROOT, SHORT, Tool


def test_the_recipe_for_a_new_part(
    run_tool: Tool, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, config = re.findall(r'```python\n(.*?)```', (ROOT / 'docs/concepts.md').read_text(), flags=re.DOTALL)
    (tmp_path / 'gated.py').write_text(module)
    base = str(ROOT / 'configs/quick/co2net_synthetic.py')
    config = config.replace('../quick/co2net_synthetic.py', base) + "custom_imports = dict(imports=['gated'])\n"
    (tmp_path / 'gated_synthetic.py').write_text(config)
    monkeypatch.setenv('PYTHONPATH', str(tmp_path), prepend=':')
    options = ['--work-dir', tmp_path / 'w', '--data-root', small_data]
    run_tool('train.py', tmp_path / 'gated_synthetic.py', *options, '--cfg-options', *SHORT, 'train_cfg.max_iters=2')
    run_tool('test.py', tmp_path / 'gated_synthetic.py', tmp_path / 'w', *options)
