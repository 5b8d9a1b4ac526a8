import pytest
import torch

from mmwtal.registry import MODELS
from mmwtal.structures import Timebase, WTALDataSample
from mmwtal.utils.errors import UserError


@pytest.fixture
def preprocess():
    return MODELS.build({'type': 'WTALDataPreprocessor'})


def sample(name):
    return WTALDataSample(video_id=name, labels=torch.tensor([1.0, 0.0]), timebase=Timebase(fps=25, stride=16))


def test_pads_with_zeros(preprocess):
    videos = [torch.ones(2, 4), torch.full((5, 4), 2.0)]
    batch = preprocess({'inputs': videos, 'data_samples': [sample('a'), sample('b')]})
    assert batch['inputs'].shape == (2, 5, 4)
    assert batch['mask'].tolist() == [[True, True, False, False, False], [True] * 5]
    assert (batch['inputs'][0, 2:] == 0).all()
    torch.testing.assert_close(batch['inputs'][1], videos[1])
    assert [s.video_id for s in batch['data_samples']] == ['a', 'b']
    assert batch['data_samples'][0].timebase == Timebase(fps=25, stride=16)


def test_half_precision_becomes_float32(preprocess):
    assert preprocess({'inputs': [torch.ones(2, 4, dtype=torch.float16)]})['inputs'].dtype == torch.float32


def test_stacked_tensor(preprocess):
    stacked = torch.rand(2, 3, 4)
    batch = preprocess({'inputs': stacked})
    assert batch['inputs'] is stacked
    assert batch['mask'].shape == (2, 3)
    assert batch['mask'].all()
    assert batch['data_samples'] is None
    mask = torch.tensor([[True, True, False], [True, True, True]])
    assert preprocess({'inputs': stacked, 'mask': mask})['mask'] is mask


def test_another_width_names_the_video(preprocess):
    data = {'inputs': [torch.ones(2, 4), torch.ones(3, 5)], 'data_samples': [sample('first'), sample('odd_one')]}
    with pytest.raises(UserError, match=r"'odd_one': expected features of 4 channels, as video 'first'.*\(3, 5\)"):
        preprocess(data)
    with pytest.raises(UserError, match='video number 1 of the batch'):
        preprocess({'inputs': data['inputs']})


@pytest.mark.parametrize('video', [torch.ones(0, 4), torch.ones(4)])
def test_not_a_sequence_of_snippets(preprocess, video):
    with pytest.raises(UserError, match="'a': expected features of at least one snippet"):
        preprocess({'inputs': [video], 'data_samples': [sample('a')]})


def test_tensor_of_one_video(preprocess):
    with pytest.raises(UserError, match=r'\(B, T, D\), found \(3, 4\)'):
        preprocess({'inputs': torch.ones(3, 4)})
