"""Forms that a text in a reply must have, as regular expressions that bind a model while it writes.

They stand as ``pattern`` in JSON schemas, so they keep to what every side reads alike: Python, pydantic and xgrammar,
in process and on servers. Only whole texts match. They admit no control character, no quotation mark and no backslash,
which JSON would have to escape. They bound every length, so that any model comes to an end, random weights included.
``maxLength`` would not do: xgrammar 0.2.8 then lets raw control characters through, which are no JSON. Its compiler
crashes beyond 128 repeats; none of these has more than :data:`MOST_REPEATS`.
"""

from mmwtal.utils.errors import UserError

MOST_REPEATS = 128
"""What xgrammar 0.2.8 compiles: 129 repeats of an expression crash it."""

_LETTER = 'A-Za-zÀ-ÖØ-öø-ž'
_CAPITAL = 'A-ZÀ-ÖØ-Þ'
_IN_WORD = rf"[{_LETTER}0-9'’/-]"


def sentence(*, least_words: int = 3, most_words: int = 30, most_letters: int = 18) -> str:
    """Return the pattern of one sentence: it begins with a capital or a digit and ends with a full stop, ! or ?.

    A model that runs on is stopped behind a whole word, not inside one.

    Args:
        least_words: Words that it has at least, 2 or more.
        most_words: Words that it has at most.
        most_letters: Letters of its longest word, with those of words that a hyphen or an apostrophe joins.

    Raises:
        UserError: If a number is out of range.
    """
    if not 2 <= least_words <= most_words <= MOST_REPEATS or not 2 <= most_letters <= MOST_REPEATS:
        raise UserError(
            f'a sentence takes 2 <= least_words <= most_words <= {MOST_REPEATS} and 2 <= most_letters <= '
            f'{MOST_REPEATS}, found {least_words}, {most_words} and {most_letters}'
        )
    inner = f'{_IN_WORD}{{0,{most_letters - 1}}}'
    number = r'[0-9]{1,4}\.[0-9]{1,2}'
    first = f'(?:[{_CAPITAL}0-9]{inner}|{number})'
    following = rf"(?:[,;:]| -)? [('‘]?(?:[{_LETTER}0-9]{inner}|{number})%?[)]?"
    return rf'^{first}(?:{following}){{{least_words - 1},{most_words - 1}}}[.!?]$'


def words(*, most: int = 3, most_letters: int = 15) -> str:
    """Return the pattern of a word or a few, such as a verb or the name of a thing.

    Args:
        most: Words at most.
        most_letters: Letters of the longest of them.

    Raises:
        UserError: If a number is out of range.
    """
    if not 1 <= most <= MOST_REPEATS or not 2 <= most_letters <= MOST_REPEATS:
        raise UserError(
            f'words takes 1 to {MOST_REPEATS} words and 2 to {MOST_REPEATS} letters, found {most}, {most_letters}'
        )
    word = f"[{_LETTER}][{_LETTER}'’-]{{0,{most_letters - 1}}}"
    return f'^{word}(?: {word}){{0,{most - 1}}}$' if most > 1 else f'^{word}$'


SENTENCE = sentence()
"""A sentence of 3 to 30 words: with ordinary words up to about 200 characters."""

WORD = words()
"""One to three words: "knee", "ping pong ball"."""
