"""What inference costs: seconds and memory for the features of videos of some lengths, without making the features.

Example: python -m benchmarks.inference --out mine-inference
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe, revision
from benchmarks.measure import spread
from benchmarks.session import ROOT
from benchmarks.store import Store, conditions
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError

Row = Mapping[str, Any]

METHODS = ('co2net', 'delu', 'ddgnet', 'um', 'basnet')
#: A video of ten minutes takes CO2-Net less than this, in seconds.
SECONDS_AIM = 1.0
AIMED = ('co2net', 10.0)
#: Memory that two hours take at most, in MiB.
MEMORY_AIM = 2048
_FPS, _STRIDE, _WIDTH = 25, 16, 2048
INTRODUCTION = (
    "From a .npy file of a video's features (2,048 channels, 25 frames a second, 16 frames a snippet) to segments in "
    "memory: a call of `WTALInferencer`, with the method's config for THUMOS14. Features are made up, smooth over "
    'some seconds, and weights random, which gives more proposals than a trained model does. Seconds are medians of the '
    'rounds, in brackets their minimum; building the model is not in them. Peak memory is that of the whole process, '
    'with Python, torch and the model; each row has a process of its own.'
)


@dataclass(frozen=True, kw_only=True)
class Task:
    """A measurement.

    Args:
        method: The method.
        minutes: Length of the video.
        threads: Threads of torch.
        rounds: How many times it is timed.
    """

    method: str
    minutes: float
    threads: int
    rounds: int

    @property
    def name(self) -> str:
        """Return the name of its row."""
        return f'{self.method}, {self.minutes:g} minutes, threads: {self.threads}'


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--out', type=Path, metavar='PREFIX', help='write PREFIX.json and PREFIX.md; what they hold already is kept'
    )
    parser.add_argument('--methods', nargs='+', choices=METHODS, default=list(METHODS), help='default: all')
    text = 'lengths of the videos; default: 10, 30, 60 and 120'
    parser.add_argument('--minutes', nargs='+', type=float, default=[10.0, 30.0, 60.0, 120.0], metavar='M', help=text)
    parser.add_argument('--threads', type=int, default=2, metavar='N', help='threads of torch; default: 2')
    parser.add_argument('--rounds', type=int, default=5, metavar='N', help='default: 5')
    return parser


def main(args: argparse.Namespace) -> None:
    """Measure, print the table and write it."""
    if min(args.threads, args.rounds) < 1 or not min(args.minutes) > 0:
        raise UserError('expected --threads and --rounds of at least 1 and --minutes above 0')
    settings = {'threads': args.threads, 'rounds': args.rounds}
    tasks = [Task(method=method, minutes=one, **settings) for method in args.methods for one in args.minutes]
    store = Store(args.out, order=[task.name for task in tasks], render=to_markdown)
    for task in tasks:
        sys.stderr.write(f'{task.name}\n')
        store.put(measured_row(task))
    print(store.page())


def measured_row(task: Task) -> dict[str, Any]:
    """Return the row of a task, measured in a process of its own."""
    machine = describe('cpu', task.threads)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context('spawn')) as pool:
        found = pool.submit(measure, task).result()
    return {
        'name': task.name,
        'method': task.method,
        'minutes': task.minutes,
        **found,
        'machine': machine,
        'workers': 0,
        'revisions': {'mmwtal': revision(ROOT)},
    }


def measure(task: Task) -> dict[str, Any]:
    """Return snippets, actions found, seconds of each round and peak memory of this process in MiB."""
    import torch

    from mmwtal.apis import WTALInferencer, init_localizer

    torch.set_num_threads(task.threads)
    torch.manual_seed(0)
    config = ROOT / 'configs' / task.method / f'{task.method}_thumos14-i3d.py'
    snippets = max(1, round(task.minutes * 60 * _FPS / _STRIDE))
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint, features = Path(scratch, 'c.pth'), Path(scratch, 'video.npy')
        torch.save({'state_dict': init_localizer(config).state_dict(), 'meta': {}}, checkpoint)
        np.save(features, made_up(snippets))
        inferencer = WTALInferencer(config, checkpoint, device='cpu')
        seconds, count = [], 0
        for number in range(task.rounds + 1):
            start = time.perf_counter()
            found = inferencer(features)
            if number:  # the first one warms up
                seconds.append(time.perf_counter() - start)
            count = sum(len(one['actions']) for one in found['predictions'])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {'snippets': snippets, 'actions': count, 'seconds': seconds, 'peak_memory_mib': peak}


def made_up(snippets: int) -> np.ndarray:
    """Return features that change over some seconds as those of a video do, (T, 2048), float32."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((snippets, _WIDTH), dtype=np.float32)
    for row in range(1, snippets):
        features[row] = 0.8 * features[row - 1] + 0.6 * features[row]
    return np.maximum(features, 0.0)


def to_markdown(rows: Sequence[Row]) -> str:
    """Return the page for the rows that are stored."""
    lines = ['# What inference on features costs', '', *conditions(rows), '', INTRODUCTION, '']
    lines += [
        '| | minutes | snippets | actions | seconds | aim | peak memory, MiB | aim |',
        '|---|---|---|---|---|---|---|---|',
    ]
    for row in rows:
        times, peak = spread(row['seconds']), row['peak_memory_mib']
        cells = [
            f'[{row["number"]}] {row["method"]}',
            f'{row["minutes"]:g}',
            f'{row["snippets"]:,}',
            f'{row["actions"]:,}',
            f'**{times["median"]:.2f}** ({times["min"]:.2f})',
            _aim(times['median'], SECONDS_AIM) if (row['method'], row['minutes']) == AIMED else '',
            f'{peak:,.0f}',
            _aim(peak, MEMORY_AIM) if row['minutes'] == 120 else '',
        ]
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join([*lines, ''])


def _aim(value: float, most: float) -> str:
    return f'< {most:g} {"✓" if value < most else "missed"}'


if __name__ == '__main__':
    run_tool(main, parser())
