"""Static word vectors, one a word whatever the text: GloVe and word2vec in their text formats."""

import hashlib
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal, get_args

import numpy as np
from mmengine.logging import print_log

from mmwtal.formats.word_vectors import WordVectors, read_word_vectors
from mmwtal.registry import TEXT_ENCODERS
from mmwtal.text_encoders.base import BaseTextEncoder, fingerprint_of
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import content_digest
from mmwtal.utils.words import content_words, is_mark, split_words

Unknown = Literal['random', 'zero', 'error']
_SHOWN = 10


@TEXT_ENCODERS.register_module()
class StaticVectors(BaseTextEncoder):
    """Word vectors of a file; a phrase is the mean of its words (Pennington et al., GloVe, EMNLP 2014).

    A word is looked up as it is spelt, then in lower case; one whose parts are joined by hyphens or apostrophes and
    that the file lacks is the mean of those parts that it has. What is left is unknown; how many words that are is
    logged. In a phrase the unknown words are left out as long as another word is known, marks always, stop words
    (:data:`~mmwtal.utils.words.STOP_WORDS`) by option, each as long as a word remains.

    Args:
        path: The file, in the text format of GloVe or word2vec.
        root: The folder that a relative ``path`` refers to.
        unknown: What an unknown word gets: ``random``, a random vector of its own, the same in every run, with the
            spread of the file's vectors; ``zero``, the zero vector; ``error``, an error that lists them.
        skip_stop_words: Leave stop words out of the mean of a phrase.

    Raises:
        UserError: If ``unknown`` is none of the above.
    """

    contextual: ClassVar[bool] = False

    def __init__(
        self,
        *,
        path: str | Path,
        root: str | Path = '.',
        unknown: Unknown = 'random',
        skip_stop_words: bool = True,
    ) -> None:
        if unknown not in get_args(Unknown):
            raise UserError(f'unknown of StaticVectors must be one of {get_args(Unknown)}, found {unknown!r}')
        self.path = Path(root).expanduser() / Path(path).expanduser()
        self.unknown = unknown
        self.skip_stop_words = skip_stop_words

    @property
    def fingerprint(self) -> str:
        """A hash of the file's content and the settings; see :class:`BaseTextEncoder`."""
        try:
            content = content_digest(self.path)
        except OSError as error:
            raise UserError(
                f'word vectors {self.path} cannot be read: {error.strerror or error}; set path of StaticVectors to a '
                'file in the text format of GloVe, relative to the data root'
            ) from None
        settings = dict(unknown=self.unknown, skip_stop_words=self.skip_stop_words)
        return fingerprint_of('StaticVectors', content=content, version=1, **settings)

    def encode(self, phrases: Sequence[str], sentences: Sequence[Sequence[str]]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Look words up in one pass over the file; see :class:`BaseTextEncoder`.

        Raises:
            UserError: If the file cannot be read, or with ``unknown='error'`` lacks a word.
        """
        split = [self._words_that_count(phrase) for phrase in phrases]
        words = list(dict.fromkeys(word for text in (*split, *sentences) for word in text))
        found = read_word_vectors(self.path, {form for word in words for form in (word, word.lower(), *_parts(word))})
        table = {word: vector for word in words if (vector := _look_up(word, found)) is not None}
        known = frozenset(table)
        self._settle_unknown([word for word in words if word not in known], len(words), found, table)
        means = [np.mean([table[word] for word in ([w for w in text if w in known] or text)], axis=0) for text in split]
        rows = [np.array([table[word] for word in text]).reshape(-1, found.width) for text in sentences]
        return np.array(means, dtype=np.float32).reshape(-1, found.width), rows

    def _words_that_count(self, phrase: str) -> list[str]:
        words = split_words(phrase)
        without_marks = [word for word in words if not is_mark(word)]
        content = content_words(words) if self.skip_stop_words else without_marks
        return content or without_marks or words

    def _settle_unknown(self, unknown: list[str], total: int, found: WordVectors, table: dict[str, np.ndarray]) -> None:
        if not unknown:
            return
        listed = ', '.join(unknown[:_SHOWN]) + (', ...' if len(unknown) > _SHOWN else '')
        counted = f'{self.path}: {len(unknown)} of {total} words have no vector ({listed})'
        if self.unknown == 'error':
            raise UserError(f"{counted}; give vectors that have them, or set unknown='random' of StaticVectors")
        level = logging.WARNING if 2 * len(unknown) > total else logging.INFO
        print_log(f'{counted}: unknown={self.unknown!r}', logger='current', level=level)
        for word in unknown:
            table[word] = np.zeros(found.width, np.float32)
            if self.unknown == 'random':
                table[word] = (found.spread * random_vector(word, found.width)).astype(np.float32)


def random_vector(word: str, width: int, seed: int = 0) -> np.ndarray:
    """Return a vector of unit variance that depends on the word, whatever its case, and the seed alone."""
    digest = hashlib.sha256(f'{seed}\0{word.lower()}'.encode(errors='surrogatepass')).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32)).standard_normal(width)


def _parts(word: str) -> list[str]:
    parts = [part for part in re.split(r"['’\-]", word.lower()) if part]
    return parts if len(parts) > 1 else []


def _look_up(word: str, found: WordVectors) -> np.ndarray | None:
    for form in (word, word.lower()):
        if form in found.vectors:
            return found.vectors[form]
    parts = [found.vectors[part] for part in _parts(word) if part in found.vectors]
    return np.mean(parts, axis=0) if parts else None
