"""Follows the statements of one config file, without running them, to tell where each value was written."""

import ast
from collections.abc import Mapping
from dataclasses import replace

from mmwtal.utils.config.nodes import DELETE, Entry, Key, Node, Origin, computed, leaf
from mmwtal.utils.errors import UserError
from mmwtal.utils.names import did_you_mean

BASE = '_base_'
_LITERALS = (ast.Constant, ast.JoinedStr, ast.UnaryOp)


class Tracker:
    """Builds the shadow of one config file.

    Dict and list displays, ``dict(...)``, variables of the same file, ``**helper``, ``*helper``, ``+``, ``|``,
    subscripts and ``{{_base_.x}}`` are followed. What a call or a comprehension makes has the place of that expression;
    a variable that is written under ``if``, in a loop or by a method is known by its file alone.

    Args:
        file: The config file.
        base: The shadow of its merged bases; a dict without entries where it has none.
    """

    def __init__(self, file: str, base: Node) -> None:
        self._file = file
        self._base = base
        self._names: dict[str, Entry] = {}

    def track(self, module: ast.Module) -> Node:
        """Return the shadow of what the file itself writes.

        Raises:
            UserError: If it refers to a name that no base sets.
        """
        for statement in module.body:
            self._statement(statement)
        whole_file = Origin(self._file)
        return Node(
            'dict', whole_file, {name: entry for name, entry in self._names.items() if name != BASE}, whole_file
        )

    def _at(self, node: ast.expr | ast.stmt | ast.keyword) -> Origin:
        return Origin(self._file, node.lineno)

    def _statement(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Assign(targets=targets, value=value):
                node = self._value(value)
                for target in targets:
                    self._assign(target, node)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign(target, self._value(value))
            case ast.AugAssign(target=ast.Name() as target, op=op, value=value):
                place = ast.Name(target.id, ctx=ast.Load(), lineno=target.lineno)
                self._assign(target, self._value(ast.BinOp(place, op, value, lineno=statement.lineno)))
            case ast.Delete(targets=[ast.Name(id=name)]):
                self._names.pop(name, None)
            case ast.Import() | ast.ImportFrom() | ast.FunctionDef():
                return
            case _:
                self._blur(statement)

    def _assign(self, target: ast.expr, node: Node) -> None:
        match target:
            case ast.Name(id=name):
                self._names[name] = Entry(self._at(target), node)
            case ast.Subscript():
                self._assign_inside(target, node)
            case _:
                self._blur(target)

    def _assign_inside(self, target: ast.Subscript, node: Node) -> None:
        """Record ``name['a'][0] = value``."""
        path: list[Key] = []
        place: ast.expr = target
        while isinstance(place, ast.Subscript) and (key := _constant(place.slice)) is not None:
            path.insert(0, key)
            place = place.value
        if not isinstance(place, ast.Name) or place.id not in self._names:
            self._blur(target)
            return
        entry = self._names[place.id]
        self._names[place.id] = replace(entry, node=_with_entry(entry.node, path, Entry(self._at(target), node)))

    def _blur(self, statement: ast.AST) -> None:
        """Forget all but the file of each variable that a statement may change."""
        for part in ast.walk(statement):
            match part:
                case ast.Name(id=name, ctx=ast.Store()):
                    pass
                case (
                    ast.Call(func=ast.Attribute(value=place)) | ast.Subscript(value=place, ctx=ast.Store() | ast.Del())
                ):
                    while isinstance(place, ast.Subscript | ast.Attribute):
                        place = place.value
                    if not isinstance(place, ast.Name) or place.id not in self._names:
                        continue
                    name = place.id
                case _:
                    continue
            self._names[name] = Entry(Origin(self._file), computed(Origin(self._file)))

    def _value(self, expression: ast.expr) -> Node:
        at = self._at(expression)
        match expression:
            case ast.Dict(keys=keys, values=values):
                return self._dict(at, [(_constant(key), key, value) for key, value in zip(keys, values, strict=True)])
            case ast.Call(func=ast.Name(id='dict'), args=[] | [_], keywords=keywords):
                given = [(None, None, value) for value in expression.args]
                return self._dict(at, [*given, *((pair.arg, pair, pair.value) for pair in keywords)])
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return self._list(at, elements)
            case ast.Name(id=name):
                return self._name(name, at)
            case ast.Set(elts=[ast.Set(elts=[template])]):  # {{_base_.x}} is a set within a set to Python's grammar
                return self._value(template)
            case ast.Attribute(value=owner, attr=key):
                return self._part(owner, key, at)
            case ast.Subscript(value=owner, slice=ast.Constant(value=int() | str() as key)):
                return self._part(owner, key, at)
            case ast.BinOp(left=left, op=ast.Add() | ast.BitOr(), right=right):
                return _joined(self._value(left), self._value(right), at)
        return leaf(at) if isinstance(expression, _LITERALS) else computed(at)

    def _dict(self, at: Origin, pairs: list[tuple[Key | None, ast.expr | ast.keyword | None, ast.expr]]) -> Node:
        entries: dict[Key, Entry] = {}
        rest = at.without_line()
        for key, place, expression in pairs:
            value = self._value(expression)
            if key is not None and place is not None:
                deletes = key == DELETE and isinstance(expression, ast.Constant) and expression.value is True
                entries[key] = Entry(self._at(place), value, deletes)
            elif value.kind == 'dict':
                entries.update(value.entries)
            else:
                rest = value.rest
        return Node('dict', at, entries, rest)

    def _list(self, at: Origin, elements: list[ast.expr]) -> Node:
        parts: list[Entry] = []
        for element in elements:
            if not isinstance(element, ast.Starred):
                parts.append(Entry(self._at(element), self._value(element)))
                continue
            inner = self._value(element.value)
            if inner.kind != 'list':  # how many it holds is unknown, and so is the index of all that follows
                return Node('list', at, dict(enumerate(parts)), at)
            parts.extend(inner.entries.values())
        return Node('list', at, dict(enumerate(parts)), at)

    def _name(self, name: str, at: Origin) -> Node:
        if name == BASE:
            return self._base
        return self._names[name].node if name in self._names else computed(at)

    def _part(self, owner: ast.expr, key: Key, at: Origin) -> Node:
        if isinstance(owner, ast.Name) and owner.id == BASE and key not in self._base.entries:
            names = [name for name in self._base.entries if isinstance(name, str)]
            raise UserError(f"{at}: no base of this file sets '{key}'{did_you_mean(str(key), names)}")
        node = self._value(owner)
        entry = node.entries.get(key)
        return computed(at) if entry is None else entry.node


def _constant(key: ast.expr | None) -> Key | None:
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str | int) else None


def _with_entry(node: Node, path: list[Key], entry: Entry) -> Node:
    key, *deeper = path
    old = node.entries.get(key)
    if deeper:
        if old is None:
            return node
        entry = replace(old, node=_with_entry(old.node, deeper, entry))
    entries: Mapping[Key, Entry] = {**node.entries, key: entry}
    return replace(node, entries=entries)


def _joined(left: Node, right: Node, at: Origin) -> Node:
    if left.kind == right.kind == 'dict':
        return Node('dict', at, {**left.entries, **right.entries}, right.rest)
    if left.kind == right.kind == 'list':
        return Node('list', at, dict(enumerate([*left.entries.values(), *right.entries.values()])), at)
    return computed(at)
