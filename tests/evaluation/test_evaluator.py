import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.evaluation import Detections, evaluate, get_protocol, read_detections, read_ground_truth
from mmwtal.utils.errors import UserError


def truth(ambiguous=(), **segments_by_class):
    annotations = [{'label': c, 'segment': list(s)} for c, segments in segments_by_class.items() for s in segments]
    return {
        'database': {'v': {'subset': 'test', 'annotations': annotations, 'ambiguous': [list(s) for s in ambiguous]}}
    }


def predicted(*detections, video='v'):
    return {'results': {video: [{'label': c, 'segment': list(s), 'score': p} for c, s, p in detections]}}


def test_anet_reproduces_the_published_numbers(shared_data):
    folder = shared_data / 'thumos14/stpn_predictions'
    result = evaluate(folder / 'results.json', folder / 'gt.json', protocol='anet', tious='0.1:0.9:0.1')
    assert ' '.join(f'{value:.2f}' for value in (*result.mAP, result.average)) == (
        '52.12 44.20 34.70 26.06 17.70 10.09 4.99 1.34 0.10 21.25'
    )
    assert (result.num_videos, result.num_instances, result.num_predictions) == (210, 3311, 9151)
    assert (result.num_predicted_videos, len(result.per_class), result.num_outside_videos) == (209, 20, 0)


@pytest.mark.parametrize(
    ('ground_truth', 'protocol', 'expected'),
    [
        ('stpn_predictions/gt.json', 'wtal_grid', '19.96'),
        ('thumos14_actionformer.json', 'anet', '17.34'),
        ('thumos14_actionformer.json', 'wtal_grid', '19.58'),
    ],
)
def test_rule_and_video_list_move_the_result(shared_data, ground_truth, protocol, expected):
    folder = shared_data / 'thumos14'
    result = evaluate(
        folder / 'stpn_predictions/results.json', folder / ground_truth, protocol=protocol, tious=[0.5], subset='test'
    )
    assert f'{result.average:.2f}' == expected


def test_perfect_predictions_on_the_grid_miss_what_collapses(shared_data):
    table = read_ground_truth(shared_data / 'thumos14/thumos14_actionformer.json', 'test')
    perfect = Detections(
        video_ids=table.video_ids,
        classes=table.classes,
        videos=table.videos,
        labels=table.labels,
        segments=table.segments,
        scores=np.ones(len(table.videos)),
    )
    on_grid = get_protocol('wtal_grid').in_unit(table.segments)
    assert (on_grid[:, 0] == on_grid[:, 1]).sum() == 17
    assert f'{evaluate(perfect, table, protocol="wtal_grid").average:.2f}' == '99.12'
    assert evaluate(perfect, table, protocol='anet').average == pytest.approx(100)


def test_real_activitynet_file(shared_data):
    file = shared_data / 'activitynet/activity_net.v1-3.rebuilt.json'
    with pytest.raises(UserError, match=r'none in its 5044 videos.*training 15410, validation 7654'):
        read_ground_truth(file)
    table = read_ground_truth(file, 'validation')
    assert (len(table.video_ids), len(table.segments), len(table.classes)) == (4926, 7654, 200)


def test_result_states_all_that_it_depends_on():
    ground_truth = truth(B=[(0, 10)], A=[(0, 10), (20, 30)])
    result = evaluate(predicted(('A', (0, 9), 0.5)), ground_truth, protocol='anet', tious=[0.1 + 0.2, 0.95])
    stated = json.loads(json.dumps(result.to_dict()))
    assert stated['protocol'] == 'anet'
    assert stated['tious'] == [0.3, 0.95]
    assert stated['mAP'] == [25.0, 0.0]
    assert stated['average'] == 12.5
    assert stated['per_class'] == {'A': [50.0, 0.0], 'B': [0.0, 0.0]}
    assert (stated['num_videos'], stated['num_instances'], stated['num_predictions']) == (1, 3, 1)
    table = result.table()
    for part in ('anet', stated['protocol_hash'], stated['video_list_hash'], '1 videos', '3 instances', '0.3', '25.00'):
        assert part in table


def test_default_tious_are_the_rules():
    result = evaluate(predicted(), truth(A=[(0, 1)]), protocol='wtal_grid')
    assert result.tious == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def test_grid_rounds_both_sides():
    # 0.9 to 3.1 s is 1.41 to 4.84 snippets; the prediction is snippets 1 to 5 with a little noise.
    ground_truth, detection = truth(A=[(0.9, 3.1)]), predicted(('A', (0.64, 3.2000000000000006), 1.0))
    assert evaluate(detection, ground_truth, protocol='wtal_grid', tious=[1.0]).average == 100
    assert evaluate(detection, ground_truth, protocol='anet', tious=[0.9]).average == 0


