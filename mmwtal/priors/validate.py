"""From the text of a reply to an answer, or to what is wrong with it in words that a model can be told.

Every reply is checked, whatever the engine promised: first its form, then what it says. After one more try some
problems cost a part of an answer only; :attr:`Problem.spot` says which.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, NoReturn, TypeVar

from mmwtal.priors.answers import (
    FEWEST_SENTENCES,
    MOST_SENTENCES,
    Action,
    Answer,
    CompleteAnswer,
    KeyAnswer,
    LocatedAction,
    Span,
    read_answer,
)
from mmwtal.priors.class_mentions import ClassMentions
from mmwtal.priors.lemmas import lemmas_of
from mmwtal.priors.schema import absent_key_words
from mmwtal.priors.sentences import distinct
from mmwtal.priors.wording import says_only_the_name, wording_problem
from mmwtal.utils.json_file import JsonObject
from mmwtal.utils.words import split_words, words_of_name

#: Where a problem lies, beside the label of an action: everything, the sentence on the place, single key words.
EVERYTHING, CONTEXT, KEY_WORDS = '', ' context', ' key words'
# Seconds by which a span may reach beyond the clip: a model rounds.
_TOLERANCE = 1.0

_FENCE = re.compile(r'\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*', re.DOTALL | re.IGNORECASE)

AnswerT = TypeVar('AnswerT')
FormT = TypeVar('FormT', bound=Answer)
DescriptionT = TypeVar('DescriptionT', bound=CompleteAnswer)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something wrong with a reply.

    Args:
        text: What, as the model is told.
        spot: What of the answer it spoils: ``EVERYTHING``, ``CONTEXT``, ``KEY_WORDS`` or an action's label.
    """

    text: str
    spot: str = EVERYTHING


@dataclass(frozen=True, kw_only=True)
class Checked(Generic[AnswerT]):
    """A reply, checked.

    Args:
        answer: What it says; None where not even its form is right.
        problems: What is wrong.
    """

    answer: AnswerT | None = None
    problems: Sequence[Problem] = field(default_factory=tuple)

    @property
    def worth_asking_again(self) -> bool:
        """Whether a text that training uses is at fault; the sentence on the place is not one."""
        return any(problem.spot != CONTEXT for problem in self.problems)

    @property
    def usable(self) -> bool:
        """Whether something of it can be used."""
        return self.answer is not None and all(problem.spot != EVERYTHING for problem in self.problems)


def parse_reply(text: str, model: type[FormT]) -> Checked[FormT]:
    """Read a reply: one JSON object of the form of an answer, perhaps fenced as Markdown, and nothing beside it.

    Args:
        text: What the model wrote.
        model: The answer's model.
    """
    fenced = _FENCE.fullmatch(text)
    try:
        value = json.loads(fenced[1] if fenced else text, object_pairs_hook=JsonObject, parse_constant=_no_number)
    except RecursionError:
        return Checked(problems=[Problem(text='the JSON is nested too deeply')])
    except ValueError as error:
        return Checked(problems=[Problem(text=f'it is not one JSON object and nothing else: {error}')])
    if not isinstance(value, JsonObject):
        return Checked(problems=[Problem(text='it is not a JSON object')])
    problems = [f'the key {key!r} is given more than once' for key in _duplicates(value)]
    if problems:
        return Checked(problems=[Problem(text=one) for one in problems])
    answer, problems = read_answer(model, value)
    return Checked(answer=answer, problems=[Problem(text=one) for one in problems])


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """What an answer to the key question says.

    Args:
        context: The sentence on the place.
        seen: The actions that the model sees, by the words by which they were asked about.
    """

    context: str
    seen: Mapping[str, Action]


def check_key_answer(
    text: str,
    model: type[KeyAnswer],
    *,
    asked: Mapping[str, str],
    start: float,
    end: float,
    mentions: ClassMentions,
    own: Collection[str],
) -> Checked[Sighting]:
    """Check an answer to the key question.

    Args:
        text: The reply.
        model: The answer's model, of :func:`~mmwtal.priors.answers.key_answer`.
        asked: The class of each label as it was asked about.
        start: Seconds at which the clip begins.
        end: Seconds at which it ends.
        mentions: The classes of the data set.
        own: Those that the video has, which alone are checked and may be named.

    Returns:
        What it says, spans cut to the clip.
    """
    parsed = parse_reply(text, model)
    if parsed.answer is None:
        return Checked(problems=parsed.problems)
    seen: dict[str, Action] = {}
    problems = []
    for label, action in parsed.answer.seen():
        if asked[label] not in own:
            # What a model makes up is counted, and not worth another question.
            seen[label] = action
            continue
        faults = _sentence_problems(action.motion, label=asked[label], own=own, mentions=mentions)
        if label in seen:
            faults.append('has more than one entry')
        if isinstance(action, LocatedAction):
            action, wrong = _cut_spans(action, start, end)
            faults += wrong
        problems += [Problem(text=f'"{label}": {fault}', spot=label) for fault in faults]
        seen[label] = action
    context = parsed.answer.context
    problems += [Problem(text=f'"context" {fault}', spot=CONTEXT) for fault in _context_problems(context, seen)]
    return Checked(answer=Sighting(context=context, seen=seen), problems=problems)


