"""Convert THUMOS14 as the CO2-Net family releases it into a data root.

The input is the folder ``Thumos14reduced-Annotations`` and, for the features, the file
``Thumos14reduced-I3D-JOINTFeatures.npy``. Both hold pickled Python objects; they are read without running anything.

What the files mean, and what is done with it:

- ``labels`` lists one label an instance and becomes the instances; ``labels_all`` lists the labels of the video and
  becomes its ``labels``. The published code trains on ``labels_all`` and evaluates on ``labels``; where the two differ,
  both are kept as they are and the audit lists the video.
- The subset ``validation`` is what everybody trains on and becomes ``training``.
- ``extracted_fps`` says 10 throughout, although the released features have 25 frames a second and 16 a snippet. It is
  ignored, as in the published code.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmwtal.conversion.audit import ConversionLog, format_audit
from mmwtal.conversion.data_root import DataRootWriter
from mmwtal.conversion.released_arrays import (
    FPS,
    STRIDE,
    check_joint_features,
    class_list,
    decoded,
    make_database,
    read_columns,
    write_joint_features,
)
from mmwtal.conversion.thumos_text import read_stretches
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError

SUBSETS = {'validation': 'training', 'test': 'test'}
AMBIGUOUS_NAME = 'Ambiguous_test.txt'
KNOWN_BAD = {
    'video_test_0000270': 'its labels_all is empty, but it has instances, most of them past its end',
    'video_test_0001292': 'the released sets lack it, so nothing is predicted for it',
    'video_test_0001496': 'its labels_all says FrisbeeCatch, its instances say CricketShot',
}


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description='Convert the THUMOS14 files of the CO2-Net family into a data root.')
    parser.add_argument('annotations', type=Path, help='the folder Thumos14reduced-Annotations')
    parser.add_argument('out', type=Path, help='the data root to write')
    parser.add_argument(
        '--features',
        type=Path,
        help='Thumos14reduced-I3D-JOINTFeatures.npy; read once from start to end, one video in memory at a time. '
        'Without it only the annotations are converted',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace an earlier conversion at OUT')
    return parser


def main(args: argparse.Namespace) -> None:
    """Convert and print the audit."""
    log = ConversionLog(converter='thumos14', sources={'annotations': str(args.annotations)})
    columns = read_columns(args.annotations, optional=['extracted_fps'])
    database = make_database(args.annotations, columns, decoded(columns['videoname'], 'videoname.npy'), SUBSETS)
    add_ambiguous(args.annotations / AMBIGUOUS_NAME, database, log)
    add_remarks(columns, database, log)
    if args.features is not None:
        log.sources['features'] = str(args.features)
        check_joint_features(args.features, len(database))
    else:
        log.remarks.append(
            'no features were converted: add them as features/<video id>.npy with a features.json, '
            'or run this again with --features and --overwrite'
        )
    writer = DataRootWriter(args.out, log=log, overwrite=args.overwrite, with_features=args.features is not None)
    sidecar = None
    if args.features is not None:
        sidecar = write_joint_features(args.features, database, writer, source='as released with the CO2-Net family')
    print(format_audit(writer.finish(database=database, classes=class_list(columns), sidecar=sidecar)))
    print(f'\ndata root: {args.out}')


def add_ambiguous(path: Path, database: dict[str, dict[str, Any]], log: ConversionLog) -> None:
    """Add the ambiguous stretches, lines of ``video start end`` in seconds, to the database.

    Args:
        path: The text file; its absence is remarked.
        database: Is changed.
        log: Lists lines on videos that are not in the database as dropped.

    Raises:
        UserError: If the file cannot be read or a line is malformed.
    """
    if not path.is_file():
        log.remarks.append(f'{path.name} is absent: no ambiguous stretches, so protocols that need them filter nothing')
        return
    problems: list[str] = []
    for name, start, end in read_stretches(path, problems):
        if name in database:
            database[name].setdefault('ambiguous', []).append([start, end])
        else:
            log.drop(f'ambiguous stretch [{start:g}, {end:g}] of {name}', 'the annotations lack the video')
    if problems:
        raise UserError('\n  '.join([f'{path}: {len(problems)} faulty lines:', *problems]))


def add_remarks(columns: Mapping[str, np.ndarray], database: Mapping[str, Any], log: ConversionLog) -> None:
    """Add what is known of these files to the log."""
    if 'extracted_fps' in columns:
        stated = ', '.join(dict.fromkeys(map(str, columns['extracted_fps'].reshape(-1).tolist())))
        log.remarks.append(
            f'extracted_fps.npy says {stated} and is ignored: the released features have {FPS} fps and stride {STRIDE}'
        )
    stretches = sum(len(entry.get('ambiguous', ())) for entry in database.values())
    log.remarks.append(f'{stretches} ambiguous stretches')
    for name, reason in KNOWN_BAD.items():
        log.remarks.append(f'known to be bad: {name} ({"kept" if name in database else "absent"}): {reason}')


if __name__ == '__main__':
    run_tool(main, build_parser())
