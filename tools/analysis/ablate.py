"""Run the arms of a plan with all bases, data and seeds, and make the tables.

Run the same command again to continue: finished runs are skipped, interrupted ones go on from their last checkpoint,
and a changed plan runs what is new. docs/comparing.md describes plans.

Example: python tools/analysis/ablate.py configs/ablations/guidance_embedded.yml --seeds develop --jobs 2
"""

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import write_atomically
from mmwtal.utils.jobs import Failure, Job, Step, run_jobs
from mmwtal.utils.run_options import add_run_options, child_environment, threads_of_each

if TYPE_CHECKING:
    from mmwtal.apis.ablation.cells import Cell
    from mmwtal.apis.ablation.plan import Plan
    from mmwtal.apis.seed_runs import SeedRun

REPOSITORY = Path(__file__).resolve().parents[2]
MEASURING = 'measuring'


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('plan', type=Path, help='YAML file')
    parser.add_argument('--seeds', metavar='NAME', help="which of the plan's sets of seeds; default: the plan's own")
    parser.add_argument('--work-dir', type=Path, help='holds the runs; default: work_dirs/<plan name>')
    parser.add_argument(
        '--out', type=Path, metavar='DIR', help='report.md and results.json go there; default: work dir'
    )
    parser.add_argument(
        '--data',
        type=_named_path,
        action='append',
        default=[],
        metavar='NAME=PATH',
        help='data root of one of the data',
    )
    parser.add_argument(
        '--only',
        action='append',
        metavar='PATTERN',
        help="run these alone: 'BASE/ARM' or 'DATA/BASE/ARM', * for anything; the tables are of all that is there",
    )
    add_run_options(parser, what='runs')
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument('--dry-run', action='store_true', help='list the runs, and do nothing')
    mode.add_argument('--tables-only', action='store_true', help='make the tables of the runs that there are')
    return parser


def _named_path(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition('=')
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f'expected NAME=PATH, found {text!r}')
    return name, Path(path)


@dataclass(frozen=True, kw_only=True)
class _Todo:
    """A run of a cell, and whether it is finished."""

    cell: 'Cell'
    run: 'SeedRun'
    trained: bool
    measured: bool

    @property
    def finished(self) -> bool:
        return self.trained and self.measured


def main(args: argparse.Namespace) -> None:
    """Run what is left to run, then print and write the tables."""
    from mmwtal.apis.ablation.cells import make_cells
    from mmwtal.apis.ablation.read_plan import read_plan
    from mmwtal.apis.runtime import make_work_dir
    from mmwtal.apis.seed_runs import described_failure, runs_lock

    plan = read_plan(args.plan)
    chosen = _chosen_seeds(plan, args.seeds)
    work_dir = args.work_dir or Path('work_dirs') / args.plan.stem
    roots = _data_roots(plan, dict(args.data), work_dir)
    threads = threads_of_each(args.threads, args.jobs)
    cells = make_cells(plan, chosen=chosen, repository=REPOSITORY, work_dir=work_dir / 'runs')
    if args.dry_run:
        _list(_todos(args, plan, cells, roots), roots)
        return
    failures: list[Failure] = []
    wanted = 0
    if not args.tables_only:
        with runs_lock(make_work_dir(work_dir), 'ablate.py') as lock:
            _write_data(plan, _selected(args, cells), roots)
            todos = _todos(args, plan, cells, roots)
            wanted = len(todos)
            try:
                failures = _run(todos, plan, roots, jobs=args.jobs, threads=threads, lock=lock)
            except KeyboardInterrupt as interrupt:
                raise KeyboardInterrupt(_how_to_go_on(interrupt, todos, work_dir)) from None
    _report(args, plan, cells, chosen, args.out or work_dir / chosen, None if args.tables_only else threads)
    if failures:
        raise UserError('\n  '.join([f'{len(failures)} of {wanted} runs failed', *map(described_failure, failures)]))


def _chosen_seeds(plan: 'Plan', name: str | None) -> str:
    from mmwtal.utils.names import did_you_mean

    if name is not None and name not in plan.seeds:
        raise UserError(f'--seeds {name}: plan {plan.name} has no such set of seeds{did_you_mean(name, plan.seeds)}')
    return name or plan.default_seeds


def _data_roots(plan: 'Plan', given: Mapping[str, Path], work_dir: Path) -> dict[str, Path]:
    """Return the data roots that there are or will be; data without one are left out."""
    from mmwtal.utils.names import did_you_mean

    for name, path in given.items():
        if name not in plan.data:
            raise UserError(f'--data {name}={path}: plan {plan.name} has no such data{did_you_mean(name, plan.data)}')
        if not path.is_dir():
            raise UserError(f'--data {name}={path}: is no folder')
    made = {name: work_dir / 'data' / name for name, data in plan.data.items() if data.recipe is not None}
    return {**made, **given}


def _selected(args: argparse.Namespace, cells: Sequence['Cell']) -> list['Cell']:
    if args.only is None:
        return list(cells)
    kept = [
        cell
        for cell in cells
        if any(fnmatchcase(name, one) for one in args.only for name in (cell.name, cell.name.partition('/')[2]))
    ]
    if not kept:
        raise UserError(
            f'--only {" ".join(args.only)}: no arm is called so; expected BASE/ARM or DATA/BASE/ARM, such as '
            f"'{cells[0].name.partition('/')[2]}'"
        )
    return kept


def _write_data(plan: 'Plan', cells: Sequence['Cell'], roots: Mapping[str, Path]) -> None:
    """Write the data that have a recipe and are needed, where they are missing."""
    from mmwtal.datasets.synthetic import write_synthetic

    for name in dict.fromkeys(cell.data for cell in cells):
        if plan.data[name].recipe == 'embedded' and not (roots[name] / 'annotations.json').is_file():
            _say(f'data {name}: writing the embedded dataset to {roots[name]}')
            write_synthetic(roots[name], overwrite=roots[name].exists())


