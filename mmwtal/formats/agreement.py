"""Whether features are what a config takes them for: what it states against what their sidecar states."""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mmwtal.formats.sidecar import SIDECAR_NAME, FeatureSidecar, check_agreement
from mmwtal.utils.errors import UserError


def check_features(
    sidecar: FeatureSidecar | None,
    folder: Path,
    *,
    timebase: Mapping[str, float] | None,
    fallback: Mapping[str, float],
    in_channels: int | None,
    expected: Mapping[str, Any],
    video_ids: Iterable[str],
) -> int | None:
    """Check a feature folder against what a config states of it.

    Args:
        sidecar: The sidecar of the folder, if it has one.
        folder: The folder.
        timebase: The time grid that the config states, if it does.
        fallback: The time grid where there is no sidecar.
        in_channels: The width that the config states, if it does.
        expected: Further values that the sidecar is to state: ``dict(crop='center', model=dict(rgb='InceptionI3D'))``.
        video_ids: The videos that are used.

    Returns:
        The width that either states; None if neither does.

    Raises:
        UserError: If a value of both differs, or the sidecar lacks one that is expected, naming both values; or if
            nothing states the time grid.
    """
    if sidecar is None:
        if not fallback:
            raise UserError(
                f'{folder} has no {SIDECAR_NAME}, so the dataset needs timebase=dict(fps=..., stride=...): the frame '
                'rate at which the features were extracted, and the frames from one snippet to the next'
            )
        if expected:
            names = ', '.join(name for name, _ in _flat('', expected))
            raise UserError(
                f'the config states {names} of the features, but {folder} has no {SIDECAR_NAME} that says how they '
                'were made: take expected_features out of the config, or write the file'
            )
        return in_channels
    if in_channels is not None and sidecar.width not in (None, in_channels):
        raise UserError(f'the config says in_channels={in_channels}, but {sidecar.path} says width={sidecar.width}')
    if timebase is not None:
        check_agreement(sidecar, timebase, video_ids)
    wrong = [
        f'the config says {name}={value!r}, but {sidecar.path} says {_text(found)}'
        for name, value in _flat('', expected)
        if not _same(value, found := _looked_up(sidecar.stated, name))
    ]
    if wrong:
        raise UserError('\n  '.join(['the features are not those of expected_features', *wrong]))
    return sidecar.width if in_channels is None else in_channels


_ABSENT = object()


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the innermost values with their dotted names."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _flat(f'{name}.{key}' if name else str(key), part)
    else:
        yield name, value


def _looked_up(stated: Mapping[str, Any], name: str) -> Any:
    value: Any = stated
    for key in name.split('.'):
        if not isinstance(value, Mapping) or key not in value:
            return _ABSENT
        value = value[key]
    return value


def _same(expected: Any, found: Any) -> bool:
    numbers = [isinstance(one, int | float) and not isinstance(one, bool) for one in (expected, found)]
    if all(numbers):
        return math.isclose(expected, found, rel_tol=1e-6)
    return bool((list(expected) if isinstance(expected, tuple) else expected) == found)


def _text(found: Any) -> str:
    return 'nothing of it' if found is _ABSENT else repr(found)
