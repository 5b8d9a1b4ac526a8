"""Human captions as complete semantics: the released file, order, ids, bad files."""

import json

import pytest

from mmwtal.formats.annotations import read_annotations
from mmwtal.priors.captions import import_captions, read_captions
from mmwtal.priors.store import PriorStore
from mmwtal.priors.store_check import check_store
from mmwtal.utils.errors import UserError

CAPTIONS = {
    'v_run_a': {
        'duration': 12.8,
        'timestamps': [[5, 9], [0.5, 3], [9, 12]],
        'sentences': [' He runs along a wall . ', 'a man\nstands', ' He runs along a wall.'],
    },
    'jump_b': {'timestamps': [[0, 1]], 'sentences': ['She leaps.']},
    'v_both': {'timestamps': [[0, 1]], 'sentences': ['She leaps.']},
    'v_none': {'timestamps': [[0, 1]], 'sentences': ['Nothing happens.']},
    'test_run': {'timestamps': [[0, 1]], 'sentences': ['He runs.']},
}


@pytest.fixture
def annotations(data_root):
    data_root.write()
    return read_annotations(data_root.path / 'annotations.json')


@pytest.fixture
def write(tmp_path):
    def run(content, name='captions.json'):
        path = tmp_path / name
        path.write_text(json.dumps(content))
        return path

    return run


def test_import(annotations, write, tmp_path):
    path, store = write(CAPTIONS), PriorStore(tmp_path / 'priors')
    done, counts = import_captions([path], store, annotations=annotations)
    assert (done.written, done.pairs, done.described) == (2, 6, 2)
    assert (counts.videos, counts.elsewhere, counts.several_labels, counts.no_label) == (2, 1, 1, 1)
    assert (counts.without_captions, counts.out_of_order) == (2, 1)
    record = store.read()['run_a', 'run']
    assert record.text.complete == 'A man stands. He runs along a wall.'
    assert (record.text.key, record.text.key_words, record.source) == ((), ('runs',), 'captions')
    assert record.details == {}, 'time spans are not for training'
    assert import_captions([path], store, annotations=annotations)[0].kept == 2
    with pytest.raises(UserError, match='is of another job'):
        import_captions([write({'run_b': CAPTIONS['jump_b']})], store, annotations=annotations)
    other = write({'run_b': CAPTIONS['jump_b']})
    assert import_captions([other], store, annotations=annotations, overwrite=True)[0].written == 1
    assert list(store.read()) == [('run_b', 'run')]


def test_several_files(annotations, write):
    one, other = write(CAPTIONS, 'one.json'), write({'run_b': CAPTIONS['jump_b']}, 'other.json')
    assert len(read_captions([one, other], annotations=annotations, source='x')[0]) == 3
    with pytest.raises(UserError, match='v_run_a: has captions in another file'):
        read_captions([one, write(CAPTIONS, 'third.json')], annotations=annotations, source='x')


@pytest.mark.parametrize(
    ('entry', 'match'),
    [
        ('text', 'expected'),
        ({}, '"sentences"'),
        ({'sentences': [], 'timestamps': []}, '"sentences"'),
        ({'sentences': [3], 'timestamps': [[0, 1]]}, '"sentences"'),
        ({'sentences': ['He runs.'], 'timestamps': []}, '"timestamps" must be 1 times'),
        ({'sentences': ['He runs.'], 'timestamps': [[0]]}, '"timestamps"'),
        ({'sentences': ['He runs.'], 'timestamps': [[0, 'x']]}, '"timestamps"'),
        ({'sentences': ['He runs.'], 'timestamps': 3}, '"timestamps"'),
        ({'sentences': [' .'], 'timestamps': [[0, 1]]}, 'no sentence has a word'),
        ({'sentences': ['word ' * 5000], 'timestamps': [[0, 1]]}, 'characters, expected 20000'),
    ],
)
def test_bad_entries(annotations, write, entry, match):
    with pytest.raises(UserError, match=f'run_a: .*{match}'):
        read_captions([write({**CAPTIONS, 'v_run_a': entry})], annotations=annotations, source='x')


def test_captions_of_other_videos(annotations, write):
    with pytest.raises(UserError, match='none of 1 videos is a training video'):
        read_captions([write({'v_x': CAPTIONS['v_both']})], annotations=annotations, source='x')


def test_the_released_captions(shared_data):
    path = shared_data / 'text/activitynet_captions/train.json'
    if not path.exists():
        pytest.skip('the released captions are not there')
    annotations = read_annotations(shared_data / 'activitynet/activity_net.v1-3.rebuilt.json')
    records, counts = read_captions([path], annotations=annotations, source='captions')
    assert (counts.videos, counts.several_labels, counts.elsewhere) == (len(records), 6, 0)
    assert (len(records), counts.without_captions, counts.out_of_order) == (10_003, 15, 245)
    assert all(record.text.complete.isprintable() and '  ' not in record.text.complete for record in records)
    assert 0.5 < sum(bool(record.text.key_words) for record in records) / len(records) < 0.9
    report = check_store({(one.video, one.label): one for one in records[::10]}, annotations=annotations)
    assert report.complete_lengths is not None
    assert 40 < report.complete_lengths.mean < 60
    assert report.absent_key_words == 0
    assert len(report.classes) == 200
    # People name another class of the two hundred in few captions; very many talk about the video.
    assert 0 < sum(report.naming_others.values()) < 0.06 * report.records
    assert 0.3 < report.faulty / report.records < 0.6
