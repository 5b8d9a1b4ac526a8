"""Which classes of a data set a text names."""

from collections.abc import Collection, Iterable, Sequence

from mmwtal.priors.lemmas import lemmas_of
from mmwtal.utils.words import is_mark, split_words, words_of_name

# They come and go within a name: "mowing the lawn" is "mows a lawn" in a sentence.
_DETERMINERS = frozenset(['a', 'an', 'the', 'his', 'her', 'its', 'their', 'this', 'that', 'these', 'those'])
# Behind one of these a word is the name of an activity: "does diving", "plays cricket", "a game of croquet".
_DOING = frozenset(['do', 'play', 'practise', 'practice', 'perform'])
# Of these there is one of an activity. There are pairs of skiing goggles and bottles of shaving foam, too.
_OF_ACTIVITIES = frozenset(['game', 'match', 'round', 'bout', 'session', 'sport'])
_NAMES_OF_THINGS = 'ball bar bat board club court field gear mat net pit pole racket stick table track'
# In front of one of these a name says what kind of thing it is: beer pong is played with ping pong balls.
_THINGS = frozenset(_NAMES_OF_THINGS.split())


class ClassMentions:
    """Finds names of classes in texts, whatever their case, inflection and articles.

    A name of several words counts wherever they follow one another, but for the names of things ("a ping pong ball"). A
    name of one word is often an ordinary word for a motion ("swimming", "spinning", "snatch"): it counts only where it
    is spelt as in the name and follows a form of "do", "play", "practise" or "perform", or "game of" and the like.

    Args:
        classes: The classes of the data set.
    """

    def __init__(self, classes: Iterable[str]) -> None:
        self._single: dict[str, str] = {}
        self._by_first: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        self._lemmas: dict[str, tuple[str, ...]] = {}
        for label in classes:
            words = _words(words_of_name(label))
            lemmas = tuple(lemmas_of(words))
            self._lemmas[label] = lemmas
            if len(words) == 1:
                self._single[words[0]] = label
            elif words:
                self._by_first.setdefault(lemmas[0], []).append((lemmas, label))

    def others_in(self, text: str, own: Collection[str]) -> list[str]:
        """Return the classes that a text names and should not.

        Args:
            text: The text.
            own: Classes that it may name; and so it may any class whose name is a part of one of theirs, as "diving"
                is of ``CliffDiving``.

        Returns:
            The other classes, in the order in which they are named.
        """
        found = self._named(text)
        allowed = [self._of(label) for label in own]
        return [
            label
            for label in found
            if label not in own and not any(_contains(name, self._lemmas[label]) for name in allowed)
        ]

    def _named(self, text: str) -> list[str]:
        words = _words(text, marks=True)
        lemmas = lemmas_of(words)
        found: dict[str, None] = {}
        for place, lemma in enumerate(lemmas):
            for name, label in self._by_first.get(lemma, ()):
                end = place + len(name)
                if tuple(lemmas[place:end]) == name and not _THINGS.intersection(lemmas[end : end + 1]):
                    found[label] = None
            if words[place] in self._single and _announced(lemmas[max(0, place - 2) : place]):
                found[self._single[words[place]]] = None
        return list(found)

    def _of(self, label: str) -> tuple[str, ...]:
        known = self._lemmas.get(label)
        return tuple(lemmas_of(_words(words_of_name(label)))) if known is None else known


def _words(text: str, *, marks: bool = False) -> list[str]:
    """Return words in lower case, those that a hyphen joins apart; with marks, across which no name reaches."""
    words = (word.lower() for word in split_words(text.replace('-', ' ')))
    return [word for word in words if (marks or not is_mark(word)) and word not in _DETERMINERS]


def _announced(before: Sequence[str]) -> bool:
    """Tell whether the name of an activity is to be expected, by the lemmas of the two words in front of it."""
    if not before:
        return False
    return before[-1] in _DOING or (before[-1] == 'of' and before[0] in _OF_ACTIVITIES)


def _contains(whole: Sequence[str], part: Sequence[str]) -> bool:
    """Tell whether all words of a name stand in another, in whatever order."""
    return set(part) <= set(whole)
