"""What a sentence about an action must not be: a refusal, talk about the video, the name of the action alone."""

import re
from functools import cache

from mmwtal.priors.lemmas import lemmas_of
from mmwtal.utils.words import content_words, split_words, words_of_name

_REFUSAL = re.compile(
    r"""\b(?:
        as\ an?\ (?:ai\b|(?:large\ |vision\ )?language\ model|assistant,)
        | i\ (?:can\ ?not|can['’]t|could\ not|am\ (?:not\ able|unable)|apologi[sz]e)
        | i['’]m\ (?:sorry|unable|not\ able) | sorry,
        | unable\ to\ (?:tell|see|say|determine|identify|describe)
        | (?:it\ is|it['’]s)\ (?:not\ possible|impossible|difficult|hard)
          \ to\ (?:tell|see|say|determine|identify|describe)
        | (?:is|are)\ (?:unclear|uncertain)\b
        | no(?:body|\ one)\ (?:is|does|do|performs?)\b
        | (?:(?:is|are)\ not|isn['’]t|aren['’]t)\ perform(?:ed|ing)\b
        | (?:does\ not|doesn['’]t)\ (?:occur|happen|take\ place)\b
        | (?:can\ ?not|can['’]t|could\ not)\ be\ (?:determined|identified|seen|described)
        | (?:not|no\ action\ is|nothing\ is)\ visible | (?:no|insufficient)\ (?:such\ )?(?:action|information)\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_ABOUT_THE_VIDEO = re.compile(
    r"""\b(?:
        (?:the|this)\ (?:short\ |whole\ )?(?:video(?!\ (?:game|camera|screen))|footage)\b
        # A bicycle has a frame, hair a clip, a wall a picture: these count only where they are looked at.
        | in\ (?:the|this)\ (?:short\ )?(?:clip|image|picture)\b
        | in\ (?:these|each|every|all)\ (?:frame|image|picture|clip)s?\b
        | (?:the|this|these)\ (?:(?:first|next|last|final|given|provided)\ )?
          (?:clip|image|picture|frame|camera|scene|replay)s?(?:\ (?:given|provided))?
          \ (?:shows?|begins?|starts?|ends?|opens?|depicts?|captures?|follows?|zooms?|pans?|cuts?)\b
        | (?:sequence|series)\ of\ (?:frames|images|pictures) | (?:throughout|during)\ (?:the|this)\ clip\b
        | close-up\ (?:shot|view)\b | in\ (?:a\ )?slow\ motion\b | text\ overlay\b
        | the\ viewers?\b | (?:i|we|you)\ (?:can\ )?see\b
        # When it happens is nothing that a text may tell.
        | (?:at|from|between|until)\ \d+(?:\.\d+)?\ ?(?:s|sec|seconds)\b
        | (?:is|are|can\ be)\ (?:seen|shown|depicted)\b
        | description\ of\ the\ action
    )""",
    re.IGNORECASE | re.VERBOSE,
)
# Words with which "a person does a high jump" says no more than "high jump".
_EMPTY = """
    person people man men woman women boy girl child individual somebody someone athlete player participant competitor
    action activity motion movement perform do execute carry make practise practice take show engage occur happen begin
    start end continue
"""


def wording_problem(sentence: str) -> str | None:
    """Return what is wrong with the wording of a sentence, as a model can be told; None if nothing is."""
    if found := _REFUSAL.search(sentence):
        return f'says "{found[0]}" where a description was asked for'
    if found := _ABOUT_THE_VIDEO.search(sentence):
        return f'says "{found[0]}": describe the action itself, as if you stood beside it'
    return None


def says_only_the_name(sentence: str, label: str) -> bool:
    """Tell whether a sentence says nothing but the name of a class, such as "A man does a high jump."."""
    said = set(lemmas_of(content_words(split_words(sentence)))) - _empty_lemmas()
    return said <= set(lemmas_of(split_words(words_of_name(label))))


@cache
def _empty_lemmas() -> frozenset[str]:
    return frozenset(lemmas_of(_EMPTY.split()))
