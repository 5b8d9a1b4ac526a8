"""Stored measurements: a JSON file of rows by name, and the page that is made from them."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmwtal.utils.errors import UserError

Row = Mapping[str, Any]
Render = Callable[[Sequence[Row]], str]


class Store:
    """The rows of PREFIX.json. Every row says what it was measured on, so that rows of several runs stand together.

    Args:
        prefix: Path of both files without their endings; None keeps the rows in memory.
        order: Names in the order in which rows are listed; others come last.
        render: Makes the page.

    Raises:
        UserError: If there is such a file and it holds something else.
    """

    def __init__(self, prefix: Path | None, *, order: Sequence[str], render: Render) -> None:
        self._prefix = prefix
        self._place = {name: place for place, name in enumerate(order)}
        self._render = render
        self._rows: dict[str, Row] = {row['name']: row for row in self._read()}

    @property
    def rows(self) -> list[Row]:
        """All rows, numbered from 1."""
        ordered = sorted(self._rows.values(), key=lambda row: self._place.get(row['name'], len(self._place)))
        return [{**row, 'number': number} for number, row in enumerate(ordered, start=1)]

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def put(self, row: Row) -> None:
        """Add a row, in place of an earlier one of its name, and write both files."""
        self._rows[row['name']] = row
        if self._prefix is None:
            return
        self._prefix.parent.mkdir(parents=True, exist_ok=True)
        self._file('json').write_text(json.dumps({'rows': self.rows}, indent=1) + '\n', encoding='utf-8')
        self._file('md').write_text(self.page(), encoding='utf-8')

    def page(self) -> str:
        """Return the page, Markdown."""
        return self._render(self.rows)

    def _file(self, ending: str) -> Path:
        assert self._prefix is not None
        return self._prefix.with_name(f'{self._prefix.name}.{ending}')

    def _read(self) -> list[Row]:
        if self._prefix is None or not self._file('json').is_file():
            return []
        path = self._file('json')
        try:
            return load_rows(path)
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f'{path}: expected measurements, to which new ones are added, found something else ({error}); give '
                '--out another name'
            ) from error


def load_rows(path: Path) -> list[Row]:
    """Read the rows of a JSON file.

    Raises:
        ValueError: If it is no JSON; with KeyError and TypeError, if it is other JSON.
    """
    rows = json.loads(path.read_text(encoding='utf-8'))['rows']
    for row in rows:
        row['name'], row['machine']['processor']
    return rows


def conditions(rows: Sequence[Row]) -> list[str]:
    """Return what was measured on what, as lines of a list."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(_condition(row), []).append(row)
    authors = {f'- {name}: `{commit}`' for row in rows for name, commit in row['revisions'].items() if name != 'mmwtal'}
    lines = []
    for text, members in groups.items():
        which = '' if len(groups) == 1 else f'{ranges([row["number"] for row in members])}: '
        load = max(row['machine']['load_at_start'] for row in members)
        lines.append(f'- {which}{text}; load average {load:.2f} before.')
    return [*lines, *sorted(authors)]


def _condition(row: Row) -> str:
    machine = row['machine']
    packages = ', '.join(f'{name} {version}' for name, version in machine['packages'].items())
    device = f', {machine["device_name"]}' if machine['device_name'] else ''
    return (
        f'mmwtal `{row["revisions"]["mmwtal"]}`; {machine["processor"]}{device}, {machine["cores"]} cores, '
        f'{machine["memory_gib"]} GiB, {machine["system"]}; Python {machine["python"]}, {packages}; '
        f'{machine["threads"]} threads, {row["workers"]} loading processes for mmwtal'
    )


def ranges(numbers: Sequence[int]) -> str:
    """Return ascending numbers with neighbours joined, such as '1-3, 7'."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ', '.join(str(run[0]) if len(run) == 1 else f'{run[0]}-{run[-1]}' for run in runs)
