import json
import re

import numpy as np
import pytest

from mmwtal.evaluation import Detections, evaluate, read_detections, read_ground_truth
from mmwtal.utils.errors import UserError


def entry(subset='test', annotations=((('A'), (0, 10)),), **more):
    return {'subset': subset, 'annotations': [{'label': c, 'segment': list(s)} for c, s in annotations], **more}


def database(**entries):
    return {'database': entries}


def results(*predictions, video='v'):
    return {'results': {video: [{'label': c, 'segment': s, 'score': p} for c, s, p in predictions]}}


def test_ground_truth_columns():
    truth = read_ground_truth(
        database(
            b=entry(annotations=[('B', ('1', '2.5')), ('A', (3, 4)), ('A', (3, 4)), ('A', (5, 5))], ambiguous=[[7, 8]]),
            other=entry('training', [('C', (0, 1))], labels=['C', 'D']),
            empty=entry('Testing', []),
        )
    )
    assert truth.video_ids == ('b', 'empty')
    assert truth.classes == ('A', 'B')
    assert truth.known_classes == {'A', 'B', 'C', 'D'}
    assert truth.labels.tolist() == [1, 0, 0, 0]
    assert truth.segments.tolist() == [[1, 2.5], [3, 4], [3, 4], [5, 5]]
    assert (truth.ambiguous_videos.tolist(), truth.ambiguous_segments.tolist()) == ([0], [[7, 8]])


def test_video_list_hash_is_of_the_set_of_videos():
    hashes = [
        read_ground_truth(database(**{video: entry() for video in videos})).video_list_hash
        for videos in (('a', 'b'), ('b', 'a'), ('a', 'c'), ('a',))
    ]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


@pytest.mark.parametrize(
    ('subsets', 'wanted', 'chosen'),
    [
        (['training', 'test'], None, 'test'),
        (['training', 'testing'], None, 'test'),
        (['Validation', 'Test'], None, 'test'),
        (['validation'], None, 'validation'),
        (['training', 'validation'], 'Validation', 'validation'),
        (['training', 'test'], 'testing', 'test'),
    ],
)
def test_subset_choice(subsets, wanted, chosen):
    truth = read_ground_truth(database(**{f'v{i}': entry(name) for i, name in enumerate(subsets)}), wanted)
    assert (truth.subset, len(truth.video_ids)) == (chosen, 1)


@pytest.mark.parametrize(
    ('content', 'subset', 'message'),
    [
        ([], None, 'expected an object with an object under .database., found .*'),
        ({'results': {}}, None, 'are predictions and ground truth swapped'),
        ({'database': []}, None, '.database. is '),
        (database(v={'annotations': []}), None, 'video v: expected an object with a text under "subset"'),
        (database(v=3), None, 'video v: .* found 3'),
        (database(v=entry('training'), w=entry('validation')), None, r'training \(1 videos\), validation \(1 videos\)'),
        (database(v=entry()), 'dev', r"no subset 'dev'; it has test \(1 videos\)"),
        (database(), None, 'found no video at all'),
        (database(v=entry(annotations=[]), w=entry('training')), None, 'none in its 1 videos.*training 1'),
        (database(v={'subset': 'test', 'annotations': {}}), None, "video v: expected a list under 'annotations'"),
        (database(v={'subset': 'test', 'annotations': ['x']}), None, 'video v, annotation 0'),
        (database(v={'subset': 'test', 'annotations': [{'segment': [0, 1]}]}), None, 'video v, annotation 0'),
        (database(v={'subset': 'test', 'annotations': [{'label': 'A'}]}), None, 'of video v: .* found None'),
        (database(u=entry(), v=entry(annotations=[('A', (2, 1))])), None, r'of video v: .* found \[2, 1\]'),
        (database(v=entry(annotations=[('A', ('x', 1))])), None, 'of video v'),
        (database(v=entry(annotations=[('A', (0, float('nan')))])), None, 'of video v'),
        (database(v=entry(annotations=[('A', (0, 1, 2))])), None, 'of video v'),
        (database(v=entry(annotations=[('A', (0, 10**400))])), None, 'of video v'),
        (database(v=entry(ambiguous=[[3]])), None, '"ambiguous" of video v'),
        ({**database(v=entry()), 'classes': [1]}, None, 'list of texts under "classes"'),
    ],
)
def test_faulty_ground_truth(tmp_path, content, subset, message):
    file = tmp_path / 'gt.json'
    file.write_text(json.dumps(content), encoding='utf-8')
    with pytest.raises(UserError, match=message) as error:
        read_ground_truth(file, subset)
    assert str(file) in str(error.value)
    if isinstance(content, dict):
        with pytest.raises(UserError, match='given as a dict'):
            read_ground_truth(content, subset)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ([1], 'under .results.'),
        ({'database': {}}, 'are predictions and ground truth swapped'),
        ({}, r'found the keys \(none\)'),
        ({'results': {'v': {}}}, 'video v: expected a list of predictions'),
        ({'results': {'v': [3]}}, 'video v, prediction 0'),
        ({'results': {'v': [{'label': 'A', 'segment': [0, 1]}]}}, 'video v, prediction 0: expected .* found an object'),
        (results(('A', [0, 1], 0.5), (3, [0, 1], 0.5)), 'video v, prediction 1: expected a class name'),
        (results(([], [0, 1], 0.5)), 'prediction 0: expected a class name'),
        (results(('A', [0, 1], 0.5), ('A', [0, 1], float('nan'))), 'prediction 1: .*"score", found nan'),
        (results(('A', [0, 1], float('inf'))), '"score", found inf'),
        (results(('A', [0, 1], [1])), r'"score", found \[1\]'),
        (results(('A', [2, 1], 0.5)), r'start <= end under "segment", found \[2, 1\]'),
        (results(('A', [0, None], 0.5)), '"segment"'),
        (results(('A', 5, 0.5)), '"segment", found 5'),
    ],
)
def test_faulty_predictions(tmp_path, content, message):
    file = tmp_path / 'results.json'
    file.write_text(json.dumps(content), encoding='utf-8')
    with pytest.raises(UserError, match=message) as error:
        read_detections(file)
    assert str(file) in str(error.value)


