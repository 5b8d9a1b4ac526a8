"""Where the time of a training iteration goes, for mmwtal's configs: data, forward, losses, backward, the rest.

Example: python -m benchmarks.breakdown configs/*/*_thumos14-i3d.py --data-root data/thumos14 --out mine
The inputs of compare_published serve as well: --data-root SCRATCH/mmwtal, of its --scratch SCRATCH.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.breakdown_report import to_markdown
from benchmarks.breakdown_worker import Job
from benchmarks.machine import describe, revision
from benchmarks.session import ROOT, thread_environment
from benchmarks.store import Store
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='+', type=Path, metavar='CONFIG')
    parser.add_argument('--data-root', type=Path, metavar='DIR', required=True, help='of the configs, prepared data')
    parser.add_argument(
        '--out', type=Path, metavar='PREFIX', help='write PREFIX.json and PREFIX.md; what they hold already is kept'
    )
    parser.add_argument('--missing', action='store_true', help='leave out what PREFIX.json holds already')
    parser.add_argument('--threads', nargs='+', type=int, default=[1, 2], metavar='N', help='threads of torch; 1 and 2')
    parser.add_argument('--workers', type=int, default=0, help='processes that load data; default: none')
    parser.add_argument('--warm-up', type=int, default=2, metavar='N', help='iterations that do not count; default: 2')
    parser.add_argument('--iterations', type=int, default=7, metavar='N', help='iterations that count; default: 7')
    return parser


def main(args: argparse.Namespace) -> None:
    """Measure, print the tables and write them."""
    if args.iterations < 1:
        raise UserError(f'--iterations: expected at least 1, found {args.iterations}')
    jobs = [(config, threads) for threads in args.threads for config in args.configs]
    names = [row_name(config, threads) for config, threads in jobs]
    store = Store(args.out, order=names, render=to_markdown)
    for (config, threads), name in zip(jobs, names, strict=True):
        if args.missing and name in store:
            continue
        sys.stderr.write(f'{name}\n')
        store.put(measured_row(config, threads, args))
    print(store.page())


def row_name(config: Path, threads: int) -> str:
    """Return the name of a row."""
    return f'{config.stem}, threads: {threads}'


def measured_row(config: Path, threads: int, args: argparse.Namespace) -> dict[str, Any]:
    """Return the row of one config with one number of threads.

    Raises:
        UserError: If the run cannot be made; with its last line.
    """
    machine, load = describe('cpu', threads), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as work_dir:
        job = Job(
            config=str(config.resolve()),
            data_root=str(args.data_root.resolve()),
            work_dir=work_dir,
            threads=threads,
            workers=args.workers,
            warm_up=args.warm_up,
            iterations=args.iterations,
        )
        done = subprocess.run(
            [sys.executable, '-m', 'benchmarks.breakdown_worker', job.to_json()],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env=thread_environment(threads),
        )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise UserError(f'{config}: its run failed: {lines[-1] if lines else f"exit code {done.returncode}"}')
    return {
        'name': row_name(config, threads),
        'config': config.stem,
        'threads': threads,
        'warm_up': args.warm_up,
        'load_before': load,
        **json.loads(done.stdout),
        'machine': machine,
        'workers': args.workers,
        'revisions': {'mmwtal': revision(ROOT)},
    }


if __name__ == '__main__':
    run_tool(main, parser())
