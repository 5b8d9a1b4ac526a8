"""Run the arms of a plan with all bases, data and seeds, and make the tables.

Run the same command again to continue: finished runs are skipped, interrupted ones go on from their last checkpoint,
and a changed plan runs what is new. docs/comparing.md describes plans.

Example: python tools/analysis/ablate.py configs/ablations/guidance_embedded.yml --seeds develop --jobs 2
"""

import argparse
import shlex
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import write_atomically
from mmwtal.utils.jobs import Failure
from mmwtal.utils.run_options import add_run_options, threads_of_each

if TYPE_CHECKING:
    from mmwtal.apis.ablation.cells import Cell
    from mmwtal.apis.ablation.plan import Plan
    from mmwtal.apis.ablation.runs import PlannedRun

REPOSITORY = Path(__file__).resolve().parents[2]


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


def main(args: argparse.Namespace) -> None:
    """Run what is left to run, then print and write the tables."""
    from mmwtal.apis.ablation.cells import make_cells
    from mmwtal.apis.ablation.read_plan import read_plan
    from mmwtal.apis.ablation.runs import carry_out, planned_runs, write_data
    from mmwtal.apis.runtime import make_work_dir
    from mmwtal.apis.seed_runs import described_failure, runs_lock

    plan = read_plan(args.plan)
    chosen = _chosen_seeds(plan, args.seeds)
    work_dir = args.work_dir or Path('work_dirs') / args.plan.stem
    roots = _data_roots(plan, dict(args.data), work_dir)
    threads = threads_of_each(args.threads, args.jobs)
    cells = make_cells(plan, chosen=chosen, repository=REPOSITORY, work_dir=work_dir / 'runs')
    selected = _selected(args, cells, roots)
    if args.dry_run:
        _list(planned_runs(plan, selected, roots, repository=REPOSITORY))
        return
    out = make_work_dir(args.out or work_dir / chosen, option='--out')
    failures: list[Failure] = []
    if not args.tables_only:
        with runs_lock(make_work_dir(work_dir), 'ablate.py') as lock:
            write_data(plan, selected, roots, own=work_dir / 'data', report=_say)
            runs = planned_runs(plan, selected, roots, repository=REPOSITORY)
            settings = {'tools': REPOSITORY / 'tools', 'jobs': args.jobs, 'threads': threads, 'lock': lock}
            try:
                failures = carry_out(runs, plan, roots, report=_say, **settings)
            except KeyboardInterrupt as interrupt:
                raise KeyboardInterrupt(_how_to_go_on(interrupt, runs, work_dir)) from None
    _report(plan, cells, chosen, out, command=_command(args, plan, chosen))
    _say(f'runs, with checkpoints, predictions and logs: {work_dir / "runs"}')
    if failures:
        raise UserError('\n  '.join([f'{len(failures)} of {len(runs)} runs failed', *map(described_failure, failures)]))


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


def _selected(args: argparse.Namespace, cells: Sequence['Cell'], roots: Mapping[str, Path]) -> list['Cell']:
    """Return the cells whose runs are asked for and whose data there are; say which are left out."""
    kept = list(cells)
    if args.only is not None:
        names = {cell.name: (cell.name, cell.name.partition('/')[2]) for cell in cells}
        kept = [cell for cell in cells if any(fnmatchcase(name, one) for one in args.only for name in names[cell.name])]
        if not kept:
            example = cells[0].name.partition('/')[2]
            raise UserError(
                f'--only {" ".join(args.only)}: no arm is called so; expected BASE/ARM or DATA/BASE/ARM, such as '
                f'{example}'
            )
    if not args.tables_only:
        for name in dict.fromkeys(cell.data for cell in kept if cell.data not in roots):
            _say(f'data {name}: no folder is given, its runs are left out; give --data {name}=PATH')
    return [cell for cell in kept if cell.data in roots]


def _list(runs: Sequence['PlannedRun']) -> None:
    for one in runs:
        _say(f'{one.run.name}: {one.state}  ({one.cell.config} {shlex.join(one.cell.options)})')
    left = sum(not one.finished for one in runs)
    _say(f'{len(runs)} runs, {len(runs) - left} finished, {left} to run')


def _how_to_go_on(interrupt: KeyboardInterrupt, runs: Sequence['PlannedRun'], work_dir: Path) -> str:
    done = sum(one.run.finished(one.cell.cfg) is not None for one in runs)
    by = f'{interrupt}; ' if str(interrupt) else ''
    return f'{by}{done} of {len(runs)} runs are finished in {work_dir}; the same command goes on from there'


def _report(plan: 'Plan', cells: Sequence['Cell'], chosen: str, folder: Path, *, command: str) -> None:
    from mmwtal.apis.ablation.report import Report
    from mmwtal.apis.ablation.results import read_results

    report = Report(read_results(plan, cells), chosen=chosen, command=command)
    for data in plan.data:
        for table in report.tables(data):
            print(f'\n{table.text()}')
    if report.verdicts:
        print(f'\n{report.aims_table().text()}')
    print('', *report.notes(), sep='\n')
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
