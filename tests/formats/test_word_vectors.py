"""Word vectors in text formats: what is read, what is skipped, what is refused and where."""

from pathlib import Path

import numpy as np
import pytest

from mmwtal.formats.word_vectors import read_word_vectors
from mmwtal.utils.errors import UserError

TEXT = b'the 0.5 -1 2\njump 1e-1 0 3.25\n'


@pytest.fixture
def write(tmp_path: Path):
    def put(content: bytes) -> Path:
        path = tmp_path / 'vectors.txt'
        path.write_bytes(content)
        return path

    return put


def test_wanted_words_are_read(write) -> None:
    found = read_word_vectors(write(TEXT), {'jump', 'absent'})
    assert found.width == 3
    assert list(found.vectors) == ['jump']
    assert found.vectors['jump'].dtype == np.float32
    assert found.vectors['jump'].tolist() == [np.float32(0.1), 0, 3.25]
    assert found.spread == pytest.approx(np.sqrt(np.mean(np.square([0.5, -1, 2, 0.1, 0, 3.25]))))


@pytest.mark.parametrize(
    'content',
    [
        b'2 3\n' + TEXT,
        b'\xef\xbb\xbf' + TEXT,
        TEXT.replace(b'\n', b'\r\n'),
        TEXT.replace(b'\n', b' \n'),
        TEXT + b'\n\n',
        TEXT.rstrip(),
        TEXT + b'jump 9 9 9\n',
    ],
    ids=['word2vec header', 'mark', 'CRLF', 'space at the end', 'blank lines', 'no last line end', 'twice'],
)
def test_variants_of_the_format_give_the_same(write, content: bytes) -> None:
    found = read_word_vectors(write(content), {'the', 'jump'})
    assert {word: vector.round(5).tolist() for word, vector in found.vectors.items()} == {
        'the': [0.5, -1, 2],
        'jump': pytest.approx([0.1, 0, 3.25]),
    }


def test_words_may_hold_spaces_and_any_bytes(write) -> None:
    path = write(TEXT + b'. . . 7 8 9\n' + 'ñandú'.encode() + b' 4 5 6\n\xff\xfe 1 1 1\n')
    assert read_word_vectors(path, {'. . .', 'ñandú'}).vectors['. . .'].tolist() == [7, 8, 9]
    assert read_word_vectors(path, {'ñandú'}).vectors['ñandú'].tolist() == [4, 5, 6]


def test_spread_does_not_depend_on_the_words_asked_for(write) -> None:
    rng = np.random.default_rng(0)
    lines = [
        f'w{n} ' + ' '.join(f'{x:.4f}' for x in rng.standard_normal(4) * (1 if n < 1000 else 50)) for n in range(1100)
    ]
    path = write('\n'.join(lines).encode())
    spreads = {read_word_vectors(path, words).spread for words in ([], ['w1'], ['w1050', 'w1099'])}
    assert len(spreads) == 1
    assert spreads.pop() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ('content', 'line', 'message'),
    [
        (b'the\n', 1, 'separated by spaces'),
        (b'\x80\x03pickled' * 9, 1, 'separated by spaces'),
        (TEXT + b'run 1 2\n', 3, '3 numbers, found 3 fields'),
        (TEXT + b'run 1 x 2\n', 3, 'found run 1 x 2'),
        (TEXT + b'run 1 nan 2\n', 3, 'finite'),
        (b'3 2\nthe 1 2\nrun inf 2\n', 3, 'finite'),
    ],
)
def test_a_faulty_line_is_named(write, content: bytes, line: int, message: str) -> None:
    with pytest.raises(UserError, match=rf'line {line}: .*{message}'):
        read_word_vectors(write(content), {'run'})


@pytest.mark.parametrize('content', [b'', b'2 3\n', b'\n\n'])
def test_an_empty_file_is_refused(write, content: bytes) -> None:
    with pytest.raises(UserError, match=r'vectors\.txt'):
        read_word_vectors(write(content), {'run'})


def test_an_absent_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / 'absent.txt', tmp_path):
        with pytest.raises(UserError, match='cannot be read'):
            read_word_vectors(path, {'run'})
