import json
import os
import socket
import subprocess
import sys

import pytest
import torch
from mmengine.structures import InstanceData

from mmwtal.evaluation import PROTOCOLS, evaluate
from mmwtal.evaluation.metrics.wtal_metric import WTALMetric
from mmwtal.registry import METRICS
from mmwtal.structures import WTALDataSample
from mmwtal.utils.errors import UserError

VIDEOS = ['v0', 'v1', 'v2']
META = {'classes': ('A', 'B', 'C')}


@pytest.fixture
def data_root(tmp_path):
    database = {
        video: {'subset': 'test', 'annotations': [{'label': 'AB'[i % 2], 'segment': [i, i + 8.5]}]}
        for i, video in enumerate(VIDEOS)
    }
    database['t'] = {'subset': 'training', 'labels': ['A']}
    (tmp_path / 'annotations.json').write_text(json.dumps({'database': database}))
    return tmp_path


def sample(video, segments, scores, labels):
    instances = InstanceData(
        segments=torch.tensor(segments, dtype=torch.float64).reshape(-1, 2),
        scores=torch.tensor(scores),
        labels=torch.tensor(labels, dtype=torch.int64),
    )
    data_sample = WTALDataSample(video_id=video)
    data_sample.pred_instances = instances
    return data_sample


def samples():
    return [
        sample('v2', [[2, 9.0], [2, 4]], [0.7, 0.1], [0, 2]),
        sample('v0', [[0, 8.5]], [0.6], [0]),
        sample('v1', [], [], []),
    ]


def build(root, **options):
    metric = METRICS.build(
        {'type': 'WTALMetric', 'data_root': str(root), 'protocol': 'anet', 'tious': [0.5, 0.9], **options}
    )
    metric.dataset_meta = META
    return metric


def test_same_numbers_as_the_function_on_its_own_predictions(data_root):
    metric = build(data_root)
    for data_sample in samples():
        metric.process(None, [data_sample.to_dict()])
    values = metric.evaluate(size=3)
    assert values == {'mAP@0.5': 50.0, 'mAP@0.9': 12.5, 'average': 31.25}
    assert list(metric.predictions) == ['version', 'results', 'external_data']
    assert list(metric.predictions['results']) == VIDEOS
    assert metric.predictions['results']['v1'] == []
    again = evaluate(
        json.loads(json.dumps(metric.predictions)), data_root / 'annotations.json', protocol='wtal_grid', tious='0.5'
    )
    assert again.num_predictions == metric.result.num_predictions == 3
    assert metric.result.num_dropped_class == 1  # class C is the model's, but the file does not know it
    assert metric.result.num_instances == 3


def test_takes_data_samples_as_they_are_and_starts_afresh_each_time(data_root):
    metric = build(data_root, prefix='thumos')
    for _ in range(2):
        metric.process(None, samples())
        assert metric.evaluate(size=3)['thumos/average'] == 31.25


def test_padded_duplicates_and_order_do_not_count(data_root):
    metric = build(data_root)
    metric.process(None, [*samples()[::-1], *samples()[:2]])
    assert metric.evaluate(size=3)['average'] == 31.25
    assert metric.result.num_predictions == 3


def test_videos_without_a_sample_are_named(data_root, monkeypatch):
    logged = []
    monkeypatch.setattr('mmwtal.evaluation.metrics.wtal_metric.print_log', lambda text, **_: logged.append(text))
    metric = build(data_root)
    metric.process(None, samples()[:1])
    metric.evaluate(size=1)
    assert '2 of 3 videos' in logged[0]
    assert 'v0, v1' in logged[0]


@pytest.mark.parametrize('others', [[], [('training_video', [[0, 1]], [0.5], [0])]])
def test_no_video_of_the_subset_predicted(data_root, others):
    metric = build(data_root)
    metric.process(None, [sample(*fields) for fields in others])
    with pytest.raises(UserError, match='none of the 3 videos'):
        metric.evaluate(size=len(others))


