"""The tool that writes the embedded dataset: every setting is an option."""

import importlib.util
import json
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

from mmwtal.datasets.synthetic_video import SyntheticConfig
from mmwtal.utils.errors import UserError


@pytest.fixture(scope='module')
def tool(repo_root: Path) -> ModuleType:
    path = repo_root / 'tools' / 'dataset_converters' / 'synthetic.py'
    spec = importlib.util.spec_from_file_location('synthetic_converter', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_setting_is_an_option_that_arrives(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    small = {'seed': 7, 'num_train': 3, 'num_test': 2, 'noise_sd': 1.25, 'num_classes': 4, 'width': 16}
    options = [str(part) for name, value in small.items() for part in (f'--{name.replace("_", "-")}', value)]
    tool.main(tool.build_parser().parse_args([str(tmp_path / 'out'), *options]))
    audit = json.loads((tmp_path / 'out' / 'audit.json').read_text())
    assert {name: audit['sources'][name] for name in small} == small
    assert set(audit['sources']) == {item.name for item in fields(SyntheticConfig)}
    assert 'training  3 ' in capsys.readouterr().out
    with pytest.raises(UserError, match='--overwrite'):
        tool.main(tool.build_parser().parse_args([str(tmp_path / 'out'), *options]))
    tool.main(tool.build_parser().parse_args([str(tmp_path / 'out'), *options, '--overwrite', '--num-train', '2']))
    audit = json.loads((tmp_path / 'out' / 'audit.json').read_text())
    assert audit['subsets']['training']['videos'] == 2
    assert any('1 feature files in features/ belong to no video' in remark for remark in audit['remarks'])


def test_help_names_every_setting(tool: ModuleType) -> None:
    text = tool.build_parser().format_help()
    for item in fields(SyntheticConfig):
        assert f'--{item.name.replace("_", "-")}' in text
