"""How much each word of a description is worth masking, for the reconstruction of masked words.

Weakly-supervised grounding masks nouns and verbs by a tagger (CNM, AAAI 2022; CPL, CVPR 2022). Here the words that
carry the action are known without one: those that the description's author named, and those of the class.
"""

from collections.abc import Iterable, Sequence

from mmwtal.priors.lemmas import lemmas_of
from mmwtal.utils.words import STOP_WORDS, content_words, is_mark, split_words, words_of_name

ACTION, CONTENT, NONE = 2, 1, 0


def mask_weights(words: Sequence[str], *, key_words: Iterable[str], label: str) -> list[int]:
    """Return the weight of each word of a description.

    Args:
        words: The words, L, as :func:`~mmwtal.utils.words.split_words` gives them.
        key_words: Words, or groups of them, that carry the action.
        label: The class; its words carry the action too.

    Returns:
        2 for a word that carries the action, compared by lemma; 1 for any other content word; 0 for stop words and
        marks, also where they stand in ``key_words`` or ``label``.
    """
    named = [word for text in (*key_words, words_of_name(label)) for word in content_words(split_words(text))]
    action = frozenset(lemmas_of(named))
    return [
        NONE if is_mark(word) or word.lower() in STOP_WORDS else ACTION if lemma in action else CONTENT
        for word, lemma in zip(words, lemmas_of(words), strict=True)
    ]
