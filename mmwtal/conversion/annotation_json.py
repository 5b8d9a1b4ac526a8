"""Reading annotation files of the JSON layouts that are in use, with every fault of a file reported at once.

All but mmaction's hold ``{"database": {id: {"subset", "duration", "annotations": [{"label", "segment"}]}}}``, times in
seconds. They differ in what they call the subsets and in where the list of classes stands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from mmwtal.conversion.thumos_text import AMBIGUOUS
from mmwtal.formats.annotations import subset_name, video_id_problem
from mmwtal.formats.findings import shown
from mmwtal.utils.errors import UserError
from mmwtal.utils.json_file import JsonObject, finite_number, json_type, positive_number, read_json_object


@dataclass(frozen=True, kw_only=True)
class JsonLayout:
    """One layout of annotation files.

    Args:
        title: Who uses it.
        wrapped: Whether the videos stand under ``database``; else they are the file's top level.
        duration: The key of a video's duration.
        stands_for: Whose subset it is if the file has no subset of the name: ``(missing, present)`` means that
            ``present`` takes the place of ``missing``.
    """

    title: str
    wrapped: bool = True
    duration: str = 'duration'
    stands_for: tuple[str, str] | None = None


LAYOUTS: Mapping[str, JsonLayout] = {
    'activitynet': JsonLayout(title='the official ActivityNet files'),
    # Its THUMOS14 file calls the training videos "Validation".
    'actionformer': JsonLayout(title="ActionFormer's files", stands_for=('training', 'validation')),
    # Its THUMOS14 file calls the test videos "validation".
    'opentad': JsonLayout(title="OpenTAD's files", stands_for=('test', 'validation')),
    'mmaction': JsonLayout(title="mmaction's anet_anno_*.json", wrapped=False, duration='duration_second'),
}


@dataclass(kw_only=True)
class SourceAnnotations:
    """What annotation files say, in our words but for the subsets.

    Args:
        database: Entries by video id as in ``annotations.json``; ``subset`` is the file's, in lower case.
        taxonomy: Leaves of ActivityNet's class tree; empty if not stated.
        label_ids: The number of each class, where the files state it.
        ambiguous: Number of stretches that were given as instances of a class "Ambiguous".
        texts: Number of times that were given as text.
    """

    database: dict[str, dict[str, Any]] = field(default_factory=dict)
    taxonomy: list[str] = field(default_factory=list)
    label_ids: dict[str, set[object]] = field(default_factory=dict)
    ambiguous: int = 0
    texts: int = 0

    def labels(self) -> list[str]:
        """Return every label of an instance, sorted."""
        return sorted({i['label'] for entry in self.database.values() for i in entry['annotations']})

    def subsets(self) -> list[str]:
        """Return the names of the subsets, in the order of the files."""
        return list(dict.fromkeys(entry['subset'] for entry in self.database.values()))


def read_annotation_json(
    path: Path, *, layout: JsonLayout, subset: str | None, into: SourceAnnotations, problems: list[str]
) -> None:
    """Read one file.

    Args:
        path: The file.
        layout: Its layout.
        subset: The subset of all its videos, where the file states none.
        into: Takes the content.
        problems: Faults of single videos are appended.

    Raises:
        UserError: If the file as a whole cannot be read or has another layout.
    """
    content = read_json_object(path, what='annotation file')
    database = content.get('database') if layout.wrapped else content
    if not isinstance(database, JsonObject):
        keys = ', '.join(map(repr, list(content)[:3]))
        hint = '; mmaction names the layout whose top level are the videos' if content else ''
        raise UserError(f'annotation file {path}: expected the videos under "database", found the keys {keys}{hint}')
    if not layout.wrapped and 'database' in content:
        raise UserError(f'annotation file {path} has its videos under "database", unlike those of {layout.title}')
    for name in database.duplicates:
        problems.append(f'{path}: video {shown(name)} has more than one entry')
    into.taxonomy += [leaf for leaf in _leaves(content.get('taxonomy')) if leaf not in into.taxonomy]
    for name, entry in database.items():
        faults: list[str] = []
        if name in into.database:
            faults.append('is in another file already')
        converted = _convert(entry, layout, subset, into, faults)
        problem = video_id_problem(name)
        if problem:
            faults.append(problem)
        problems += [f'{path}: video {shown(name)}: {fault}' for fault in faults]
        if converted is not None:
            into.database[name] = converted


def assign_subsets(
    source: SourceAnnotations, layout: JsonLayout, given: Mapping[str, str], problems: list[str]
) -> dict[str, str]:
    """Give every video one of our subsets.

    Args:
        source: Its entries are changed.
        layout: May know that one subset stands for another.
        given: Our subset for each of the files' that the user names.
        problems: Subsets that remain unknown are appended.

    Returns:
        Our name by the file's, for those that changed.
    """
    found = source.subsets()
    chosen = {name.lower(): target for name, target in given.items()}
    unused = [name for name in chosen if name not in found]
    problems += [f'--subsets: there is no subset {name!r}; there are {", ".join(found)}' for name in unused]
    names = {name: subset_name(chosen.get(name, name)) for name in found}
    if layout.stands_for is not None and not chosen:
        missing, present = layout.stands_for
        if missing not in names.values() and present in names.values() and len(names) > 1:
            names = {name: missing if target == present else target for name, target in names.items()}
    for name, target in names.items():
        if target is None:
            ours = chosen.get(name, name)
            problems.append(
                f'the subset {ours!r} is not known: map it with --subsets {name}=training (or validation, or test)'
            )
    for entry in source.database.values():
        entry['subset'] = names[entry['subset']]
    return {name: target for name, target in names.items() if target is not None and name not in (target, 'testing')}


def find_classes(source: SourceAnnotations, given: Sequence[str] | None, problems: list[str]) -> tuple[list[str], str]:
    """Return the class names in the order of their indices, and where that order is from.

    Args:
        source: The annotations.
        given: The user's list; comes first. Then ``label_id`` if every class has one number of its own, then the
            taxonomy, then the alphabet.
        problems: Labels that are not among the classes are appended.
    """
    labels = source.labels()
    ids = {
        label: number
        for label, numbers in source.label_ids.items()
        for number in numbers
        if len(numbers) == 1 and isinstance(number, int)
    }
    if given is not None:
        classes, origin = list(given), 'the given list'
    elif labels and set(ids) == set(labels) and len(set(ids.values())) == len(ids):
        classes, origin = sorted(labels, key=lambda label: ids[label]), 'the order of label_id'
    elif source.taxonomy:
        classes, origin = sorted(source.taxonomy), 'the leaves of the taxonomy, in alphabetical order'
    else:
        classes, origin = labels, 'all labels, in alphabetical order'
    unknown = [label for label in labels if label not in set(classes)]
    if unknown:
        problems.append(f'labels that are not among the classes ({origin}): {", ".join(map(shown, unknown))}')
    if not classes:
        problems.append('no class is named: no instance has a label')
    return classes, origin


def _convert(
    entry: object, layout: JsonLayout, subset: str | None, into: SourceAnnotations, faults: list[str]
) -> dict[str, Any] | None:
    if not isinstance(entry, JsonObject):
        faults.append(f'expected an object, found {json_type(entry)}')
        return None
    stated = entry.get('subset') if subset is None else subset
    if not isinstance(stated, str):
        faults.append(f'expected a text under "subset", found {json_type(stated)}')
        return None
    converted: dict[str, Any] = {'subset': stated.lower()}
    duration = entry.get(layout.duration)
    if duration is not None:
        converted['duration'] = positive_number(_number(duration))
        if converted['duration'] is None:
            faults.append(f'"{layout.duration}" must be a positive number of seconds, found {duration!r:.80}')
    instances = entry.get('annotations', [])
    if not isinstance(instances, list):
        faults.append(f'"annotations" must be a list, found {json_type(instances)}')
        return None
    converted['annotations'] = []
    for number, instance in enumerate(instances):
        _add_instance(instance, f'"annotations"[{number}]', converted, into, faults)
    return converted


def _add_instance(
    instance: object, place: str, entry: dict[str, Any], into: SourceAnnotations, faults: list[str]
) -> None:
    given = instance if isinstance(instance, JsonObject) else JsonObject([])
    label, segment = given.get('label'), given.get('segment')
    times = [finite_number(_number(time)) for time in segment] if isinstance(segment, list) else []
    if not _is_name(label) or len(times) != 2 or None in times:
        expected = '{"label": name, "segment": [start, end]} with times in seconds'
        faults.append(f'{place} must be {expected}, found {instance!r:.120}')
        return
    start, end = (time for time in times if time is not None)
    if not 0 <= start <= end:
        faults.append(f'{place}: expected 0 <= start <= end, found [{start:g}, {end:g}]')
        return
    into.texts += sum(isinstance(time, str) for time in segment or ())
    if label == AMBIGUOUS:
        into.ambiguous += 1
        entry.setdefault('ambiguous', []).append([start, end])
        return
    into.label_ids.setdefault(label, set()).add(_hashable(given.get('label_id')))
    entry['annotations'].append({'label': label, 'segment': [start, end]})


def _number(value: object) -> object:
    """Return a number that was written as a text as a number; anything else as it is."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return None


def _hashable(value: object) -> object:
    return value if isinstance(value, int | str | None) else repr(value)


def _leaves(taxonomy: object) -> list[str]:
    """Return the names of the nodes of ActivityNet's class tree that are no node's parent."""
    nodes = [node for node in taxonomy if isinstance(node, JsonObject)] if isinstance(taxonomy, list) else []
    parents = {_hashable(node.get('parentId')) for node in nodes}
    leaves = [node.get('nodeName') for node in nodes if _hashable(node.get('nodeId')) not in parents]
    return [name for name in leaves if _is_name(name)]


def _is_name(value: object) -> TypeGuard[str]:
    """Return whether a value is a text that can be written; JSON can spell half a surrogate pair."""
    return isinstance(value, str) and bool(value) and not any(0xD800 <= ord(letter) < 0xE000 for letter in value)