def check_description(
    text: str, model: type[DescriptionT], *, label: str, own: Collection[str], mentions: ClassMentions
) -> Checked[DescriptionT]:
    """Check a description of the whole course of an action.

    Args:
        text: The reply.
        model: The answer's model.
        label: The class.
        own: Other classes that the video may be said to show.
        mentions: The classes of the data set.
    """
    parsed = parse_reply(text, model)
    if parsed.answer is None:
        return parsed
    answer, problems = parsed.answer, []
    sentences = answer.sentences
    if not FEWEST_SENTENCES <= len(sentences) <= MOST_SENTENCES:
        problems.append(
            Problem(text=f'it has {len(sentences)} sentences; write {FEWEST_SENTENCES} to {MOST_SENTENCES} in all')
        )
    if len(distinct(sentences)) < len(sentences):
        problems.append(Problem(text='it says a sentence twice: each sentence describes another step'))
    motion = getattr(answer, 'motion', None)
    if all(says_only_the_name(one, label) for one in sentences):
        problems.append(Problem(text='it says nothing but the name of the action: describe the motion'))
    if motion is not None and says_only_the_name(motion, label):
        problems.append(Problem(text='"motion" says nothing but the name of the action: describe the motion'))
    for one in [*sentences, *([motion] if motion is not None else [])]:
        faults = _sentence_problems(one, label=None, own={*own, label}, mentions=mentions)
        problems += [Problem(text=f'the sentence "{one}" {fault}') for fault in faults]
    absent = absent_key_words(' '.join(sentences), answer.key_words)
    if absent:
        listed = '", "'.join(absent)
        text = f'these of "key_words" do not occur in the sentences: "{listed}"'
        # Some of them can be left out; if none is there, the model did not describe what it thinks matters.
        problems.append(Problem(text=text, spot=KEY_WORDS if len(absent) < len(answer.key_words) else EVERYTHING))
    return Checked(answer=answer, problems=problems)


def _sentence_problems(sentence: str, *, label: str | None, own: Collection[str], mentions: ClassMentions) -> list[str]:
    problems = []
    if wording := wording_problem(sentence):
        problems.append(wording)
    if label is not None and says_only_the_name(sentence, label):
        problems.append('says nothing but the name of the action: describe the motion')
    problems += [f'names another action, "{words_of_name(other)}"' for other in mentions.others_in(sentence, own)]
    return problems


def _context_problems(context: str, seen: Mapping[str, Action]) -> list[str]:
    problems = [problem] if (problem := wording_problem(context)) else []
    said = set(lemmas_of(split_words(context)))
    verbs = dict.fromkeys(verb for action in seen.values() for verb in action.verbs)
    named = [verb for verb in verbs if said.issuperset(lemmas_of(split_words(verb)))]
    return [*problems, *([f'says what is done ({", ".join(named)}): write of the place alone'] if named else [])]


def _cut_spans(action: LocatedAction, start: float, end: float) -> tuple[LocatedAction, list[str]]:
    problems, spans = [], []
    for one in action.spans:
        inside = Span(start=min(max(one.start, start), end), end=min(max(one.end, start), end))
        if one.end <= one.start:
            problems.append(f'the span {one.start:g} to {one.end:g} ends before it begins')
        elif one.start < start - _TOLERANCE or one.end > end + _TOLERANCE or inside.end <= inside.start:
            problems.append(f'the span {one.start:g} to {one.end:g} is outside {start:g} to {end:g} s')
        spans.append(inside)
    if any(later.start < earlier.start for earlier, later in zip(action.spans, action.spans[1:], strict=False)):
        problems.append('the spans are not in the order of time')
    if len(spans) > action.occurrences:
        problems.append(f'there are {len(spans)} spans of {action.occurrences} occurrences')
    return action.model_copy(update={'spans': spans}), problems


def _no_number(name: str) -> NoReturn:
    raise ValueError(f'{name} is no number in JSON')


def _duplicates(value: object) -> list[str]:
    if isinstance(value, JsonObject):
        return [*value.duplicates, *(key for one in value.values() for key in _duplicates(one))]
    return [key for one in value for key in _duplicates(one)] if isinstance(value, list) else []
