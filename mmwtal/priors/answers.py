"""What a model answers, as pydantic models and as the JSON schemas that bind its reply."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar

from mmwtal.priors.patterns import SENTENCE, WORD
from mmwtal.utils.errors import UserError

try:
    from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, create_model
except ModuleNotFoundError as error:
    raise UserError('pydantic is not installed: pip install "mmwtal[priors]"') from error

#: The phases of an action, in their order in time.
PHASES = ('preparation', 'execution', 'result')
#: How many sentences describe one occurrence.
FEWEST_SENTENCES, MOST_SENTENCES = 3, 8
# More occurrences than anybody counts, more stretches than a model can list reliably.
_MOST_OCCURRENCES, _MOST_SPANS = 99, 16
# With the whole class list for a question, a reply names those alone that it sees.
_MOST_SEEN = 8
# Seconds: more than a day.
_LONGEST_VIDEO = 99_999
_SENTENCE_IN_WORDS = 'a sentence of 3 to 30 words, with a capital letter first, a full stop last and no quotation mark'

Sentence = Annotated[str, StringConstraints(pattern=SENTENCE)]
Word = Annotated[str, StringConstraints(pattern=WORD)]


class Answer(BaseModel):
    """Any answer: no other keys than those it has, no text taken for a number."""

    model_config = ConfigDict(extra='forbid', strict=True, frozen=True)


FormT = TypeVar('FormT', bound=Answer)


class Span(Answer):
    """A stretch of the video in which an action occurs, in seconds from the video's beginning."""

    # Without an upper bound a model that runs astray writes digits to the end of its reply.
    start: float = Field(ge=0, le=_LONGEST_VIDEO)
    end: float = Field(ge=0, le=_LONGEST_VIDEO)


class Action(Answer):
    """An action that the model sees: how often, and the motion that sets it apart."""

    occurrences: int = Field(ge=1, le=_MOST_OCCURRENCES)
    motion: Sentence
    verbs: list[Word] = Field(min_length=1, max_length=5)
    objects: list[Word] = Field(max_length=5)


class LocatedAction(Action):
    """An action that the model sees, and when."""

    spans: list[Span] = Field(min_length=1, max_length=_MOST_SPANS)


class Visible(Answer):
    """Comes first in what is said of an action that the model sees."""

    visible: Literal[True]


class Unseen(Answer):
    """All that is said of an action that was asked about and that the model does not see."""

    visible: Literal[False]


class Labelled(Answer):
    """Comes first in what is said of an action in a list."""

    label: str


class KeyAnswer(Answer):
    """An answer to the key question, of a form that :func:`key_answer` makes."""

    context: Sentence
    actions: Any

    def seen(self) -> list[tuple[str, Action]]:
        """Return the actions that the model sees, with their labels, in the order of the answer."""
        if isinstance(self.actions, list):
            return [(one.label, one) for one in self.actions]
        fields = type(self.actions).model_fields
        entries = [(field.alias or name, getattr(self.actions, name)) for name, field in fields.items()]
        return [(label, one) for label, one in entries if isinstance(one, Action)]


class CompleteAnswer(Answer):
    """Complete semantics: one occurrence of an action from preparation to result.

    The phases are keys, so that their order is never in doubt. The first and the last may be out of sight.
    """

    preparation: list[Sentence] = Field(max_length=2)
    execution: list[Sentence] = Field(min_length=2, max_length=4)
    result: list[Sentence] = Field(max_length=2)
    key_words: list[Word] = Field(min_length=2, max_length=10)

    @property
    def phases(self) -> list[tuple[str, str]]:
        """The phase and the text of each sentence, in order."""
        return [(phase, sentence) for phase in PHASES for sentence in getattr(self, phase)]

    @property
    def sentences(self) -> list[str]:
        """The sentences in order."""
        return [sentence for _, sentence in self.phases]


class JoinedAnswer(CompleteAnswer):
    """One description made of those of overlapping windows."""


class ClassAnswer(CompleteAnswer):
    """What is known of a class, without any video: the motion that sets it apart, and its course."""

    motion: Sentence


