"""The figures of a plan's runs, and the differences between its arms."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmwtal.apis.ablation.cells import Cell
from mmwtal.apis.ablation.plan import Plan
from mmwtal.apis.ablation.records import read_measured, read_record
from mmwtal.apis.seed_runs import finished_run, seed_folder
from mmwtal.evaluation.run_comparison import Difference, compare_runs
from mmwtal.evaluation.runs import RunSet, read_runs
from mmwtal.evaluation.statistics import Spread, spread
from mmwtal.utils.errors import UserError


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """What there is of a cell.

    Args:
        cell: The cell.
        runs: Those of its seeds that are finished; None where none is.
        measured: Seed -> what was measured of the run.
        records: Seed -> notes on the run.
    """

    cell: Cell
    runs: RunSet | None
    measured: Mapping[int, Mapping[str, float | None]]
    records: Mapping[int, Mapping[str, Any]]

    @property
    def missing(self) -> tuple[int, ...]:
        """The seeds that are not finished."""
        there = self.runs.seeds if self.runs is not None else ()
        return tuple(seed for seed in self.cell.seeds if seed not in there)

    def measured_spread(self, name: str) -> Spread | None:
        """Return mean and standard deviation of a measured figure; None where it was not measured."""
        values = [value for one in self.measured.values() if (value := one[name]) is not None]
        return spread(np.array(values)) if values else None


class Results:
    """The figures of a plan.

    Args:
        plan: The plan.
        cells: What there is of each cell.
    """

    def __init__(self, plan: Plan, cells: Sequence[CellResult]) -> None:
        self.plan = plan
        self.cells = {(one.cell.data, one.cell.base, one.cell.arm.name): one for one in cells}
        self._differences: dict[tuple[str, str, str, str, frozenset[int] | None], Difference | None] = {}

    def tables(self) -> Iterator[tuple[str, str, list[CellResult]]]:
        """Yield data, base and the cells of both, in the order of the plan."""
        for data in self.plan.data:
            for base in self.plan.bases:
                found = [one for (of, at, _), one in self.cells.items() if (of, at) == (data, base)]
                if found:
                    yield data, base, found

    def column(self, runs: RunSet) -> int:
        """Return where the plan's metric stands among (mAP at each threshold ..., average)."""
        if self.plan.metric == 'average':
            return len(runs.facts['tious'])
        for place, tiou in enumerate(runs.facts['tious']):
            if f'{tiou:g}' == f'{float(self.plan.metric):g}':
                return place
        raise UserError(
            f'plan {self.plan.name}: metric is the tIoU {self.plan.metric}, the runs of {runs.name} are scored at '
            f'{runs.facts["tious"]}'
        )

    def difference(
        self, data: str, base: str, arm: str, reference: str, *, seeds: frozenset[int] | None = None
    ) -> Difference | None:
        """Return the difference of two arms, paired by seed; None where there is no pair.

        Args:
            data: The data.
            base: The base.
            arm: The arm.
            reference: What it is compared with.
            seeds: Take these alone, some of those that both have; None takes all that both have.

        Raises:
            UserError: If their runs are not alike in rule, videos or selection.
        """
        key = (data, base, arm, reference, seeds)
        if key not in self._differences:
            one, other = (self.cells.get((data, base, name)) for name in (arm, reference))
            if one is None or other is None or one.runs is None or other.runs is None:
                self._differences[key] = None
            else:
                sets = [_with_seeds(runs, seeds) for runs in (other.runs, one.runs)]
                [found] = compare_runs(sets).differences
                self._differences[key] = found if found.values is not None else None
        return self._differences[key]


def read_results(plan: Plan, cells: Sequence[Cell]) -> Results:
    """Read the runs of a plan that are finished.

    Raises:
        UserError: If a result is malformed, or is not that of its cell, or if runs were made on different data that
            the plan calls by one name.
    """
    found = [_read_cell(plan, cell) for cell in cells]
    _check_same_data(found)
    return Results(plan, found)


def _with_seeds(runs: RunSet, seeds: Collection[int] | None) -> RunSet:
    return runs if seeds is None else replace(runs, runs=tuple(run for run in runs.runs if run.seed in seeds))


def _check_same_data(cells: Sequence[CellResult]) -> None:
    """Refuse figures side by side that are not of the same videos."""
    first: dict[str, tuple[str, Path]] = {}
    for one in cells:
        for seed, record in one.records.items():
            if 'data' not in record:
                continue
            folder = seed_folder(one.cell.folder, seed)
            known, earlier = first.setdefault(one.cell.data, (record['data'], folder))
            if record['data'] != known:
                raise UserError(
                    f'data {one.cell.data}: {folder} holds a run on other data than {earlier} (annotations.json of '
                    f'hash {record["data"][:12]}, there {known[:12]}); delete the runs on one of both, or choose '
                    'another --work-dir'
                )


def _read_cell(plan: Plan, cell: Cell) -> CellResult:
    there = [
        seed
        for seed in cell.seeds
        if finished_run(seed_folder(cell.folder, seed), cell.cfg, seed=seed, select_on_test=plan.select_on_test)
    ]
    runs, measured, records = None, {}, {}
    if there:
        # The folder may hold seeds of other sets, too.
        runs = _with_seeds(read_runs(cell.folder, name=cell.arm.name), there)
    for seed in there:
        folder = seed_folder(cell.folder, seed)
        found = read_measured(folder)
        if found is not None:
            measured[seed] = found
        records[seed] = read_record(folder)
    return CellResult(cell=cell, runs=runs, measured=measured, records=records)
