"""Class descriptions that were made elsewhere, in the form of GAP's files, as the ``classes.json`` of this project.

GAP (Generalizable Action Proposal generator) asked a chat model about the classes of THUMOS14 and ActivityNet 1.3 and
released three files for each: ``v3`` has one description with the things that matter, ``v4`` several ways to say what
the action is, ``v6`` its steps, mostly three. A list may be either, which no file says: the caller does.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmwtal.formats.findings import shown
from mmwtal.offline.ledger import cut
from mmwtal.priors.lemmas import lemmas_of
from mmwtal.priors.schema import PriorText, absent_key_words, parse_text
from mmwtal.priors.sentences import as_sentence, clean, distinct
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import write_atomically
from mmwtal.utils.json_file import JsonObject, json_type, read_json_object
from mmwtal.utils.names import did_you_mean
from mmwtal.utils.words import split_words, words_of_name

_WHAT = 'file of class descriptions'
_DETERMINERS = frozenset(['a', 'an', 'the', 'his', 'her', 'its', 'their'])


@dataclass(frozen=True, kw_only=True)
class ImportedClassTexts:
    """What an import of class descriptions found.

    Args:
        classes: Number of classes.
        with_key: How many have key semantics.
        with_complete: How many have a description.
        undescribed: Classes of which no file says anything.
        respelt: Names in the files that are spelt otherwise than the classes, and the class of each.
        unknown: Names in the files that are none of the classes.
        one_step: Classes whose description is a single sentence.
    """

    classes: int
    with_key: int
    with_complete: int
    undescribed: tuple[str, ...]
    respelt: dict[str, str]
    unknown: tuple[str, ...]
    one_step: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the report for people."""
        lines = [f'{self.classes} classes: {self.with_key} with key, {self.with_complete} with complete semantics']
        respelt = [f'{shown(name)} = {shown(label)}' for name, label in self.respelt.items()]
        lists = (
            ('classes without a text', map(shown, self.undescribed)),
            ('names that are no class', map(shown, self.unknown)),
            ('names spelt otherwise', respelt),
            ('classes described by one sentence', map(shown, self.one_step)),
        )
        for title, names in lists:
            found = list(names)
            lines += [f'{title} ({len(found)}): {"; ".join(cut(found))}'] if found else []
        return lines


def import_class_texts(
    out: Path, *, classes: Sequence[str], key: Path | None, complete: Path | None, overwrite: bool = False
) -> ImportedClassTexts:
    """Write class descriptions in the format of :func:`~mmwtal.priors.sources.read_class_texts`.

    Args:
        out: The file that is written.
        classes: The classes as the data set spells them.
        key: The file whose phrases are the key semantics: a list is taken as different ways to say it.
        complete: The file that describes the course: a list is taken as its steps in order.
        overwrite: Replace a file that is there.

    Raises:
        UserError: If nothing is to be read, a file cannot be read or describes none of the classes, or ``out`` is
            there.
    """
    if key is None and complete is None:
        raise UserError('class descriptions: name a file for key semantics, one for complete semantics, or both')
    if out.exists() and not overwrite:
        raise UserError(f'{out} is there already: name another file, or replace it (--overwrite)')
    found = {part: _read(path) for part, path in (('key', key), ('complete', complete)) if path is not None}
    names = dict.fromkeys(name for described in found.values() for name in described)
    label_of = match_classes(names, classes)
    if not label_of:
        first = next(iter(names))
        raise UserError(
            f'{_WHAT} {", ".join(str(path) for path in (key, complete) if path)}: none of {len(names)} names is one of '
            f'the {len(classes)} classes; they begin with {shown(first)}{did_you_mean(first, classes)}'
        )
    content = _content(found, label_of, classes)
    written = json.dumps(content, indent=1, ensure_ascii=False) + '\n'
    write_atomically(out, lambda file: file.write(written.encode()))
    steps = {name: len(one.key) for name, one in found.get('complete', {}).items()}
    return ImportedClassTexts(
        classes=len(classes),
        with_key=sum('key' in entry for entry in content.values()),
        with_complete=sum('complete' in entry for entry in content.values()),
        undescribed=tuple(label for label in classes if label not in content),
        respelt={name: label for name, label in label_of.items() if name != label},
        unknown=tuple(name for name in names if name not in label_of),
        one_step=tuple(label_of[name] for name, count in steps.items() if count == 1 and name in label_of),
    )


