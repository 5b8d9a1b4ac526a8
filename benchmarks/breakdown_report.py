"""From the stopwatch's phases to tables that people read."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.phases import LOSSES, PHASES
from benchmarks.store import conditions

Row = Mapping[str, Any]

INTRODUCTION = (
    'Medians over the iterations after a warm-up, in ms, and their share of the median iteration. A phase that is part '
    'of another one is counted once, so that the phases of an iteration add up to it; "remainder" is what the medians '
    'of the phases leave of the median of the iterations. Logs (every 50 iterations) and checkpoints (every 500) fall '
    'outside. "Everything else" is the loop itself, the sum and check of the losses, and what the model does outside '
    'its parts.'
)


def to_markdown(rows: Sequence[Row]) -> str:
    """Return the page for the rows that ``breakdown`` stores."""
    lines = ['# Where an iteration goes', '', *conditions(rows), '', INTRODUCTION, '']
    for threads in sorted({row['threads'] for row in rows}):
        chosen = [row for row in rows if row['threads'] == threads]
        lines += [f'## {threads} {"thread" if threads == 1 else "threads"}', '', *_phases(chosen), '', *_losses(chosen)]
    return '\n'.join(lines)


def _phases(rows: Sequence[Row]) -> list[str]:
    tables = [_by_phase(row['seconds']) for row in rows]
    whole = [_total(table) for table in tables]
    used = [phase for phase in PHASES if any(phase in table for table in tables)]
    lines = _head('phase', rows)
    for phase in used:
        cells = [
            _cell(_median(table[phase]), total) if phase in table else ''
            for table, total in zip(tables, whole, strict=True)
        ]
        lines.append(_line(phase, cells))
    left = [total - sum(map(_median, table.values())) for table, total in zip(tables, whole, strict=True)]
    lines.append(_line('remainder', [_cell(value, total) for value, total in zip(left, whole, strict=True)]))
    lines.append(_line('**iteration**', [f'**{_ms(total)}**' for total in whole]))
    return [*lines, _line('peak memory of the process, MiB', [f'{row["peak_memory_mib"]:,.0f}' for row in rows])]


def _by_phase(seconds: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Return the seconds of each phase, one an iteration, with the loss terms as one phase."""
    table: dict[str, list[float]] = {}
    for name, values in seconds.items():
        phase = name.partition(':')[0]
        before = table.get(phase, [0.0] * len(values))
        table[phase] = [a + b for a, b in zip(before, values, strict=True)]
    return table


def _losses(rows: Sequence[Row]) -> list[str]:
    prefix = f'{LOSSES}: '
    names = dict.fromkeys(name for row in rows for name in row['seconds'] if name.startswith(prefix))
    lines = _head('loss term, forward', rows)
    for name in names:
        cells = []
        for row in rows:
            whole = _total(_by_phase(row['seconds']))
            cells.append(_cell(_median(row['seconds'][name]), whole) if name in row['seconds'] else '')
        lines.append(_line(f'`{name.removeprefix(prefix)}`', cells))
    return [*lines, '']


def _head(what: str, rows: Sequence[Row]) -> list[str]:
    titles = [f'{row["config"]}, B = {row["shape"][0]}, T = {row["shape"][1]} [{row["number"]}]' for row in rows]
    return [_line(what, titles), '|---' * (len(rows) + 1) + '|']


def _line(name: str, cells: Sequence[str]) -> str:
    return '| ' + ' | '.join([name, *cells]) + ' |'


def _cell(seconds: float, whole: float) -> str:
    return f'{_ms(seconds)} ({100 * seconds / whole:.1f} %)'


def _ms(seconds: float) -> str:
    return f'{1e3 * seconds:,.1f}'


def _total(table: Mapping[str, Sequence[float]]) -> float:
    """Return the median of the iterations, seconds."""
    return _median([sum(values) for values in zip(*table.values(), strict=True)])


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)
