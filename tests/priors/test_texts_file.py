"""Importing texts: all problems at once, against the annotations; interrupted imports; how much is covered."""

import json
from pathlib import Path

import pytest

from mmwtal.formats.annotations import AnnotationSet, read_annotations
from mmwtal.priors.store import PriorStore
from mmwtal.priors.texts_file import import_texts, read_texts
from mmwtal.utils.errors import UserError

TEXTS = {
    'run_a': {'run': {'key': ['sprints'], 'complete': 'He sprints.', 'key_words': ['sprint', 'leap']}},
    'both': {'run': {'key': ['runs']}, 'jump': {'complete': 'She leaps.'}},
    'test_run': {'run': {'key': ['runs']}},
}


@pytest.fixture
def annotations(data_root) -> AnnotationSet:
    data_root.write()
    return read_annotations(data_root.path / 'annotations.json')


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / 'texts.json'
    path.write_text(json.dumps(TEXTS))
    return path


@pytest.fixture
def store(tmp_path: Path) -> PriorStore:
    return PriorStore(tmp_path / 'priors')


def test_import(texts: Path, store: PriorStore, annotations: AnnotationSet) -> None:
    done = import_texts(texts, store, source='people', annotations=annotations)
    assert (done.written, done.kept, done.pairs, done.described) == (4, 0, 6, 3)
    assert (done.key_words, done.absent_key_words) == (2, 1)
    read = store.read()
    assert read['run_a', 'run'].text.complete == 'He sprints.'
    assert read['both', 'jump'].text.key == ()
    assert {record.source for record in read.values()} == {'people'}
    again = import_texts(texts, store, source='people')
    assert (again.written, again.kept, again.pairs) == (0, 4, None)


def test_an_interrupted_import_is_completed(texts: Path, store: PriorStore) -> None:
    import_texts(texts, store, source='x')
    path = store.folder / 'import.jsonl'
    whole = path.read_bytes()
    for size in (len(whole) - 1, 40, 0):
        path.write_bytes(whole[:size])
        done = import_texts(texts, store, source='x')
        assert done.written + done.kept == 4
        assert path.read_bytes() == whole


def test_other_texts_need_overwrite(texts: Path, store: PriorStore) -> None:
    import_texts(texts, store, source='x')
    before = (store.folder / 'import.jsonl').read_bytes()
    texts.write_text(json.dumps({'a': {'b': {'key': ['c']}}}))
    with pytest.raises(UserError, match='another job'):
        import_texts(texts, store, source='x')
    assert (store.folder / 'import.jsonl').read_bytes() == before
    import_texts(texts, store, source='x', overwrite=True)
    assert set(store.read()) == {('a', 'b')}


def test_all_problems_are_in_one_report(texts: Path, store: PriorStore, annotations: AnnotationSet) -> None:
    sound = {'key': ['x']}
    texts.write_text(
        json.dumps(
            {
                'run_c': {'run': sound},
                'run_a': {'jump': sound, 'rum': sound, 'run': {'key': [''], 'complete': 'x', 'key_words': ['y']}},
                '../run_b': {'run': sound},
                'none': [],
                'both': {'run': {'keys': []}, ' ': sound},
            }
        )
    )
    with pytest.raises(UserError) as error:
        import_texts(texts, store, source='x', annotations=annotations)
    lines = str(error.value).splitlines()
    assert '9 problems, nothing was written' in lines[0]
    for line, start in zip(
        lines[1:],
        [
            '  run_c: no such video in',
            '  run_a, jump: the video does not have this label, it has run',
            '  run_a, rum: no such class in',
            '  run_a, run: "key"[0] is empty',
            '  ../run_b: an id must not hold "/"',
            '  none: expected an object of texts by label, found a list',
            '  both, run: unknown key keys',
            '  both, run: has neither',
            '  both,  : a label needs visible',
        ],
        strict=True,
    ):
        assert line.startswith(start) or line.startswith('  ../run_b: no such')
    assert "did you mean 'run'?" in str(error.value)
    assert not store.folder.exists()


@pytest.mark.parametrize(
    'content', ['{}', '[]', '{"a": {}}', '{"a": {"b": {"key": ["x"]}}, "a": {}}', '{"a": {"b"', '']
)
def test_files_that_hold_no_texts_are_refused(texts: Path, content: str) -> None:
    texts.write_text(content)
    with pytest.raises(UserError, match=r'texts\.json'):
        read_texts(texts, source='x')


def test_a_label_given_twice_is_found(texts: Path) -> None:
    texts.write_text('{"a": {"b": {"key": ["x"]}, "b": {"key": ["y"]}}}')
    with pytest.raises(UserError, match='the label b is given more than once'):
        read_texts(texts, source='x')
