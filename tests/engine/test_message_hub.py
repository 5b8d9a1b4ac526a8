from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub

from mmwtal.engine.message_hub import plain_message_hub, restore_message_hub
from mmwtal.utils.compat import load_from_local


def filled_hub(name: str) -> MessageHub:
    hub = MessageHub.get_instance(name)
    for step in range(5):
        hub.update_scalar('train/loss', 1 / (step + 1), count=step + 1)
    hub.update_scalar('train/count', 3)
    hub.update_scalar('time', 0.5, resumed=False)
    hub.update_info('iter', 5)
    hub.update_info('best', np.float64(0.25))
    hub.update_info('dataset_meta', {'classes': ('a', 'b'), 'sizes': {np.int64(1): [2, None]}, 'ids': {'x'}})
    hub.update_info('curve', np.linspace(0, 1, 3))
    hub.update_info('weights', torch.ones(2, requires_grad=True))
    hub.update_info('runner', object(), resumed=False)
    return hub


def test_the_message_hub_survives_a_plain_checkpoint(tmp_path):
    hub = filled_hub('hub-source')
    path = tmp_path / 'hub.pth'
    torch.save({'message_hub': plain_message_hub(hub.state_dict())}, path)
    state = restore_message_hub(load_from_local(str(path))['message_hub'])

    target = MessageHub.get_instance('hub-target')
    target.load_state_dict({**state, 'resumed_keys': {k: v for k, v in state['resumed_keys'].items() if v}})
    assert set(target.log_scalars) == {'train/loss', 'train/count'}
    for key in target.log_scalars:
        before, after = hub.get_scalar(key), target.get_scalar(key)
        for ours, theirs in zip(after.data, before.data, strict=True):
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)
        assert after.max_length == before.max_length
    assert target.get_scalar('train/loss').mean(3) == hub.get_scalar('train/loss').mean(3)
    target.update_scalar('train/loss', 0.1)
    assert target.get_scalar('train/loss').current() == 0.1

    assert target.get_info('iter') == 5
    assert type(target.get_info('best')) is float
    assert target.get_info('best') == 0.25
    assert target.get_info('dataset_meta') == {'classes': ('a', 'b'), 'sizes': {1: [2, None]}, 'ids': {'x'}}
    assert torch.equal(target.get_info('curve'), torch.linspace(0, 1, 3, dtype=torch.float64))
    assert torch.equal(target.get_info('weights'), torch.ones(2))
    assert target.get_info('runner') is None


@pytest.mark.parametrize('value', [object(), [Path('x')], {'k': np.array(['text'])}], ids=['object', 'path', 'strings'])
def test_what_has_no_plain_form_is_refused_by_name(value):
    state = {'log_scalars': {}, 'runtime_info': {'my entry': value}, 'resumed_keys': {'my entry': True}}
    with pytest.raises(TypeError, match=r"'my entry'.*resumed=False"):
        plain_message_hub(state)
