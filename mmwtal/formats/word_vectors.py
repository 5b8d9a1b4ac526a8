"""Reading word vectors in the text format of GloVe and word2vec: a line a word, the word and its numbers."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mmwtal.formats.findings import shown
from mmwtal.utils.errors import UserError

_WHAT = 'word vectors'
_BYTES_AT_ONCE = 1 << 22
# No line of a word vector file is this long: 300 numbers take 3,000 bytes.
_LONGEST_LINE = 1 << 20
# The spread of the vectors is estimated from the first of the file, whatever words are asked for.
_LINES_OF_SPREAD = 1000


@dataclass(frozen=True, eq=False, kw_only=True)
class WordVectors:
    """The vectors of some words of a file.

    Args:
        width: D.
        spread: Root mean square of the numbers in the file's first 1,000 lines.
        vectors: float32, (D,), by word.
    """

    width: int
    spread: float
    vectors: dict[str, np.ndarray]


def read_word_vectors(path: Path, wanted: Collection[str]) -> WordVectors:
    """Read the vectors of some words; all other lines are counted through, not parsed.

    A line holds a word and D numbers, separated by single spaces; a word may hold spaces itself. A first line of two
    whole numbers, as word2vec writes it, is skipped. Of several lines of one word the first counts.

    Args:
        path: The file, UTF-8.
        wanted: The words.

    Returns:
        The vectors of those words that the file has.

    Raises:
        UserError: If the file cannot be read, or a line has too few numbers or one that is not finite; the line's
            number is named.
    """
    keys = {word.encode(errors='surrogatepass'): word for word in wanted}
    vectors: dict[str, np.ndarray] = {}
    width, squares, parsed = 0, 0.0, 0
    try:
        with path.open('rb', buffering=_BYTES_AT_ONCE) as file:
            for number, width, key, line in _rows(file, path):
                word = keys.get(key)
                if word is None and parsed >= _LINES_OF_SPREAD:
                    continue
                vector = _numbers(line, width, path, number)
                if parsed < _LINES_OF_SPREAD:
                    squares, parsed = squares + float(np.square(vector).mean()), parsed + 1
                if word is not None:
                    vectors.setdefault(word, vector.astype(np.float32))
    except OSError as error:
        raise UserError(f'{_WHAT} {path} cannot be read: {error.strerror or error}') from None
    if not parsed:
        raise UserError(f'{_WHAT} {path} is empty: expected a line a word, the word and its numbers')
    return WordVectors(width=width, spread=float(np.sqrt(squares / parsed)), vectors=vectors)


def _rows(file: BinaryIO, path: Path) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Yield the number of each line, D, its word and the line itself."""
    width = 0
    for number, raw in enumerate(iter(partial(file.readline, _LONGEST_LINE), b''), 1):
        line = raw.rstrip()
        if number == 1:
            line = line.removeprefix(b'\xef\xbb\xbf')
            if _is_header(line):
                continue
        width = width or _width_of(line, path, number)
        spaces = line.count(b' ')
        if spaces == width:
            yield number, width, line.partition(b' ')[0], line
        elif spaces > width:
            yield number, width, line.rsplit(b' ', width)[0], line
        elif line:
            raise _fault(path, number, f'expected a word and {width} numbers, found {spaces + 1} fields')


def _is_header(line: bytes) -> bool:
    fields = line.split(b' ')
    return len(fields) == 2 and all(field.isdigit() for field in fields)


def _width_of(line: bytes, path: Path, number: int) -> int:
    width = line.count(b' ')
    if width < 2:
        raise _fault(path, number, 'expected a word and its numbers, separated by spaces')
    return width


def _numbers(line: bytes, width: int, path: Path, number: int) -> np.ndarray:
    fields = line.rsplit(b' ', width)
    try:
        vector = np.array([float(field) for field in fields[1:]])
    except ValueError:
        raise _fault(path, number, f'expected a word and {width} numbers, found {_start_of(line)}') from None
    if not np.isfinite(vector).all():
        raise _fault(path, number, f'expected finite numbers, found {_start_of(line)}')
    return vector


def _start_of(line: bytes) -> str:
    return shown(line[:60].decode(errors='backslashreplace'))


def _fault(path: Path, number: int, message: str) -> UserError:
    return UserError(f'{_WHAT} {path}, line {number}: {message}; give an unpacked text file in the format of GloVe')
