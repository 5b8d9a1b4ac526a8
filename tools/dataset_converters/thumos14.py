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
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmwtal.conversion.audit import ConversionLog, format_audit
from mmwtal.conversion.data_root import DataRootWriter
from mmwtal.evaluation.json_source import numbers
from mmwtal.formats.annotations import class_names, video_id_problem
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import read_text
from mmwtal.utils.safe_pickle import load_object_array, read_object_array_shape

FPS, STRIDE = 25, 16
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
    columns = read_columns(args.annotations)
    classes = list(class_names(_decoded(columns['classlist'], 'classlist.npy'), origin='classlist.npy'))
    database = make_database(args.annotations, columns, classes)
    add_ambiguous(args.annotations / AMBIGUOUS_NAME, database, log)
    add_remarks(columns, database, log)
    if args.features is not None:
        log.sources['features'] = str(args.features)
        shape = read_object_array_shape(args.features)
        if shape != (len(database),):
            raise UserError(
                f'{args.features}: expected one array (T, D) for each of the {len(database)} videos of the '
                f'annotations, found an array of shape {shape}'
            )
    else:
        log.remarks.append(
            'no features were converted: add them as features/<video id>.npy with a features.json, '
            'or run this again with --features and --overwrite'
        )
    writer = DataRootWriter(args.out, log=log, overwrite=args.overwrite, with_features=args.features is not None)
    sidecar = None if args.features is None else write_features(args.features, list(database), writer)
    print(format_audit(writer.finish(database=database, classes=classes, sidecar=sidecar)))
    print(f'\ndata root: {args.out}')


def read_columns(folder: Path) -> dict[str, np.ndarray]:
    """Read the annotation arrays, one entry a video each (``classlist``: one a class).

    Args:
        folder: The annotation folder.

    Raises:
        UserError: If an array is missing, or they disagree about the number of videos.
    """
    if not folder.is_dir():
        raise UserError(f'{folder} is no folder: expected the folder Thumos14reduced-Annotations')
    names = ('videoname', 'subset', 'duration', 'segments', 'labels', 'labels_all', 'classlist')
    missing = [f'{name}.npy' for name in names if not (folder / f'{name}.npy').is_file()]
    if missing:
        raise UserError(f'{folder} lacks {", ".join(missing)}: expected the files of Thumos14reduced-Annotations')
    columns = {name: load_object_array(folder / f'{name}.npy') for name in names}
    optional = folder / 'extracted_fps.npy'
    if optional.is_file():
        columns['extracted_fps'] = load_object_array(optional)
    shapes = {name: column.shape for name, column in columns.items()}
    lengths = {shape[:1] for name, shape in shapes.items() if name != 'classlist'}
    if len(lengths) != 1 or () in shapes.values():
        raise UserError(f'{folder}: expected one entry a video in each array, found the shapes {shapes}')
    return columns


def make_database(folder: Path, columns: Mapping[str, np.ndarray], classes: list[str]) -> dict[str, dict[str, Any]]:
    """Return the ``database`` of ``annotations.json``.

    Args:
        folder: Where the arrays are from, for messages.
        columns: What :func:`read_columns` returned.
        classes: The class names.

    Raises:
        UserError: For all videos at once whose entries are inconsistent.
    """
    names = _decoded(columns['videoname'].tolist(), 'videoname.npy')
    database: dict[str, dict[str, Any]] = {}
    problems = [f'{name} occurs more than once in videoname.npy' for name, count in Counter(names).items() if count > 1]
    for i, name in enumerate(names):
        try:
            database[name] = _entry({key: column[i] for key, column in columns.items() if key != 'classlist'}, classes)
        except UserError as error:
            problems.append(f'{name}: {error}')
    if problems:
        raise UserError('\n  '.join([f'{folder}: {len(problems)} faulty entries:', *problems]))
    return database


