"""What guidance costs: CO2-Net's training iteration at its full size, alone and guided, in turns.

Example: python -m benchmarks.guidance_cost --out mine-guidance
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.guided import ARMS, BASE, LONGEST, SHORTEST, VIDEOS
from benchmarks.machine import describe, revision
from benchmarks.measure import measure, speedup, spread
from benchmarks.operation import Spec
from benchmarks.session import ROOT, Session
from benchmarks.store import Store, conditions
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError

Row = Mapping[str, Any]

LIGHT_AIM = 1.6
"""An iteration of the light setting takes at most so many times that of the base."""

WHAT = {
    BASE: 'CO2-Net alone',
    'light': "`dual_light.py`: mask on the base's embedding, smaller reconstructor",
    'dual': '`dual.py`',
    'dual, N(1 - a) in each iteration': '`dual.py` with `csr.diagnostics_interval=1`; it is 10',
    'literal': '`dual_literal.py`: the mask in every attention, both negatives',
}
INTRODUCTION = (
    f'CO2-Net for THUMOS14, batch in memory: forward, losses, backward, update. The texts are made up as a language '
    f"model's: {VIDEOS} training videos, descriptions of {SHORTEST} to {LONGEST} words, vectors of GloVe's width. "
    'Times are the median of the samples, in brackets their minimum. Times the base: the median over pairs of samples '
    'taken in turns, in brackets their quartiles, which lie close together if the machine was quiet. Parameters are in '
    'millions: what guidance adds is gone at test, where a guided model is the base.'
)


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--out', type=Path, metavar='PREFIX', help='write PREFIX.json and PREFIX.md; what they hold already is kept'
    )
    parser.add_argument('--threads', nargs='+', type=int, default=[1, 2], metavar='N', help='threads of torch; 1 and 2')
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    parser.add_argument('--length', type=int, default=320, help='snippets of a video; default: 320')
    others = [name for name in ARMS if name != BASE]
    parser.add_argument('--only', nargs='+', choices=others, default=others, metavar='ARM', help=f'some of: {others}')
    parser.add_argument('--rounds', type=int, default=7, metavar='N', help='samples of each arm; default: 7')
    return parser


def main(args: argparse.Namespace) -> None:
    """Measure, print the tables and write them."""
    if args.rounds < 1 or args.length < 1:
        raise UserError(f'expected --rounds and --length of at least 1, found {args.rounds} and {args.length}')
    store = Store(args.out, order=[row_name(threads, args) for threads in args.threads], render=to_markdown)
    for threads in args.threads:
        sys.stderr.write(f'{row_name(threads, args)}\n')
        store.put(measured_row(threads, args))
    print(store.page())


def row_name(threads: int, args: argparse.Namespace) -> str:
    """Return the name of a row."""
    return f'T = {args.length}, {args.device}, threads: {threads}'


def measured_row(threads: int, args: argparse.Namespace) -> dict[str, Any]:
    """Return the row of one number of threads: the samples of all arms.

    Raises:
        UserError: If an arm cannot be run; with its last line.
    """
    machine, load = describe(args.device, threads), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:

        def start(side: str) -> Session:
            return Session(
                Spec(
                    side=side,
                    operation='guided_step',
                    method='co2net',
                    length=args.length,
                    checkout=Path(scratch),
                    scratch=Path(scratch),
                    device=args.device,
                    threads=threads,
                    workers=0,
                )
            )

        sides = measure([name for name in ARMS if name in (BASE, *args.only)], start, rounds=args.rounds)
    for side, result in sides.items():
        if 'failure' in result:
            raise UserError(f'{side}: cannot be run: {result["failure"]}')
        result['spread'] = spread(result['seconds'])
        result['times_base'] = speedup(result['seconds'], sides[BASE]['seconds'])
    return {
        'name': row_name(threads, args),
        'length': args.length,
        'load_before': load,
        'sides': sides,
        'machine': machine,
        'workers': 0,
        'revisions': {'mmwtal': revision(ROOT)},
    }


def to_markdown(rows: Sequence[Row]) -> str:
    """Return the page for the rows that are stored."""
    lines = ['# What guidance costs', '', *conditions(rows), '', INTRODUCTION, '']
    for row in rows:
        lines += [f'## [{row["number"]}] {row["name"]}', '', *_table(row), '']
    return '\n'.join(lines)


def _table(row: Row) -> list[str]:
    lines = ['| | iteration, ms | times the base | aim | parameters | peak memory, MiB |', '|---|---|---|---|---|---|']
    for side, result in row['sides'].items():
        base, added, _ = result['outcome']
        times, ratio = result['spread'], result['times_base']
        cells = [
            WHAT[side],
            f'{1e3 * times["median"]:,.0f} ({1e3 * times["min"]:,.0f})',
            '' if side == BASE else f'**{ratio["median"]:.2f}** ({ratio["low"]:.2f} to {ratio["high"]:.2f})',
            _aim(ratio) if side == 'light' else '',
            f'{base / 1e6:.1f}' + (f' + {added / 1e6:.1f}' if added else ''),
            f'{_memory(result):,.0f}',
        ]
        lines.append('| ' + ' | '.join(cells) + ' |')
    words = max(result['outcome'][2] for result in row['sides'].values())
    return [*lines, '', f'B = 10, T = {row["length"]}, vocabulary of {words:,.0f} words.']


def _aim(ratio: Mapping[str, float]) -> str:
    if ratio['median'] <= LIGHT_AIM:
        return f'{LIGHT_AIM} ✓'
    return f'{LIGHT_AIM} within the spread' if ratio['low'] <= LIGHT_AIM else f'{LIGHT_AIM} missed'


def _memory(result: Mapping[str, Any]) -> float:
    return result['peak_device_memory_mib'] or result['peak_memory_mib']


if __name__ == '__main__':
    run_tool(main, parser())
