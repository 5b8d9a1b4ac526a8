"""Reading labels, segments and durations of own videos from CSV files, with every fault of a file reported at once.

The files are UTF-8 (a byte order mark is accepted), separated by commas, with double quotes around cells that hold a
comma. Blank lines are skipped and spaces around a cell are removed. A first row that consists of the column names, in
any order and case, is a header; without one the columns come in the order stated here.
"""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmwtal.utils.errors import UserError
from mmwtal.utils.files import read_text

LABEL_SEPARATOR = ';'


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a CSV file.

    Args:
        origin: File and line, for messages.
        cells: The cells by column name.
    """

    origin: str
    cells: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One instance: its label and its start and end in seconds."""

    label: str
    start: float
    end: float


def read_labels(path: Path, problems: list[str]) -> dict[str, list[str]]:
    """Read the labels of training videos: rows of ``video,label[;label...]``, one a video; no label is a negative.

    Args:
        path: The CSV file.
        problems: Faults are appended.

    Returns:
        The labels by video, in the order of the file and without repetition.
    """
    labels: dict[str, list[str]] = {}
    first: dict[str, str] = {}
    for row in _read_rows(path, ('video', 'label'), problems):
        video = row.cells['video']
        names = [name.strip() for name in row.cells['label'].split(LABEL_SEPARATOR)]
        if video in labels:
            problems.append(
                f'{row.origin}: video {video} was given at {first[video]} already: write its labels in one row'
            )
        elif names != [''] and not all(names):
            problems.append(f'{row.origin}: an empty label beside others in {row.cells["label"]!r}')
        else:
            labels[video] = list(dict.fromkeys(name for name in names if name))
            first[video] = row.origin
    return labels


def read_segments(path: Path, problems: list[str]) -> dict[str, list[Instance]]:
    """Read the instances of test videos: rows of ``video,start,end,label``, one an instance, times in seconds.

    A row ``video,,,`` is a video without any instance.

    Args:
        path: The CSV file.
        problems: Faults are appended.

    Returns:
        The instances by video, both in the order of the file.
    """
    instances: dict[str, list[Instance]] = defaultdict(list)
    negatives: dict[str, str] = {}
    for row in _read_rows(path, ('video', 'start', 'end', 'label'), problems):
        video, label = row.cells['video'], row.cells['label']
        times = row.cells['start'], row.cells['end']
        if not any((*times, label)):
            negatives[video] = row.origin
            instances[video] = instances[video]
            continue
        start, end = map(_number, times)
        if start is None or end is None:
            problems.append(f'{row.origin}: expected start and end in seconds, found {times[0]!r} and {times[1]!r}')
        elif not 0 <= start <= end:
            problems.append(f'{row.origin}: expected 0 <= start <= end, found {start:g} and {end:g}')
        elif not label or LABEL_SEPARATOR in label:
            problems.append(f'{row.origin}: expected one label, found {label!r}')
        else:
            instances[video].append(Instance(label=label, start=start, end=end))
    for video, origin in negatives.items():
        if instances[video]:
            problems.append(f'{origin}: video {video} is said to have no instance, but other rows give it some')
    return dict(instances)


def read_durations(path: Path, problems: list[str]) -> dict[str, float]:
    """Read the durations of videos: rows of ``video,duration``, in seconds.

    Args:
        path: The CSV file.
        problems: Faults are appended.

    Returns:
        The durations by video.
    """
    durations: dict[str, float] = {}
    for row in _read_rows(path, ('video', 'duration'), problems):
        video, seconds = row.cells['video'], _number(row.cells['duration'])
        if video in durations:
            problems.append(f'{row.origin}: video {video} is given more than once')
        elif seconds is None or seconds <= 0:
            problems.append(f'{row.origin}: expected seconds above 0, found {row.cells["duration"]!r}')
        else:
            durations[video] = seconds
    return durations


def _read_rows(path: Path, columns: Sequence[str], problems: list[str]) -> list[Row]:
    """Return the sound rows; raise only where the file as a whole cannot be read."""
    expected = ','.join(columns)
    # As with a file that is opened with newline='', the reader has to see the line ends as they are.
    text = read_text(path, what=f'CSV file (columns {expected})')
    reader = csv.reader(io.StringIO(text, newline=''), strict=True)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise UserError(f'{path}, line {reader.line_num}: not valid CSV: {error}') from error
    _check_separator(path, [','.join(cells) for _, cells in lines], columns)
    order = list(columns)
    if lines and sorted(map(str.lower, lines[0][1])) == sorted(columns):
        order = [name.lower() for name in lines.pop(0)[1]]
    if not lines:
        problems.append(f'{path}: expected rows of {expected}, found none')
    rows = []
    for number, cells in lines:
        origin = f'{path}, line {number}'
        if len(cells) != len(columns):
            problems.append(
                f'{origin}: expected {len(columns)} cells ({expected}), found {len(cells)}: {",".join(cells)}'
            )
        elif not cells[order.index('video')]:
            problems.append(f'{origin}: no video is named')
        else:
            rows.append(Row(origin=origin, cells=dict(zip(order, cells, strict=True))))
    return rows


def _check_separator(path: Path, lines: Sequence[str], columns: Sequence[str]) -> None:
    """Refuse a file whose every line has the right number of cells only if these are not separated by commas."""
    for separator, name in ((';', 'semicolons'), ('\t', 'tabs')):
        if lines and all(',' not in line and line.count(separator) >= len(columns) - 1 for line in lines):
            raise UserError(
                f'{path}: expected cells separated by commas ({",".join(columns)}), but they seem to be separated by '
                f'{name}: save the file with commas'
            )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
