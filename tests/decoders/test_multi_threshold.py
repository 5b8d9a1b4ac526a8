import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.registry import DECODERS
from mmwtal.structures import LocalizerOutput, Timebase

SNIPPETS = Timebase(fps=1, stride=1)


def decoder(**options):
    return DECODERS.build({'type': 'MultiThresholdDecoder', **options})


def batch(*videos, padding=0, background=True):
    """An output of videos given as (cas (T, C'), attn (T,)), with NaN in its padding."""
    length = max(len(cas) for cas, _ in videos) + padding
    cas = torch.full((len(videos), length, videos[0][0].shape[1]), float('nan'))
    attn = torch.full((len(videos), length, 1), float('nan'))
    mask = torch.zeros(len(videos), length, dtype=torch.bool)
    for row, (one_cas, one_attn) in enumerate(videos):
        cas[row, : len(one_cas)] = torch.as_tensor(one_cas)
        attn[row, : len(one_cas), 0] = torch.as_tensor(one_attn).reshape(-1)
        mask[row, : len(one_cas)] = True
    return LocalizerOutput(feat=cas, attn=attn, cas=cas, has_background=background, mask=mask)


def rows(found):
    return np.column_stack([found.segments.numpy(), found.scores.numpy(), found.labels.numpy()])


def random_video(length, seed, classes=4):
    rng = np.random.default_rng(seed)
    smooth = np.convolve(rng.normal(size=length + 4), np.ones(5) / 5, mode='valid') * 4
    return rng.normal(size=(length, classes + 1)).astype(np.float32) * 2, (1 / (1 + np.exp(-smooth))).astype(np.float32)


def assert_parity(found, expected):
    found, expected = rows(found), np.reshape(expected, (-1, 4))
    assert len(expected) > 0
    np.testing.assert_array_equal(found[:, [0, 1, 3]], expected[:, [0, 1, 3]])
    np.testing.assert_allclose(found[:, 2], expected[:, 2], atol=1e-5)


def test_stored_proposals_of_the_published_code(repo_root):
    cases = json.loads((repo_root / 'tests/golden/decoder_small.json').read_text())['cases']
    for case in cases:
        found = decoder().decode(batch((np.array(case['cas']), np.array(case['attn']))), SNIPPETS)
        assert_parity(found[0], case['proposals'])


def test_published_proposals_of_real_length(shared_golden):
    golden = np.load(shared_golden / 'decoder.npz')
    videos = [(golden[f'cas_{video}'], golden[f'attn_{video}']) for video in range(4)]
    for video, found in enumerate(decoder().decode(batch(*videos), SNIPPETS)):
        assert_parity(found, golden[f'proposals_{video}'])


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=4), st.integers(0, 5), st.integers(0, 99))
def test_padding_batch_and_order_do_not_matter(lengths, padding, seed):
    videos = [random_video(length, seed + index) for index, length in enumerate(lengths)]
    together = decoder().decode(batch(*videos[::-1], padding=padding), SNIPPETS)[::-1]
    for video, found in zip(videos, together, strict=True):
        alone = rows(decoder().decode(batch(video), SNIPPETS)[0])
        np.testing.assert_array_equal(rows(found)[:, [0, 1, 3]], alone[:, [0, 1, 3]])
        np.testing.assert_allclose(rows(found)[:, 2], alone[:, 2], rtol=0, atol=1e-9)


def two_actions(background):
    """Snippets 2 to 4 are class 0 and 7 to 8 class 1, attention certain."""
    cas = np.zeros((11, 2 + background), dtype=np.float32)
    cas[2:5, 0] = cas[7:9, 1] = 6.0
    attn = np.full(11, 0.05, dtype=np.float32)
    attn[2:5] = attn[7:9] = 0.95
    return cas, attn


@pytest.mark.parametrize('background', [True, False])
def test_kept_classes_share_the_segments(background):
    found = decoder().decode(batch(two_actions(background), background=background), SNIPPETS)[0]
    best = {}
    for start, end, score, label in rows(found):
        best.setdefault((int(label), int(start), int(end)), score)
    assert set(best) == {(0, 2, 5), (0, 7, 9), (1, 2, 5), (1, 7, 9)}
    assert best[0, 2, 5] > 5
    assert best[1, 7, 9] > 5
    assert best[0, 7, 9] < 1


def test_the_best_class_is_kept_where_none_reaches_the_threshold():
    cas, attn = two_actions(True)
    cas[:, 1] *= 0.9
    found = decoder(class_threshold=0.99).decode(batch((cas, attn)), SNIPPETS)[0]
    assert set(found.labels.tolist()) == {0}


