"""Command-line options that several converters share, and what their values are read into."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmwtal.conversion.audit import ConversionLog
from mmwtal.conversion.time_grid import GridOptions
from mmwtal.formats.video_list import read_video_list
from mmwtal.utils.errors import UserError


def add_grid_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that state the time grid of the features and what the channels are."""
    parser.add_argument('--fps', type=positive, help='frames a second that stride and window count in')
    parser.add_argument('--stride', type=positive, help='frames from one snippet to the next')
    parser.add_argument('--window', type=positive, help='frames that a snippet sees; the stride if not stated')
    parser.add_argument('--durations', type=Path, help='CSV: video,duration, in seconds')
    parser.add_argument(
        '--linear-time', action='store_true', help="spread each video's snippets evenly over its duration"
    )
    parser.add_argument(
        '--modalities', type=modalities, help='channels of each modality in order, as in rgb=1024,flow=1024'
    )


def add_label_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that go with a CSV file of labels; see :mod:`mmwtal.conversion.own_labels`."""
    parser.add_argument('--test-csv', type=Path, help='CSV of the test videos: video,start,end,label, in seconds')
    parser.add_argument(
        '--train-subset', choices=('training', 'validation'), default='training', help='subset of the videos in LABELS'
    )
    parser.add_argument('--classes', type=names, help='class names a,b,... in order; else the labels, sorted')


def grid_options(args: argparse.Namespace) -> GridOptions:
    """Return what the options of :func:`add_grid_options` state of the time grid."""
    return GridOptions(fps=args.fps, stride=args.stride, window=args.window, linear=args.linear_time)


def add_blocked_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that leaves videos out."""
    parser.add_argument(
        '--blocked',
        type=Path,
        action='append',
        default=[],
        metavar='FILE',
        help='leave out the videos of this list (one id a line, or JSON); may be given more than once',
    )


def drop_blocked(database: dict[str, dict[str, Any]], paths: Iterable[Path], log: ConversionLog) -> None:
    """Take blocked videos out of a database; the log lists each.

    Args:
        database: The ``database`` of ``annotations.json``; is changed.
        paths: Files of video ids.
        log: Lists the videos.

    Raises:
        UserError: If a file cannot be read, or nothing would be left.
    """
    for path in paths:
        ids = read_video_list(path)
        for name in ids:
            entry = database.pop(name, None)
            if entry is not None:
                log.drop(name, f'blocked by {path.name}; {len(entry["annotations"])} instances left with it')
        log.sources.setdefault('blocked', []).append(str(path))
        log.remarks.append(f'{path.name} blocks {len(ids)} videos')
        if not database:
            raise UserError(f'{path} blocks every video of the annotations')


def positive(text: str) -> float:
    """Return an option's value as a positive number."""
    value = float(text)
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'expected a number above 0, found {text}')
    return value


def names(text: str) -> list[str]:
    """Return the distinct names of ``a,b,...``."""
    found = [name.strip() for name in text.split(',')]
    if not all(found) or len(set(found)) != len(found):
        raise argparse.ArgumentTypeError(f'expected distinct names a,b,..., found {text!r}')
    return found


def pairs(text: str) -> dict[str, str]:
    """Return the pairs of ``a=x,b=y,...``."""
    found: dict[str, str] = {}
    for part in text.split(','):
        name, _, value = (piece.strip() for piece in part.partition('='))
        if not name or not value or name in found:
            raise argparse.ArgumentTypeError(f'expected pairs a=x,b=y,..., found {text!r}')
        found[name] = value
    return found


def modalities(text: str) -> dict[str, list[int]]:
    """Return the channel range [first, end) of each modality of ``rgb=1024,flow=1024``."""
    ranges: dict[str, list[int]] = {}
    end = 0
    for part in text.split(','):
        name, _, width = part.strip().partition('=')
        if not name or name in ranges or not width.isdecimal() or int(width) == 0:
            raise argparse.ArgumentTypeError(f'expected name=channels,..., as in rgb=1024,flow=1024, found {text!r}')
        ranges[name] = [end, end := end + int(width)]
    return ranges