def _entry(fields: Mapping[str, Any], classes: list[str]) -> dict[str, Any]:
    """Return the entry of one video; raise a UserError that names all its faults."""
    problems = [problem] if (problem := video_id_problem(_decoded([fields['videoname']], 'videoname')[0])) else []
    subset = _decoded([fields['subset']], 'subset')[0]
    labels, of_video = (_decoded(fields[key], key) for key in ('labels', 'labels_all'))
    segments = [numbers([segment], (2,)) for segment in _listed(fields['segments'], 'segments')]
    duration = numbers([np.asarray(fields['duration'], dtype=object).reshape(-1).tolist()], (1,))
    if subset not in SUBSETS:
        problems.append(f'expected the subset validation or test, found {subset!r}')
    if len(segments) != len(labels):
        problems.append(f'{len(segments)} segments, but {len(labels)} labels')
    if any(segment is None for segment in segments):
        problems.append('expected [start, end] in seconds as each segment')
    if duration is None or duration[0, 0] <= 0:
        problems.append(f'expected the duration in seconds, found {fields["duration"]}')
    unknown = sorted(set(labels + of_video) - set(classes))
    if unknown:
        problems.append(f'classlist.npy lacks the labels {", ".join(unknown)}')
    if problems or duration is None:
        raise UserError('; '.join(problems))
    times = [segment[0].tolist() for segment in segments if segment is not None]
    return {
        'subset': SUBSETS[subset],
        'duration': float(duration[0, 0]),
        'annotations': [{'label': name, 'segment': time} for name, time in zip(labels, times, strict=True)],
        'labels': of_video,
    }


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
    for number, line in enumerate(read_text(path, what='file of ambiguous stretches').splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        try:
            name, start, end = fields[0], *map(float, fields[1:])
        except ValueError as error:
            raise UserError(f'{path}, line {number}: expected "video start end" in seconds, found {line!r}') from error
        if not math.isfinite(start) or not math.isfinite(end):
            raise UserError(f'{path}, line {number}: expected finite seconds, found {line!r}')
        if name in database:
            database[name].setdefault('ambiguous', []).append([start, end])
        else:
            log.drop(f'ambiguous stretch [{start:g}, {end:g}] of {name}', 'the annotations lack the video')


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


def write_features(path: Path, names: list[str], writer: DataRootWriter) -> dict[str, Any]:
    """Split the joint feature file into one file a video, in one pass with one video in memory.

    Args:
        path: An object array of (T, D), RGB in the first half of the channels and flow in the second; in the order of
            ``videoname.npy``.
        names: The video ids in that order.
        writer: Takes the features.

    Returns:
        The sidecar.

    Raises:
        UserError: If the file does not hold one feature array a video.
    """
    count = 0

    def visit(features: np.ndarray) -> None:
        nonlocal count
        if count == len(names):
            raise UserError(f'{path}: expected features of {count} videos, as the annotations have, found more')
        writer.add_features(names[count], features)
        count += 1

    result = load_object_array(path, visit=visit)
    if count != len(names) or result.shape != (count,):
        raise UserError(
            f'{path}: expected one array (T, D) for each of the {len(names)} videos of the annotations, '
            f'found {count} in an array of shape {result.shape}'
        )
    widths = {facts.width for facts in writer.facts.values()}
    width = min(widths)
    if len(widths) > 1 or width % 2:
        raise UserError(f'{path}: expected features of one even width (RGB and flow), found {sorted(widths)}')
    modalities = {'rgb': [0, width // 2], 'flow': [width // 2, width]}
    return {
        'fps': FPS,
        'stride': STRIDE,
        'window': STRIDE,
        'model': 'I3D, RGB and flow, as released with the CO2-Net family',
        'width': width,
        'modalities': modalities,
    }


def _decoded(names: Any, origin: str) -> list[str]:
    """Return names as texts; raise a UserError for anything else."""
    try:
        decoded = [name.decode() if isinstance(name, bytes) else name for name in _listed(names, origin)]
    except UnicodeDecodeError as error:
        raise UserError(f'{origin}: {error.object!r} is not UTF-8') from error
    for name in decoded:
        if not isinstance(name, str) or not name.isprintable() or not name:
            raise UserError(f'{origin}: expected names, found {name!r:.80}')
    return [str(name) for name in decoded]


def _listed(value: Any, origin: str) -> list[Any]:
    if isinstance(value, np.ndarray) and value.ndim:
        return value.tolist()
    if not isinstance(value, list | tuple):
        raise UserError(f'{origin}: expected a list, found {value!r:.80}')
    return list(value)


if __name__ == '__main__':
    run_tool(main, build_parser())
