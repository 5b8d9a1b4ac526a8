"""From the measurements to a table that people read."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.measure import disagreement, speedup, spread
from benchmarks.store import conditions

Rows = Sequence[Mapping[str, Any]]
HEAD = '| | what | published | mmwtal | times faster | goal | same result |'
MEMORY_HEAD = '| peak memory of a process, MiB | published | mmwtal |'


def add_statistics(row: dict[str, Any]) -> dict[str, Any]:
    """Add to a measured row each side's spread, its speed-up over the published side, and how far results differ."""
    sides = row['sides']
    for result in sides.values():
        if 'seconds' in result:
            result['spread'] = spread(result['seconds'])
    published = sides.get('published', {}).get('seconds')
    for side, result in sides.items():
        if side != 'published' and published and 'seconds' in result:
            result['times_faster'] = speedup(published, result['seconds'])
    return {**row, 'largest_relative_difference': disagreement(sides)}


def to_markdown(rows: Rows) -> str:
    """Return the page for the rows that ``compare_published`` stores."""
    lines = [
        '# mmwtal beside the published code',
        '',
        *conditions(rows),
        '',
        'Times are the median of the samples, in brackets their minimum. Times faster: the median over pairs of '
        'samples taken in turns, in brackets their quartiles, which lie close together if the machine was quiet.',
        '',
        HEAD,
        '|---|---|---|---|---|---|---|',
        *(line for row in rows for line in _lines(row)),
        '',
        *_memory(rows),
        *_waiting(rows),
        *_notes(rows),
    ]
    return '\n'.join(lines) + '\n'


def _lines(row: Mapping[str, Any]) -> list[str]:
    sides = row['sides']
    others = [side for side in sides if side != 'published']
    return [_line(row, sides.get('published', {}), side, sides[side]) for side in others]


def _line(row: Mapping[str, Any], published: Mapping[str, Any], side: str, ours: Mapping[str, Any]) -> str:
    amp = side == 'mmwtal-amp'
    goal = row['goal']
    aim = '' if amp or goal is None else f'{goal:g}' + _met(goal, ours)
    cells = [
        str(row['number']),
        row['title'] + (', `--amp` (bfloat16)' if amp else '') + (f' [{row["number"]}]' if row['note'] else ''),
        _time(published),
        _time(ours),
        _faster(ours),
        aim,
        '' if amp else _same(row['largest_relative_difference']),
    ]
    return '| ' + ' | '.join(cells) + ' |'


def _met(goal: float, ours: Mapping[str, Any]) -> str:
    if 'times_faster' not in ours:
        return ''
    if ours['times_faster']['median'] >= goal:
        return ' ✓'
    return ' within the spread' if ours['times_faster']['high'] >= goal else ' missed'


def _time(result: Mapping[str, Any]) -> str:
    if 'failure' in result:
        return f'cannot be run: {_inline(result["failure"])}'
    if 'spread' not in result:
        return 'not measured'
    return f'{_seconds(result["spread"]["median"])} ({_seconds(result["spread"]["min"])})'


def _faster(ours: Mapping[str, Any]) -> str:
    if 'times_faster' not in ours:
        return ''
    ratio = ours['times_faster']
    return f'**{_figure(ratio["median"])}** ({_figure(ratio["low"])} to {_figure(ratio["high"])})'


def _same(difference: float | None) -> str:
    if difference is None:
        return 'not comparable'
    if difference == 0:
        return 'equal'
    return f'to {difference:.0e}, relative'


def _seconds(seconds: float) -> str:
    for unit, factor in (('s', 1.0), ('ms', 1e3)):
        if seconds * factor >= 1:
            return f'{_figure(seconds * factor)} {unit}'
    return f'{_figure(seconds * 1e6)} µs'


def _figure(value: float) -> str:
    """Return three significant digits, and no exponent."""
    return f'{value:.0f}' if value >= 100 else f'{value:.3g}'


def _inline(text: str) -> str:
    return text.replace('|', '\\|').replace('\n', ' ')[:160]


def _memory(rows: Rows) -> list[str]:
    lines = []
    for row in rows:
        peaks = [row['sides'].get(side, {}).get('peak_memory_mib') for side in ('published', 'mmwtal')]
        if row['shows_memory'] and None not in peaks:
            lines.append(f'| {row["title"]} | {peaks[0]:,.0f} | {peaks[1]:,.0f} |')
    return [MEMORY_HEAD, '|---|---|---|', *lines, ''] if lines else []


def _waiting(rows: Rows) -> list[str]:
    lines = []
    for row in rows:
        shares = {side: result.get('waiting_share') for side, result in row['sides'].items()}
        known = [f'{side} {100 * share:.1f} %' for side, share in shares.items() if share is not None]
        if known:
            what = (
                'that the GPU waits for its input'
                if row['machine']['device'] == 'cuda'
                else 'before the network starts'
            )
            lines += [f'Share of an iteration {what} ({row["title"]}): {", ".join(known)}.', '']
    return lines


def _notes(rows: Rows) -> list[str]:
    return [f'[{row["number"]}] {row["note"]}\n' for row in rows if row['note']]
