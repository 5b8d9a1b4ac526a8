"""Experimental controls: texts that are wrong on purpose, to find out what of a text it is that helps.

They are no way to train a model for use. Each depends on a seed of its own, so that training seeds share it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch

from mmwtal.priors.embed import TextVectors
from mmwtal.priors.worded import WordedText
from mmwtal.text_encoders.static_vectors import random_vector
from mmwtal.utils.errors import UserError
from mmwtal.utils.words import content_words, is_mark, split_words

Control = Literal['none', 'other_videos', 'wrong_classes', 'random_vectors', 'wrong_words']


def exchange_texts(
    texts: Sequence[WordedText], labels: Sequence[str], *, control: Control, seed: int, wrong_share: float
) -> list[WordedText]:
    """Return the texts under a control.

    Args:
        texts: The text of each pair of a video and a class, P.
        labels: The class of each pair.
        control: ``other_videos`` gives each pair the text of another video of its class (a class with one video keeps
            it); ``wrong_classes`` that of a video of another class, the same one for all videos of a class;
            ``wrong_words`` replaces ``wrong_share`` of the content words of each phrase and description by others of
            the texts, where the places keep their weights. ``none`` and ``random_vectors`` leave the texts as they are.
        seed: Of the control.
        wrong_share: In [0, 1].

    Raises:
        UserError: If there is only one class, whose texts cannot be exchanged with another's.
    """
    rng = np.random.default_rng([seed, 5])
    if control == 'other_videos':
        return [texts[number] for number in _within_classes(labels, rng)]
    if control == 'wrong_classes':
        return [texts[number] for number in _across_classes(labels, rng)]
    if control == 'wrong_words':
        spoken = {word.lower() for text in texts for word in content_words(text.words)}
        spoken |= {
            word.lower() for text in texts for phrase in text.phrases for word in content_words(split_words(phrase))
        }
        pool = sorted(spoken)
        return [_with_wrong_words(text, pool, wrong_share, rng) for text in texts]
    return list(texts)


def random_vectors(
    phrases: Sequence[str], sentences: Sequence[Sequence[str]], *, like: TextVectors, seed: int
) -> TextVectors:
    """Return random vectors of a word each for the same texts, as wide and as long as those of an encoder.

    A phrase is the mean of its content words.

    Args:
        phrases: N texts.
        sentences: The words of M texts.
        like: Their vectors by an encoder.
        seed: Of the control.
    """
    width = like.words.shape[1]
    scale = float(like.words.float().square().mean().sqrt())
    vectors: dict[str, np.ndarray] = {}

    def of(word: str) -> np.ndarray:
        if word not in vectors:
            vectors[word] = (scale * random_vector(word, width, seed)).astype(np.float32)
        return vectors[word]

    def mean(phrase: str) -> np.ndarray:
        words = split_words(phrase)
        kept = content_words(words) or [word for word in words if not is_mark(word)] or words
        return np.mean([of(word) for word in kept], axis=0)

    rows = [of(word) for words in sentences for word in words]
    lengths = torch.tensor([len(words) for words in sentences], dtype=torch.int64)
    return TextVectors(
        phrases=torch.from_numpy(np.array([mean(phrase) for phrase in phrases], np.float32).reshape(-1, width)),
        words=torch.from_numpy(np.array(rows, np.float32).reshape(-1, width)),
        starts=lengths.cumsum(0) - lengths,
    )


def _pairs_of_classes(labels: Sequence[str]) -> dict[str, list[int]]:
    of_class: dict[str, list[int]] = defaultdict(list)
    for number, label in enumerate(labels):
        of_class[label].append(number)
    return dict(sorted(of_class.items()))


def _within_classes(labels: Sequence[str], rng: np.random.Generator) -> list[int]:
    """Return for each pair another one of its class: each gives its text to the next in a random circle."""
    chosen = [0] * len(labels)
    for numbers in _pairs_of_classes(labels).values():
        circle = rng.permutation(numbers).tolist()
        for number, following in zip(circle, [*circle[1:], circle[0]], strict=True):
            chosen[number] = following
    return chosen


def _across_classes(labels: Sequence[str], rng: np.random.Generator) -> list[int]:
    """Return for each pair one of another class: the class that follows its own in a random circle."""
    of_class = _pairs_of_classes(labels)
    if len(of_class) < 2:
        raise UserError(
            f"control='wrong_classes' needs videos of two classes, found those of {list(of_class)}: use another control"
        )
    circle = rng.permutation(list(of_class)).tolist()
    chosen = [0] * len(labels)
    for label, following in zip(circle, [*circle[1:], circle[0]], strict=True):
        theirs = rng.permutation(of_class[following]).tolist()
        for place, number in enumerate(of_class[label]):
            chosen[number] = theirs[place % len(theirs)]
    return chosen


def _with_wrong_words(text: WordedText, pool: list[str], share: float, rng: np.random.Generator) -> WordedText:
    phrases = tuple(' '.join(_spoilt(split_words(phrase), pool, share, rng)) for phrase in text.phrases)
    return replace(text, phrases=phrases, words=tuple(_spoilt(list(text.words), pool, share, rng)))


def _spoilt(words: list[str], pool: list[str], share: float, rng: np.random.Generator) -> list[str]:
    """Replace a share of the content words, rounded to whole words, by other words of a pool."""
    places = [place for place, word in enumerate(words) if content_words([word])]
    for place in rng.permutation(places)[: round(share * len(places))].tolist():
        others = len(pool) - 1
        if others:
            # One of the others: the word's own place in the pool is stepped over.
            drawn, own = int(rng.integers(others)), pool.index(words[place].lower())
            words[place] = pool[drawn + (drawn >= own)]
    return words
