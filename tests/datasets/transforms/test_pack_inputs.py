import warnings

import numpy as np
import pytest
import torch

from mmwtal.datasets.transforms.formatting import PackWTALInputs
from mmwtal.datasets.transforms.loading import LoadSnippetFeatures
from mmwtal.structures import Timebase
from mmwtal.utils.errors import UserError


def record(feature, **more):
    return {
        'video_id': 'v',
        'feature_path': 'v.npy',
        'feature': feature,
        'label_ids': np.array([2, 0]),
        'num_classes': 4,
        'timebase': Timebase(fps=25, stride=16),
        **more,
    }


@pytest.mark.parametrize('dtype', ['float16', 'float32', '>f4'])
@pytest.mark.parametrize('order', ['C', 'F'])
def test_packs_any_feature_array_as_float32(dtype, order):
    values = np.arange(12, dtype=np.float64).reshape(4, 3)
    packed = PackWTALInputs()(record(values.astype(dtype, order=order)))
    assert packed['inputs'].dtype == torch.float32
    assert packed['inputs'].is_contiguous()
    np.testing.assert_array_equal(packed['inputs'].numpy(), values)
    assert packed['data_samples'].labels.tolist() == [1, 0, 1, 0]
    assert packed['data_samples'].labels.dtype == torch.float32
    assert 'gt_instances' not in packed['data_samples']
    assert 'video_scores' not in packed['data_samples']


def test_a_memory_map_is_copied_so_that_the_file_stays_as_it_is(tmp_path):
    path = tmp_path / 'v.npy'
    np.save(path, np.ones((4, 3), np.float32))
    results = {'video_id': 'v', 'feature_path': str(path), 'num_snippets': 4, 'feature_width': 3}
    feature = LoadSnippetFeatures()(results)['feature']
    assert isinstance(feature, np.memmap)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        inputs = PackWTALInputs()(record(feature))['inputs']
    inputs += 1
    assert (np.load(path) == 1).all()


def test_segments_go_along_where_the_record_has_them():
    segments, labels = np.array([[0.5, 1.25], [2, 3]]), np.array([1, 3])
    packed = PackWTALInputs()(record(np.ones((4, 3)), segments=segments, segment_label_ids=labels))
    truth = packed['data_samples'].gt_instances
    assert truth.segments.tolist() == segments.tolist()
    assert truth.labels.tolist() == [1, 3]


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_bad_values_name_the_video(bad):
    feature = np.ones((4, 3), np.float16)
    feature[3, 1] = bad
    with pytest.raises(UserError, match=r'video v: features v\.npy hold NaN or Inf'):
        PackWTALInputs()(record(feature))


def test_both_infinities_do_not_cancel():
    feature = np.ones((4, 3), np.float32)
    feature[0, 0], feature[1, 1] = np.inf, -np.inf
    with pytest.raises(UserError, match='NaN or Inf'):
        PackWTALInputs()(record(feature))


def test_huge_values_whose_sum_overflows_are_no_fault():
    feature = np.full((4, 3), 3e38, np.float32)
    assert torch.isfinite(PackWTALInputs()(record(feature))['inputs']).all()


def test_scores_of_the_video_are_packed():
    packed = PackWTALInputs()(record(np.ones((4, 3)), video_scores=np.array([0.1, 0.2, 0.3, 0.4])))
    assert packed['data_samples'].video_scores.tolist() == [0.1, 0.2, 0.3, 0.4]
