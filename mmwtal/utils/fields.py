"""Keys and types of the entries of a file that a person writes: what is wrong with them, in words."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from mmwtal.utils.names import did_you_mean

_NAMES = {
    str: 'text',
    dict: 'keys and values',
    list: 'a list',
    int: 'a number',
    float: 'a number',
    bool: 'true or false',
}


def field_faults(entry: Mapping[str, Any], needed: Mapping[str, Any], optional: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the keys of an entry and the types of their values.

    Args:
        entry: The entry.
        needed: Key -> type or tuple of types, of what must be there.
        optional: Likewise, of what may be.
    """
    known = {**needed, **optional}
    for key in entry:
        if key not in known:
            yield f'unknown key {key!r}{did_you_mean(str(key), known)}'
    for key, kind in known.items():
        if key in entry:
            kinds = kind if isinstance(kind, tuple) else (kind,)
            # In Python a truth value is a number, too.
            fits = isinstance(entry[key], kinds) and (bool in kinds or not isinstance(entry[key], bool))
            if not fits or entry[key] == '':
                yield f'{key}: expected {_wanted(kinds)}, found {shown_value(entry[key])}'
        elif key in needed:
            yield f'{key} is missing'


def unknown_names(names: Iterable[object], known: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with names that must be known.

    Args:
        names: What was found.
        known: The names that there are.
    """
    for name in names:
        if not isinstance(name, str) or name not in known:
            yield f'there is no {shown_value(name)}{did_you_mean(str(name), known)}'


def shown_value(value: Any) -> str:
    """Return what was found, for a message."""
    if isinstance(value, dict):
        return f'the keys {", ".join(map(str, value)) or "(none)"}'
    return 'nothing' if value is None else f'{value!r:.80}'


def _wanted(kinds: tuple[Any, ...]) -> str:
    return ' or '.join(dict.fromkeys(_NAMES[one] for one in kinds))
