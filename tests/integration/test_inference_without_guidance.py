"""Testing a guided checkpoint: nothing of its guidance is built, imported or looked at."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmwtal.apis import WTALInferencer, init_localizer

from .conftest import CONFIG, GUIDED, ROOT, Tool, Toy, weights

pytestmark = pytest.mark.usefixtures('importable')

# Runs a tool where nothing that guidance needs can be imported. transformers is as if it were not installed (mmengine
# imports it where it is); the packages of texts are not even looked for, since a registry survives a failing import.
WITHOUT = """
import runpy
import sys

class Forbid:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(('mmwtal.priors', 'mmwtal.text_encoders')):
            raise AssertionError(f'{name} is imported')
        if name.partition('.')[0] == 'transformers':
            raise ModuleNotFoundError(f'No module named {name}', name=name)


sys.meta_path.insert(0, Forbid())
tool, sys.argv = sys.argv[1], sys.argv[1:]
runpy.run_path(tool, run_name='__main__')
"""


def run_without(tool: str, *arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, '-c', WITHOUT, str(ROOT / 'tools' / tool), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)


def predictions(work_dir: Path) -> dict:
    return json.loads((work_dir / 'predictions.json').read_text())['results']


def test_testing_needs_nothing_of_the_guidance(
    toy: Toy, run_tool: Tool, guided_run: Path, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guided = guided_run / 'iter_12.pth'
    small = tmp_path / 'small.pth'
    done = run_tool('model_converters/strip_guidance.py', guided_run, small)
    count = sum(value.numel() for name, value in weights(guided).items() if name.startswith('guidance.'))
    assert f'dropped: guidance, 4 tensors, {count} parameters' in done.stdout
    assert 'dropped: optimizer' in done.stdout
    assert small.stat().st_size < guided.stat().st_size / 2
    spoilt = torch.load(guided, weights_only=True)
    # What features must be like for this model.
    stated = {'fps': 25, 'stride': 16, 'window': 16, 'width': 128, 'model': 'synthetic'}
    assert spoilt['meta']['features'] == {**stated, 'modalities': {'rgb': [0, 64], 'flow': [64, 128]}}
    for name, value in spoilt['state_dict'].items():
        if name.startswith('guidance.'):
            value.fill_(float('nan'))
    torch.save(spoilt, tmp_path / 'spoilt.pth')
    away = toy.texts.rename(toy.folder / 'away.txt')
    try:
        pairs = [(toy.config, guided), (toy.config, small), (CONFIG, tmp_path / 'spoilt.pth')]
        for number, (config, checkpoint) in enumerate(pairs):
            work_dir = tmp_path / str(number)
            done = run_without('test.py', config, checkpoint, '--data-root', small_data, '--work-dir', work_dir)
            assert done.returncode == 0, done.stderr[-2000:]
            assert predictions(work_dir) == predictions(tmp_path / '0')
        assert sum(map(len, predictions(tmp_path / '0').values())) > 20
        monkeypatch.syspath_prepend(toy.folder)
        model = init_localizer(toy.config, guided)
        assert model.guidance is None
        found = WTALInferencer(toy.config, guided, device='cpu')(small_data)['predictions']
        assert {one['video']: one['actions'] for one in found} == predictions(tmp_path / '0')
        assert model.state_dict().keys() == weights(small).keys()
        # The same harness shows that training does need the texts.
        done = run_without('train.py', toy.config, '--data-root', small_data, '--work-dir', tmp_path / 'w')
        assert done.returncode != 0
        assert str(toy.texts) in done.stderr
    finally:
        away.rename(toy.texts)


def test_a_base_checkpoint_starts_a_guided_training(
    toy: Toy, run_tool: Tool, guided_run: Path, small_data: Path, tmp_path: Path
) -> None:
    small = tmp_path / 'small.pth'
    run_tool('model_converters/strip_guidance.py', guided_run / 'iter_12.pth', small)
    options = ['--data-root', small_data, '--work-dir', tmp_path / 'w', '--cfg-options', *GUIDED]
    options += [f'load_from={small}', 'train_cfg.max_iters=1', 'optim_wrapper.optimizer.lr=0.0']
    options += ['optim_wrapper.optimizer.weight_decay=0.0']
    done = run_tool('train.py', toy.config, *options)
    text = done.stdout + done.stderr
    assert 'the guidance starts anew: its 4 weights are not in the checkpoint' in text
    assert 'not in the checkpoint: ' not in text.replace('weights are not in the checkpoint', '')
    started, given = weights(tmp_path / 'w' / 'iter_1.pth'), weights(small)
    assert all(torch.equal(started[name], value) for name, value in given.items())
    assert sum(name not in given for name in started) == 4
