"""The vectors of all texts in the form that batches are taken from: padded tables."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmwtal.priors.controls import random_vectors
from mmwtal.priors.embed import VectorCache
from mmwtal.priors.worded import WordedText, vocabulary_of
from mmwtal.text_encoders.base import BaseTextEncoder
from mmwtal.utils.words import content_words, split_words, words_of_name


@dataclass(frozen=True, eq=False, kw_only=True)
class EncodedTexts:
    """The vectors of the texts of P pairs of a video and a class, with descriptions of L words at most.

    Args:
        keys: Mean of a pair's key phrases, (P, D); zero where it has none.
        classes: Mean of the template's key phrases of each class, (C, D).
        vectors: Vectors of words, (W, D).
        rows: Which of ``vectors`` each word of a description has, int64, (P, L).
        ids: The number of each word in the vocabulary, int64, (P, L), 0 in the padding.
        weights: What each word is worth masking, (P, L), 0 in the padding.
        lengths: Words of each description, int64, (P,).
        vocabulary_size: V, at least 2: 0 is the padding.
    """

    keys: Tensor
    classes: Tensor
    vectors: Tensor
    rows: Tensor
    ids: Tensor
    weights: Tensor
    lengths: Tensor
    vocabulary_size: int


def encode_texts(
    texts: Sequence[WordedText],
    *,
    phrases_of_class: Sequence[tuple[str, ...]],
    encoder: BaseTextEncoder,
    cache: VectorCache,
    random_seed: int | None = None,
) -> EncodedTexts:
    """Encode texts, as far as their vectors are not cached.

    Args:
        texts: The texts of P pairs of a video and a class.
        phrases_of_class: The template's key phrases of C classes.
        encoder: The encoder.
        cache: Where vectors are looked up and kept.
        random_seed: Replaces the vectors by random ones, a control; see
            :func:`~mmwtal.priors.controls.random_vectors`.

    Raises:
        UserError: If the encoder cannot run, or the cache cannot be used.
    """
    groups = [*(text.phrases for text in texts), *phrases_of_class]
    phrases = list(dict.fromkeys(phrase for group in groups for phrase in group))
    each = {word: number for number, word in enumerate(dict.fromkeys(w for text in texts for w in text.words))}
    by_sentence = encoder.contextual and random_seed is None
    sentences = [text.words for text in texts] if by_sentence else [(word,) for word in each]
    vectors = cache.vectors(encoder, phrases, sentences)
    if random_seed is not None:
        vectors = random_vectors(phrases, sentences, like=vectors, seed=random_seed)
    place = {phrase: number for number, phrase in enumerate(phrases)}
    means = [
        vectors.phrases[[place[one] for one in group]].mean(dim=0) if group else vectors.phrases.new_zeros(width)
        for width in [vectors.phrases.shape[1]]
        for group in groups
    ]
    starts = [
        vectors.starts[number] + torch.arange(len(text.words))
        if by_sentence
        else vectors.starts[[each[word] for word in text.words]]
        for number, text in enumerate(texts)
    ]
    vocabulary = vocabulary_of(texts)
    ids = [torch.tensor([vocabulary[word.lower()] for word in text.words], dtype=torch.int64) for text in texts]
    weights = [torch.tensor(text.weights, dtype=torch.float32) for text in texts]
    return EncodedTexts(
        keys=torch.stack(means[: len(texts)]),
        classes=torch.stack(means[len(texts) :]),
        vectors=vectors.words if len(vectors.words) else vectors.words.new_zeros(1, vectors.words.shape[1]),
        rows=_padded(starts),
        ids=_padded(ids),
        weights=_padded(weights),
        lengths=torch.tensor([len(text.words) for text in texts]),
        vocabulary_size=max(2, len(vocabulary) + 1),
    )


def encode_class_words(
    names: Sequence[str],
    number: int,
    *,
    encoder: BaseTextEncoder,
    cache: VectorCache,
    random_seed: int | None = None,
) -> Tensor:
    """Return vectors of the first content words of class names, (C, number, D), which repeat where a name has fewer.

    Args:
        names: C class names.
        number: Words of each.
        encoder: See :func:`encode_texts`.
        cache: See :func:`encode_texts`.
        random_seed: See :func:`encode_texts`.

    Raises:
        UserError: If the encoder cannot run, or the cache cannot be used.
    """
    words = [split_words(words_of_name(name)) for name in names]
    chosen = [tuple(content_words(own) or own) for own in words]
    by_sentence = encoder.contextual and random_seed is None
    sentences = chosen if by_sentence else [(word,) for own in chosen for word in own]
    vectors = cache.vectors(encoder, [], sentences)
    if random_seed is not None:
        vectors = random_vectors([], sentences, like=vectors, seed=random_seed)
    starts = iter(vectors.starts.tolist())
    if by_sentence:
        found = [[start + place for place in range(len(own))] for start, own in zip(starts, chosen, strict=True)]
    else:
        found = [[next(starts) for _ in own] for own in chosen]
    return torch.stack([vectors.words[(own * number)[:number]].float() for own in found])


def _padded(rows: list[Tensor]) -> Tensor:
    table = pad_sequence(rows, batch_first=True)
    # A column of padding where there is no word at all, so that something can be looked up.
    return table if table.shape[1] else table.new_zeros(len(rows), 1)
