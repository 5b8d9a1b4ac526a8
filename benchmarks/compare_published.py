"""Time mmwtal and the authors' own code side by side: the same arrays, threads and batches, in turns.

Nothing is fetched: give the folders of checkouts of harlanhong/MM2021-CO2-Net, MengyuanChen21/ECCV2022-DELU and
XiaojunTang22/ICCV2023-DDGNet, or of some of them.
Example: python -m benchmarks.compare_published --co2net CO2NET --delu DELU --out benchmarks/results/mine
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES, Case
from benchmarks.machine import describe, revision
from benchmarks.measure import measure
from benchmarks.operation import Spec
from benchmarks.prepare import ROOT, prepare
from benchmarks.report import add_statistics, to_markdown
from benchmarks.session import Session, WorkerFailure
from benchmarks.store import Store
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError

METHODS = {'co2net': 'CO2-Net', 'delu': 'DELU', 'ddgnet': 'DDG-Net'}


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    names = ', '.join(case.name for case in CASES)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, method in METHODS.items():
        parser.add_argument(f'--{name}', type=Path, metavar='DIR', help=f"checkout of {method}'s authors")
    parser.add_argument(
        '--out', type=Path, metavar='PREFIX', help='write PREFIX.json and PREFIX.md; what they hold already is kept'
    )
    parser.add_argument('--missing', action='store_true', help='leave out what PREFIX.json holds already')
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    parser.add_argument('--threads', type=int, default=os.cpu_count(), help='threads of torch; default: all cores')
    parser.add_argument('--workers', type=int, default=0, help='processes that load data for mmwtal; default: none')
    parser.add_argument('--scratch', type=Path, metavar='DIR', help='keep the inputs (2.3 GB) there for another time')
    parser.add_argument('--only', nargs='+', metavar='NAME', help=f'some of: {names}')
    parser.add_argument('--rounds', type=int, metavar='N', help='samples of each side, where a comparison takes more')
    return parser


def main(args: argparse.Namespace) -> None:
    """Compare, print the table and write it."""
    checkouts = {name: path.resolve() for name in METHODS if (path := getattr(args, name)) is not None}
    store = Store(args.out, order=[case.name for case in CASES], render=to_markdown)
    cases = [case for case in choose(args.only, checkouts) if not (args.missing and case.name in store)]
    for name, folder in checkouts.items():
        if not (folder / 'options.py').is_file():
            raise UserError(f"--{name} {folder}: expected a checkout of the authors' code, found no options.py in it")
    machine = describe(args.device, args.threads)
    revisions = {name: revision(path) for name, path in {'mmwtal': ROOT, **checkouts}.items()}
    with scratch_folder(args.scratch) as scratch:
        prepare(scratch, next(iter(checkouts.values())))
        for number, case in enumerate(cases, start=1):
            sys.stderr.write(f'{number}/{len(cases)} {case.name}\n')
            row = compare(case, checkouts[case.method], scratch, args)
            measured = {name: revisions[name] for name in ('mmwtal', case.method)}
            store.put({**row, 'machine': machine, 'workers': args.workers, 'revisions': measured})
    print(store.page())


def choose(only: list[str] | None, checkouts: dict[str, Path]) -> list[Case]:
    """Return the comparisons that are asked for and for which there is a checkout.

    Raises:
        UserError: If a name is unknown or nothing is left.
    """
    unknown = set(only or ()) - {case.name for case in CASES}
    if unknown:
        raise UserError(f'--only: no comparison {", ".join(sorted(unknown))}; see --help for their names')
    chosen = [case for case in CASES if case.method in checkouts and (only is None or case.name in only)]
    if not chosen:
        options = ', '.join(f'--{name} DIR' for name in METHODS)
        raise UserError(f"nothing to compare: give {options} or some of them, checkouts of the authors' code")
    return chosen


@contextmanager
def scratch_folder(kept: Path | None) -> Iterator[Path]:
    """Give a folder for the inputs, removed at the end unless it was named."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()
        return
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def compare(case: Case, checkout: Path, scratch: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Return the row of one comparison."""

    def spec(side: str, operation: str) -> Spec:
        return Spec(
            side=side,
            operation=operation,
            method=case.method,
            length=case.length,
            checkout=checkout,
            scratch=scratch,
            device=args.device,
            threads=args.threads,
            workers=args.workers,
        )

    save_weights(spec('published', 'save_weights'))
    load = os.getloadavg()[0]
    rounds = min(case.rounds, args.rounds or case.rounds)
    sides = measure(case.sides, lambda side: Session(spec(side, case.operation)), rounds=rounds)
    row = {
        'name': case.name,
        'title': case.title,
        'note': case.note,
        'goal': case.goal,
        'shows_memory': case.shows_memory,
        'load_before': load,
        'sides': sides,
    }
    return add_statistics(row)


def save_weights(spec: Spec) -> None:
    """Write the weights that both sides start from, unless they are there.

    Raises:
        UserError: If the authors' network cannot be built.
    """
    if spec.weights.is_file():
        return
    session = Session(spec)
    try:
        session.ask('warm')
    except WorkerFailure as failure:
        raise UserError(f"{spec.checkout}: the authors' network cannot be built: {failure}") from failure
    finally:
        session.close()


if __name__ == '__main__':
    run_tool(main, parser())
