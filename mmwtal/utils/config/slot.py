"""What the config check knows of one place in a config."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmengine.registry import Registry


def takes_nothing() -> None:
    """Stand for the constructor of a dict that is not passed on, whose keys the Runner reads itself."""


@dataclass(frozen=True)
class Slot:
    """A place for a dict that is built.

    Attributes:
        registry: Where its ``type`` is looked up.
        loose: Whether that is only where it is looked up first, because nothing is known of who builds it, nor of what
            arguments they add.
        default: What is built where there is no ``type``; None where a ``type`` must be given.
        typed: Whether it may have a ``type`` at all.
        many: Whether it holds such dicts, by name or in a list, or a single one.
        with_none: Whether some of the many may be None.
        by_name: Whether it holds such dicts by names of the user's choice.
        given: Arguments that whoever builds it adds.
        first_given: Whether the first argument is added, whatever its name.
        taken: Keys that are taken out before it is built, and their types.
        needed: Those of ``taken`` that must be there.
        refused: Keys that the constructor takes but that cannot be used here, and why.
        inside: The slots of its keys; others follow from the registry, see :data:`INSIDE`.
    """

    registry: Registry | None = None
    loose: bool = False
    default: Callable | None = None
    typed: bool = True
    many: bool = False
    with_none: bool = False
    by_name: bool = False
    given: frozenset[str] = frozenset()
    first_given: bool = False
    taken: Mapping[str, Any] = field(default_factory=dict)
    needed: frozenset[str] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)
    inside: Mapping[str, 'Slot'] = field(default_factory=dict)


@dataclass(frozen=True)
class HandedOn:
    """What a constructor builds later from the ``**kwargs`` that it keeps.

    Attributes:
        registry: Where its type is looked up.
        type_argument: The argument that names the type.
        given: Arguments that are added.
    """

    registry: Registry
    type_argument: str
    given: frozenset[str]
