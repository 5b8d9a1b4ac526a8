"""A plan of an ablation: arms, bases, data, seeds, and what is expected of them, as they are decided beforehand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmwtal.apis.ablation.options import layered


@dataclass(frozen=True, kw_only=True)
class Data:
    """A data root.

    Args:
        name: What the plan calls it.
        recipe: ``embedded``: the embedded dataset by its defaults, which is written where it is missing; None: the user
            names the folder.
    """

    name: str
    recipe: str | None


@dataclass(frozen=True, kw_only=True)
class Base:
    """A base model.

    Args:
        name: What the plan calls it.
        configs: Data -> config file, with ``{variant}`` and ``{base}`` for what the arm and the base are called.
        options: Flat options of all its arms.
    """

    name: str
    configs: Mapping[str, str]
    options: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One setting that is compared with others.

    Args:
        name: What the plan calls it.
        label: What it is, for the reader of the report.
        variant: Stands for ``{variant}`` in the config of a base.
        config: A config file in place of the base's; with the same place holders.
        layers: Flat options, those of the arms that it extends first, each with what single bases have on top.
        bases: The bases that it is run with.
        data: The data that it is run on.
        seeds: Name of a set of seeds -> the seeds of it that the arm is run with; all where none are stated.
    """

    name: str
    label: str
    variant: str = ''
    config: str | None = None
    layers: tuple[tuple[Mapping[str, Any], Mapping[str, Mapping[str, Any]]], ...] = ()
    bases: tuple[str, ...]
    data: tuple[str, ...]
    seeds: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def options(self, base: str) -> dict[str, Any]:
        """Return its flat options for a base."""
        return layered(*(options for own, of_bases in self.layers for options in (own, of_bases.get(base, {}))))


@dataclass(frozen=True, kw_only=True)
class Aim:
    """A statement that the figures meet or miss. All conditions that are not None must hold.

    Args:
        text: The statement, for the reader.
        arms: The arm; of several the best by its mean.
        reference: The arm that it is compared with, paired by seed.
        places: Each data and base that it is about; all of its arms are run there.
        of_bases: How many of the bases must meet it, on each data; None: all that it is about there.
        at_least: The mean difference is at least this.
        above: The mean difference is above this.
        lower_above: The lower end of the difference's interval is above this.
        no_lift: The interval holds 0 or lies below it.
        ceiling: The arm that shows what could be reached.
        share: The difference is at least this share of that between ``ceiling`` and ``reference``.
    """

    text: str
    arms: tuple[str, ...]
    reference: str
    places: tuple[tuple[str, str], ...]
    of_bases: int | None = None
    at_least: float | None = None
    above: float | None = None
    lower_above: float | None = None
    no_lift: bool = False
    ceiling: str | None = None
    share: float | None = None

    @property
    def all_arms(self) -> tuple[str, ...]:
        """The arms whose figures it needs."""
        return tuple(dict.fromkeys([*self.arms, self.reference, *([self.ceiling] if self.ceiling else [])]))

    @property
    def data(self) -> tuple[str, ...]:
        """The data that it is about."""
        return tuple(dict.fromkeys(data for data, _ in self.places))

    @property
    def bases(self) -> tuple[str, ...]:
        """The bases that it is about, on one data at least."""
        return tuple(dict.fromkeys(base for _, base in self.places))

    def bases_on(self, data: str) -> tuple[str, ...]:
        """Return the bases that it is about on some data."""
        return tuple(base for of, base in self.places if of == data)

    def needed_on(self, data: str) -> int:
        """Return how many of these must meet it."""
        return len(self.bases_on(data)) if self.of_bases is None else self.of_bases


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A whole plan; see ``docs/comparing.md`` for the file.

    Args:
        name: Name of the file.
        sha256: Hash of the file.
        title: Of the report.
        about: What is asked and how, for the reader of the report.
        protocol: The rule that all runs must be scored by.
        metric: ``average``, or the tIoU whose mAP is compared.
        select_on_test: Whether the checkpoint that is best on the test split is scored.
        measure: What is measured of each run after its test: ``attention_quality``.
        per_tiou: Whether the report has tables by tIoU.
        seeds: The sets of seeds.
        default_seeds: The set that is run where the user names none.
        options: Flat options of all runs.
        data: The data.
        bases: The bases.
        arms: The arms, in the order of the tables.
        references: The arms that all others are compared with.
        aims: What is expected.
    """

    name: str
    sha256: str
    title: str
    about: str
    protocol: str
    metric: str
    select_on_test: bool
    measure: tuple[str, ...]
    per_tiou: bool
    seeds: Mapping[str, tuple[int, ...]]
    default_seeds: str
    options: Mapping[str, Any]
    data: Mapping[str, Data]
    bases: Mapping[str, Base]
    arms: Mapping[str, Arm]
    references: tuple[str, ...]
    aims: tuple[Aim, ...]

    def seeds_of(self, arm: Arm, chosen: str) -> tuple[int, ...]:
        """Return the seeds that an arm is run with."""
        return arm.seeds.get(chosen, self.seeds[chosen])
