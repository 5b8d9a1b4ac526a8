"""Running the cells of a plan: what is left to do, in which order, and what is noted of it."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmwtal.apis.ablation.cells import Cell, in_order_of_runs
from mmwtal.apis.ablation.plan import Plan
from mmwtal.apis.ablation.records import (
    MEASURED_NAME,
    add_seconds,
    annotations_sha256,
    begin_record,
    check_data,
    forget_measured,
    read_record,
)
from mmwtal.apis.seed_runs import SeedRun
from mmwtal.datasets.synthetic import write_synthetic
from mmwtal.utils.config.digest import package_sha256
from mmwtal.utils.errors import UserError
from mmwtal.utils.jobs import Failure, Job, Step, run_jobs
from mmwtal.utils.run_options import child_environment


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """A run of a cell.

    Args:
        cell: The cell.
        run: The run.
        trained: Whether it is trained and tested.
        measured: Whether what the plan wants to be measured is.
    """

    cell: Cell
    run: SeedRun
    trained: bool
    measured: bool

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.trained and self.measured

    @property
    def state(self) -> str:
        """What is left to do, in words."""
        return 'finished' if self.finished else 'to be measured' if self.trained else 'to run'

    def job(self, plan: Plan, tools: Path) -> Job:
        """Return the commands that are left to run."""
        measuring = [self._measuring(tools)] if plan.measure else []
        if self.trained:
            return self.run.followed_by(measuring)
        return self.run.job(sys.executable, tools, further=measuring)

    def _measuring(self, tools: Path) -> Step:
        # Not with the config in the run's folder: the test has written it there, without guidance.
        run = self.run
        words = [str(tools / 'analysis' / 'attention_quality.py'), run.config, str(run.checkpoint(self.cell.cfg))]
        words += ['--data-root', str(run.data_root), '--out', str(run.folder / MEASURED_NAME)]
        words += ['--cfg-options', *run.options] if run.options else []
        return Step(name='measuring', command=(sys.executable, *words))


def planned_runs(plan: Plan, cells: Sequence[Cell], roots: Mapping[str, Path], *, repository: Path) -> list[PlannedRun]:
    """Return the runs of cells, each once, in the order in which they are begun.

    Args:
        plan: The plan.
        cells: The cells.
        roots: The data roots by name.
        repository: What relative paths of configs refer to.

    Raises:
        UserError: If a folder holds the result of another run.
    """
    runs: dict[Path, PlannedRun] = {}
    for cell, seed in in_order_of_runs(cells):
        run = cell.run(seed, plan, repository, roots[cell.data])
        if run.folder not in runs:
            trained = run.finished(cell.cfg) is not None
            measured = not plan.measure or (run.folder / MEASURED_NAME).is_file()
            runs[run.folder] = PlannedRun(cell=cell, run=run, trained=trained, measured=measured)
    return list(runs.values())


def write_data(
    plan: Plan, cells: Sequence[Cell], roots: Mapping[str, Path], *, own: Path, report: Callable[[str], None]
) -> None:
    """Write the data that have a recipe and that cells need, where they are missing.

    Args:
        plan: The plan.
        cells: The cells.
        roots: The data roots by name.
        own: Holds those that the user does not name; what was left there by an interrupted writing is replaced.
        report: Takes a line of progress.

    Raises:
        UserError: If a folder that the user names holds something, but no data root.
    """
    for name in dict.fromkeys(cell.data for cell in cells):
        root = roots[name]
        if plan.data[name].recipe != 'embedded' or (root / 'annotations.json').is_file():
            continue
        replaced = root.is_dir() and any(root.iterdir())
        if replaced and root.resolve() != (own / name).resolve():
            raise UserError(
                f'data {name}: {root} has no annotations.json, and is not empty, so that nothing is written there; '
                'give a data root, or an empty folder'
            )
        report(f'data {name}: writing the embedded dataset to {root}')
        write_synthetic(root, overwrite=replaced)


def carry_out(
    runs: Sequence[PlannedRun],
    plan: Plan,
    roots: Mapping[str, Path],
    *,
    tools: Path,
    jobs: int,
    threads: int,
    lock: int,
    report: Callable[[str], None],
) -> list[Failure]:
    """Run what is not finished; a run that fails does not stop the others.

    Args:
        runs: The runs.
        plan: The plan.
        roots: The data roots by name.
        tools: The folder of the tools.
        jobs: How many run at the same time.
        threads: How many threads each has.
        lock: Descriptor of the work dir's lock, which the children inherit.
        report: Takes a line of progress.

    Returns:
        The failures.

    Raises:
        UserError: If a run was begun on other data.
        KeyboardInterrupt: After the children have ended.
    """
    data = {name: annotations_sha256(roots[name]) for name in dict.fromkeys(one.cell.data for one in runs)}
    for one in runs:
        check_data(read_record(one.run.folder), one.run.folder, data[one.cell.data])
    waiting = [one for one in runs if not one.finished]
    report(f'{len(runs)} runs, {len(runs) - len(waiting)} finished already, {len(waiting)} to run')
    by_folder = {one.run.folder: one for one in waiting}

    def begin(job: Job) -> None:
        one = by_folder[job.log.parent]
        one.run.folder.mkdir(parents=True, exist_ok=True)
        if not one.trained:
            forget_measured(one.run.folder)
        # The code as it is now, not as it was when the plan was begun: the child imports it now.
        begin_record(one.run.folder, data=data[one.cell.data], source=package_sha256(), threads=threads)

    return run_jobs(
        [one.job(plan, tools) for one in waiting],
        at_once=jobs,
        environment=child_environment(threads),
        report=report,
        keep_open=(lock,),
        starting=begin,
        succeeded=lambda job, step, seconds: add_seconds(job.log.parent, step.name, seconds),
    )
