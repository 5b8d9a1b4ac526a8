"""Reading JSON that a user names, with errors that say where they are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmwtal.utils.errors import UserError
from mmwtal.utils.json_file import load_json

Source = str | Path | Mapping[str, Any]


def read_object(source: Source, what: str, key: str, other: str) -> tuple[Mapping[str, Any], str]:
    """Return a JSON object that holds another one under ``key``.

    Args:
        source: A path, or the object itself.
        what: What it is for, for messages: ``'predictions'``.
        key: The key that it must have.
        other: The key that the other one of the two inputs would have, to recognise swapped arguments.

    Returns:
        The object, and its name for messages.

    Raises:
        UserError: If the file is missing, unreadable, not UTF-8 or not JSON, or does not have ``key``.
    """
    place = f'{what} {source}' if isinstance(source, str | Path) else f'{what} (given as a dict)'
    content = load_json(Path(source), what=what) if isinstance(source, str | Path) else source
    inner = content.get(key) if isinstance(content, Mapping) else None
    if not isinstance(inner, Mapping):
        found = describe(content)
        if isinstance(content, Mapping):
            found = f'{key!r} is {describe(inner)}' if key in content else f'the keys {_some(content)}'
        swapped = isinstance(content, Mapping) and other in content
        hint = '; are predictions and ground truth swapped?' if swapped else ''
        raise UserError(f'{place}: expected an object with an object under {key!r}, found {found}{hint}')
    return content, place


def describe(value: Any) -> str:
    """Return a short description of a value for a message."""
    if isinstance(value, Mapping):
        return f'an object with the keys {_some(value)}'
    if isinstance(value, list | tuple) and len(value) > 4:
        return f'a list of {len(value)}'
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + '...'


def _some(content: Mapping[str, Any]) -> str:
    names = [repr(name) for name in list(content)[:5]]
    return ', '.join([*names, '...'] if len(content) > 5 else names) or '(none)'
