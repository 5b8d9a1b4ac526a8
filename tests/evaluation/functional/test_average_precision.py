import os
import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.evaluation.functional import average_precision, match_detections
from mmwtal.evaluation.functional.pairing import equal_key_pairs

TIOUS = np.array([0.1, 0.3, 0.5, 0.7, 1.0])


def plain_tiou(p, g):
    intersection = max(min(p[1], g[1]) - max(p[0], g[0]), 0.0)
    union = (g[1] - g[0]) + (p[1] - p[0]) - intersection
    return intersection / union if union > 0 else 0.0


def plain_ap(detections, truths, label, threshold):
    """One class, one threshold, one detection after the other; lists of (video, label, start, end[, score])."""
    wanted = [g for g in truths if g[1] == label]
    if not wanted:
        return np.nan
    own = [d for d in detections if d[1] == label]
    ranked = [own[i] for i in np.argsort([d[4] for d in own], kind='stable')[::-1]]
    taken = [False] * len(wanted)
    hits = []
    for video, _, start, end, _ in ranked:
        free = [(plain_tiou((start, end), g[2:4]), j) for j, g in enumerate(wanted) if g[0] == video and not taken[j]]
        best = max(free, default=(0.0, -1))
        hits.append(best[0] >= threshold)
        if hits[-1]:
            taken[best[1]] = True
    recall = np.concatenate([[0], np.cumsum(hits) / len(wanted), [1]])
    precision = np.concatenate([[0], np.cumsum(hits) / np.arange(1, len(hits) + 1), [0]])
    for i in range(len(precision) - 2, -1, -1):
        precision[i] = max(precision[i], precision[i + 1])
    return sum((recall[i] - recall[i - 1]) * precision[i] for i in range(1, len(recall)))


def vectorised_ap(detections, truths, num_classes, tious=TIOUS):
    det = np.array(detections, dtype=float).reshape(-1, 5)
    gt = np.array(truths, dtype=float).reshape(-1, 4)
    return average_precision(
        det_videos=det[:, 0].astype(int),
        det_labels=det[:, 1].astype(int),
        det_segments=det[:, 2:4],
        det_scores=det[:, 4],
        gt_videos=gt[:, 0].astype(int),
        gt_labels=gt[:, 1].astype(int),
        gt_segments=gt[:, 2:4],
        num_classes=num_classes,
        tious=tious,
    )


def segment(start, length):
    return start, start + length


