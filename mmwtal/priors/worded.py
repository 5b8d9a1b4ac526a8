"""The texts of a video as words: what encoders, masking and the experimental controls work on."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mmwtal.priors.masking import mask_weights
from mmwtal.priors.sources import PairText
from mmwtal.utils.words import split_words


@dataclass(frozen=True, kw_only=True)
class WordedText:
    """Key semantics and the description of one class in one video.

    Args:
        phrases: The key semantics; empty if nothing is said.
        words: The words of the description in order, L; none if there is no description.
        weights: What each is worth masking; see :func:`~mmwtal.priors.masking.mask_weights`.
        cut: Whether the description had more words.
    """

    phrases: tuple[str, ...]
    words: tuple[str, ...]
    weights: tuple[int, ...]
    cut: bool = False


def to_words(text: PairText, max_words: int) -> WordedText:
    """Split a text into words, and weigh them.

    Args:
        text: The text.
        max_words: How many words of the description are kept; the others are cut off.
    """
    everything = split_words(text.text.complete)
    words = everything[:max_words]
    weights = mask_weights(words, key_words=text.text.key_words, label=text.label)
    return WordedText(
        phrases=text.text.key, words=tuple(words), weights=tuple(weights), cut=len(everything) > max_words
    )


def vocabulary_of(texts: Sequence[WordedText]) -> dict[str, int]:
    """Return a number for each word of the descriptions, in lower case: from 1 on, in alphabetical order."""
    counts = Counter(word.lower() for text in texts for word in text.words)
    return {word: number for number, word in enumerate(sorted(counts), 1)}