@lru_cache(maxsize=1024)
def key_answer(labels: tuple[str, ...], *, spans: bool, seen_only: bool) -> type[KeyAnswer]:
    """Return the model of an answer about actions.

    Where each action needs an entry, the labels are keys: then none can be left out, said twice or made up.

    Args:
        labels: The actions as they are asked about.
        spans: Whether the answer says when they occur.
        seen_only: Whether the answer is a list of what is seen alone, for a question about many classes.
    """
    action = LocatedAction if spans else Action
    actions: Any
    if seen_only:
        one_of_them: Any = Literal.__getitem__(labels)
        # The fields of the last base stand first.
        listed: Any = create_model('Listed', __base__=(action, Labelled), label=(one_of_them, ...))
        actions = (list[listed], Field(max_length=min(_MOST_SEEN, len(labels))))
    else:
        seen: Any = create_model('Seen', __base__=(action, Visible))
        entry = Annotated[seen | Unseen, Field(discriminator='visible')]
        entries: dict[str, Any] = {f'action_{n}': (entry, Field(alias=label)) for n, label in enumerate(labels)}
        actions = (create_model('Actions', __base__=Answer, **entries), ...)
    return create_model('KeyAnswerFor', __base__=KeyAnswer, actions=actions)


@lru_cache(maxsize=1024)
def schema_of(model: type[Answer]) -> Mapping[str, Any]:
    """Return the JSON schema of an answer: without references, no other keys allowed, none optional."""
    schema = model.model_json_schema()
    return _plain(schema, schema.get('$defs', {}))


def read_answer(model: type[FormT], value: object) -> tuple[FormT | None, list[str]]:
    """Check the form of an answer.

    Args:
        model: The answer's model.
        value: What a reply holds, as JSON.

    Returns:
        The answer, None if its form is wrong, and what is wrong with it, in words that a model can be told.
    """
    try:
        return model.model_validate(value), []
    except ValidationError as error:
        return None, list(dict.fromkeys(_in_words(one) for one in error.errors(include_url=False)))


def _plain(node: Any, definitions: Mapping[str, Any]) -> Any:
    """Put definitions in their places, and leave out what binds nothing: titles, descriptions, hints for parsers."""
    if isinstance(node, list):
        return [_plain(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if '$ref' in node:
        return _plain(definitions[node['$ref'].rsplit('/', 1)[-1]], definitions)
    properties = {name: _plain(value, definitions) for name, value in node.get('properties', {}).items()}
    left_out = ('$defs', 'title', 'description', 'discriminator', 'properties')
    plain = {
        # Which of several forms it is shows in "visible": exactly one fits, and every engine knows anyOf.
        'anyOf' if name == 'oneOf' else name: _plain(value, definitions)
        for name, value in node.items()
        if name not in left_out
    }
    if 'properties' in node:
        plain |= {'properties': properties, 'required': list(properties), 'additionalProperties': False}
    return plain


def _in_words(error: Mapping[str, Any]) -> str:
    """Say what is wrong with the form of an answer, without the terms of pydantic."""
    # Behind the label of an action stands which of its two forms was tried.
    parts = [part for n, part in enumerate(error['loc']) if n != 2 or not isinstance(part, bool | int)]
    place = '.'.join(map(str, parts)) or 'the answer'
    context = error.get('ctx', {})
    kind = error['type']
    if kind == 'missing':
        return f'"{place}" is missing'
    if kind == 'extra_forbidden':
        return f'"{place}" was not asked for'
    if kind == 'string_pattern_mismatch':
        what = _SENTENCE_IN_WORDS if context.get('pattern') == SENTENCE else 'one to three words of letters'
        return f'"{place}" must be {what}, found "{str(error["input"])[:80]}"'
    if kind == 'literal_error':
        return f'"{place}" must be one of the actions that were asked about, found "{str(error["input"])[:80]}"'
    if kind in ('union_tag_invalid', 'union_tag_not_found'):
        return f'"{place}" needs "visible", true or false'
    if kind == 'too_short':
        return f'"{place}" needs {context["min_length"]} entries at least, found {context["actual_length"]}'
    if kind == 'too_long':
        return f'"{place}" may have {context["max_length"]} entries at most'
    return f'"{place}": {error["msg"][0].lower()}{error["msg"][1:]}'
