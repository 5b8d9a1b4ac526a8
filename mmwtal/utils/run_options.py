"""Options of tools that start several runs: which seeds, how many at a time, on how many threads."""

import argparse
import os
from collections.abc import Sequence

from mmwtal.utils.errors import UserError

MOST_SEEDS = 1000


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read '0-4' or '0,2,7' or both mixed; raise ArgumentTypeError for anything else."""
    seeds: list[int] = []
    for part in text.split(','):
        first, dash, last = part.partition('-')
        if not (first.isdecimal() and (last.isdecimal() if dash else True)):
            raise argparse.ArgumentTypeError(f'expected seeds such as 0-4 or 0,2,7, found {text!r}')
        low, high = int(first), int(last) if dash else int(first)
        if high < low or high >= 2**32 or high - low >= MOST_SEEDS:
            raise argparse.ArgumentTypeError(
                f'expected at most {MOST_SEEDS} ascending seeds below 2^32, found {part!r}'
            )
        seeds.extend(range(low, high + 1))
    if len(set(seeds)) < len(seeds) or len(seeds) > MOST_SEEDS:
        raise argparse.ArgumentTypeError(f'expected at most {MOST_SEEDS} seeds, each given once, found {text!r}')
    return tuple(seeds)


def seeds_text(seeds: Sequence[int]) -> str:
    """Return seeds as :func:`parse_seeds` reads them."""
    if len(seeds) > 1 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f'{seeds[0]}-{seeds[-1]}'
    return ','.join(map(str, seeds))


def positive_number_word(text: str) -> int:
    """Read a whole number from 1; raise ArgumentTypeError for anything else."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'expected a whole number from 1, found {text!r}')
    return int(text)


def add_run_options(parser: argparse.ArgumentParser, *, what: str) -> None:
    """Give a tool the options ``--jobs`` and ``--threads``.

    Args:
        parser: The tool's options.
        what: What runs at the same time.
    """
    word = positive_number_word
    parser.add_argument('--jobs', type=word, default=1, metavar='N', help=f'{what} at the same time (default: 1)')
    parser.add_argument(
        '--threads',
        type=word,
        metavar='N',
        help='OMP_NUM_THREADS of each; default: that of the environment, else the number of cores divided by --jobs',
    )


def threads_of_each(asked: int | None, jobs: int) -> int:
    """Return how many threads each of several processes gets.

    Args:
        asked: The user's number; None for that of the environment, else the cores divided by the processes.
        jobs: How many processes run at the same time.

    Raises:
        UserError: If OMP_NUM_THREADS is needed and is no number.
    """
    return asked or _threads_of_environment() or max(1, _cores() // jobs)


def child_environment(threads: int) -> dict[str, str]:
    """Return the environment variables of a run that has some threads."""
    return {**os.environ, 'OMP_NUM_THREADS': str(threads), 'MKL_NUM_THREADS': str(threads)}


def _threads_of_environment() -> int | None:
    """Return the outermost level of OMP_NUM_THREADS, which may be a list, None where it is not set."""
    text = os.environ.get('OMP_NUM_THREADS', '')
    outer = text.split(',')[0].strip()
    if text and not (outer.isdecimal() and int(outer)):
        raise UserError(f'OMP_NUM_THREADS is {text!r}, expected a whole number from 1; mend it, or give --threads')
    return int(outer) if text else None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