@pytest.mark.parametrize('read', [read_detections, read_ground_truth])
def test_files_that_are_no_json(tmp_path, read):
    missing, folder, broken, latin = (tmp_path / name for name in ('missing', 'folder', 'broken', 'latin'))
    folder.mkdir()
    broken.write_text('{"results":\n oops}')
    latin.write_bytes('{"Läufe": 1}'.encode('latin-1'))
    expected = [
        (missing, 'does not exist'),
        (folder, 'cannot be read'),
        (broken, 'is not valid JSON: .*line 2'),
        (latin, 'is not UTF-8'),
    ]
    for file, message in expected:
        with pytest.raises(UserError, match=f'{re.escape(str(file))} {message}'):
            read(file)


def test_texts_of_numbers_and_a_byte_order_mark_are_read(tmp_path):
    file = tmp_path / 'results.json'
    file.write_text('\ufeff' + json.dumps(results(('A', ['0', '1.5'], '0.25'))), encoding='utf-8')
    detections = read_detections(str(file))
    assert (detections.segments.tolist(), detections.scores.tolist()) == ([[0, 1.5]], [0.25])


def test_predictions_for_no_video_or_without_detection():
    for content in ({'results': {}}, {'results': {'v': []}}):
        result = evaluate(content, database(v=entry()), protocol='anet')
        assert (result.average, result.num_predictions, result.num_predicted_videos) == (0, 0, 0)


def columns(**changes):
    return {
        'video_ids': ('v', 'w'),
        'classes': ('A',),
        'videos': [0, 1],
        'labels': [0, 0],
        'segments': [[0, 1], [2, 3]],
        'scores': [0.5, 0.6],
        **changes,
    }


@pytest.mark.parametrize(
    'change', [{'segments': [[0, 1], [3, 2]]}, {'scores': [0.5, np.nan]}, {'segments': [[0, 1], [0, np.inf]]}]
)
def test_table_names_the_video_at_fault(change):
    with pytest.raises(UserError, match=r'video w: .*1 of 2 predictions'):
        Detections(**columns(**change))


@pytest.mark.parametrize('change', [{'videos': [0, 2]}, {'labels': [0, -1]}, {'labels': [0]}, {'segments': [0, 1]}])
def test_table_refuses_columns_that_do_not_fit(change):
    with pytest.raises(ValueError, match='predictions'):
        Detections(**columns(**change))


def test_table_and_file_say_the_same():
    table = Detections(**columns())
    again = read_detections(table.to_dict(version='x'))
    assert again.to_dict(version='x') == table.to_dict(version='x')
    assert list(again.to_dict(version='x')) == ['version', 'results', 'external_data']
