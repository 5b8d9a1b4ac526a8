"""Compare runs of several models with the first: mean, spread, difference paired by seed with its interval.

Each of RUNS is a folder or summary of tools/analysis/multi_seed.py, or the folder or result.json of one run of
tools/test.py. Runs of different protocols, videos or selections of the checkpoint are refused.

Example: python tools/analysis/compare_runs.py work_dirs/co2net_synthetic work_dirs/delu_synthetic
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mmwtal.evaluation.run_comparison import ALLOWED, compare_runs
from mmwtal.evaluation.runs import RESULT_NAME, SUMMARY_NAME, RunSet, read_runs
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import real_path, write_atomically


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('runs', type=Path, nargs='+', metavar='RUNS', help='two or more; compared with the first')
    parser.add_argument('--names', nargs='+', metavar='NAME', help='one for each of RUNS; default: the folder')
    parser.add_argument(
        '--allow',
        type=_allowed,
        default=(),
        metavar='KIND[,KIND]',
        help=f'compare although these differ, which the tables then say: {", ".join(ALLOWED)}',
    )
    parser.add_argument('--out', type=Path, metavar='FILE.json', help='write it as JSON, classes by tIoU too')
    parser.add_argument('--markdown', type=Path, metavar='FILE.md', help='write the tables as Markdown')
    return parser


def _allowed(text: str) -> tuple[str, ...]:
    kinds = tuple(text.split(','))
    for kind in kinds:
        if kind not in ALLOWED:
            raise argparse.ArgumentTypeError(f'expected some of {", ".join(ALLOWED)}, found {kind!r}')
    return kinds


def main(args: argparse.Namespace) -> None:
    """Print the comparison and write it."""
    _check_outputs(args)
    comparison = compare_runs(_read(args.runs, args.names), allow=args.allow)
    print(comparison.text())
    _write('--out', args.out, json.dumps(comparison.to_dict(), indent=1) + '\n')
    _write('--markdown', args.markdown, comparison.markdown())


def _read(paths: Sequence[Path], names: Sequence[str] | None) -> list[RunSet]:
    if len(paths) < 2:
        raise UserError(f'expected two or more sets of runs, found one: {paths[0]}')
    if names is not None and len(names) != len(paths):
        raise UserError(f'--names: expected one for each of the {len(paths)} sets of runs, found {len(names)}')
    sets = [read_runs(path) for path in paths]
    found = names or [one.name for one in sets]
    if names is None and len(set(found)) < len(found):
        found = [str(path) for path in paths]
    if len(set(found)) < len(found):
        raise UserError(f'the sets of runs need different names, found {", ".join(found)}; give them with --names')
    return [replace(one, name=name) for name, one in zip(found, sets, strict=True)]


def _check_outputs(args: argparse.Namespace) -> None:
    inputs = [real_path(path) for path in args.runs]
    for option, file in (('--out', args.out), ('--markdown', args.markdown)):
        if file is None:
            continue
        if file.is_dir():
            raise UserError(f'{option} {file}: is a folder; name a file')
        is_read = file.name in (RESULT_NAME, SUMMARY_NAME) and any(map(real_path(file).is_relative_to, inputs))
        if is_read or real_path(file) in inputs:
            raise UserError(f'{option} {file}: is one of the runs to compare; name another file')
    if args.out is not None and args.markdown is not None and real_path(args.out) == real_path(args.markdown):
        raise UserError(f'--out and --markdown both name {args.out}; give them different names')


def _write(option: str, file: Path | None, text: str) -> None:
    if file is None:
        return
    try:
        write_atomically(file, lambda opened: opened.write(text.encode()))
    except OSError as error:
        raise UserError(f'{option} {file}: cannot be written ({error.strerror})') from error
    print(f'written to {file}')


if __name__ == '__main__':
    run_tool(main, build_parser())