def test_ambiguous_stretches_drop_what_touches_them_on_the_grid_only():
    ground_truth = truth(A=[(0, 6.4)], ambiguous=[(12.8, 19.2)])
    touching = ('A', (19.0, 25.6), 0.9)  # rounds to snippet 30, where the stretch ends
    inside = ('B', (14.0, 15.0), 0.8)
    over = ('A', (6.4, 13.5), 0.95)
    detections = predicted(touching, over, ('A', (0, 6.4), 0.5))
    grid = evaluate(detections, ground_truth, protocol='wtal_grid', tious=[0.5])
    assert (grid.num_predictions, grid.num_dropped_ambiguous, grid.average) == (3, 1, 50.0)
    assert 'ambiguous' in grid.table()
    seconds = evaluate(detections, ground_truth, protocol='anet', tious=[0.5])
    assert (seconds.num_dropped_ambiguous, seconds.average) == (0, pytest.approx(100 / 3))
    elsewhere = evaluate(predicted(over, video='w'), ground_truth, protocol='wtal_grid')
    assert (elsewhere.num_dropped_ambiguous, elsewhere.num_outside_videos) == (0, 1)
    assert evaluate(predicted(inside), ground_truth, protocol='wtal_grid').num_dropped_class == 1


def test_unknown_class_fails_or_is_dropped_and_counted():
    ground_truth = truth(Diving=[(0, 10)])
    detections = predicted(('Diving', (0, 10), 0.5), ('Divng', (0, 10), 0.9))
    with pytest.raises(UserError, match=r"video v: protocol 'anet' .* found 'Divng'.* Known: Diving"):
        evaluate(detections, ground_truth, protocol='anet')
    result = evaluate(detections, ground_truth, protocol='wtal_grid')
    assert (result.average, result.num_dropped_class, result.dropped_classes) == (100, 1, ('Divng',))
    assert 'Divng' in result.table()


def test_class_of_another_subset_is_known_but_not_evaluated():
    ground_truth = truth(A=[(0, 10)])
    ground_truth['database']['w'] = {'subset': 'training', 'labels': ['B']}
    result = evaluate(predicted(('A', (0, 10), 0.5), ('B', (0, 10), 0.9)), ground_truth, protocol='anet')
    assert (result.average, result.num_dropped_class, list(result.per_class)) == (100, 1, ['A'])


@pytest.mark.parametrize('protocol', ['anet', 'wtal_grid'])
def test_predictions_outside_the_subset_are_false_positives(protocol):
    detections = predicted(('A', (0, 10), 0.9), video='elsewhere')
    detections['results'].update(predicted(('A', (0, 10), 0.5))['results'])
    result = evaluate(detections, truth(A=[(0, 10)]), protocol=protocol, tious=[0.5])
    assert (result.average, result.num_outside_videos) == (50, 1)
    assert 'not in the subset' in result.table()


def test_files_dicts_and_tables_give_the_same(tmp_path):
    ground_truth, detections = truth(A=[(0, 10), (5, 9)], B=[(2, 3)]), predicted(('A', (1, 9), 0.5), ('B', (2, 3), 0.2))
    paths = tmp_path / 'p.json', tmp_path / 'g.json'
    for path, content in zip(paths, (detections, ground_truth), strict=True):
        path.write_text(json.dumps(content))
    expected = evaluate(detections, ground_truth, protocol='anet').to_dict()
    assert expected['average'] > 0
    assert evaluate(paths[0], str(paths[1]), protocol='anet').to_dict() == expected
    tables = read_detections(detections), read_ground_truth(ground_truth)
    assert evaluate(*tables, protocol='anet', subset='test').to_dict() == expected
    with pytest.raises(ValueError, match='training'):
        evaluate(*tables, protocol='anet', subset='training')


def test_import_needs_no_torch():
    code = 'import sys, mmwtal.evaluation; sys.exit("torch" in sys.modules or "mmengine" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0


@settings(max_examples=100, deadline=None)
@given(st.tuples(st.floats(0, 20), st.floats(0, 5)), st.lists(st.tuples(st.floats(0, 20), st.floats(0, 5)), max_size=4))
def test_ambiguous_filter_is_the_overlap_of_whole_snippets(detection, stretches):
    def snippets(start, length):
        return set(range(round(start * 25 / 16), round((start + length) * 25 / 16)))

    expected = any(snippets(*detection) & snippets(*stretch) for stretch in stretches)
    start, length = detection
    result = evaluate(
        predicted(('A', (start, start + length), 1.0)),
        truth(A=[(0, 1)], ambiguous=[(s, s + n) for s, n in stretches]),
        protocol='wtal_grid',
    )
    assert result.num_dropped_ambiguous == expected
