"""Grouping, outer-inner contrast and pooling against plain loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mmwtal.decoders.grouping import group_runs
from mmwtal.decoders.outer_inner import outer_inner_contrast
from mmwtal.decoders.pooling import topk_mean, video_scores


@settings(deadline=None)
@given(hnp.arrays(bool, st.tuples(st.integers(0, 4), st.integers(1, 12))))
def test_group_runs(active):
    expected = []
    for row, values in enumerate(active):
        start = None
        for snippet, value in enumerate([*values, False]):
            if value and start is None:
                start = snippet
            elif not value and start is not None:
                expected.append([row, start, snippet])
                start = None
    rows, segments = group_runs(active)
    assert np.column_stack([rows, segments]).tolist() == expected


def plain_contrast(activation, start, end, margin):
    width = margin * (end - start)
    left = list(range(max(0, int(start - width)), start))
    right = list(range(end, min(len(activation) - 1, int(end - 1 + width)) + 1))
    outer = activation[left + right].mean(0) if left + right else 0
    return activation[start:end].mean(0) - outer


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(0, 999), st.sampled_from([0.0, 0.25, 0.3, 2.0]))
def test_outer_inner_contrast(length, seed, margin):
    rng = np.random.default_rng(seed)
    activation = rng.normal(size=(length, 3)).astype(np.float32)
    segments = np.array([(s, e) for s in range(length) for e in range(s + 1, length + 1)])
    expected = [plain_contrast(activation.astype(float), s, e, margin) for s, e in segments]
    np.testing.assert_allclose(outer_inner_contrast(activation, segments, margin=margin), expected, atol=1e-9)


def test_no_segments():
    assert outer_inner_contrast(np.ones((5, 3)), np.zeros((0, 2), dtype=int), margin=0.25).shape == (0, 3)


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.sampled_from([1, 7, 10, 2.5]), st.integers(0, 99))
def test_topk_mean_takes_k_from_each_videos_own_length(lengths, ratio, seed):
    values = torch.randn(len(lengths), max(lengths) + 2, 3, generator=torch.Generator().manual_seed(seed))
    mask = torch.arange(values.shape[1]) < torch.tensor(lengths)[:, None]
    found = topk_mean(values.masked_fill(~mask[..., None], float('nan')), mask, ratio=ratio)
    for row, length in enumerate(lengths):
        k = max(1, int(length // ratio))
        torch.testing.assert_close(found[row], values[row, :length].sort(0, descending=True)[0][:k].mean(0))


@pytest.mark.parametrize('background', [True, False])
def test_video_scores(background):
    activation = torch.tensor([[[1.0, 2.0, 3.0], [0.0, 4.0, 1.0]]])
    scores = video_scores(activation, torch.ones(1, 2, dtype=torch.bool), ratio=10, has_background=background)
    expected = torch.tensor([[1.0, 4.0, 3.0]]).softmax(-1)
    torch.testing.assert_close(scores, expected[:, :2] if background else expected)
