"""Convert own videos into a data root: a folder of feature files and CSV files of labels.

    python tools/dataset_converters/custom.py FEATURES LABELS.csv OUT --fps 25 --stride 16

FEATURES holds ``<video>.npy``, an array (T, D), for each video. LABELS.csv has rows ``video,label[;label...]`` for the
training videos; an empty label makes a video a negative. ``--test-csv`` has rows ``video,start,end,label`` in seconds;
``video,,,`` is a test video without instances. A header row is optional. See ``mmwtal/conversion/label_csv.py``.

The time grid comes from the options and from FEATURES/features.json where that exists. Where the stride is not known,
``--linear-time`` spreads each video's snippets evenly over its duration.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmwtal.conversion.audit import ConversionLog, format_audit
from mmwtal.conversion.data_root import FEATURES_NAME, DataRootWriter
from mmwtal.conversion.feature_folder import needs_conversion, open_features
from mmwtal.conversion.label_csv import Instance, read_durations, read_labels, read_segments
from mmwtal.conversion.options import add_grid_options, grid_options, names
from mmwtal.conversion.time_grid import TimeGrid, VideoTime, sidecar_content
from mmwtal.formats.sidecar import read_sidecar
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import real_path


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What the CSV files state.

    Args:
        training: Labels by training video.
        test: Instances by test video.
        classes: The class names.
    """

    training: Mapping[str, list[str]]
    test: Mapping[str, list[Instance]]
    classes: list[str]

    @property
    def videos(self) -> list[str]:
        """Every video, once."""
        return list(dict.fromkeys([*self.training, *self.test]))


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(
        description='Convert a folder of features and CSV files of labels into a data root.'
    )
    parser.add_argument('features', type=Path, help='folder of <video>.npy, each (T, D)')
    parser.add_argument('labels', type=Path, help='CSV of the training videos: video,label[;label...]')
    parser.add_argument('out', type=Path, help='the data root to write')
    parser.add_argument('--test-csv', type=Path, help='CSV of the test videos: video,start,end,label, in seconds')
    parser.add_argument(
        '--train-subset', choices=('training', 'validation'), default='training', help='subset of the videos in LABELS'
    )
    add_grid_options(parser)
    parser.add_argument('--classes', type=names, help='class names a,b,... in order; else the labels, sorted')
    how = parser.add_mutually_exclusive_group()
    how.add_argument('--copy', dest='link', action='store_false', help='copy the feature files (default)')
    how.add_argument('--link', action='store_true', help='link to the feature files, which then have to stay')
    parser.set_defaults(link=False)
    parser.add_argument('--overwrite', action='store_true', help='replace an earlier conversion at OUT')
    return parser


def main(args: argparse.Namespace) -> None:
    """Check everything, then convert and print the audit."""
    problems: list[str] = []
    sources = {
        name: str(path) for name in ('features', 'labels', 'test_csv', 'durations') if (path := vars(args)[name])
    }
    log = ConversionLog(converter='custom', sources=sources)
    labels = read_all_labels(args, problems)
    sidecar = read_sidecar(args.features)
    in_place = real_path(args.out / FEATURES_NAME) == real_path(args.features)
    arrays = open_features(args.features, labels.videos, sidecar, problems)
    if in_place:
        problems += [
            f'{args.features / video}.npy has to be converted from {array.dtype}, but OUT/features is FEATURES itself: '
            'name another OUT'
            for video, array in arrays.items()
            if needs_conversion(array)
        ]
    grid = TimeGrid(
        options=grid_options(args),
        durations=read_durations(args.durations, problems) if args.durations else {},
        durations_path=args.durations,
        sidecar=sidecar,
        problems=problems,
    )
    times = {video: time for video, array in arrays.items() if (time := grid.video(video, len(array)))}
    database = make_database(labels, times, args.train_subset, problems)
    content = sidecar_content(
        args.features,
        grid,
        times,
        widths={array.shape[1] for array in arrays.values()},
        lengths={len(array) for array in arrays.values()},
        modalities=args.modalities,
        keep_all=in_place,
        problems=problems,
    )
    if problems:
        raise UserError('\n  '.join([f'nothing was written, {len(problems)} to mend:', *problems]))
    add_remarks(args.features, labels, times, log)
    writer = DataRootWriter(args.out, log=log, overwrite=args.overwrite, in_place=in_place)
    for video, array in arrays.items():
        if needs_conversion(array):
            writer.add_features(video, array)
        else:
            writer.adopt_features(video, args.features / f'{video}.npy', link=args.link)
    print(format_audit(writer.finish(database=database, classes=labels.classes, sidecar=content)))
    print(f'\ndata root: {args.out}')


def read_all_labels(args: argparse.Namespace, problems: list[str]) -> Labels:
    """Read the CSV files of labels; faults within and between them are appended to ``problems``."""
    training = read_labels(args.labels, problems)
    test = read_segments(args.test_csv, problems) if args.test_csv else {}
    problems += [f'video {video} is in {args.labels} and in {args.test_csv}' for video in training if video in test]
    used = dict.fromkeys(name for names in training.values() for name in names)
    used |= dict.fromkeys(instance.label for instances in test.values() for instance in instances)
    classes = args.classes or sorted(used)
    unknown = [name for name in used if name not in classes]
    problems += [f'label {name!r} is not among --classes {",".join(classes)}' for name in unknown]
    if not used:
        problems.append(f'{args.labels}: no video has a label')
    return Labels(training=training, test=test, classes=classes)


def make_database(
    labels: Labels, times: Mapping[str, VideoTime], train_subset: str, problems: list[str]
) -> dict[str, dict[str, Any]]:
    """Return the ``database`` of ``annotations.json`` for the videos whose time is known."""
    database: dict[str, dict[str, Any]] = {}
    for video, time in times.items():
        if video in labels.training:
            entry: dict[str, Any] = {'subset': train_subset, 'duration': time.duration, 'annotations': []}
            database[video] = {**entry, 'labels': labels.training[video]}
            continue
        instances = labels.test[video]
        problems += [
            f'video {video}: {instance.label} [{instance.start:g}, {instance.end:g}] starts after the video '
            f'({time.duration:g} s): times are in seconds'
            for instance in instances
            if instance.start >= time.duration
        ]
        annotations = [{'label': instance.label, 'segment': [instance.start, instance.end]} for instance in instances]
        database[video] = {'subset': 'test', 'duration': time.duration, 'annotations': annotations}
    return database


def add_remarks(folder: Path, labels: Labels, times: Mapping[str, VideoTime], log: ConversionLog) -> None:
    """Record what was left out or taken for granted."""
    for path in sorted(folder.glob('*.npy')):
        if path.stem not in times:
            log.drop(path.name, 'no CSV file names the video')
    guessed = [video for video, time in times.items() if not time.measured]
    if guessed:
        log.remarks.append(f'durations of {len(guessed)} videos were not stated: taken as the end of their features')
    trained = {name for names in labels.training.values() for name in names}
    for name in labels.classes:
        if name not in trained:
            log.remarks.append(f'no training video has the label {name}: it cannot be learned')


if __name__ == '__main__':
    run_tool(main, build_parser())
