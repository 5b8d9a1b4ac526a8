"""How features were made, as ``features.json`` states it: a model is right only on features made like its own."""

import math
from collections.abc import Mapping
from typing import Any

from mmwtal.utils.errors import UserError

# What decides the features. Left out is what changes them little or not at all: precision, storage, what became of the
# last frames, versions.
_DECIDING = ('fps', 'stride', 'window', 'width', 'modalities', 'crop', 'flow', 'model', 'weights')
# Flow that was read from files: which method made it is not known.
_FLOW_FROM_FILES = 'FlowFrames'


def feature_facts(sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the content of a sidecar says of how its features were made, as plain values.

    A window that is not stated is the stride; see :meth:`mmwtal.formats.sidecar.FeatureSidecar.grid_of`.
    """
    facts = {key: _plain(sidecar[key]) for key in _DECIDING if sidecar.get(key) is not None}
    if facts.get('flow') == _FLOW_FROM_FILES:
        del facts['flow']
    return {**facts, 'window': facts['stride']} if 'stride' in facts and 'window' not in facts else facts


def check_same_features(trained: Mapping[str, Any], given: Mapping[str, Any], *, place: str) -> None:
    """Check that features are made like those that a model was trained on, as far as both say how.

    Args:
        trained: What the checkpoint says of the features of its training.
        given: What is said of the features at hand.
        place: Where that is said, for the message.

    Raises:
        UserError: If a value differs; names both.
    """
    for key in trained.keys() & given.keys():
        difference = _difference(trained[key], given[key], key)
        if difference is not None:
            name, before, now = difference
            raise UserError(
                f'the model was trained on features with {name}={before!r}, {place} says {name}={now!r}; give it '
                'features that are made like those of its training, or train it on such as these'
            )


def _difference(trained: Any, given: Any, key: str) -> tuple[str, Any, Any] | None:
    """Return the dotted key of the first difference and both values; what one side does not state is none."""
    if isinstance(trained, Mapping) and isinstance(given, Mapping):
        both = [name for name in trained if name in given]
        found = (_difference(trained[name], given[name], f'{key}.{name}') for name in both)
        return next((difference for difference in found if difference is not None), None)
    if isinstance(trained, Mapping) or isinstance(given, Mapping):
        # One of them says it by stream, the other in a word of its own.
        return None
    if isinstance(trained, int | float) and isinstance(given, int | float):
        return None if math.isclose(trained, given, rel_tol=1e-6) else (key, trained, given)
    return None if trained == given else (key, trained, given)


def _plain(value: Any) -> Any:
    """Return a value of JSON made of Python's own types alone, which a checkpoint may hold."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
