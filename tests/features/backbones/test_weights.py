"""Checkpoints are read for their tensors alone, whatever else they hold, and nothing in them is run."""

import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from torch import nn

from mmwtal.features.backbones.weights import load_state, read_state, tensors_sha256
from mmwtal.utils.errors import UserError

STATE = {'weight': torch.arange(6.0).view(2, 3), 'bias': torch.ones(2)}


class Evil:
    """What a file that runs code looks like."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return pickle.loads, (b'cbuiltins\nopen\n(V' + str(self.place).encode() + b'\nVw\ntR.',)


def test_what_mmengine_stores_beside_the_weights_is_left_unmade(tmp_path):
    path = tmp_path / 'epoch_100.pth'
    hub = {'log_scalars': {'train/loss': HistoryBuffer([1.0, 0.5], [1, 1])}, 'runtime_info': {'lr': np.float64(0.1)}}
    meta = {'classes': np.array(['a', 'b']), 'cfg': 'model = dict()', 'path': tmp_path}
    torch.save({'state_dict': STATE, 'message_hub': hub, 'meta': meta, 'optimizer': {'state': {}}}, path)
    state, digest = read_state(path, remedy='none')
    assert state.keys() == STATE.keys()
    assert torch.equal(state['weight'], STATE['weight'])
    assert len(digest) == 64


@pytest.mark.parametrize('inside', ['beside', 'as a tensor'])
def test_code_in_a_file_is_never_run(tmp_path, inside):
    place = tmp_path / 'written_by_the_file'
    path = tmp_path / 'evil.pth'
    admitted = torch.serialization.get_safe_globals()
    content = {'state_dict': STATE, 'meta': Evil(place)} if inside == 'beside' else {**STATE, 'more': Evil(place)}
    torch.save(content, path)
    if inside == 'beside':
        assert read_state(path, remedy='none')[0].keys() == STATE.keys()
    else:
        with pytest.raises(UserError, match=r"evil.pth holds no named tensors alone: 'more' is none; none"):
            read_state(path, remedy='none')
    assert not place.exists()
    assert set(torch.serialization.get_safe_globals()) == set(admitted)


def test_what_is_beside_and_what_is_a_counter_does_not_count(tmp_path):
    module = nn.BatchNorm1d(3)
    state = {name: value for name, value in module.state_dict().items() if not name.endswith('tracked')}
    load_state(module, {**state, 'head.weight': STATE['weight']}, path=tmp_path, remedy='none', unused=['head.'])
    with pytest.raises(UserError, match=r'of 5 tensors: 1 missing \(bias\); 1 of another shape \(weight \(2, 3\) for'):
        load_state(
            module, {'weight': STATE['weight'], **without(state, 'weight', 'bias')}, path=tmp_path, remedy='none'
        )


def without(state, *names):
    return {name: value for name, value in state.items() if name not in names}


def test_the_hash_of_tensors_knows_names_values_shapes_and_dtypes():
    module = nn.Linear(3, 2)
    module.load_state_dict(STATE)
    first = tensors_sha256(module)
    assert first == tensors_sha256(module)
    found = {first}
    for change in (lambda m: m.bias.data.add_(1e-3), lambda m: m.to(torch.bfloat16), transpose):
        change(module)
        found.add(tensors_sha256(module))
    assert len(found) == 4
    assert tensors_sha256(nn.Sequential(nn.Linear(3, 2))) not in found


def transpose(module):
    module.weight = nn.Parameter(module.weight.t())
