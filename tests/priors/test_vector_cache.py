"""Cached vectors: what is there is not encoded again, by whatever process; damaged files are named."""

import multiprocessing
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from mmwtal.priors.embed import VectorCache
from mmwtal.text_encoders.base import BaseTextEncoder, fingerprint_of
from mmwtal.utils.errors import UserError


class Encoder(BaseTextEncoder):
    """Vectors of lengths and places; notes each run in a file."""

    contextual = True

    def __init__(self, log: Path, seconds: float = 0.0, value: float = 0.0) -> None:
        self.log, self.seconds, self.value = log, seconds, value

    @property
    def fingerprint(self) -> str:
        return fingerprint_of('test', value=self.value)

    def encode(self, phrases: Sequence[str], sentences: Sequence[Sequence[str]]):
        with self.log.open('a') as file:
            file.write(f'{list(phrases)} {[list(words) for words in sentences]}\n')
        time.sleep(self.seconds)
        rows = [
            np.array([[len(word), place, 0.5] for place, word in enumerate(words)], np.float32) for words in sentences
        ]
        vectors = np.array([[len(phrase), 0, self.value] for phrase in phrases], np.float32)
        return vectors.reshape(-1, 3), [row.reshape(-1, 3) for row in rows]

    def runs(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def encoder(tmp_path: Path) -> Encoder:
    return Encoder(tmp_path / 'log')


@pytest.fixture
def cache(tmp_path: Path) -> VectorCache:
    return VectorCache(tmp_path / 'cache' / 'deeper')


def rows_of(found, number: int, length: int) -> list:
    first = int(found.starts[number])
    return found.words[first : first + length].tolist()


def test_only_new_texts_are_encoded(cache: VectorCache, encoder: Encoder) -> None:
    first = cache.vectors(encoder, ['ab', 'c', 'ab'], [['x', 'yy'], []])
    assert first.phrases.tolist() == [[2, 0, 0], [1, 0, 0], [2, 0, 0]]
    assert rows_of(first, 0, 2) == [[1, 0, 0.5], [2, 1, 0.5]]
    again = cache.vectors(encoder, ['c'], [['x', 'yy']])
    assert again.phrases.tolist() == [[1, 0, 0]]
    assert encoder.runs() == ["['ab', 'c'] [['x', 'yy'], []]"]
    more = cache.vectors(encoder, ['def', 'ab'], [['zzz'], ['x', 'yy'], ['xyy']])
    assert encoder.runs()[1:] == ["['def'] [['zzz'], ['xyy']]"]
    assert more.phrases.tolist() == [[3, 0, 0], [2, 0, 0]]
    assert rows_of(more, 0, 1) == [[3, 0, 0.5]]
    assert rows_of(more, 1, 2) == [[1, 0, 0.5], [2, 1, 0.5]]
    assert more.words.dtype == torch.float16
    assert [path.suffix for path in sorted(cache.folder.iterdir())] == ['.lock', '.safetensors']


def test_encoders_do_not_mix(cache: VectorCache, encoder: Encoder) -> None:
    cache.vectors(encoder, ['ab'], [])
    other = cache.vectors(Encoder(encoder.log, value=7.0), ['ab'], [])
    assert other.phrases.tolist() == [[2, 0, 7]]
    assert len(list(cache.folder.glob('*.safetensors'))) == 2


def test_word_borders_matter(cache: VectorCache, encoder: Encoder) -> None:
    found = cache.vectors(encoder, [], [['a', 'b'], ['a b'], ['ab']])
    assert found.starts.tolist() == [0, 2, 3]


def test_vectors_that_are_not_finite_are_refused(cache: VectorCache, encoder: Encoder) -> None:
    bad = Encoder(encoder.log, value=float('nan'))
    with pytest.raises(UserError, match='Encoder gave NaN'):
        cache.vectors(bad, ['ab'], [])
    assert not list(cache.folder.glob('*.safetensors'))


def test_damaged_files_are_named(cache: VectorCache, encoder: Encoder) -> None:
    from safetensors.torch import load_file, save_file

    cache.vectors(encoder, ['ab'], [['x']])
    (path,) = cache.folder.glob('*.safetensors')
    sound, tensors = path.read_bytes(), load_file(path)
    tensors = {name: values.clone() for name, values in tensors.items()}
    for spoilt in (sound[:-5], sound[:3], b'', b'x' * 100):
        path.write_bytes(spoilt)
        with pytest.raises(UserError, match=r'cannot be read .*remove the file'):
            cache.vectors(encoder, ['ab'], [['x']])
    save_file({'other': torch.zeros(1)}, path)
    with pytest.raises(UserError, match='cannot be read'):
        cache.vectors(encoder, ['ab'], [['x']])
    save_file({**tensors, 'sentence_lengths': torch.tensor([5])}, path)
    with pytest.raises(UserError, match='contradict'):
        cache.vectors(encoder, ['ab'], [['x']])


def test_a_folder_that_cannot_be_written(tmp_path: Path, encoder: Encoder) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match=r'cannot be written .*set cache'):
        VectorCache(tmp_path / 'file').vectors(encoder, ['a'], [])


def _ask(folder: Path, log: Path, texts: list[str]) -> None:
    found = VectorCache(folder).vectors(Encoder(log, seconds=0.3), texts, [['x', 'y']])
    os._exit(0 if found.phrases[:, 0].tolist() == [len(text) for text in texts] else 1)


def test_one_of_several_processes_encodes(cache: VectorCache, encoder: Encoder) -> None:
    context = multiprocessing.get_context('fork')
    workers = [context.Process(target=_ask, args=(cache.folder, encoder.log, ['ab', 'c'])) for _ in range(3)]
    workers.append(context.Process(target=_ask, args=(cache.folder, encoder.log, ['ab', 'ddd'])))
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    encoded = ' '.join(encoder.runs())
    assert len(encoder.runs()) == 2
    assert encoded.count("'ab'") == encoded.count("['x', 'y']") == 1
    assert cache.vectors(encoder, ['ab', 'c', 'ddd'], [['x', 'y']]).phrases[:, 0].tolist() == [2, 1, 3]
