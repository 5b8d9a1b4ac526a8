"""The check of a store: what is counted, what is found wrong, and that a large store takes seconds."""

import json
import math
from dataclasses import replace

import pytest

from mmwtal.formats.annotations import read_annotations
from mmwtal.priors.report import format_report
from mmwtal.priors.schema import PriorRecord, PriorText
from mmwtal.priors.store_check import check_store

KEY = 'The athlete arches backwards over the bar.'
COMPLETE = 'The athlete sprints along a curve. Her back arches over the bar. She falls on the mat.'


def record(video, label='run', *, key=(KEY,), complete=COMPLETE, key_words=(), **more):
    text = PriorText(key=key, complete=complete, key_words=key_words)
    return PriorRecord(video=video, label=label, text=text, source='a model', **more)


def failed(video, label='run', state='failed', reason='no'):
    return PriorRecord(video=video, label=label, text=PriorText(), source='a model', state=state, reason=reason)


def stored(*records):
    return {(one.video, one.label): one for one in records}


@pytest.fixture
def annotations(data_root):
    data_root.write()
    return read_annotations(data_root.path / 'annotations.json')


def test_coverage(annotations):
    report = check_store(
        stored(
            record('run_a', complete=''),
            failed('run_b', reason='video 12 has no frame'),
            failed('jump_a', 'jump', 'refused', '"jump": names another action, "pole vault"'),
            record('both', 'jump', key=(), faults={'key': 'the answer was cut off at 1024 tokens'}),
            record('test_run'),
        ),
        annotations=annotations,
    )
    assert (report.records, report.pairs, report.strangers) == (5, 6, 1)
    assert (report.with_key, report.with_complete) == (1, 1)
    assert report.states == {'ok': 3, 'failed': 1, 'refused': 1, 'quarantined': 0}
    jump, run = report.classes
    assert (jump.label, jump.pairs, jump.key, jump.complete, jump.missing) == ('jump', 3, 0, 1, 1)
    assert (run.pairs, run.key, run.complete, run.states, run.missing) == (3, 1, 0, {'failed': 1, 'ok': 1}, 1)
    assert report.reasons == {
        'failed: video N has no frame': 1,
        'refused: "...": names another action, "..."': 1,
        'the answer was cut off at N tokens': 1,
    }
    text = format_report(report)
    assert '5 records: 3 ok, 1 failed, 1 refused' in text
    assert '6 pairs of a training video and its class: 1 (16.7%) have key semantics, 1 (16.7%) complete' in text
    assert '1 records are of no such pair' in text
    line = next(line for line in text.splitlines() if line.startswith('jump'))
    assert line.split() == ['jump', '3', '0', '1', '0', '1', '0', '1']


def test_lengths_words_and_key_words():
    one = record('a', key=('He runs.', 'He runs very fast.'), complete='He runs. He RUNS.', key_words=('ran', 'rocket'))
    report = check_store(stored(one, record('b', key=(), complete='', details={'dropped_key_words': ['x', 'y']})))
    assert report.key_lengths is not None
    assert (report.key_lengths.count, report.key_lengths.least, report.key_lengths.most) == (2, 2, 4)
    assert math.isclose(report.key_lengths.mean, 3)
    assert report.complete_lengths is not None
    assert (report.complete_lengths.count, report.complete_lengths.median) == (1, 4)
    assert report.vocabulary == 2
    assert (report.key_words, report.absent_key_words, report.dropped_key_words) == (2, 1, 2)
    assert '1 of 2 key words do not occur' in format_report(report)


def test_a_sentence_that_is_said_again_and_again():
    own = [record(f'v{n}', key=(f'Motion number {n}.',), complete=f'Step {n} of all steps.') for n in range(47)]
    same = [record(f'w{n}', key=(f'Other {n}.',), complete=f'He bows, LOW! Then comes {n}.') for n in range(3)]
    elsewhere = [record(f'x{n}', 'jump', key=('He waits.',), complete='') for n in range(2)]
    report = check_store(stored(*own, *same, *elsewhere))
    assert [(one.label, one.sentence, one.videos) for one in report.repeated] == [('run', 'He bows, LOW!', 3)]
    assert math.isclose(report.repeated[0].share, 0.06)
    assert report.faulty >= 3
    # At 5 % it is not over 5 %.
    more = [record(f'y{n}', key=(f'Motion {n} more.',), complete=f'One of {n} more.') for n in range(10)]
    assert check_store(stored(*own, *same, *more)).repeated == ()


def test_classes_that_are_named_or_seen_and_not_there(annotations):
    seen = {'details': {'hallucinated': ['high jump', 'jump'], 'visible': True}}
    report = check_store(
        stored(
            record('run_a', key=('He does a high jump.',), **seen),
            record('both', 'run', **seen),
            record('both', 'jump', **seen),
            record('run_b', details={'hallucinated': 'no list'}),
        ),
        annotations=annotations,
        classes=['run', 'jump', 'high jump'],
    )
    assert report.naming_others == {'high jump': 1}
    assert report.hallucinated == {'high jump': 2, 'jump': 2}
    assert (report.worst[0].video, report.worst[0].why[0]) == ('run_a', 'names "high jump"')
    assert 'that are not labelled so' in format_report(report)


def test_the_worst_rows():
    rows = [
        record('good'),
        record('refusal', key=('I cannot describe the action.',)),
        record('name', key=('A man performs a run.',)),
        record('short', complete='He runs.'),
        record('long', complete=' '.join(f'Step {n} is done.' for n in range(30))),
        record('words', key_words=('sprints', 'rocket')),
        record('part', key=(), faults={'key': 'cut off'}),
    ]
    rows = [replace(row, label=f'run {n}') for n, row in enumerate(rows)]
    rows[2] = replace(rows[2], label='run')
    report = check_store(stored(*rows), worst=5)
    assert report.faulty == 6
    assert [row.video for row in report.worst] == ['refusal', 'name', 'long', 'part', 'short']
    assert report.worst[0].why == ('says "I cannot" where a description was asked for',)
    text = format_report(report)
    assert 'the worst 5 of 6 records' in text
    assert 'I cannot describe the action. | The athlete sprints' in text
    assert check_store(stored(*rows), worst=0).worst == ()


def test_an_empty_store(annotations):
    report = check_store({}, annotations=annotations)
    assert (report.records, report.pairs, report.with_key) == (0, 6, 0)
    assert '0 records' in format_report(report)
    assert check_store({}).classes == ()
    assert format_report(check_store({})) == '0 records'


def test_the_report_as_json():
    report = check_store(stored(record('a'), failed('b')))
    value = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert value['states']['failed'] == 1
    assert value['classes'][0]['label'] == 'run'
