import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.decoders import nms as module
from mmwtal.decoders.nms import find_overlaps, nms, soft_nms, tiou_matrix
from mmwtal.registry import DECODERS
from mmwtal.utils.errors import UserError

OFFSETS = st.sampled_from([0.0, 1.0])


@st.composite
def detections(draw, classes=None):
    count = draw(st.integers(0, 15))
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    start = rng.integers(0, 20, count)
    segments = np.stack([start, start + rng.integers(1, 9, count)], axis=1).astype(float)
    # Scores all differ, so that the order of picking is defined; some are negative.
    shape = count if classes is None else (classes, count)
    return segments, rng.normal(size=shape)


def plain_tiou(a, b, offset):
    inter = max(min(a[1], b[1]) - max(a[0], b[0]) + offset, 0)
    union = (a[1] - a[0] + offset) + (b[1] - b[0] + offset) - inter
    return inter / union if union > 0 else 0.0


def plain_nms(segments, scores, threshold, offset):
    left, kept = list(range(len(scores))), []
    while left:
        best = max(left, key=lambda i: scores[i])
        kept.append(best)
        left = [i for i in left if i != best and plain_tiou(segments[best], segments[i], offset) < threshold]
    return kept


def plain_soft_nms(segments, scores, method, sigma, threshold, offset):
    left, scores, picked = list(range(len(scores))), list(scores), []
    while left:
        best = max(left, key=lambda i: scores[i])
        left.remove(best)
        picked.append((best, scores[best]))
        for i in left:
            tiou = plain_tiou(segments[best], segments[i], offset)
            if method == 'gaussian':
                scores[i] *= np.exp(-tiou * tiou / sigma)
            elif tiou > threshold:
                scores[i] *= 1 - tiou
    return picked


@settings(deadline=None)
@given(detections(), detections(), OFFSETS)
def test_tiou_matrix(first, second, offset):
    matrix = tiou_matrix(first[0], second[0], length_offset=offset)
    expected = [[plain_tiou(a, b, offset) for b in second[0]] for a in first[0]]
    np.testing.assert_allclose(matrix, np.reshape(expected, matrix.shape))


def test_tiou_of_segments_without_extent_is_zero():
    point = np.array([[3.0, 3.0]])
    assert tiou_matrix(point, point)[0, 0] == 0
    assert tiou_matrix(point, point, length_offset=1.0)[0, 0] == 1


@settings(deadline=None)
@given(detections(), st.sampled_from([0.1, 0.5, 0.6, 1.0]), OFFSETS)
def test_hard_nms(found, threshold, offset):
    segments, scores = found
    kept = nms(segments, scores, tiou_threshold=threshold, length_offset=offset)
    assert kept.tolist() == plain_nms(segments, scores, threshold, offset)


def test_hard_nms_drops_at_the_threshold_and_prefers_the_earlier_of_equal_scores():
    segments = np.array([[0.0, 2.0], [0.0, 1.0], [5.0, 6.0]])
    assert nms(segments, np.array([0.5, 0.5, 0.9]), tiou_threshold=0.5).tolist() == [2, 0]
    assert nms(segments, np.array([0.5, 0.5, 0.9]), tiou_threshold=0.51).tolist() == [2, 0, 1]


@settings(deadline=None)
@given(detections(classes=3), st.sampled_from(['gaussian', 'linear']), st.sampled_from([0.001, 0.3]), OFFSETS)
def test_soft_nms(found, method, sigma, offset):
    segments, scores = found
    order, picked = soft_nms(segments, scores, method=method, sigma=sigma, tiou_threshold=0.4, length_offset=offset)
    for row in range(3):
        expected = plain_soft_nms(segments, scores[row], method, sigma, 0.4, offset)
        assert sorted(order[row].tolist()) == list(range(len(segments)))
        np.testing.assert_allclose(picked[row], [score for _, score in expected], rtol=1e-9, atol=1e-300)
        assert order[row].tolist() == [index for index, _ in expected]


@settings(deadline=None)
@given(detections(classes=3), st.sampled_from(['gaussian', 'linear']), OFFSETS)
def test_soft_nms_of_many_segments_is_that_of_few(found, method, offset):
    segments, scores = found
    few = soft_nms(segments, scores, method=method, tiou_threshold=0.4, length_offset=offset)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, 'MOST_OVERLAPS', -1)
        many = soft_nms(segments, scores, method=method, tiou_threshold=0.4, length_offset=offset)
    for one, other in zip(few, many, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


def test_the_memory_of_soft_nms_grows_with_the_number_of_segments_only():
    count = 3000
    rng = np.random.default_rng(0)
    start = rng.uniform(0, 0.5, count)
    # All overlap.
    segments, scores = np.stack([start, start + 1], axis=1), rng.random((1, count))
    tracemalloc.start()
    order, _ = soft_nms(segments, scores)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sorted(order[0].tolist()) == list(range(count))
    assert peak < 30 * scores.nbytes


@settings(deadline=None)
@given(detections(), OFFSETS)
def test_overlaps_are_those_of_the_matrix(found, offset):
    segments, _ = found
    overlaps = find_overlaps(segments, length_offset=offset, most=1000)
    expected = tiou_matrix(segments, segments, length_offset=offset)
    np.fill_diagonal(expected, 0)
    matrix = np.zeros_like(expected)
    for row, (begin, end) in enumerate(itertools.pairwise(overlaps.begins)):
        others = overlaps.others[begin:end]
        assert len(set(others.tolist())) == len(others)
        matrix[row, others] = overlaps.tiou[begin:end]
    np.testing.assert_array_equal(matrix, expected)
    number = int((expected > 0).sum())
    assert len(overlaps.others) == number
    assert find_overlaps(segments, length_offset=offset, most=number - 1) is None


def test_soft_nms_of_equal_segments_under_a_total_decay_is_never_nan():
    segments = np.array([[0.0, 2.0]] * 3)
    for method in ('gaussian', 'linear'):
        order, picked = soft_nms(segments, np.array([[3.0, 2.0, 1.0]]), method=method, sigma=1e-4)
        assert picked.tolist() == [[3.0, 0.0, 0.0]]
        assert sorted(order[0].tolist()) == [0, 1, 2]


def test_arguments_are_left_alone():
    segments, scores = np.array([[0.0, 2.0], [1.0, 3.0]]), np.array([[1.0, 0.5]])
    soft_nms(segments, scores)
    assert scores.tolist() == [[1.0, 0.5]]


@pytest.mark.parametrize(
    'config',
    [{'type': 'HardNMS', 'tiou_threshold': 0.5}, {'type': 'SoftNMS'}, {'type': 'SoftNMS', 'method': 'linear'}],
)
@settings(deadline=None, max_examples=20)
@given(found=detections(classes=2))
def test_registered_suppressions_go_class_by_class(config, found):
    segments, scores = found
    result = DECODERS.build(config)(segments, scores)
    singles = [DECODERS.build(config)(segments, row[None]) for row in scores]
    assert result.classes.tolist() == [c for c, single in enumerate(singles) for _ in single.classes]
    assert result.indices.tolist() == [i for single in singles for i in single.indices]
    assert result.scores.tolist() == [s for single in singles for s in single.scores]
    if config['type'] == 'HardNMS':
        assert result.scores.tolist() == scores[result.classes, result.indices].tolist()


def test_unknown_method():
    with pytest.raises(UserError, match="'gaussian' or 'linear', found 'gausian'"):
        DECODERS.build({'type': 'SoftNMS', 'method': 'gausian'})
