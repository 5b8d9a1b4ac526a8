"""Incompleteness and over-completeness, by hand and against plain loops."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.evaluation import read_detections, read_ground_truth
from mmwtal.evaluation.completeness import Completeness, best_detections, completeness, covered_length


def measured(instances: list, detections: list, **options: float) -> Completeness:
    """Instances (video, class, start, end) and detections (video, class, start, end, score)."""
    database: dict = {video: {'subset': 'test', 'annotations': []} for video in ('a', 'b')}
    for video, label, start, end in instances:
        database[video]['annotations'].append({'label': label, 'segment': [start, end]})
    results: dict = {video: [] for video in ('b', 'a', 'elsewhere')}
    for video, label, start, end, score in detections:
        results[video].append({'label': label, 'segment': [start, end], 'score': score})
    return completeness(read_detections({'results': results}), read_ground_truth({'database': database}), **options)


RUN = [('a', 'run', 10, 20)]


@pytest.mark.parametrize(
    ('instances', 'detections', 'incomplete', 'over', 'beyond', 'missed'),
    [
        (RUN, [('a', 'run', 10, 20, 1)], 0, 0, 0, 0),
        (RUN, [('a', 'run', 12, 17, 1)], 0.5, 0, 0, 0),  # the most telling part alone
        (RUN, [('a', 'run', 5, 25, 1)], 0, 0.5, 0.5, 0),  # with what goes with it
        (RUN, [('a', 'run', 15, 25, 1)], 0.5, 0.5, 0.5, 0),
        # The score decides, not the overlap; of equal scores the overlap.
        (RUN, [('a', 'run', 10, 20, 0.3), ('a', 'run', 12, 17, 0.4)], 0.5, 0, 0, 0),
        (RUN, [('a', 'run', 10, 20, 0.4), ('a', 'run', 12, 17, 0.4)], 0, 0, 0, 0),
        # A detection that merely touches the instance is one of the background.
        (RUN, [('a', 'run', 12, 17, 0.1), ('a', 'run', 19.5, 25, 0.9)], 0.5, 0, 0, 0),
        # Two instances of one class in one detection: incomplete in none, over-complete by the gap alone.
        ([*RUN, ('a', 'run', 25, 30)], [('a', 'run', 10, 30, 1)], 0, 0.25, (0.5 + 0.75) / 2, 0),
        # What overlaps in the ground truth counts once.
        ([*RUN, ('a', 'run', 15, 25)], [('a', 'run', 10, 30, 1)], 0, 0.25, 0.5, 0),
        # Another class inside a detection is something else; a foreign class or video finds nothing.
        ([*RUN, ('a', 'jump', 20, 30)], [('a', 'run', 10, 30, 1)], 0, 0.5, 0.5, 0.5),
        (RUN, [('a', 'jump', 10, 20, 1), ('b', 'run', 10, 20, 1), ('elsewhere', 'run', 10, 20, 1)], *[math.nan] * 3, 1),
        ([*RUN, ('b', 'run', 0, 8)], [('b', 'run', 0, 4, 1)], 0.5, 0, 0, 0.5),
        # An instance without length cannot be covered.
        ([*RUN, ('a', 'run', 40, 40)], [('a', 'run', 10, 20, 1), ('a', 'run', 40, 40, 1)], 0, 0, 0, 0),
        (RUN, [], *[math.nan] * 3, 1),
    ],
)
def test_by_hand(
    instances: list, detections: list, incomplete: float, over: float, beyond: float, missed: float
) -> None:
    found = measured(instances, detections)
    expected = (incomplete, over, beyond, missed)
    assert (found.incompleteness, found.over_completeness, found.beyond_instance, found.missed) == pytest.approx(
        expected, nan_ok=True
    )
    assert found.num_instances == sum(end > start for *_, start, end in instances)


def test_what_counts_as_found_is_an_option() -> None:
    detections = [('a', 'run', 10, 12, 1)]
    assert measured(RUN, detections).incompleteness == pytest.approx(0.8)
    assert measured(RUN, detections, found_tiou=0.3).to_dict() == {
        'incompleteness': None,
        'over_completeness': None,
        'beyond_instance': None,
        'missed': 1.0,
        'num_instances': 1,
        'found_tiou': 0.3,
    }


segment = st.tuples(st.integers(0, 12), st.integers(1, 6)).map(lambda pair: (pair[0], pair[0] + pair[1]))
rows = st.lists(st.tuples(segment, st.integers(0, 2), st.integers(0, 3)), max_size=8)


@settings(max_examples=60)
@given(rows, rows)
def test_as_plain_loops_have_it(instances: list, detections: list) -> None:
    gt, det = (np.array([row[0] for row in table], dtype=float).reshape(-1, 2) for table in (instances, detections))
    gt_groups, det_groups = (np.array([row[1] for row in table], dtype=int) for table in (instances, detections))
    scores = np.array([row[2] for row in detections], dtype=float)
    best = best_detections(
        det_segments=det, det_groups=det_groups, det_scores=scores, gt_segments=gt, gt_groups=gt_groups
    )
    covered = covered_length(det, det_groups, gt, gt_groups)
    seconds = [set(range(int(start), int(end))) for start, end in gt]
    for number, (start, end) in enumerate(det):
        of_group = set().union(*(s for s, group in zip(seconds, gt_groups, strict=True) if group == det_groups[number]))
        assert covered[number] == len(of_group & set(range(int(start), int(end))))
    for number, (start, end) in enumerate(gt):
        candidates = []
        for row, (first, last) in enumerate(det):
            shared = max(0, min(end, last) - max(start, first))
            tiou = shared / (end - start + last - first - shared)
            if det_groups[row] == gt_groups[number] and tiou >= 0.1:
                candidates.append((scores[row], tiou, row))
        if not candidates:
            assert best[number] == -1
        else:
            row = best[number]
            assert (scores[row], (best_tiou := max(c[:2] for c in candidates))[1]) == best_tiou
            assert any(c[2] == row and c[:2] == best_tiou for c in candidates)
