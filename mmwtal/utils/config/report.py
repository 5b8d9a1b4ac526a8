"""What the config check finds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mmwtal.utils.config.nodes import Key, Origin
from mmwtal.utils.names import did_you_mean, nearest


@dataclass(frozen=True)
class ConfigProblem:
    """Something that is wrong with a config, or that cannot be checked.

    Attributes:
        path: The key, dotted as for ``--cfg-options``.
        message: What is wrong and how to mend it.
        nearest: The valid name that a wrong one is most like.
        origin: Where it was written.
    """

    path: str
    message: str
    nearest: str | None
    origin: Origin

    def __str__(self) -> str:
        return f'{self.origin}: {self.path}: {self.message}'


class ConfigReport:
    """Collects what is wrong with a config, at most one problem a key, and what could not be checked.

    Attributes:
        problems: What is wrong.
        notes: What could not be checked.
    """

    def __init__(self) -> None:
        self.problems: list[ConfigProblem] = []
        self.notes: list[ConfigProblem] = []

    def wrong(self, path: Sequence[Key], message: str, origin: Origin, match: str | None = None) -> None:
        """Add a problem, unless its key has one."""
        key = dotted(path)
        if all(problem.path != key for problem in self.problems):
            self.problems.append(ConfigProblem(key, message, match, origin))

    def misspelt(
        self, path: Sequence[Key], message: str, name: str, valid: Iterable[str], origin: Origin, hint: str = ''
    ) -> str | None:
        """Add a problem about a name that is none of the valid ones; return the nearest of them.

        A hint ends the message.
        """
        valid = list(valid)
        match = nearest(name, valid)
        self.wrong(path, message + did_you_mean(name, valid) + hint, origin, match)
        return match

    def is_meant(self, path: Sequence[Key]) -> bool:
        """Tell whether a misspelt key beside it was meant to be the key at a path."""
        owner = dotted(path[:-1])
        return any(p.nearest == path[-1] and p.path.rpartition('.')[0] == owner for p in self.problems)

    def unchecked(self, path: Sequence[Key], message: str, origin: Origin) -> None:
        """Add a note."""
        self.notes.append(ConfigProblem(dotted(path), message, None, origin))


def dotted(path: Sequence[Key]) -> str:
    """Return a path as it is written for ``--cfg-options``."""
    return '.'.join(map(str, path))
