"""Blocked videos do not count: neither their instances nor what is predicted in them."""

import json
from pathlib import Path

import numpy as np
import pytest

from mmwtal.evaluation import evaluate
from mmwtal.evaluation.ground_truth import read_ground_truth
from mmwtal.evaluation.metrics.wtal_metric import WTALMetric
from mmwtal.utils.errors import UserError

CONTENT = {
    'classes': ['jump', 'run', 'swim'],
    'database': {
        'a': {
            'subset': 'test',
            'annotations': [{'label': 'swim', 'segment': [0, 10]}, {'label': 'run', 'segment': [20, 30]}],
        },
        'b': {
            'subset': 'test',
            'annotations': [{'label': 'jump', 'segment': [0, 10]}],
            'ambiguous': [[1, 2]],
        },
        'c': {
            'subset': 'test',
            'annotations': [{'label': 'run', 'segment': [5, 10]}],
            'ambiguous': [[3, 4], [7, 8]],
        },
    },
}


def test_the_same_as_a_file_without_them() -> None:
    rest = {name: entry for name, entry in CONTENT['database'].items() if name != 'b'}
    expected = read_ground_truth({**CONTENT, 'database': rest})
    found = read_ground_truth(CONTENT).without(['b', 'unknown'])
    assert (found.video_ids, found.classes, found.video_list_hash) == (
        expected.video_ids,
        expected.classes,
        expected.video_list_hash,
    )
    for name in ('videos', 'labels', 'segments', 'ambiguous_videos', 'ambiguous_segments'):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    assert read_ground_truth(CONTENT).without([]).video_ids == ('a', 'b', 'c')
    with pytest.raises(UserError, match='all instances of subset'):
        read_ground_truth(CONTENT).without(['a', 'b', 'c'])


def sample(video: str, label: int, *segment: float) -> dict:
    instances = {'segments': np.array([segment]), 'scores': np.array([0.9]), 'labels': np.array([label])}
    return {'video_id': video, 'pred_instances': instances}


def test_the_metric_leaves_them_out_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr('mmwtal.evaluation.metrics.wtal_metric.print_log', lambda text, **_: said.append(text))
    (tmp_path / 'annotations.json').write_text(json.dumps(CONTENT))
    (tmp_path / 'blocked.txt').write_text('b\n')
    samples = [sample('a', 1, 20, 30), sample('b', 1, 1, 2), sample('c', 1, 5, 10)]
    results = {}
    for blocked in (None, 'blocked.txt'):
        metric = WTALMetric(data_root=str(tmp_path), protocol='anet', tious='0.5', blocked=blocked)
        metric.dataset_meta = {'classes': CONTENT['classes']}
        metric.process(None, samples)
        metric.evaluate(3)
        results[blocked] = metric.result
        assert ('b' in metric.predictions['results']) == (blocked is None)
    assert (results[None].num_videos, results[None].num_instances) == (3, 4)
    assert (results['blocked.txt'].num_videos, results['blocked.txt'].num_instances) == (2, 3)
    assert results['blocked.txt'].num_outside_videos == 0
    assert set(results['blocked.txt'].per_class) == {'run', 'swim'}
    assert said == ['1 of 3 videos of the ground truth left out: in blocked.txt']
    expected = evaluate(
        {'results': {'a': [{'label': 'run', 'segment': [20, 30], 'score': 1}], 'c': []}},
        {**CONTENT, 'database': {name: CONTENT['database'][name] for name in 'ac'}},
        protocol='anet',
        tious='0.5',
    )
    assert results['blocked.txt'].video_list_hash == expected.video_list_hash