def _todos(args: argparse.Namespace, plan: 'Plan', cells: Sequence['Cell'], roots: Mapping[str, Path]) -> list[_Todo]:
    """Return the runs that are asked for, each once, in the order in which they are begun."""
    from mmwtal.apis.ablation.cells import in_order_of_runs
    from mmwtal.apis.ablation.records import MEASURED_NAME

    todos: dict[Path, _Todo] = {}
    left_out: dict[str, int] = {}
    for cell, seed in in_order_of_runs(_selected(args, cells)):
        if cell.data not in roots:
            left_out[cell.data] = left_out.get(cell.data, 0) + 1
            continue
        run = cell.run(seed, plan, REPOSITORY, roots[cell.data])
        trained = run.finished(cell.cfg) is not None
        measured = not plan.measure or (run.folder / MEASURED_NAME).is_file()
        todos.setdefault(run.folder, _Todo(cell=cell, run=run, trained=trained, measured=measured))
    for name, count in left_out.items():
        _say(f'data {name}: no folder is given, its {count} runs are left out; give --data {name}=PATH')
    return list(todos.values())


def _list(todos: Sequence[_Todo], roots: Mapping[str, Path]) -> None:
    for todo in todos:
        state = 'finished' if todo.finished else 'to be measured' if todo.trained else 'to run'
        _say(f'{todo.run.name}: {state}  ({todo.cell.config} {shlex.join(todo.cell.options)})')
    left = sum(not todo.finished for todo in todos)
    _say(f'{len(todos)} runs, {len(todos) - left} finished, {left} to run')


def _run(
    todos: Sequence[_Todo], plan: 'Plan', roots: Mapping[str, Path], *, jobs: int, threads: int, lock: int
) -> list[Failure]:
    from mmwtal.apis.ablation.records import add_seconds, annotations_sha256, begin_record, check_data, read_record
    from mmwtal.utils.config.digest import package_sha256

    source = package_sha256()
    data = {name: annotations_sha256(roots[name]) for name in dict.fromkeys(todo.cell.data for todo in todos)}
    for todo in todos:
        check_data(read_record(todo.run.folder), todo.run.folder, data[todo.cell.data])
    waiting = [todo for todo in todos if not todo.finished]
    _say(f'{len(todos)} runs, {len(todos) - len(waiting)} finished already, {len(waiting)} to run')
    for todo in waiting:
        todo.run.folder.mkdir(parents=True, exist_ok=True)
        begin_record(todo.run.folder, data=data[todo.cell.data], source=source)
    return run_jobs(
        [_job(todo, plan) for todo in waiting],
        at_once=jobs,
        environment=child_environment(threads),
        report=_say,
        keep_open=(lock,),
        succeeded=lambda job, step, seconds: add_seconds(job.log.parent, step.name, seconds),
    )


def _job(todo: _Todo, plan: 'Plan') -> Job:
    measuring = [_measuring(todo)] if plan.measure else []
    if todo.trained:
        return todo.run.followed_by(measuring)
    return todo.run.job(sys.executable, REPOSITORY / 'tools', further=measuring)


def _measuring(todo: _Todo) -> Step:
    from mmwtal.apis.ablation.records import MEASURED_NAME

    run = todo.run
    # The config that the training has written into the folder holds the options of the arm.
    config = run.folder / Path(run.config).name
    words = [str(REPOSITORY / 'tools' / 'analysis' / 'attention_quality.py'), str(config)]
    words += [str(run.checkpoint(todo.cell.cfg)), '--data-root', str(run.data_root)]
    return Step(name=MEASURING, command=(sys.executable, *words, '--out', str(run.folder / MEASURED_NAME)))


def _how_to_go_on(interrupt: KeyboardInterrupt, todos: Sequence[_Todo], work_dir: Path) -> str:
    done = sum(todo.run.finished(todo.cell.cfg) is not None for todo in todos)
    by = f'{interrupt}; ' if str(interrupt) else ''
    return f'{by}{done} of {len(todos)} runs are finished in {work_dir}; the same command goes on from there'


def _report(
    args: argparse.Namespace, plan: 'Plan', cells: Sequence['Cell'], chosen: str, folder: Path, threads: int | None
) -> None:
    from mmwtal.apis.ablation.report import Origin, Report
    from mmwtal.apis.ablation.results import read_results
    from mmwtal.apis.runtime import make_work_dir

    results = read_results(plan, cells)
    report = Report(results, Origin(command=_command(args, plan, chosen), chosen=chosen, threads=threads))
    for data in plan.data:
        for table in report.tables(data):
            print(f'\n{table.text()}')
    if report.verdicts:
        print(f'\n{report.aims_table().text()}')
    make_work_dir(folder)
    _write(folder / 'results.json', report.to_json())
    _write(folder / 'report.md', report.markdown())


def _write(file: Path, text: str) -> None:
    write_atomically(file, lambda opened: opened.write(text.encode()))
    print(f'written to {file}')


def _command(args: argparse.Namespace, plan: 'Plan', chosen: str) -> str:
    """Return the command that makes the report anywhere: without folders of this machine."""
    path = args.plan.resolve()
    name = str(path.relative_to(REPOSITORY)) if path.is_relative_to(REPOSITORY) else path.name
    words = ['python', 'tools/analysis/ablate.py', name, '--seeds', chosen]
    needed = [data for data in plan.data.values() if data.recipe is None]
    return shlex.join([*words, *(word for data in needed for word in ('--data', f'{data.name}=PATH'))])


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == '__main__':
    run_tool(main, build_parser())
