"""Compares the dicts of a config, from the outside in, with what will be built from them."""

import inspect
from dataclasses import replace
from typing import Any

from mmwtal.utils.config.lookup import find_anywhere, find_type, kind_of, names_in
from mmwtal.utils.config.nodes import DELETE, Key
from mmwtal.utils.config.origin import Origins
from mmwtal.utils.config.report import ConfigReport, dotted
from mmwtal.utils.config.signature import EMPTY, Arguments, arguments_of, passed_by
from mmwtal.utils.config.slot import Slot
from mmwtal.utils.config.slots import AUTO, HANDED_ON, INSIDE, UNCHECKED
from mmwtal.utils.config.types import choices, describe, suits
from mmwtal.utils.names import did_you_mean, nearest

Path = tuple[Key, ...]


class Walker:
    """Checks what goes into slots.

    Args:
        origins: Where the values of the config were written.
        report: Where the findings go.
        imports_own: Whether the config has ``custom_imports``; without them a name that is not known may be that of a
            class of the user's own.
    """

    def __init__(self, origins: Origins, report: ConfigReport, *, imports_own: bool) -> None:
        self._origins = origins
        self._report = report
        self._hint = '' if imports_own else ' (a class of your own needs custom_imports = dict(imports=[MODULE]))'

    def value(self, path: Path, value: Any, annotation: Any) -> bool:
        """Check a value against the annotation of the argument that it is for, and return whether it suits."""
        if annotation is EMPTY or suits(value, annotation) or (path[-1] in AUTO and value == 'auto'):
            return True
        match = nearest(value, choices(annotation)) if isinstance(value, str) else None
        hint = f"; did you mean '{match}'?" if match else ''
        message = f'expected {describe(annotation)}, found {value!r} ({type(value).__name__}){hint}'
        self._report.wrong(path, message, self._origins.value(path), match)
        return False

    def slot(self, path: Path, value: Any, slot: Slot) -> None:
        """Check what a slot holds: one dict that is built or, where it takes many, a list or dict of them."""
        if slot.by_name and isinstance(value, dict):
            for key, part in value.items():
                self.slot((*path, key), part, replace(slot, by_name=False))
        elif isinstance(value, dict) and not (slot.many and 'type' not in value and slot.default is None):
            self._built(path, value, slot)
        elif slot.many and isinstance(value, dict | list | tuple):
            for key, part in _parts(value):
                if part is not None or not slot.with_none:
                    several = isinstance(value, dict) and isinstance(part, list)
                    self.slot((*path, key), part, replace(slot, many=several))
        elif not callable(value):
            expected = 'a dict with a type' if slot.typed else 'a dict'
            self._report.wrong(path, f'expected {expected}, found {value!r}', self._origins.value(path))

    def _built(self, path: Path, node: dict, slot: Slot) -> None:
        target: Any = slot.default
        if slot.typed and 'type' in node:
            target = self._type((*path, 'type'), node['type'], slot)
            self._complete((*path, 'type'), target)
        elif target is None:
            message = "has no 'type'"
            key = nearest('type', map(str, node))
            if key is not None:
                message += f"; is '{key}' meant to be it?"
            self._report.wrong(path, message, self._origins.key(path), 'type' if key else None)
        arguments = arguments_of(target) if target is not None else Arguments()
        self._hand_on(path, node, arguments)
        if target is not None:
            self._arguments(path, node, slot, target, arguments)
        inside = {**(INSIDE.get(slot.registry, {}) if slot.registry is not None else {}), **slot.inside}
        for key, value in node.items():
            if key in UNCHECKED:
                where = self._origins.key((*path, key))
                self._report.unchecked((*path, key), 'is interpreted by mmengine, and cannot be checked', where)
            elif key not in ('type', '_scope_') and (value is not None or key in arguments.required):
                given = frozenset(passed_by(target, key))
                if key in inside:
                    self.slot((*path, key), value, replace(inside[key], given=inside[key].given | given))
                else:
                    self._loose((*path, key), value, Slot(slot.registry, loose=True, given=given))

    def _hand_on(self, path: Path, node: dict, arguments: Arguments) -> None:
        """Add the arguments of what a constructor builds later from its ``**kwargs``, where that is known."""
        handed = HANDED_ON.get(arguments.keywords_go_to or '')
        if handed is None:
            return
        kind = node.get(handed.type_argument, arguments.defaults.get(handed.type_argument))
        target = self._type((*path, handed.type_argument), kind, Slot(handed.registry))
        if target is None:
            return
        inner = arguments_of(target)
        new = {key: value for key, value in inner.annotations.items() if key not in handed.given}
        arguments.annotations = {**new, **arguments.annotations}
        arguments.required |= inner.required - handed.given
        arguments.keywords_go_to = inner.keywords_go_to

    def _loose(self, path: Path, value: Any, slot: Slot) -> None:
        """Check what has a type somewhere inside an argument of which nothing is known."""
        if isinstance(value, dict) and 'type' in value:
            self._built(path, value, slot)
        elif isinstance(value, dict | list | tuple):
            for key, part in _parts(value):
                self._loose((*path, key), part, slot)

    def _type(self, path: Path, kind: Any, slot: Slot) -> Any:
        """Return the class or function that a ``type`` names; None if it names none."""
        at = self._origins.value(path)
        if callable(kind):
            return kind
        if not isinstance(kind, str):
            self._report.wrong(path, f'expected a registered name or a dotted import path, found {kind!r}', at)
            return None
        target = find_type(kind, slot.registry) if slot.registry is not None else None
        if target is not None:
            return target
        target, registry = find_anywhere(kind)
        if target is not None and slot.loose:
            return target
        expected = None if slot.loose else slot.registry
        what = f'no {kind_of(expected)}' if expected is not None else 'nothing'
        if target is not None and registry is not None:
            self._report.wrong(path, f"'{kind}' is a {kind_of(registry)}, but {what} is registered by this name", at)
        elif '.' in kind:
            names = names_in(expected)
            self._report.misspelt(path, f"'{kind}' cannot be imported", kind.rpartition('.')[2], names, at)
        else:
            message = f"{what} is registered as '{kind}'"
            self._report.misspelt(path, message, kind, names_in(expected), at, hint=self._hint)
        return None

    def _complete(self, path: Path, target: Any) -> None:
        """Check that a class has every method that its base class leaves to it."""
        if not inspect.isabstract(target):
            return
        for name in sorted(target.__abstractmethods__):
            base = next(owner for owner in reversed(target.__mro__) if name in vars(owner))
            message = f'{target.__name__} lacks the method {name}, which {base.__name__} asks of its subclasses'
            self._report.wrong(path, message, self._origins.value(path))

    def _arguments(self, path: Path, node: dict, slot: Slot, target: Any, arguments: Arguments) -> None:
        if slot.first_given:
            _drop_first(arguments)
        name = getattr(target, '__name__', str(target)) if slot.typed else dotted(path)
        known = {**arguments.annotations, **slot.taken}
        valid = [key for key in known if key not in slot.given - AUTO and key not in slot.refused]
        meant: set[str | None] = set()
        for key, value in node.items():
            if (slot.typed and key == 'type') or key == '_scope_':
                continue
            where, at = (*path, key), self._origins.key((*path, key))
            if key in slot.refused:
                self._report.wrong(where, slot.refused[key], at)
            elif key in known:
                self.value(where, value, known[key])
            elif key == DELETE:
                self._report.wrong(where, f'there is nothing to delete: no base sets {dotted(path)}', at)
            elif arguments.keywords_go_to is not None:
                hint = did_you_mean(str(key), valid) if nearest(str(key), valid) else ''
                message = f'{arguments.keywords_go_to} takes any argument, so that this one cannot be checked{hint}'
                self._report.unchecked(where, message, at)
            else:
                meant.add(self._report.misspelt(where, f"{name} takes no argument '{key}'", str(key), valid, at))
        at = self._origins.value((*path, 'type')) if slot.typed and 'type' in node else self._origins.key(path)
        for key in sorted((arguments.required | slot.needed) - slot.given - node.keys() - meant):
            if slot.loose:
                self._report.unchecked((*path, key), f'{name} needs it; what builds {name} may add it', at)
            else:
                self._report.wrong((*path, key), f'is missing; {name} needs it', at)


def _parts(value: Any) -> list[tuple[Key, Any]]:
    return list(value.items()) if isinstance(value, dict) else list(enumerate(value))


def _drop_first(arguments: Arguments) -> None:
    first = next(iter(arguments.annotations), None)
    if first is not None:
        del arguments.annotations[first]
        arguments.required.discard(first)
