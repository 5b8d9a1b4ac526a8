"""Whether a value of a config suits the annotation of the argument that it is for."""

import os
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

_SCALARS = (bool, int, float, str)
_TAKEN_FOR: Mapping[Any, tuple[type, ...]] = {
    None: (types.NoneType,),
    types.NoneType: (types.NoneType,),
    bool: (bool,),
    int: (int,),
    float: (int, float),
    str: (str,),
}
_UNION_TYPES = (Union, types.UnionType)


def suits(value: Any, annotation: Any) -> bool:
    """Tell whether a value may be given for an annotation.

    Plain annotations are checked: numbers, strings, ``Literal``, ``None``, lists, tuples, dicts and their unions. An
    int is taken for a float, a bool for no number, a list for a tuple and a tuple for a list (the command line knows
    only lists). Anything else is taken, since a config that will be built may stand in its place; but where a union
    names plain types beside classes, a scalar or None must suit one of the plain types.

    Args:
        value: What the config holds.
        annotation: A type, not a string.
    """
    origin = get_origin(annotation)
    if origin in _UNION_TYPES:
        return _suits_union(value, get_args(annotation))
    if origin is Annotated:
        return suits(value, get_args(annotation)[0])
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in get_args(annotation))
    plain = origin or annotation
    if plain in _TAKEN_FOR:
        return isinstance(value, _TAKEN_FOR[plain]) and (plain is bool or not isinstance(value, bool))
    return not isinstance(plain, type) or _suits_class(value, plain, get_args(annotation))


def _suits_union(value: Any, members: tuple[Any, ...]) -> bool:
    plain = [member for member in members if _is_plain(member)]
    if any(suits(value, member) for member in plain):
        return True
    if len(plain) == len(members):
        return False
    classes_only = all(isinstance(member, type) for member in members if member not in plain)
    names_a_scalar = any(member in _SCALARS for member in plain)
    return not (classes_only and names_a_scalar and (value is None or isinstance(value, _SCALARS)))


def _suits_class(value: Any, plain: type, parts: tuple[Any, ...]) -> bool:
    if issubclass(plain, os.PathLike):
        return isinstance(value, str | os.PathLike)
    if issubclass(plain, Mapping):
        if not isinstance(value, Mapping):
            return False
        return len(parts) != 2 or all(suits(item, parts[1]) for item in value.values())
    if plain is tuple and isinstance(value, list | tuple) and parts and parts[-1] is not Ellipsis:
        return len(value) == len(parts) and all(map(suits, value, parts))
    if plain in (list, tuple, Sequence, Iterable):
        if plain in (Sequence, Iterable) and isinstance(value, str):
            return bool(parts) and parts[0] is str  # a str is a sequence of str: sloppy, but what the annotation says
        if not isinstance(value, list | tuple):
            return plain is Iterable and value is not None and not isinstance(value, _SCALARS)
        return not parts or all(suits(item, parts[0]) for item in value)
    return True


def _is_plain(annotation: Any) -> bool:
    if get_origin(annotation) is Literal:
        return True
    plain = get_origin(annotation) or annotation
    if plain is None or plain is types.NoneType or plain in _SCALARS or plain in (Sequence, Iterable, list, tuple):
        return True
    return isinstance(plain, type) and issubclass(plain, Mapping | os.PathLike)


def describe(annotation: Any) -> str:
    """Return an annotation in the words of a message: ``float | None``, ``'a' or 'b'``."""
    if get_origin(annotation) in _UNION_TYPES:
        return ' or '.join(describe(member) for member in get_args(annotation))
    if get_origin(annotation) is Literal:
        return ' or '.join(map(repr, get_args(annotation)))
    if annotation is types.NoneType:
        return 'None'
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation.__name__
    return str(annotation).replace('typing.', '').replace('collections.abc.', '')


def choices(annotation: Any) -> list[str]:
    """Return the strings that an annotation's ``Literal`` allows."""
    if get_origin(annotation) is Literal:
        return [choice for choice in get_args(annotation) if isinstance(choice, str)]
    return [choice for member in get_args(annotation) for choice in choices(member)]
