"""Reading a JSON file that a person may have written: clear errors, and duplicate keys are seen."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from mmwtal.utils.errors import UserError
from mmwtal.utils.files import read_text


class JsonObject(dict[str, Any]):
    """A JSON object that knows which of its keys were given more than once; the last value is kept.

    Args:
        pairs: Keys and values in the order of the file.
    """

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.duplicates: tuple[str, ...] = ()
        if len(self) != len(pairs):
            counts = Counter(key for key, _ in pairs)
            self.duplicates = tuple(key for key, count in counts.items() if count > 1)


def load_json(path: Path, *, what: str) -> Any:
    """Read a JSON file.

    Args:
        path: The file.
        what: What the file is, for messages ("annotation file").

    Returns:
        Its content; every object in it is a :class:`JsonObject`.

    Raises:
        UserError: If the file is missing or unreadable, is not UTF-8 or not JSON.
    """
    text = read_text(path, what=what)
    try:
        return json.loads(text, object_pairs_hook=JsonObject)
    except ValueError as error:
        raise UserError(f'{what} {path} is not valid JSON: {error}') from None
    except RecursionError:
        raise UserError(f'{what} {path} is not valid: its JSON is nested too deeply') from None


def read_json_object(path: Path, *, what: str) -> JsonObject:
    """Read a JSON file whose top level is an object; see :func:`load_json`.

    Raises:
        UserError: Also if the file holds something else, or gives a key of its top level more than once.
    """
    content = load_json(path, what=what)
    if not isinstance(content, JsonObject):
        raise UserError(f'{what} {path} must hold a JSON object, found {json_type(content)}')
    if content.duplicates:
        raise UserError(f'{what} {path} gives the key {content.duplicates[0]!r} more than once')
    return content


def finite_number(value: object) -> float | None:
    """Return a JSON value as a float; None if it is not a finite number (true and "1" are not)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def finite_numbers(values: list[Any], shape: tuple[int, ...]) -> np.ndarray | None:
    """Return numbers, or texts of numbers as some released files have, as float64 of a shape (-1, ...).

    None if one of them is not a finite number or the shape differs; the caller then looks for the one at fault.
    """
    if not values:
        return np.zeros((0, *shape))
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    return array if array.shape[1:] == shape and bool(np.isfinite(array).all()) else None


def positive_number(value: object) -> float | None:
    """Return a JSON value as a float; None if it is not a finite number above 0."""
    number = finite_number(value)
    return number if number is not None and number > 0 else None


def positive_integer(value: object) -> int | None:
    """Return a JSON value as an int; None if it is not a whole number above 0."""
    number = positive_number(value)
    return int(number) if number is not None and number.is_integer() else None


def json_type(value: object) -> str:
    """Return what JSON calls the type of a value, with an article."""
    names = {type(None): 'null', bool: 'a boolean', int: 'a number', float: 'a number', str: 'a string', list: 'a list'}
    return names.get(type(value), 'an object')