def test_options_act():
    video = random_video(40, seed=3)
    reference = rows(decoder().decode(batch(video), SNIPPETS)[0])
    for option in (
        {'class_threshold': 0.01},
        {'attn_thresholds': (0.1, 0.9, 20)},
        {'topk_ratio': 2},
        {'gamma': 0.0},
        {'outer_margin': 0.5},
        {'nms': {'type': 'SoftNMS'}},
        {'nms': {'type': 'HardNMS', 'tiou_threshold': 0.6}},
    ):
        changed = rows(decoder(**option).decode(batch(video), SNIPPETS)[0])
        assert changed.shape != reference.shape or not np.allclose(changed, reference), option


def test_hard_nms_leaves_each_segment_once():
    found = decoder(nms={'type': 'HardNMS', 'tiou_threshold': 1.0}).decode(batch(two_actions(True)), SNIPPETS)[0]
    assert len(found) == 4


@pytest.mark.parametrize(('skip', 'count'), [(True, 0), (False, 10)])
@pytest.mark.parametrize('length', [1, 6])
def test_a_lone_first_snippet(skip, count, length):
    cas = np.full((length, 3), -1.0, dtype=np.float32)
    cas[0, 0] = 5.0
    attn = np.zeros(length, dtype=np.float32)
    attn[0] = 0.95
    found = decoder(skip_lone_first_snippet=skip).decode(batch((cas, attn)), SNIPPETS)[0]
    assert len(found) == count
    assert found.segments.shape == (count, 2)
    assert found.segments.dtype == torch.float64
    assert found.labels.dtype == torch.int64


def test_nothing_above_any_threshold():
    found = decoder().decode(batch((np.ones((5, 3), dtype=np.float32), np.zeros(5))), SNIPPETS)[0]
    assert len(found) == 0


def test_seconds_come_from_each_videos_timebase():
    video = two_actions(True)
    grids = [Timebase(fps=25, stride=16), Timebase(fps=10, stride=5, window=9, duration=4.0)]
    first, second = decoder().decode(batch(video, video), grids)
    snippets = decoder().decode(batch(video), SNIPPETS)[0]
    np.testing.assert_allclose(first.segments, snippets.segments * 0.64)
    np.testing.assert_allclose(second.segments, np.minimum(snippets.segments.numpy() * 0.5 + 0.2, 4.0))


def test_proposals_beyond_the_end_of_the_video_are_dropped():
    grid = Timebase(fps=1, stride=1, duration=7.0)
    found = decoder().decode(batch(two_actions(True)), grid)[0]
    assert {tuple(segment) for segment in found.segments.tolist()} == {(2.0, 5.0)}


def test_one_timebase_for_each_video():
    with pytest.raises(ValueError, match='each of 1 videos, found 2'):
        decoder().decode(batch(two_actions(True)), [SNIPPETS, SNIPPETS])


def test_half_precision_and_gradients_do_not_disturb():
    output = batch(two_actions(True))
    expected = rows(decoder().decode(output, SNIPPETS)[0])
    output.cas = output.cas.bfloat16().requires_grad_()
    output.attn = output.attn.requires_grad_()
    found = rows(decoder().decode(output, SNIPPETS)[0])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_scores_from_elsewhere_keep_the_classes_and_weigh_in_the_proposals():
    output = batch(two_actions(True), two_actions(True))
    own = decoder().decode(output, SNIPPETS)[0]
    # Class 1 alone reaches .2 in the first video, none in the second: its best, class 0, is kept.
    output.video_scores = torch.tensor([[0.1, 0.2], [0.15, 0.1]], dtype=torch.float64)
    first, second = decoder(nms={'type': 'HardNMS', 'tiou_threshold': 1.0}).decode(output, SNIPPETS)
    assert set(first.labels.tolist()) == {1}
    assert set(second.labels.tolist()) == {0}
    assert set(own.labels.tolist()) == {0, 1}
    # The contrast of a proposal does not depend on the video's score: scores differ by gamma times the difference.
    without = decoder(gamma=0.0, nms={'type': 'HardNMS', 'tiou_threshold': 1.0}).decode(output, SNIPPETS)
    np.testing.assert_allclose(first.scores - without[0].scores, 0.2 * 0.2)
    np.testing.assert_allclose(second.scores - without[1].scores, 0.2 * 0.15)
