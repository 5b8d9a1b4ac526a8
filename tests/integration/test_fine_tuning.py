"""Starting from the weights of another training."""

import json
from pathlib import Path

import pytest
import torch

from .conftest import CONFIG, ROOT, SHORT, Tool, weights


def test_load_from_says_what_was_not_loaded(run_tool: Tool, small_data: Path, tmp_path: Path) -> None:
    options = ['--data-root', small_data, '--cfg-options', *SHORT, 'train_cfg.max_iters=1']
    run_tool('train.py', CONFIG, '--work-dir', tmp_path / 'first', *options)
    first = tmp_path / 'first' / 'iter_1.pth'
    state = torch.load(first, weights_only=True)
    # As if it had been trained for five classes, by a version that had one weight more and one less.
    for key in ('head.classifier.weight', 'head.classifier.bias'):
        state['state_dict'][key] = state['state_dict'][key][:6]
    state['state_dict']['head.old'] = torch.zeros(3)
    del state['state_dict']['head.hidden.bias']
    torch.save(state, tmp_path / 'other.pth')

    other = [*options, f'load_from={tmp_path}/other.pth', 'optim_wrapper.optimizer.lr=0.0']
    done = run_tool('train.py', CONFIG, '--work-dir', tmp_path / 'second', *other)
    text = done.stdout + done.stderr
    total = len(weights(first))
    assert f'loaded {total - 3} of the {total} weights of the model' in text
    assert 'other shape: head.classifier.weight (9, 128, 1), in the checkpoint (6, 128, 1)' in text
    assert 'not in the checkpoint: head.hidden.bias' in text
    assert 'not used, the model has no such weight: head.old' in text
    second = weights(tmp_path / 'second' / 'iter_1.pth')
    for key, value in state['state_dict'].items():
        if key in second and second[key].shape == value.shape:
            assert torch.equal(second[key], value)

    torch.save(dict(state_dict={'layer.weight': torch.zeros(1)}), tmp_path / 'foreign.pth')
    foreign = [*options, f'load_from={tmp_path}/foreign.pth']
    done = run_tool('train.py', CONFIG, '--work-dir', tmp_path / 'third', *foreign, code=2)
    assert 'foreign.pth: none of its 1 weights fits' in done.stderr


@pytest.mark.slow
def test_a_part_of_the_classes(run_tool: Tool, small_data: Path, tmp_path: Path) -> None:
    classes = json.loads((small_data / 'annotations.json').read_text())['classes'][1:4]
    config = tmp_path / 'part.py'
    config.write_text(
        f"_base_ = ['{ROOT / CONFIG}']\n"
        f'_classes = {classes}\n'
        'train_dataloader = dict(dataset=dict(metainfo=dict(classes=_classes)))\n'
        'test_dataloader = dict(dataset=dict(metainfo=dict(classes=_classes)))\n'
    )
    options = ['--data-root', small_data, '--work-dir', tmp_path / 'w']
    run_tool('train.py', config, *options, '--cfg-options', *SHORT, 'train_cfg.max_iters=1')
    done = run_tool('test.py', config, tmp_path / 'w', *options)
    assert 'this result is for 3 classes and not comparable' in done.stdout + done.stderr
    result = json.loads((tmp_path / 'w' / 'result.json').read_text())
    assert set(result['per_class']) <= set(classes)
    assert weights(tmp_path / 'w' / 'iter_1.pth')['head.classifier.bias'].shape == (4,)
