"""Finding what a ``type`` of a config names, as the Runner would, without building it."""

from collections.abc import Callable

import mmengine.runner  # noqa: F401  (registers everything of mmengine's own)
from mmengine.registry import Registry

from mmwtal import registry as ours

REGISTRIES = tuple(value for value in vars(ours).values() if isinstance(value, Registry))


def find_type(name: str, registry: Registry) -> Callable | None:
    """Return the class or function that a name stands for, or None.

    Args:
        name: A registered name, with its scope or without, or a dotted import path.
        registry: Where it is looked up; its parents follow.
    """
    if not all(part.isidentifier() for part in name.split('.')):
        return None
    try:
        found = registry.get(name)
    except RuntimeError:  # mmengine's answer where the name is a dotted path whose import fails in any way
        return None
    return found if callable(found) else None


def find_anywhere(name: str) -> tuple[Callable | None, Registry | None]:
    """Return what a name stands for in the first registry that knows it, and that registry."""
    for registry in REGISTRIES:
        found = find_type(name, registry)
        if found is not None:
            return found, registry
    return None, None


def names_in(registry: Registry | None) -> list[str]:
    """Return the names that a registry and its parents know; those of all registries for None."""
    if registry is None:
        return [name for each in REGISTRIES for name in names_in(each)]
    registry.import_from_location()
    names = list(registry.module_dict)
    return names + names_in(registry.parent) if registry.parent is not None else names


def kind_of(registry: Registry) -> str:
    """Return what a registry holds, in the words of a message."""
    return registry.name.replace('_', ' ')
