"""A shadow of a config: the same tree of dicts and lists, holding where each value was written instead of the value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from mmwtal.utils.errors import UserError

Key = str | int
DELETE = '_delete_'


@dataclass(frozen=True)
class Origin:
    """A place in a config file.

    Attributes:
        source: The file, as a path that can be opened from the current folder, or words such as 'command line'.
        line: Line number from 1; None where only the file is known.
    """

    source: str
    line: int | None = None

    def __str__(self) -> str:
        source = self.source
        if Path(source).is_absolute() and Path(source).is_relative_to(Path.cwd()):
            source = str(Path(source).relative_to(Path.cwd()))
        return source if self.line is None else f'{source}:{self.line}'

    def without_line(self) -> 'Origin':
        """Return the file alone."""
        return replace(self, line=None)


COMMAND_LINE = Origin('command line')
UNKNOWN = Origin('the config')


@dataclass(frozen=True)
class Node:
    """One value of the shadow tree.

    Attributes:
        kind: 'dict' or 'list' where the source shows one; 'value' for anything else that has no parts in the config;
            'computed' where the source does not show what it is (a call, a comprehension).
        origin: Where the value was written.
        entries: What is inside a dict or list, by key or index.
        rest: Where anything inside that ``entries`` lacks comes from.
    """

    kind: Literal['dict', 'list', 'value', 'computed']
    origin: Origin
    entries: Mapping[Key, 'Entry'] = field(default_factory=dict)
    rest: Origin = UNKNOWN


@dataclass(frozen=True)
class Entry:
    """One part of a dict or list.

    Attributes:
        origin: Where its key was written.
        node: Its value, which may have been written elsewhere (a helper variable, a base).
        deletes: Whether it is ``_delete_=True``.
    """

    origin: Origin
    node: Node
    deletes: bool = False


def leaf(origin: Origin) -> Node:
    """Return the node of a value without parts."""
    return Node('value', origin, rest=origin)


def computed(origin: Origin) -> Node:
    """Return the node of a value that the source does not show."""
    return Node('computed', origin, rest=origin)


def find(node: Node, path: Sequence[Key]) -> tuple[Origin, Origin]:
    """Return where the key and where the value at a path were written, as exactly as is known."""
    key_origin = node.origin
    for step in path:
        entry = node.entries.get(step)
        if entry is None:
            return node.rest, node.rest
        key_origin, node = entry.origin, entry.node
    return key_origin, node.origin


def put(node: Node, path: Sequence[Key], origin: Origin) -> Node:
    """Return a copy in which the value at a path, and each key on the way that was not there, comes from ``origin``."""
    if not path:
        return leaf(origin)
    key, *deeper = path
    old = node.entries.get(key)
    if old is None:  # a new key, unless the source did not show what is inside
        inside = node.rest if node.kind == 'computed' else origin
        old = Entry(inside, Node('dict', inside, rest=inside))
    entry = Entry(old.origin if deeper else origin, put(old.node, deeper, origin))
    return replace(node, entries={**node.entries, key: entry})


def merge(child: Node, base: Node, path: tuple[Key, ...] = ()) -> Node:
    """Return the shadow of ``child`` merged into ``base``, by mmengine's rules.

    Args:
        child: What the inheriting file writes.
        base: What it inherits.
        path: Where the two are in the config.

    Raises:
        UserError: If a dict of the child would have to be merged into something that is not a dict.
    """
    if child.kind != 'dict':
        return child
    if DELETE in child.entries and path:
        deletes = child.entries[DELETE].deletes
        child = replace(child, entries={key: entry for key, entry in child.entries.items() if key != DELETE})
        if deletes:
            return child
    if base.kind in ('value', 'list'):
        name = '.'.join(map(str, path))
        raise UserError(
            f'{child.origin}: {name} is a dict here, but not in the base ({base.origin}), so that the two cannot be '
            f'merged; add {DELETE}=True to this dict to replace what the base says'
        )
    entries = dict(base.entries)
    for key, entry in child.entries.items():
        inherited = entries.get(key)
        node = entry.node if inherited is None else merge(entry.node, inherited.node, (*path, key))
        entries[key] = replace(entry, node=node)
    rest = child.rest if base.kind == 'dict' else base.rest
    return Node('dict', child.origin, entries, rest)
