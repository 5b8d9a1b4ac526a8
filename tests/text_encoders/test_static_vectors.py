"""Static word vectors: look-up, unknown words, means of phrases, fingerprint."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mmwtal.registry import TEXT_ENCODERS
from mmwtal.text_encoders.base import BaseTextEncoder
from mmwtal.text_encoders.static_vectors import StaticVectors, random_vector
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import content_digest

VECTORS = {
    'high': [1, 0],
    'jump': [0, 1],
    'Polish': [5, 5],
    'polish': [3, 3],
    'the': [9, 9],
    'well': [2, 0],
    ',': [7, 7],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / 'vectors.txt'
    file.write_text(''.join(f'{word} {a} {b}\n' for word, (a, b) in VECTORS.items()))
    return file


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    lines: list[str] = []
    monkeypatch.setattr(
        'mmwtal.text_encoders.static_vectors.print_log', lambda text, logger, level: lines.append(f'{level} {text}')
    )
    return lambda: '\n'.join(lines)


def test_is_registered_and_resolves_its_path(path: Path) -> None:
    encoder = TEXT_ENCODERS.build(dict(type='StaticVectors', path='vectors.txt', root=path.parent))
    assert isinstance(encoder, BaseTextEncoder)
    assert not encoder.contextual
    assert encoder.encode(['jump'], [])[0].tolist() == [[0, 1]]


def test_words_and_means_of_phrases(path: Path) -> None:
    phrases, sentences = StaticVectors(path=path).encode(
        ['The high, JUMP', 'the', 'polish', 'Polish', ','], [['High', 'jump'], []]
    )
    # Marks and stop words are left out, as long as a word remains.
    assert phrases.tolist() == [[0.5, 0.5], [9, 9], [3, 3], [5, 5], [7, 7]]
    assert phrases.dtype == np.float32
    assert [rows.tolist() for rows in sentences] == [[[1, 0], [0, 1]], []]
    kept = StaticVectors(path=path, skip_stop_words=False).encode(['the high, jump'], [])[0]
    assert kept[0] == pytest.approx([10 / 3, 10 / 3])


def test_parts_of_joined_words(path: Path) -> None:
    _, (rows,) = StaticVectors(path=path, unknown='error').encode([], [['high-jump', "Jump's", 'well-timed']])
    assert rows.tolist() == [[0.5, 0.5], [0, 1], [2, 0]]


def test_unknown_words_get_their_own_random_vector(path: Path, said) -> None:
    encoder = StaticVectors(path=path)
    phrases, (rows,) = encoder.encode(['high dunk', 'dunk'], [['dunk', 'slam', 'DUNK', 'high']])
    assert '3 of 4 words have no vector (dunk, slam, DUNK)' in said()
    assert said().startswith('30 ')  # a warning: most words are unknown
    assert phrases[0].tolist() == [1, 0], 'the known word alone'
    assert phrases[1].tolist() == rows[0].tolist() == rows[2].tolist() != rows[1].tolist()
    again = StaticVectors(path=path).encode([], [['slam']])[1][0]
    assert again.tolist() == [rows[1].tolist()], 'whatever else is encoded'


def test_random_vectors_have_the_spread_of_the_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    file = tmp_path / 'v.txt'
    file.write_text(''.join(f'w{n} {" ".join(map(str, 3 * rng.standard_normal(50)))}\n' for n in range(100)))
    _, (rows,) = StaticVectors(path=file).encode([], [[f'x{n}' for n in range(100)]])
    assert rows.std() == pytest.approx(3, rel=0.05)
    assert len({row.tobytes() for row in rows}) == 100
    assert random_vector('a', 3, 0).tolist() != random_vector('a', 3, 1).tolist()


def test_zero_and_error_for_unknown_words(path: Path, said) -> None:
    _, (rows,) = StaticVectors(path=path, unknown='zero').encode([], [['dunk', 'high', 'jump']])
    assert rows.tolist() == [[0, 0], [1, 0], [0, 1]]
    assert said().startswith('20 ')
    with pytest.raises(UserError, match=r"1 of 2 words have no vector \(dunk\).*unknown='random'"):
        StaticVectors(path=path, unknown='error').encode(['dunk high'], [])
    with pytest.raises(UserError, match='unknown of StaticVectors'):
        StaticVectors(path=path, unknown='mean')


def test_fingerprint_follows_content_and_settings(path: Path) -> None:
    first = StaticVectors(path=path).fingerprint
    moved = path.with_name('moved.txt')
    moved.write_bytes(path.read_bytes())
    assert StaticVectors(path=moved).fingerprint == first
    assert StaticVectors(path=path, unknown='zero').fingerprint != first
    assert StaticVectors(path=path, skip_stop_words=False).fingerprint != first
    path.write_text(path.read_text().replace('high 1', 'high 2'))
    assert StaticVectors(path=path).fingerprint != first
    path.unlink()
    with pytest.raises(UserError, match='cannot be read'):
        _ = StaticVectors(path=path).fingerprint


def test_digest_of_a_large_file_sees_its_ends_and_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('mmwtal.utils.files._HASHED_WHOLE', 4096)
    monkeypatch.setattr('mmwtal.utils.files._BLOCK', 1024)
    content = bytes(range(256)) * 100

    def digest(changed: bytes) -> str:
        (tmp_path / 'x').write_bytes(changed)
        return content_digest(tmp_path / 'x')

    others = [b'!' + content[1:], content[:-1] + b'!', content + b'!', content[:-1], content[:4000], b'']
    assert len({digest(one) for one in [content, *others]}) == 7
    assert digest(content) == digest(content)
