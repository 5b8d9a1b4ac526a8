"""Strategies that spoil valid files: bytes of any file, values of a JSON file, values of Python objects."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

# What is odd in JSON as Python reads it: numbers out of range, literals, surrogates, names that are no file names.
_TOKENS = (
    *('null', 'true', 'false', '0', '-1', '1', '1.0', '2.5', '-0.0', '5e-324', '1e308', '1e999', '-1e400'),
    *('NaN', 'Infinity', '-Infinity', '9' * 30, '9' * 400, '9' * 5000, '1e', '01', "'a'", 'undefined', ''),
    *('""', '" "', '"\\ud800"', '"\\u0000"', '"\\n"', '"a/b"', '".."', '"1.5"', '"NaN"', '"test"', '"ü"'),
    *(f'"{"x" * 300}"', '"jump"', '"run"', '[]', '{}', '[[]]', '[0]', '[1, 2]', '[2, 1]', '[1, 2, 3]', '[true, false]'),
    *('["a", "b"]', '[null, null]', '[NaN, 1]', '[[1, 2]]', '{"a": 1}', '{"a": 1, "a": 2}', '[1e308, -1e308]'),
    *('[' * 500 + ']' * 500, '[' * 20000 + ']' * 20000, '[' * 20000, '{"a":' * 5000),
)
_KEYS = st.sampled_from(('', ' ', 'a', 'test', 'x' * 300, '\ud800', '\0', '../up', '-dash', 'é', 'label')) | st.text(
    max_size=5
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
).map(json.dumps)


@st.composite
def spoilt_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """Cut, overwrite, insert, delete and repeat stretches of a file, up to four times."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 8) | st.integers(0, len(content))))
        new = draw(
            st.binary(max_size=6) | st.sampled_from((b'\xff\xfe', b'\0' * 8, b'\xff' * 8, b'9' * 40, b'(' * 300))
        )
        kind = draw(st.sampled_from(('overwrite', 'insert', 'delete', 'repeat', 'cut')))
        if kind == 'overwrite':
            content = content[:start] + new + content[start + len(new) :]
        elif kind == 'insert':
            content = content[:start] + new + content[start:]
        elif kind == 'delete':
            content = content[:start] + content[end:]
        elif kind == 'repeat':
            content = content[:end] + content[start:end] + content[end:]
        else:
            content = content[:start]
    return content


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container of a tree with each of its keys or indices."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield node, key
        yield from places(value)


@st.composite
def spoilt_json(draw: st.DrawFn, content: Any) -> bytes:
    """Replace values, rename, drop and double keys of a JSON file, up to three times."""
    tree, raw = copy.deepcopy(content), []

    def token(text: str) -> str:
        raw.append(text)
        return f'@@{len(raw) - 1}@@'

    for _ in range(draw(st.integers(1, 3))):
        found = list(places(tree))
        if not found:
            break
        holder, key = draw(st.sampled_from(found))
        kind = draw(st.sampled_from(('odd', 'any', 'drop', 'rename', 'double')))
        if kind == 'odd':
            holder[key] = token(draw(st.sampled_from(_TOKENS)))
        elif kind == 'any':
            holder[key] = token(draw(_VALUES))
        elif kind == 'drop':
            del holder[key]
        elif isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        elif kind == 'rename':
            holder[draw(_KEYS)] = holder.pop(key)
        else:
            holder[token('twice')] = (key, copy.deepcopy(holder[key]))
    return _text(tree, raw).encode('utf-8', 'surrogatepass')


def _text(tree: Any, raw: list[str]) -> str:
    if isinstance(tree, dict):
        pairs = (value if isinstance(value, tuple) else (key, value) for key, value in tree.items())
        return '{' + ', '.join(f'{json.dumps(key)}: {_text(value, raw)}' for key, value in pairs) + '}'
    if isinstance(tree, list):
        return '[' + ', '.join(_text(value, raw) for value in tree) + ']'
    if isinstance(tree, str) and tree.startswith('@@') and tree.endswith('@@'):
        return raw[int(tree[2:-2])]
    return json.dumps(tree)


@st.composite
def spoilt_tree(draw: st.DrawFn, make: Callable[[], Any], odd: st.SearchStrategy) -> Any:
    """Replace and drop values of nested dicts and lists of any objects, up to three times."""
    tree = make()
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(tree))
        if not found:
            break
        holder, key = draw(st.sampled_from(found))
        if draw(st.booleans()) or isinstance(holder, list):
            holder[key] = copy.deepcopy(draw(odd))
        else:
            del holder[key]
    return tree
