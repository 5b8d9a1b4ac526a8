"""What extracting features costs: decoding, flow and network, how much of the network's time is used, and memory.

Example: python -m benchmarks.extraction --out mine-extraction
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.extraction_cases import (
    DECODERS,
    FLOWS,
    busy_network,
    decoding,
    memory_by_length,
    shares,
)
from benchmarks.extraction_video import write_film
from benchmarks.machine import describe, revision
from benchmarks.measure import spread
from benchmarks.session import ROOT
from benchmarks.store import Store, conditions
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError

Row = Mapping[str, Any]

CASES = ('decoding', 'shares', 'rgb', 'two-stream', 'memory')
BUSY_AIM = 0.85
MEMORY_AIM_GIB = 2.0
MINUTES = (1, 10, 60, 120)
INTRODUCTION = {
    'decoding': (
        'Frames a second of a made-up film, 640 x 360, H.264, 25 frames a second, one thread: every frame as RGB with '
        'the shorter side 256. mmwtal finds the frame shown at each multiple of 1/25 s by time stamps, the others take '
        'frames as they come. OpenCV scales without smoothing, the others by swscale.'
    ),
    'shares': (
        'Milliseconds for a snippet of 16 frames, one core, each part alone: decoding with the pictures of 256 pixels, '
        'optical flow of these, InceptionI3D with random weights at 224 x 224 in batches of 4, float32.'
    ),
    'rgb': (
        'Snippets a second of `FeatureExtraction` on films of 640 x 360, from opened job to last record, against the '
        'network alone on random clips in memory; the network has one thread, decoding has processes of its own. '
        'Two-stream: RGB and DIS flow.'
    ),
    'memory': (
        'Highest resident memory of a process that extracts one film (160 x 120, 5 frames a second, resampled to 25) '
        'with the small random network, 64 channels: features and all.'
    ),
}


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--out', type=Path, metavar='PREFIX', help='write PREFIX.json and PREFIX.md; what they hold already is kept'
    )
    parser.add_argument('--only', nargs='+', choices=CASES, default=CASES, help='default: all')
    parser.add_argument('--rounds', type=int, default=5, metavar='N', help='default: 5')
    parser.add_argument('--seconds', type=int, default=20, metavar='S', help='of a film; default: 20')
    return parser


def main(args: argparse.Namespace) -> None:
    """Measure, print the tables and write them."""
    if min(args.rounds, args.seconds) < 1:
        raise UserError('expected --rounds and --seconds of at least 1')
    store = Store(args.out, order=CASES, render=to_markdown)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        film = write_film(root / 'film.mp4', seconds=args.seconds)
        cases: dict[str, Callable[[], Any]] = {
            'decoding': lambda: decoding(film, rounds=args.rounds),
            'shares': lambda: shares(film, rounds=args.rounds),
            'rgb': lambda: busy_network(film, root / 'rgb', flow=False, rounds=args.rounds),
            'two-stream': lambda: busy_network(film, root / 'two-stream', flow=True, rounds=args.rounds),
            'memory': lambda: memory_by_length(root, MINUTES),
        }
        for name in args.only:
            sys.stderr.write(f'{name}\n')
            machine = describe('cpu', 1)
            for package in ('av', 'opencv-python'):
                machine['packages'][package] = metadata.version(package)
            values = cases[name]()
            revisions = {'mmwtal': revision(ROOT)}
            store.put({'name': name, 'values': values, 'machine': machine, 'workers': 0, 'revisions': revisions})
    print(store.page())


def to_markdown(rows: Sequence[Row]) -> str:
    """Return the page for the rows that are stored."""
    lines = ['# What extracting features costs', '', *conditions(rows), '']
    lines += ['Medians over the rounds, in which the sides took turns, in brackets the quartiles.', '']
    tables: dict[str, Callable[[Any], list[str]]] = {
        'decoding': _decoding,
        'shares': _shares,
        'rgb': _busy,
        'two-stream': _busy,
        'memory': _memory,
    }
    for row in rows:
        lines += [f'## [{row["number"]}] {row["name"]}', '']
        if row['name'] in INTRODUCTION:
            lines += [INTRODUCTION[row['name']], '']
        lines += [*tables[row['name']](row['values']), '']
    return '\n'.join(lines)


def _decoding(values: Mapping[str, Sequence[float]]) -> list[str]:
    lines = ['| reader | frames a second | of PyAV |', '|---|---:|---:|']
    plain = spread(values['PyAV'])['median']
    for side in DECODERS:
        found = spread(values[side])
        lines.append(f'| {side} | {_number(found, ".0f")} | {found["median"] / plain:.0%} |')
    return lines


def _shares(values: Mapping[str, Sequence[float]]) -> list[str]:
    lines = ['| part | ms a snippet |', '|---|---:|']
    lines += [f'| {part} | {_number(spread([1e3 * one for one in times]), ".1f")} |' for part, times in values.items()]
    medians = {part: spread(times)['median'] for part, times in values.items()}
    lines += ['', '| two-stream extraction with | decoding | flow | networks |', '|---|---:|---:|---:|']
    networks = medians['I3D, RGB'] + medians['I3D, flow']
    for flow in FLOWS:
        parts = (medians['decoding'], medians[flow], networks)
        lines.append(f'| {flow} | ' + ' | '.join(f'{part / sum(parts):.0%}' for part in parts) + ' |')
    return lines


def _busy(values: Mapping[str, Any]) -> list[str]:
    ratios = [job / alone for job, alone in zip(values['job'], values['alone'], strict=True)]
    share = spread(ratios)
    met = '✓' if share['median'] >= BUSY_AIM else 'missed'
    return [
        '| snippets | network alone, snippets a second | extraction, snippets a second | share | aim |',
        '|---:|---:|---:|---:|---|',
        f'| {values["snippets"]} | {_number(spread(values["alone"]), ".2f")} | '
        f'{_number(spread(values["job"]), ".2f")} | **{share["median"]:.0%}** ({share["low"]:.0%} to '
        f'{share["high"]:.0%}) | >= {BUSY_AIM:.0%} {met} |',
    ]


def _memory(values: Sequence[Mapping[str, float]]) -> list[str]:
    lines = ['| minutes of film | snippets | features, MiB | memory, MiB | aim |', '|---:|---:|---:|---:|---|']
    for one in values:
        met = '✓' if one['peak_mib'] < 1024 * MEMORY_AIM_GIB else 'missed'
        lines.append(
            f'| {one["minutes"]:g} | {one["snippets"]} | {one["features_mib"]:.1f} | **{one["peak_mib"]:.0f}** | '
            f'< {1024 * MEMORY_AIM_GIB:.0f} {met} |'
        )
    return lines


def _number(found: Mapping[str, float], form: str) -> str:
    return f'**{found["median"]:{form}}** ({found["low"]:{form}} to {found["high"]:{form}})'


if __name__ == '__main__':
    run_tool(main, parser())
