"""Sentences: mending the layout of those that people or chat models wrote, and telling which are alike."""

from collections.abc import Iterable

from mmwtal.utils.words import is_mark, split_words

_ENDS = ('.', '!', '?')
# Marks that may stand behind the end of a sentence.
_CLOSING = '"\'”’)'


def clean(text: str) -> str:
    """Return a text on one line: no two spaces together, none before a mark that ends something, all printable."""
    printable = ''.join(sign if sign.isprintable() else ' ' for sign in text)
    line = ' '.join(printable.split())
    for mark in (',', ';', ':', *_ENDS):
        line = line.replace(f' {mark}', mark)
    return line


def as_sentence(text: str) -> str:
    """Return a text as a sentence, cleaned, with a capital letter first and a full stop last; '' if it has no word."""
    line = clean(text).rstrip(',;:')
    if all(is_mark(word) for word in split_words(line)):
        return ''
    return line[0].upper() + line[1:] + ('' if line.rstrip(_CLOSING).endswith(_ENDS) else '.')


def distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """Return texts without those that have the words of an earlier one, whatever their case and marks."""
    found: dict[tuple[str, ...], str] = {}
    for text in texts:
        found.setdefault(_words(text), text)
    return tuple(found.values())


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in split_words(text) if not is_mark(word))
