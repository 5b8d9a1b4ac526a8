"""Options of a config as plans write them: nested or dotted, layer over layer."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmwtal.utils.config.options import option_word
from mmwtal.utils.errors import UserError

_DELETE = '_delete_'  # mmengine's key: the dict replaces what was there


def flatten(options: Mapping[Any, Any], prefix: str = '') -> dict[str, Any]:
    """Return options by dotted key; ``{'model': {'a.b': 1}}`` is ``{'model.a.b': 1}``."""
    flat: dict[str, Any] = {}
    for key, value in options.items():
        name = f'{prefix}{key}'
        if isinstance(value, dict) and value:
            flat |= flatten(value, f'{name}.')
        else:
            flat[name] = value
    return flat


def layered(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return flat options where each layer goes over those before it.

    A key that a layer sets whole, or with ``_delete_``, takes away what earlier layers set below it.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        whole = {key.removesuffix(f'.{_DELETE}') for key in layer}
        merged = {key: value for key, value in merged.items() if not any(key.startswith(f'{one}.') for one in whole)}
        merged |= layer
    return merged


def option_words(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return flat options as the words after ``--cfg-options``.

    Raises:
        UserError: If a value cannot be written as such a word.
    """
    return tuple(option_word(key, value) for key, value in options.items())


def option_faults(options: Mapping[Any, Any]) -> Iterator[str]:
    """Yield what is wrong with options that a plan states."""
    for key, value in flatten(options).items():
        if key == 'randomness.seed' or key == 'work_dir':
            yield f'{key}: is what the tool sets; leave it out'
            continue
        try:
            option_word(key, value)
        except UserError as error:
            yield str(error)
