import json

import pytest

from mmwtal.evaluation import PROTOCOLS, evaluate, read_detections, read_ground_truth
from mmwtal.evaluation.comparison import compare_protocols
from mmwtal.utils.errors import UserError


def data(label='Diving', predicted='Diving'):
    database = {'v': {'subset': 'test', 'annotations': [{'label': label, 'segment': [0, 16]}]}}
    rows = [{'label': predicted, 'segment': [0, 9], 'score': 1}]
    return read_detections({'results': {'v': rows}}), read_ground_truth({'database': database})


def test_one_row_a_rule_with_what_the_function_gives():
    predictions, truth = data()
    comparison = compare_protocols(predictions, truth, protocols='all')
    assert [result['protocol'] for result in comparison.evaluations] == list(PROTOCOLS)
    for result in comparison.evaluations:
        alone = evaluate(predictions, truth, protocol=result['protocol'], tious='0.1:0.7:0.1').to_dict()
        assert json.loads(json.dumps(result)) == json.loads(json.dumps(alone))
        assert result['video_list_hash'] == truth.video_list_hash
    heads, *body = comparison.rows()
    assert heads[3:] == ['0.1', '0.2', '0.3', '0.4', '0.5', '0.6', '0.7', '0.1:0.7', '0.1:0.5', '0.3:0.7']
    # tIoU 9/16 = .5625, on the grid 14/25 = .56: five thresholds of seven, of five, three of five.
    assert body[0][3:] == [*['100.00'] * 5, '0.00', '0.00', '71.43', '100.00', '60.00']
    lines = comparison.table().splitlines()
    assert 'list ' + truth.video_list_hash in lines[0]
    assert len(lines) == 2 + len(PROTOCOLS)
    assert len({len(line) for line in lines[1:]}) == 1


def test_averages_only_where_they_apply():
    predictions, truth = data()
    assert compare_protocols(predictions, truth, protocols=['anet'], tious='0.3:0.7:0.1').rows()[0][-1] == '0.3:0.7'
    rows = compare_protocols(predictions, truth, protocols='anet,wtalc', tious=[0.5, 0.75]).rows()
    assert rows[0][3:] == ['0.5', '0.75', 'average']
    assert rows[1][3:] == ['100.00', '0.00', '50.00']


def test_a_rule_that_does_not_suit_is_noted_or_an_error():
    predictions, truth = data(predicted='Dviing')
    comparison = compare_protocols(predictions, truth, protocols='all')
    assert list(comparison.not_applicable) == ['anet']
    assert len(comparison.evaluations) == len(PROTOCOLS) - 1
    assert 'not applicable: anet: ' in comparison.table()
    assert "'Dviing'" in comparison.to_dict()['not_applicable']['anet']
    with pytest.raises(UserError, match="'Dviing'"):
        compare_protocols(predictions, truth, protocols='wtalc,anet')
    others = compare_protocols(*data('Juggling', 'Juggling'), protocols='all')
    assert list(others.not_applicable) == ['thumos_official']


def test_markdown():
    text = compare_protocols(*data(), protocols='anet', tious=[0.5]).markdown()
    assert text.splitlines()[-3:] == [
        '| protocol | hash | instances | 0.5 | average |',
        '| --- | --- | ---: | ---: | ---: |',
        '| `anet` | `c3aa9744214c` | 1 | 100.00 | 100.00 |',
    ]
