import copy
import pickle

import pytest
import torch
from mmengine.structures import InstanceData

from mmwtal.structures import LocalizerOutput, Timebase, WTALDataSample


def make() -> WTALDataSample:
    return WTALDataSample(video_id='a', labels=torch.tensor([0.0, 1.0]), timebase=Timebase(fps=25, stride=16))


def test_fields():
    sample = make()
    assert sample.video_id == 'a'
    assert sample.labels.tolist() == [0, 1]
    assert 'gt_instances' not in sample
    sample.pred_instances = InstanceData(segments=torch.zeros(1, 2))
    assert len(sample.pred_instances) == 1
    del sample.pred_instances
    assert 'pred_instances' not in sample


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('video_id', 3),
        ('labels', [0, 1]),
        ('timebase', 0.64),
        ('gt_instances', {}),
        ('pred_instances', []),
        ('positions', [0.5]),
    ],
)
def test_fields_are_typed(name, value):
    with pytest.raises(AssertionError, match='should be'):
        setattr(make(), name, value)


def test_copies_and_moves():
    sample = make()
    for other in (copy.deepcopy(sample), pickle.loads(pickle.dumps(sample)), sample.to('cpu')):
        assert other.video_id == 'a'
        assert other.timebase == sample.timebase
        assert torch.equal(other.labels, sample.labels)


def test_localizer_output_counts_classes_and_snippets():
    mask = torch.tensor([[True, True, False], [True, True, True]])
    output = LocalizerOutput(
        feat=torch.zeros(2, 3, 4), attn=torch.zeros(2, 3, 1), cas=torch.zeros(2, 3, 6), has_background=True, mask=mask
    )
    assert output.num_classes == 5
    assert output.lengths.tolist() == [2, 3]
    output.has_background = False
    assert output.num_classes == 6
