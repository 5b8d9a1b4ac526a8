"""THUMOS14's own text files: lines of ``video start end`` in seconds, one file a class, and its class numbers."""

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from mmwtal.utils.errors import UserError
from mmwtal.utils.files import read_text

AMBIGUOUS = 'Ambiguous'
# THUMOS14 numbers 101 classes (those of UCF101); detection has 20 of them, and its result files name them by number.
CLASS_NUMBERS: Mapping[str, int] = MappingProxyType(
    {
        'BaseballPitch': 7,
        'BasketballDunk': 9,
        'Billiards': 12,
        'CleanAndJerk': 21,
        'CliffDiving': 22,
        'CricketBowling': 23,
        'CricketShot': 24,
        'Diving': 26,
        'FrisbeeCatch': 31,
        'GolfSwing': 33,
        'HammerThrow': 36,
        'HighJump': 40,
        'JavelinThrow': 45,
        'LongJump': 51,
        'PoleVault': 68,
        'Shotput': 79,
        'SoccerPenalty': 85,
        'TennisSwing': 92,
        'ThrowDiscus': 93,
        'VolleyballSpiking': 97,
    }
)


def read_stretches(path: Path, problems: list[str]) -> list[tuple[str, float, float]]:
    """Read the lines ``video start end`` of a file; blank lines are skipped.

    Args:
        path: The text file.
        problems: Malformed lines are appended.

    Returns:
        Video, start and end in seconds, in the order of the file.

    Raises:
        UserError: If the file cannot be read.
    """
    stretches = []
    for number, line in enumerate(read_text(path, what='text file').splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        times = _times(fields[1:])
        if times is None:
            expected = '"video start end" in seconds with 0 <= start <= end'
            problems.append(f'{path}, line {number}: expected {expected}, found {line!r:.120}')
        else:
            stretches.append((fields[0], *times))
    return stretches


def read_class_numbers(path: Path) -> dict[str, int]:
    """Read ``detclasslist.txt``: lines of ``number name``.

    Args:
        path: The text file.

    Returns:
        The number of each class, in the order of the file.

    Raises:
        UserError: If the file cannot be read, a line is malformed, or a class or number comes twice.
    """
    numbers: dict[str, int] = {}
    for count, line in enumerate(read_text(path, what='text file').splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 2 or not fields[0].isdecimal():
            raise UserError(f'{path}, line {count}: expected "number name", found {line!r:.120}')
        if fields[1] in numbers or int(fields[0]) in numbers.values():
            raise UserError(f'{path}, line {count}: {line!r:.120} repeats a class or a number')
        numbers[fields[1]] = int(fields[0])
    return numbers


def _times(fields: list[str]) -> tuple[float, float] | None:
    try:
        start, end = map(float, fields)
    except ValueError:
        return None
    return (start, end) if math.isfinite(end) and 0 <= start <= end else None
