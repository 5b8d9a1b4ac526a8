"""tools/check_config.py and tools/analysis/print_config.py."""

import importlib.util
import re
import subprocess
import sys

import pytest
from mmengine.config import Config

from mmwtal.utils.cli import run_tool

BASE = """default_scope = 'mmwtal'
_sizes = [3,
          4]
model = dict(type='torch.nn.Linear', in_features=_sizes[0],
             out_features=_sizes[1])
test_cfg = None
custom_hooks = [
    dict(type='EMAHook', momentum=0.1),
]
"""
LEAF = """_base_ = './base.py'
model = dict(bias=False)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / 'base.py').write_text(BASE)
    (tmp_path / 'leaf.py').write_text(LEAF)
    (tmp_path / 'typo.py').write_text(LEAF.replace('bias', 'bais'))
    (tmp_path / 'broken.py').write_text('model = dict(\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(repo_root, capsys):
    def run_in_process(tool, *argv):
        spec = importlib.util.spec_from_file_location('tool_under_test', repo_root / 'tools' / tool)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        with pytest.raises(SystemExit) as caught:
            run_tool(module.main, module.parser(), argv)
        out, err = capsys.readouterr()
        return caught.value.code, out, err

    return run_in_process


def test_a_sound_config(folder, run):
    code, out, err = run('check_config.py', 'leaf.py')
    assert (code, err) == (0, '')
    assert out.splitlines()[0] == 'leaf.py: ok'
    assert 'not checked' not in out


def test_every_config_is_reported(folder, run):
    code, out, _ = run('check_config.py', 'typo.py', 'broken.py', 'nowhere.py', 'leaf.py')
    assert code == 2
    assert "typo.py: 1 problem\n  typo.py:2: model.bais: Linear takes no argument 'bais'; did you mean 'bias'?" in out
    assert 'broken.py: cannot be read\n  broken.py:1: syntax error' in out
    assert 'nowhere.py: cannot be read' in out
    assert 'leaf.py: ok' in out


def test_options_are_checked(folder, run):
    code, out, _ = run('check_config.py', 'leaf.py', '--cfg-options', 'model.in_feature=5', 'custom_hoks=[]')
    assert code == 2
    assert "command line: model.in_feature: Linear takes no argument 'in_feature'; did you mean 'in_features'?" in out
    assert 'command line: custom_hoks: unknown key' in out
    code, out, _ = run('check_config.py', 'leaf.py', '--cfg-options', 'model.bias.x=5')
    assert code == 2
    assert '--cfg-options model.bias.x: model.bias is False, which has no parts' in out


def test_the_printed_config_is_a_config(folder, run, tmp_path):
    code, out, _ = run('analysis/print_config.py', 'leaf.py', '--cfg-options', 'model.bias=True')
    assert code == 0
    printed = tmp_path / 'printed.py'
    printed.write_text(out)
    assert Config.fromfile(printed).model == dict(type='torch.nn.Linear', in_features=3, out_features=4, bias=True)


def test_origins_are_printed_for_each_value(folder, run):
    code, out, _ = run(
        'analysis/print_config.py', 'leaf.py', '--origin', '--cfg-options', 'custom_hooks.0.momentum=0.2'
    )
    assert code == 0
    lines = dict(re.split(r'\s+# ', line) for line in out.splitlines())
    assert lines == {
        "default_scope = 'mmwtal'": 'base.py:1',
        '_sizes = [3, 4]': 'base.py:2',
        "model.type = 'torch.nn.Linear'": 'base.py:4',
        'model.in_features = 3': 'base.py:2',
        'model.out_features = 4': 'base.py:3',
        'model.bias = False': 'leaf.py:2',
        'test_cfg = None': 'base.py:6',
        "custom_hooks.0.type = 'EMAHook'": 'base.py:8',
        'custom_hooks.0.momentum = 0.2': 'command line',
    }
    assert len({line.index('# ') for line in out.splitlines()}) == 1


def test_a_mistake_is_one_line(folder, run):
    code, out, err = run('analysis/print_config.py', 'broken.py')
    assert (code, out) == (2, '')
    assert err.startswith('error: broken.py:1: syntax error')
    assert err.count('\n') == 1


def test_as_a_command(folder, repo_root):
    command = [sys.executable, str(repo_root / 'tools' / 'check_config.py'), 'typo.py']
    done = subprocess.run(
        command, capture_output=True, text=True, env={'PYTHONPATH': str(repo_root), 'OMP_NUM_THREADS': '1'}, timeout=120
    )
    assert done.returncode == 2
    assert 'typo.py:2: model.bais' in done.stdout
    assert 'Traceback' not in done.stderr
