"""From a text to its words."""

import re
from collections.abc import Iterable

# Letters and digits, also joined by an apostrophe or a hyphen, or one mark.
_WORD = re.compile(r"\w+(?:['’\-]\w+)*|[^\w\s]")
_CAMEL_CASE = re.compile(r'[A-Z]+(?![a-z])|[A-Z]?[^\W\dA-Z_]+|\d+|[^\W_]+')

# English words that say nothing of what is seen: articles, pronouns, auxiliaries, conjunctions, prepositions of time,
# place and manner, and the words by which sentences are strung together.
_STOP_WORDS = """
    a about above across after again against ahead all along already also although always am among an and another
    any are around as aside at away back be became because become been before behind being below beneath beside
    between beyond both but by came can come comes coming could did do does doing done during each either end etc
    even every few finally first for from fro further get gets had has have having he hence her here hers herself
    him himself his how however i if in inside into is it its itself just last later least less many may me
    meanwhile might more most much must my myself near neither next no nor not now of off often on once one only
    onto or other others our ours ourselves out outside over own per quite rather same shall she should since so
    some somebody someone something soon still such than that the their theirs them themselves then there these they
    this those though through throughout thus till to together too toward towards two under until up upon us very
    via was we were what when where whether which while who whom whose why will with within without would yet you
    your yours yourself yourselves
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def split_words(text: str) -> list[str]:
    """Return the words and marks of a text in order, spelt as they are there.

    Letters and digits that an apostrophe or a hyphen joins are one word; any other mark stands alone.
    """
    return _WORD.findall(text)


def is_mark(word: str) -> bool:
    """Tell whether one of :func:`split_words` is a punctuation mark or another symbol, not a word."""
    return not (word[0].isalnum() or word[0] == '_')


def content_words(words: Iterable[str]) -> list[str]:
    """Return the words that are neither marks nor stop words."""
    return [word for word in words if not is_mark(word) and word.lower() not in STOP_WORDS]


def words_of_name(name: str) -> str:
    """Return a class name as words in lower case: ``HighJump`` and ``high_jump`` are "high jump"."""
    return ' '.join(_CAMEL_CASE.findall(name)).lower() or name