@pytest.mark.parametrize(
    ('faulty', 'message'),
    [
        (('v0', [[0, 1]], [float('nan')], [0]), 'video v0'),
        (('v0', [[2, 1]], [0.5], [0]), 'video v0'),
        (('v0', [[0, 1]], [0.5], [3]), 'video v0: expected labels below 3'),
    ],
)
def test_faulty_predictions_name_the_video(data_root, faulty, message):
    metric = build(data_root)
    metric.process(None, [sample(*faulty)])
    with pytest.raises(UserError, match=message):
        metric.evaluate(size=1)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'ann_file': 'missing.json'}, 'missing.json does not exist'),
        ({'subset': 'validation'}, "no subset 'validation'"),
        ({'subset': 'training'}, 'none in its 1 videos'),
        ({'protocol': 'aent'}, "Did you mean 'anet'"),
        ({'tious': '5'}, 'tIoU'),
        ({'videos': 'thumos14-210'}, 'thumos14-210: expected the videos of THUMOS14'),
    ],
)
def test_faults_show_at_construction(data_root, options, message):
    with pytest.raises(UserError, match=message):
        build(data_root, **options)


def test_a_list_of_videos(data_root, monkeypatch):
    logged = []
    monkeypatch.setattr('mmwtal.evaluation.metrics.wtal_metric.print_log', lambda text, **_: logged.append(text))
    (data_root / 'list.txt').write_text('v0\nv1\n')
    metric = build(data_root, videos='list.txt')
    metric.process(None, samples())
    # Class A in v0 is found; class B in v1 is not. What was predicted in v2 does not count.
    assert metric.evaluate(size=3)['average'] == 50
    assert (metric.result.video_list, metric.result.num_videos) == ('list.txt', 2)
    assert metric.result.num_dropped_video == 1
    assert metric.result.num_outside_videos == 0
    assert list(metric.predictions['results']) == VIDEOS
    metric.process(None, samples()[1:])
    metric.evaluate(size=2)
    assert logged == []


@pytest.mark.parametrize('protocol', sorted(set(PROTOCOLS) - {'thumos_official'}))
def test_every_protocol(data_root, protocol):
    metric = build(data_root, protocol=protocol)
    metric.process(None, samples())
    expected = evaluate(metric_predictions(), data_root / 'annotations.json', protocol=protocol, tious=[0.5, 0.9])
    assert metric.evaluate(size=3)['average'] == expected.average
    assert metric.result.protocol == protocol


def metric_predictions():
    rows = {'v0': [('A', 0, 8.5, 0.6)], 'v1': [], 'v2': [('A', 2, 9, 0.7)]}
    return {
        'results': {
            video: [{'label': c, 'segment': [s, e], 'score': p} for c, s, e, p in found]
            for video, found in rows.items()
        }
    }


def test_absolute_annotation_file_and_defaults(data_root):
    metric = WTALMetric(data_root='elsewhere', ann_file=str(data_root / 'annotations.json'))
    assert (metric.protocol.name, metric.tious[-1], metric.ground_truth.subset) == ('wtal_grid', 0.7, 'test')


RANK = """
import importlib.util, json, sys
import torch.distributed as dist
spec = importlib.util.spec_from_file_location('metric_test', sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
dist.init_process_group('gloo')
rank = dist.get_rank()
metric = module.build(sys.argv[2])
everything = module.samples()
# A sampler for 3 videos on 2 ranks gives 2 to each: the first one twice.
metric.process(None, [everything[0], everything[2]] if rank == 0 else [everything[1], everything[0]])
values = metric.evaluate(size=3)
count = metric.result.num_predictions if rank == 0 else (metric.result, metric.predictions)
metric.process(None, [module.sample('v0', [[0, 1]], [float('nan')], [0])] if rank == 1 else [])
try:
    metric.evaluate(size=1)
    failure = None
except module.UserError as error:
    failure = str(error)
print(json.dumps([values, count, failure]))
dist.destroy_process_group()
"""


def test_two_processes_give_what_one_gives(data_root, repo_root):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    shared = {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(port), 'WORLD_SIZE': '2', 'OMP_NUM_THREADS': '1'}
    ranks = [
        subprocess.Popen(
            [sys.executable, '-c', RANK, __file__, str(data_root)],
            env={**os.environ, **shared, 'RANK': str(rank), 'LOCAL_RANK': str(rank), 'PYTHONPATH': str(repo_root)},
            cwd=data_root,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [json.loads(rank.communicate(timeout=120)[0].splitlines()[-1]) for rank in ranks]
    for values, _, failure in outputs:
        assert values == {'mAP@0.5': 50.0, 'mAP@0.9': 12.5, 'average': 31.25}
        assert 'video v0' in failure
    assert [count for _, count, _ in outputs] == [3, [None, None]]
    assert sorted(path.name for path in data_root.iterdir()) == ['annotations.json']
