"""What is said of a class in a video, the record of it in a store, and the checks of both."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from mmwtal.formats.annotations import video_id_problem
from mmwtal.formats.findings import shown
from mmwtal.offline.job import State
from mmwtal.priors.lemmas import lemmas_of
from mmwtal.utils.json_file import JsonObject, json_type
from mmwtal.utils.words import split_words

_TEXT_KEYS = ('key', 'complete', 'key_words')
# Far beyond any description: a file that was pasted into a field is seen here.
_LONGEST = {'key': 1_000, 'complete': 20_000, 'key_words': 100}

_ANY_WORD = re.compile(r'\w')
# Line ends and tabs are all right in a text.
_LAYOUT = str.maketrans('\n\t', '  ')


@dataclass(frozen=True, kw_only=True)
class PriorText:
    """Key and complete semantics of one class in one video.

    Args:
        key: Phrases on the moment that makes the action what it is; empty if nothing is said of it.
        complete: Sentences on the action's whole course; empty if nothing is said of it.
        key_words: Words of ``complete`` that carry the action.
    """

    key: tuple[str, ...] = ()
    complete: str = ''
    key_words: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PriorRecord:
    """A line of a prior store.

    Args:
        video: The video's id.
        label: The class.
        text: What is said; empty unless ``state`` is ``ok``.
        source: Where it comes from: ``import``, the name of a model, ...
        state: ``ok``, ``failed``, ``refused`` or ``quarantined`` (a video that repeatedly ended its worker).
        reason: Why, where it is not ``ok``.
        faults: Why one of ``key`` and ``complete`` is empty, where the other came about and the state is ``ok``.
        details: How the text came about, for people and for ``show``: prompts, times of frames, spans, ...
    """

    video: str
    label: str
    text: PriorText
    source: str
    state: State = 'ok'
    reason: str = ''
    faults: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the record as the store writes it."""
        text = {'key': [*self.text.key], 'complete': self.text.complete, 'key_words': [*self.text.key_words]}
        record = {'video': self.video, 'label': self.label, **text, 'source': self.source, 'state': self.state}
        more = {'reason': self.reason, 'faults': dict(self.faults), 'details': dict(self.details)}
        return {**record, **{name: value for name, value in more.items() if value}}


def parse_text(value: object) -> tuple[PriorText, list[str]]:
    """Check ``{"key": [phrases], "complete": sentences, "key_words": [words]}``.

    One of ``key`` and ``complete`` may be left out, and ``key_words``; what is there must not be empty.

    Args:
        value: The content of a JSON file.

    Returns:
        The text, without what is wrong, and a line for each thing that is.
    """
    if not isinstance(value, dict):
        return PriorText(), [
            f'expected {{"key": [...], "complete": "...", "key_words": [...]}}, found {json_type(value)}'
        ]
    problems = [
        f'unknown key {shown(key)}; valid are {", ".join(_TEXT_KEYS)}' for key in value if key not in _TEXT_KEYS
    ]
    if isinstance(value, JsonObject):
        problems += [f'the key {shown(key)} is given more than once' for key in value.duplicates]
    if not {'key', 'complete'} & value.keys():
        problems.append('has neither "key" nor "complete"')
    key = _strings(value, 'key', problems)
    complete = ''
    if 'complete' in value:
        problem = _string_problem(value['complete'], 'complete')
        complete = value['complete'] if problem is None else ''
        problems += [f'"complete" {problem}'] if problem else []
    key_words = _strings(value, 'key_words', problems)
    if key_words and 'complete' not in value:
        problems.append('"key_words" needs "complete", whose words they are')
    return PriorText(key=key, complete=complete, key_words=key_words), problems


def parse_record(value: object) -> tuple[PriorRecord | None, list[str]]:
    """Check a record as a store writes it.

    Returns:
        The record, None if it has a problem, and a line for each problem.
    """
    if not isinstance(value, dict):
        return None, [f'expected an object, found {json_type(value)}']
    problems = []
    for key in ('video', 'label', 'source'):
        problem = _string_problem(value.get(key), 'key')
        problems += [f'"{key}" {problem}'] if problem else []
    if isinstance(value.get('video'), str) and (problem := video_id_problem(value['video'])):
        problems.append(f'"video": {problem}')
    state, reason = value.get('state'), value.get('reason', '')
    if state not in get_args(State):
        problems.append(f'"state" must be one of {", ".join(get_args(State))}, found {state!r:.60}')
    if not isinstance(reason, str):
        problems.append(f'"reason" must be a string, found {json_type(reason)}')
    faults, details = value.get('faults', {}), value.get('details', {})
    for name, found in (('faults', faults), ('details', details)):
        if not isinstance(found, dict):
            problems.append(f'"{name}" must be an object, found {json_type(found)}')
    # A record states all parts of its text; those of which nothing is said are empty.
    text = PriorText()
    if state == 'ok':
        text, wrong = parse_text({key: value[key] for key in _TEXT_KEYS if value.get(key)})
        problems += wrong
    if problems:
        return None, problems
    fields = {name: value[name] for name in ('video', 'label', 'source', 'state')}
    return PriorRecord(text=text, reason=reason, faults=faults, details=details, **fields), []


def absent_key_words(complete: str, key_words: Sequence[str]) -> list[str]:
    """Return the key words that do not occur in a description, whatever their case and inflection.

    A key word may be several words, which must then follow one another. A language model names such words now and then;
    they weigh nothing.
    """
    there = f' {" ".join(lemmas_of(split_words(complete)))} '
    return [word for word in key_words if f' {" ".join(lemmas_of(split_words(word)))} ' not in there]


def _strings(value: Mapping[str, Any], name: str, problems: list[str]) -> tuple[str, ...]:
    if name not in value:
        return ()
    found = value[name]
    if not isinstance(found, list):
        problems.append(f'"{name}" must be a list of strings, found {json_type(found)}')
        return ()
    if not found and name == 'key':
        problems.append('"key" is empty: state phrases, or leave it out')
    faults = [f'"{name}"[{n}] {fault}' for n, item in enumerate(found) if (fault := _string_problem(item, name))]
    problems += faults
    return () if faults else tuple(found)


def _string_problem(value: object, name: str) -> str | None:
    """Return what keeps a value from being a text that a model can read; None if nothing does."""
    if not isinstance(value, str):
        return f'must be a string, found {json_type(value)}'
    if not _ANY_WORD.search(value):
        return 'is empty: it has no word'
    if len(value) > _LONGEST[name]:
        return f'has {len(value)} characters, expected {_LONGEST[name]} at most'
    if value.translate(_LAYOUT).isprintable():
        return None
    strange = next(sign for sign in value.translate(_LAYOUT) if not sign.isprintable())
    return f'has the character {strange!r}, which cannot be printed'
