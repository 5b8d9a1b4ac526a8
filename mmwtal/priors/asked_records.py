"""What the dialogue brought of a label, and the record that is made of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmwtal.offline.job import State
from mmwtal.priors.answers import CompleteAnswer
from mmwtal.priors.conversation import Outcome, Stretch
from mmwtal.priors.joining import MergedAction
from mmwtal.priors.schema import PriorRecord, PriorText, absent_key_words


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the key question brought of a label.

    Args:
        stretches: Where to ask for its course: where it was seen, or everywhere if that is not known.
        merged: What was seen of it; None if nothing that can be used was said.
        state: Why it is None.
        reason: Why, in words.
        asked: Whether the key question was asked at all.
        denied: Whether the model said that the action is not there.
    """

    stretches: Sequence[Stretch] = ()
    merged: MergedAction | None = None
    state: State = 'ok'
    reason: str = ''
    asked: bool = True
    denied: bool = False


@dataclass(frozen=True, kw_only=True)
class Described:
    """What the complete question brought of a label.

    Args:
        answer: The description; None if there is none that can be used.
        state: Why it is None.
        reason: Why, in words.
        details: How it came about.
    """

    answer: CompleteAnswer | None = None
    state: State = 'ok'
    reason: str = ''
    details: Mapping[str, Any] = field(default_factory=dict)


def record_of(
    video: str, label: str, *, source: str, seen: Seen, described: Described | None, details: Mapping[str, Any]
) -> PriorRecord:
    """Return the record of a label.

    Args:
        video: The video's id.
        label: The class.
        source: The model.
        seen: What the key question brought.
        described: What the complete question brought; None if it was not asked.
        details: What records of all labels of the video say.
    """
    faults: dict[str, tuple[State, str]] = {}
    of_label: dict[str, Any] = {'visible': False} if seen.denied else {}
    merged, answer = seen.merged, None
    if seen.asked and merged is None:
        faults['key'] = (seen.state, seen.reason)
    if merged is not None:
        of_label = {'visible': True, 'occurrences': merged.occurrences}
        of_label |= {'verbs': [*merged.verbs], 'objects': [*merged.objects]}
        of_label |= {} if merged.spans is None else {'spans': [[*span] for span in merged.spans]}
    key_words: tuple[str, ...] = ()
    if described is not None:
        of_label['complete'], answer = dict(described.details), described.answer
        if answer is None:
            faults['complete'] = (described.state, described.reason)
        else:
            absent = absent_key_words(' '.join(answer.sentences), answer.key_words)
            key_words = tuple(dict.fromkeys(word for word in answer.key_words if word not in absent))
            of_label['phases'] = [[*pair] for pair in answer.phases]
            of_label |= {'dropped_key_words': absent} if absent else {}
    fields: dict[str, Any] = {'video': video, 'label': label, 'source': source, 'details': {**details, **of_label}}
    if merged is None and answer is None:
        state: State = 'failed' if any(state == 'failed' for state, _ in faults.values()) else 'refused'
        return PriorRecord(text=PriorText(), state=state, reason=_reason(faults), **fields)
    text = PriorText(
        key=() if merged is None else merged.motions,
        complete='' if answer is None else ' '.join(answer.sentences),
        key_words=key_words,
    )
    return PriorRecord(text=text, faults={part: reason for part, (_, reason) in faults.items()}, **fields)


def costs(outcomes: Sequence[Outcome[Any]]) -> dict[str, Any]:
    """Return what records say of questions: the frames seen, tokens, and what was wrong with first answers."""
    times = sorted({round(time, 3) for one in outcomes for time in one.times})
    tokens = [sum(one.prompt_tokens for one in outcomes), sum(one.reply_tokens for one in outcomes)]
    reasked = [text for one in outcomes for text in one.reasked]
    found: dict[str, Any] = {'frames': times, 'prompt_tokens': tokens[0], 'reply_tokens': tokens[1]}
    return {**found, **({'reasked': reasked} if reasked else {})}


def _reason(faults: Mapping[str, tuple[State, str]]) -> str:
    reasons = {part: reason for part, (_, reason) in faults.items()}
    if len(set(reasons.values())) == 1:
        return next(iter(reasons.values()))
    return '; '.join(f'{part}: {reason}' for part, reason in reasons.items())