# Whole seconds make equal tIoUs, duplicates and zero lengths frequent; the others make none.
TIMES = st.one_of(st.integers(0, 8).map(float), st.floats(0, 50, allow_nan=False))
SEGMENTS = st.builds(segment, TIMES, TIMES)
TRUTHS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), SEGMENTS), max_size=16)
DETECTIONS = st.lists(
    st.tuples(st.integers(-1, 3), st.integers(0, 2), SEGMENTS, st.sampled_from([-1.0, 0.0, 0.5, 0.7, 0.9, 2.0])),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(DETECTIONS, TRUTHS)
def test_agrees_with_plain_reference(detections, truths):
    detections = [(v, c, *s, score) for v, c, s, score in detections]
    truths = [(v, c, *s) for v, c, s in truths]
    expected = [[plain_ap(detections, truths, label, t) for t in TIOUS] for label in range(3)]
    np.testing.assert_allclose(vectorised_ap(detections, truths, 3), expected, rtol=0, atol=1e-9)


def test_agrees_with_plain_reference_where_much_competes():
    rng = np.random.default_rng(0)
    truths = [(v, c, s, s + n) for v, c, s, n in rng.integers([0, 0, 0, 1], [3, 2, 60, 9], (90, 4))]
    detections = [
        (v, c, s, s + n, score)
        for (v, c, s, n), score in zip(
            rng.integers([0, 0, 0, 1], [4, 2, 60, 9], (3000, 4)) + rng.random((3000, 4)) * [0, 0, 1, 1],
            rng.random(3000),
            strict=True,
        )
    ]
    expected = [[plain_ap(detections, truths, label, t) for t in TIOUS] for label in range(2)]
    assert np.min(expected) < 0.1 < np.max(expected)
    np.testing.assert_allclose(vectorised_ap(detections, truths, 2), expected, rtol=0, atol=1e-9)


def test_falls_through_to_the_next_best_free_ground_truth():
    truths = [(0, 0, 0, 10), (0, 0, 2, 12)]
    detections = [(0, 0, 0, 10, 0.9), (0, 0, 0, 10, 0.8)]
    # The second one overlaps the taken ground truth fully and the free one by 8 / 12.
    np.testing.assert_allclose(vectorised_ap(detections, truths, 1, np.array([0.5, 0.7])), [[1.0, 0.5]])


def test_a_threshold_is_reached_by_equality():
    ap = vectorised_ap([(0, 0, 0, 3, 1.0)], [(0, 0, 0, 10)], 1, np.array([0.3, 0.1 + 0.2]))
    np.testing.assert_array_equal(ap, [[1.0, 0.0]])  # 0.1 + 0.2 is above 0.3: thresholds have to be clean


def test_equal_scores_serve_the_later_row_first():
    truths = [(0, 0, 0, 10)]
    hit, miss = (0, 0, 0, 10, 0.5), (0, 0, 50, 60, 0.5)
    tious = np.array([0.5])
    assert vectorised_ap([hit, miss], truths, 1, tious) == 0.5
    assert vectorised_ap([miss, hit], truths, 1, tious) == 1.0


def test_zero_length_ground_truth_is_kept_and_never_matched():
    ap = vectorised_ap([(0, 0, 5, 5, 0.9), (0, 0, 0, 1, 0.8)], [(0, 0, 5, 5), (0, 0, 0, 1)], 1, np.array([0.5]))
    assert ap == 0.25  # one of two found, at precision 1 / 2


def test_videos_without_ground_truth_make_false_positives_and_empty_classes_count_zero():
    truths = [(0, 0, 0, 10), (0, 1, 0, 10)]
    ap = vectorised_ap([(-1, 0, 0, 10, 0.9), (0, 0, 0, 10, 0.8)], truths, 3, np.array([0.5]))
    np.testing.assert_array_equal(ap, [[0.5], [0.0], [np.nan]])
    np.testing.assert_array_equal(vectorised_ap([], truths, 2, np.array([0.5])), [[0.0], [0.0]])


def test_equal_tious_in_a_large_group_follow_plain_quicksort():
    # 20 ground truths: one detection ties with numbers 3 and 17. Which one it takes shows in a second detection, that
    # overlaps number 17 only. The plain quicksort of 20 values is fixed by numpy's algorithm, on every processor.
    gt = np.array([[30.0 + 2 * i, 31.0 + 2 * i] for i in range(20)])
    gt[3], gt[17] = [0, 5], [5, 10]
    tiou = np.zeros(20)
    tiou[[3, 17]] = 0.5
    first = tiou.astype(np.longdouble).argsort()[::-1][0]
    det = np.array([[0.0, 10.0], [5.0, 10.0]])
    groups = np.zeros(2, dtype=int), np.zeros(20, dtype=int)
    served = match_detections(det, groups[0], gt, groups[1], np.array([0.5]))
    assert served.ravel().tolist() == [True, first == 3]


@given(st.lists(st.integers(-1, 4), max_size=20), st.lists(st.integers(0, 4), max_size=20), st.integers(1, 9))
def test_equal_key_pairs_gives_every_pair_once_in_bounded_blocks(left, right, max_pairs):
    blocks = list(equal_key_pairs(np.array(left, dtype=int), np.array(right, dtype=int), max_pairs))
    pairs = [pair for rows, others in blocks for pair in zip(rows.tolist(), others.tolist(), strict=True)]
    assert pairs == [(i, j) for i, a in enumerate(left) for j in reversed(range(len(right))) if right[j] == a]
    assert all(len(rows) <= max_pairs or len(set(rows.tolist())) == 1 for rows, _ in blocks)


HALF_A_MILLION = r"""
import re, time
import numpy as np
from mmwtal.evaluation.functional import average_precision
rng = np.random.default_rng(0)
truth_class = rng.integers(0, 200, 10_000)
start, det_start = rng.uniform(0, 180, 10_000), rng.uniform(0, 180, 500_000)
det_videos = rng.integers(0, 5000, 500_000)
begin = time.perf_counter()
ap = average_precision(
    det_videos=det_videos,
    det_labels=truth_class[2 * det_videos],
    det_segments=np.stack([det_start, det_start + rng.uniform(1, 40, 500_000)], axis=1),
    det_scores=rng.random(500_000),
    gt_videos=np.arange(10_000) // 2,
    gt_labels=truth_class,
    gt_segments=np.stack([start, start + rng.uniform(1, 40, 10_000)], axis=1),
    num_classes=200,
    tious=np.linspace(0.1, 0.9, 9),
)
seconds = time.perf_counter() - begin
# Not ru_maxrss, in which a child begins with the size of the process that started it.
peak = re.search(r'VmHWM:\s+(\d+) kB', open('/proc/self/status').read())
print(seconds, int(peak[1]) / 2**20, np.nanmean(ap))
"""


def test_half_a_million_detections_take_seconds_and_little_memory(repo_root):
    done = subprocess.run(
        [sys.executable, '-c', HALF_A_MILLION],
        env={**os.environ, 'PYTHONPATH': str(repo_root), 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, gibibytes, mean = map(float, done.stdout.split())
    assert seconds < 30
    assert gibibytes < 2
    assert 0 < mean < 1
