"""Lemmas of English words, from a dictionary that comes with the package simplemma."""

from collections.abc import Iterable
from functools import cache


@cache
def lemma_of(word: str) -> str:
    """Return a word's lemma in lower case: "swings", "swung" and "Swing" are all "swing"."""
    # Imported here: testing and inference need no lemmas, and need not have the package.
    import simplemma

    return simplemma.lemmatize(word.lower(), lang='en').lower()


def lemmas_of(words: Iterable[str]) -> list[str]:
    """Return the lemma of each word."""
    return [lemma_of(word) for word in words]
