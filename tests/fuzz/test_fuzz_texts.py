"""Whatever is in files of texts, stores and word vectors: they are used, or a UserError says what is wrong."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmwtal.formats.word_vectors import read_word_vectors
from mmwtal.priors.embed import VectorCache
from mmwtal.priors.sources import read_class_texts
from mmwtal.priors.store import PriorStore
from mmwtal.priors.texts_file import import_texts, read_texts
from mmwtal.text_encoders.static_vectors import StaticVectors
from mmwtal.utils.errors import UserError

from .data_files import fuzz, spoilt
from .mutations import spoilt_bytes, spoilt_json

TEXTS: dict[str, Any] = {
    'one': {'jump': {'key': ['leaps high', 'flies'], 'complete': 'She runs. She leaps.', 'key_words': ['leap']}},
    'two': {'run': {'key': ['runs']}, 'jump': {'complete': 'Leaps.'}},
}
VECTORS = b'leaps 0.5 1e-3\nruns -1 2.25\nhigh 3 4\n'


@pytest.fixture(scope='module')
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('texts')
    (folder / 'texts.json').write_text(json.dumps(TEXTS))
    (folder / 'classes.json').write_text(json.dumps(TEXTS['one']))
    (folder / 'vectors.txt').write_bytes(VECTORS)
    import_texts(folder / 'texts.json', PriorStore(folder / 'store'), source='x')
    encoder = StaticVectors(path=folder / 'vectors.txt')
    VectorCache(folder / 'cache').vectors(encoder, ['leaps', 'runs high'], [['leaps', 'runs'], ['high']])
    return folder


@fuzz
@given(content=spoilt_json(TEXTS) | spoilt_bytes(json.dumps(TEXTS).encode()))
def test_texts(files: Path, content: bytes) -> None:
    with spoilt(files / 'texts.json', content), contextlib.suppress(UserError):
        for record in read_texts(files / 'texts.json', source='x'):
            assert record.text.key or record.text.complete
            json.dumps(record.to_json()).encode()


@fuzz
@given(content=spoilt_json(TEXTS['one']) | spoilt_bytes(json.dumps(TEXTS['one']).encode()))
def test_class_descriptions(files: Path, content: bytes) -> None:
    with spoilt(files / 'classes.json', content), contextlib.suppress(UserError):
        assert 'jump' in read_class_texts(files / 'classes.json', ['jump', 'run'])


@fuzz
@given(data=st.data(), name=st.sampled_from(['manifest.json', 'import.jsonl']))
def test_stores(files: Path, data: st.DataObject, name: str) -> None:
    path = files / 'store' / name
    with spoilt(path, data.draw(spoilt_bytes(path.read_bytes()))), contextlib.suppress(UserError):
        for (video, label), record in PriorStore(files / 'store').read().items():
            assert (record.video, record.label) == (video, label)


@fuzz
@given(content=spoilt_bytes(VECTORS))
def test_word_vectors(files: Path, content: bytes) -> None:
    with spoilt(files / 'vectors.txt', content), contextlib.suppress(UserError):
        found = read_word_vectors(files / 'vectors.txt', ['leaps', 'runs', 'high'])
        assert all(len(vector) == found.width for vector in found.vectors.values())


@fuzz
@given(data=st.data())
def test_cached_vectors(files: Path, data: st.DataObject) -> None:
    (path,) = (files / 'cache').glob('*.safetensors')
    content = data.draw(spoilt_bytes(path.read_bytes()))
    encoder = StaticVectors(path=files / 'vectors.txt')
    with spoilt(path, content), contextlib.suppress(UserError):
        found = VectorCache(files / 'cache').vectors(encoder, ['leaps', 'runs high'], [['leaps', 'runs'], ['high']])
        assert found.phrases.shape[0] == len(found.starts) == 2
        assert found.words[int(found.starts[1])].numel()
