"""Vectors of texts, cached on disk: an encoder runs for those only that no earlier run has encoded."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from mmwtal.text_encoders.base import BaseTextEncoder
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import publish, temporary_name
from mmwtal.utils.locks import file_lock

_HASH_BYTES = 16


@dataclass(frozen=True, eq=False, kw_only=True)
class TextVectors:
    """The vectors of phrases and of the words of sentences.

    Args:
        phrases: float32, (N, D).
        words: Vectors of words, (W, D): float32, or float16 where a word's vector depends on its sentence.
        starts: The row of ``words`` at which each of M sentences begins, int64, (M,); its others follow.
    """

    phrases: Tensor
    words: Tensor
    starts: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class _Cached:
    """The content of a cache file: hashes of texts, (N, 16) and (M, 16), the vectors, and the sentences' lengths."""

    phrase_hashes: Tensor
    phrases: Tensor
    sentence_hashes: Tensor
    sentence_lengths: Tensor
    words: Tensor

    def lacking(self, phrases: Sequence[bytes], sentences: Sequence[bytes]) -> tuple[list[int], list[int]]:
        """Return which of the phrases and of the sentences, by hash, have no vectors yet; each once."""
        return _new_ones(phrases, self.phrase_hashes), _new_ones(sentences, self.sentence_hashes)

    def pick(self, phrases: Sequence[bytes], sentences: Sequence[bytes]) -> TextVectors:
        """Return the vectors of texts that are all there."""
        starts = self.sentence_lengths.cumsum(0) - self.sentence_lengths
        row, place = _rows(self.phrase_hashes), _rows(self.sentence_hashes)
        chosen = self.phrases[torch.tensor([row[text] for text in phrases], dtype=torch.int64)]
        first = starts[torch.tensor([place[text] for text in sentences], dtype=torch.int64)]
        return TextVectors(phrases=chosen, words=self.words, starts=first)


class VectorCache:
    """A folder of vectors: a safetensors file for each encoder, named by its fingerprint, where texts go by their hash.

    Files are replaced as a whole, so that a reader sees the old or the new one. A process that lacks vectors waits for
    one that is at it already, and then finds them there.

    Args:
        folder: The folder; made when something is written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def vectors(
        self, encoder: BaseTextEncoder, phrases: Sequence[str], sentences: Sequence[Sequence[str]]
    ) -> TextVectors:
        """Return vectors of texts; those that are not cached are encoded, and added.

        Args:
            encoder: The encoder.
            phrases: N texts.
            sentences: The words of M texts.

        Raises:
            UserError: If the encoder cannot run, a file is damaged or the folder cannot be written.
        """
        path = self.folder / f'{encoder.fingerprint}.safetensors'
        hashes = [_hash(text) for text in phrases], [_hash('\0'.join(words)) for words in sentences]
        cached = _load(path)
        if cached is None or any(cached.lacking(*hashes)):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                with file_lock(path.with_suffix('.lock')):
                    cached = self._complete(path, encoder, phrases, sentences, *hashes)
            except OSError as error:
                raise UserError(
                    f'text vectors cannot be written below {self.folder}: {error.strerror or error}; set cache of '
                    'PriorTexts to a folder that can be written'
                ) from error
        return cached.pick(*hashes)

    def _complete(
        self,
        path: Path,
        encoder: BaseTextEncoder,
        phrases: Sequence[str],
        sentences: Sequence[Sequence[str]],
        phrase_hashes: Sequence[bytes],
        sentence_hashes: Sequence[bytes],
    ) -> _Cached:
        cached = _load(path)
        everything: tuple[Sequence[int], Sequence[int]] = (
            _first_of_each(phrase_hashes),
            _first_of_each(sentence_hashes),
        )
        new, fresh = everything if cached is None else cached.lacking(phrase_hashes, sentence_hashes)
        if cached is not None and not (new or fresh):
            return cached
        print_log(
            f'{type(encoder).__name__} encodes {len(new)} phrases and {len(fresh)} sentences or words, into {path}',
            logger='current',
        )
        vectors, rows = encoder.encode([phrases[n] for n in new], [sentences[n] for n in fresh])
        added = _Cached(
            phrase_hashes=_as_tensor([phrase_hashes[n] for n in new]),
            phrases=torch.from_numpy(vectors),
            sentence_hashes=_as_tensor([sentence_hashes[n] for n in fresh]),
            sentence_lengths=torch.tensor([len(sentences[n]) for n in fresh], dtype=torch.int64),
            words=_stack(encoder, rows, vectors.shape[1]),
        )
        for name, values in (('phrases', added.phrases), ('words', added.words)):
            if not bool(values.isfinite().all()):
                raise UserError(f'{type(encoder).__name__} gave NaN or infinite vectors of {name}: check its weights')
        merged = added if cached is None else _joined(cached, added)
        _save(path, merged)
        return merged


def _stack(encoder: BaseTextEncoder, rows: list[np.ndarray], width: int) -> Tensor:
    words = torch.from_numpy(np.concatenate([np.zeros((0, width), np.float32), *rows]))
    # A vector for each word of each sentence takes gigabytes for thousands of videos; half precision is ample.
    return words.half() if encoder.contextual else words


def _joined(cached: _Cached, added: _Cached) -> _Cached:
    return _Cached(**{name: torch.cat([values, getattr(added, name)]) for name, values in vars(cached).items()})


def _load(path: Path) -> _Cached | None:
    # Imported here: testing and inference need no vectors of texts, and need not have the package.
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.exists():
        return None
    try:
        cached = _Cached(**load_file(path))
    except (SafetensorError, TypeError, OSError) as error:
        raise UserError(
            f'text vectors {path} cannot be read ({error}): remove the file, it will be made anew'
        ) from None
    count, lengths = len(cached.phrases), cached.sentence_lengths
    shapes = (cached.phrase_hashes.shape, cached.sentence_hashes.shape)
    if shapes != ((count, _HASH_BYTES), (len(lengths), _HASH_BYTES)) or lengths.sum() != len(cached.words):
        raise UserError(f'text vectors {path} contradict themselves: remove the file, it will be made anew')
    return cached


def _save(path: Path, cached: _Cached) -> None:
    from safetensors.torch import save_file

    temporary = temporary_name(path)
    tensors: dict[str, Any] = {name: values.contiguous() for name, values in vars(cached).items()}
    try:
        save_file(tensors, temporary)
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors='surrogatepass')).digest()[:_HASH_BYTES]


def _as_tensor(hashes: Sequence[bytes]) -> Tensor:
    return (
        torch.frombuffer(bytearray(b''.join(hashes)), dtype=torch.uint8).reshape(-1, _HASH_BYTES)
        if hashes
        else (torch.zeros((0, _HASH_BYTES), dtype=torch.uint8))
    )


def _rows(hashes: Tensor) -> dict[bytes, int]:
    return {row.tobytes(): number for number, row in enumerate(hashes.numpy())}


def _new_ones(hashes: Sequence[bytes], known: Tensor) -> list[int]:
    there = _rows(known)
    return [number for number in _first_of_each(hashes) if hashes[number] not in there]


def _first_of_each(hashes: Sequence[bytes]) -> list[int]:
    first: dict[bytes, int] = {}
    for number, one in enumerate(hashes):
        first.setdefault(one, number)
    return list(first.values())
