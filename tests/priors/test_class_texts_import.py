"""Class descriptions from elsewhere: the released files, names that are spelt otherwise, bad files."""

import json

import pytest

from mmwtal.formats.annotations import read_annotations
from mmwtal.formats.class_names import choose_classes
from mmwtal.priors.class_texts_import import import_class_texts, match_classes
from mmwtal.priors.sentences import as_sentence, clean
from mmwtal.priors.sources import read_class_texts
from mmwtal.utils.errors import UserError


def entry(description, **more):
    return {'idx': 0, 'Elaboration': {'Description': description, **more}, 'Origin_Chat': '...'}


def write(path, **content):
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ('dataset', 'annotation_file', 'count'),
    [
        ('ActivityNet13', 'activitynet/activity_net.v1-3.rebuilt.json', 200),
        ('Thumos14', 'thumos14/thumos14_actionformer.json', 20),
    ],
)
def test_released_files(shared_data, tmp_path, dataset, annotation_file, count):
    classes = choose_classes(read_annotations(shared_data / annotation_file))
    files = {n: shared_data / f'text/gap_descriptions/{dataset}_description_v{n}.json' for n in (3, 4, 6)}
    if not files[3].exists():
        pytest.skip('the released descriptions are not there')
    for complete in (3, 6):
        out = tmp_path / f'{complete}.json'
        report = import_class_texts(out, classes=classes, key=files[4], complete=files[complete])
        assert (report.classes, report.with_key, report.with_complete) == (count, count, count)
        assert (report.undescribed, report.unknown, report.respelt) == ((), (), {})
        texts = read_class_texts(out, classes)
        assert list(texts) == list(classes)
        assert all(text.complete.endswith(('.', '."', '.)')) for text in texts.values())
        if complete == 6:
            assert len(report.one_step) < 0.02 * count
            several = sum(text.complete.count('. ') == 2 for text in texts.values())
            assert several >= 0.5 * count, 'most have three steps'
        else:
            assert sum(map(bool, (text.key_words for text in texts.values()))) > 0.9 * count


def test_parts_and_names(tmp_path):
    key = write(
        tmp_path / 'key.json',
        **{
            'High jump': entry(['leaps over a bar ', 'Leaps over a bar.', 'clears the\nbar']),
            'Discus throw': entry('spins'),
            'Polo': entry('rides'),
        },
    )
    complete = write(
        tmp_path / 'complete.json',
        HighJump=entry(['runs up', '', 'leaps over the bar']),
        LongJump=entry('the athlete leaps into the sand', Entity=['the athlete', 'a rocket', 'sand']),
    )
    classes, out = ('HighJump', 'LongJump', 'ThrowDiscus', 'Diving'), tmp_path / 'classes.json'
    report = import_class_texts(out, classes=classes, key=key, complete=complete)
    texts = read_class_texts(out, classes)
    assert texts['HighJump'].key == ('leaps over a bar', 'clears the bar')
    assert texts['HighJump'].complete == 'Runs up. Leaps over the bar.'
    assert texts['LongJump'].key == ()
    assert texts['LongJump'].complete == 'The athlete leaps into the sand.'
    assert texts['LongJump'].key_words == ('athlete', 'sand')
    assert texts['ThrowDiscus'].key == ('spins',)
    assert report.respelt == {'High jump': 'HighJump', 'Discus throw': 'ThrowDiscus'}
    assert (report.unknown, report.undescribed, report.one_step) == (('Polo',), ('Diving',), ('LongJump',))
    text = '\n'.join(report.lines())
    assert '4 classes: 2 with key, 2 with complete semantics' in text
    assert 'names that are no class (1): Polo' in text
    with pytest.raises(UserError, match='is there already'):
        import_class_texts(out, classes=classes, key=key, complete=None)
    assert import_class_texts(out, classes=classes, key=key, complete=None, overwrite=True).with_complete == 0


def test_a_name_that_fits_two_classes_fits_none():
    assert match_classes(['high-jump'], ['HighJump', 'high_jump']) == {}
    assert match_classes(['HighJump', 'x'], ['HighJump', 'high_jump']) == {'HighJump': 'HighJump'}
    assert match_classes(['Throws of a javelin', 'Javelin throwing'], ['JavelinThrow']) == {
        'Javelin throwing': 'JavelinThrow'
    }


@pytest.mark.parametrize(
    ('content', 'match'),
    [
        ({}, 'describes no class'),
        ({'Surf': entry('rides')}, 'none of 1 names is one of the 1 classes; they begin with Surf'),
        ({'Diving': 'falls'}, 'Diving: expected'),
        ({'Diving': {'Elaboration': ['falls']}}, 'Diving: expected'),
        ({'Diving': entry([3])}, '"Description" must be'),
        ({'Diving': entry('falls', Entity='sea')}, '"Entity" must be'),
        ({'Diving': entry([' . '])}, 'is empty'),
    ],
)
def test_bad_files(tmp_path, content, match):
    path, out = write(tmp_path / 'key.json', **content), tmp_path / 'out.json'
    with pytest.raises(UserError, match=match):
        import_class_texts(out, classes=['Diving'], key=path, complete=None)
    assert not out.exists()
    with pytest.raises(UserError, match='name a file'):
        import_class_texts(out, classes=['Diving'], key=None, complete=None)


def test_sentences():
    assert as_sentence('  the man\x00 runs ,\n then  stops ,') == 'The man runs, then stops.'
    assert as_sentence('He says "stop!"') == 'He says "stop!"'
    assert as_sentence('ñandú runs') == 'Ñandú runs.'
    assert as_sentence(' ..\t') == ''
    assert as_sentence('') == ''
    assert clean('a .') == 'a.'