def _content(
    found: Mapping[str, Mapping[str, PriorText]], label_of: Mapping[str, str], classes: Sequence[str]
) -> dict[str, dict[str, object]]:
    """Return what is written: of each class that is described, in the order of the classes."""
    content: dict[str, dict[str, object]] = {label: {} for label in classes}
    for name, label in label_of.items():
        # Of two names of one class the first is taken.
        if name in found.get('key', {}):
            content[label].setdefault('key', [*found['key'][name].key])
        if name in found.get('complete', {}) and 'complete' not in content[label]:
            text = found['complete'][name]
            content[label] |= {'complete': text.complete, 'key_words': [*text.key_words]}
    return {label: entry for label, entry in content.items() if entry}


def match_classes(names: Iterable[str], classes: Sequence[str]) -> dict[str, str]:
    """Return the class of each name: spelt alike, or of the same words, or of the same words in another order.

    Case, spaces, marks and inflection make no other word: "High jump" is ``HighJump``, "Discus throw" is
    ``ThrowDiscus``. A name that fits several classes fits none.

    Args:
        names: Names in a file.
        classes: The classes.
    """
    found: dict[str, str] = {}
    left = dict.fromkeys(names)
    for form in (str, words_of_name, _lemmas_in_order):
        by_form: dict[str, list[str]] = {}
        for label in classes:
            by_form.setdefault(form(label), []).append(label)
        for name in left:
            candidates = by_form.get(form(name), [])
            if name not in found and len(candidates) == 1:
                found[name] = candidates[0]
    return found


def _lemmas_in_order(name: str) -> str:
    return ' '.join(sorted(lemmas_of(split_words(words_of_name(name)))))


def _read(path: Path) -> dict[str, PriorText]:
    """Read a file: for each class its phrases or steps (``key``), and these as sentences (``complete``)."""
    content = read_json_object(path, what=_WHAT)
    texts, problems = {}, []
    for name, value in content.items():
        text = _entry(value)
        if isinstance(text, str):
            problems.append(f'{shown(name)}: {text}')
        else:
            texts[name] = text
    if problems:
        raise UserError('\n  '.join([f'{_WHAT} {path}: {len(problems)} problems', *cut(problems)]))
    if not texts:
        raise UserError(f'{_WHAT} {path} describes no class')
    return texts


def _entry(value: object) -> PriorText | str:
    elaboration = value.get('Elaboration') if isinstance(value, JsonObject) else None
    if not isinstance(elaboration, JsonObject) or 'Description' not in elaboration:
        return f'expected {{"Elaboration": {{"Description": ...}}}}, found {json_type(value)}'
    description, things = elaboration['Description'], elaboration.get('Entity', [])
    phrases = [description] if isinstance(description, str) else description
    for one, key in ((phrases, 'Description'), (things, 'Entity')):
        if not isinstance(one, list) or not all(isinstance(item, str) for item in one):
            return f'"{key}" must be a string or a list of strings'
    sentences = distinct(filter(None, map(as_sentence, phrases)))
    complete = ' '.join(sentences)
    named = list(filter(None, map(_without_determiner, things)))
    absent = absent_key_words(complete, named)
    entry = {'key': list(distinct(clean(one) for one in phrases if as_sentence(one))), 'complete': complete}
    text, faults = parse_text({**entry, 'key_words': [word for word in named if word not in absent]})
    return faults[0] if faults else text


def _without_determiner(thing: str) -> str:
    words = clean(thing).split(' ')
    return ' '.join(words[1:] if words[0].lower() in _DETERMINERS else words)
