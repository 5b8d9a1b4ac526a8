"""Convert own videos into a data root: a folder of feature files and CSV files of labels.

    python tools/dataset_converters/custom.py FEATURES LABELS.csv OUT --fps 25 --stride 16

FEATURES holds ``<video>.npy``, an array (T, D), for each video. LABELS.csv has rows ``video,label[;label...]`` for the
training videos; an empty label makes a video a negative. ``--test-csv`` has rows ``video,start,end,label`` in seconds;
``video,,,`` is a test video without instances. A header row is optional. See ``mmwtal/datasets/label_csv.py``.

The time grid comes from the options and from FEATURES/features.json where that exists. Where the stride is not known,
``--linear-time`` spreads each video's snippets evenly over its duration.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmwtal.conversion.audit import ConversionLog, format_audit
from mmwtal.conversion.data_root import FEATURES_NAME, DataRootWriter
from mmwtal.conversion.feature_folder import needs_conversion, open_features
from mmwtal.conversion.label_csv import Instance, read_durations, read_labels, read_segments
from mmwtal.conversion.time_grid import GridOptions, TimeGrid, VideoTime
from mmwtal.formats.sidecar import read_sidecar
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import real_path
from mmwtal.utils.json_file import read_json_object


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
    parser.add_argument('--fps', type=_positive, help='frames a second that stride and window count in')
    parser.add_argument('--stride', type=_positive, help='frames from one snippet to the next')
    parser.add_argument('--window', type=_positive, help='frames that a snippet sees; the stride if not stated')
    parser.add_argument('--durations', type=Path, help='CSV: video,duration, in seconds')
    parser.add_argument(
        '--linear-time', action='store_true', help="spread each video's snippets evenly over its duration"
    )
    parser.add_argument('--classes', type=_names, help='class names a,b,... in order; else the labels, sorted')
    parser.add_argument(
        '--modalities', type=_modalities, help='channels of each modality in order, as in rgb=1024,flow=1024'
    )
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
        options=GridOptions(fps=args.fps, stride=args.stride, window=args.window, linear=args.linear_time),
        durations=read_durations(args.durations, problems) if args.durations else {},
        durations_path=args.durations,
        sidecar=sidecar,
        problems=problems,
    )
    times = {video: time for video, array in arrays.items() if (time := grid.video(video, len(array)))}
    database = make_database(labels, times, args.train_subset, problems)
    content = make_sidecar(args, grid, times, arrays, keep_all=in_place, problems=problems)
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


def make_sidecar(
    args: argparse.Namespace,
    grid: TimeGrid,
    times: Mapping[str, VideoTime],
    arrays: Mapping[str, np.ndarray],
    *,
    keep_all: bool,
    problems: list[str],
) -> dict[str, Any]:
    """Return the content of ``features.json``: what the feature folder's own says, completed.

    Args:
        args: The options.
        grid: The time grid of the folder.
        times: The time of each video.
        arrays: The features of each video.
        keep_all: Keep the entries of videos that are not converted, since the file is replaced in place.
        problems: Contradictions about modalities are appended.
    """
    path = args.features / 'features.json'
    content = dict(read_json_object(path, what='feature sidecar')) if path.exists() else {}
    given = content.pop('videos', {})
    # What an entry that is no object is, is among the problems already.
    videos = {
        video: entry for video, entry in given.items() if isinstance(entry, dict) and (keep_all or video in times)
    }
    for video, time in times.items():
        videos[video] = {**videos.get(video, {}), **time.grid}
    if args.modalities is not None:
        if content.get('modalities', args.modalities) != args.modalities:
            problems.append(f'--modalities {args.modalities} contradicts {content["modalities"]} in {path}')
        widths = {array.shape[1] for array in arrays.values()}
        end = max(last for _, last in args.modalities.values())
        if widths and widths != {end}:
            turned = {len(array) for array in arrays.values()} == {end}
            hint = '; the arrays look like (D, T): store them transposed, as (T, D)' if turned else ''
            found = ', '.join(map(str, sorted(widths)))
            problems.append(f'--modalities has {end} channels, the features have {found}{hint}')
        content['modalities'] = args.modalities
    return {**content, **grid.folder, 'videos': videos}


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


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'expected a number above 0, found {text}')
    return value


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(',')]
    if not all(names) or len(set(names)) != len(names):
        raise argparse.ArgumentTypeError(f'expected distinct names a,b,..., found {text!r}')
    return names


def _modalities(text: str) -> dict[str, list[int]]:
    ranges: dict[str, list[int]] = {}
    end = 0
    for part in text.split(','):
        name, _, width = part.strip().partition('=')
        if not name or name in ranges or not width.isdecimal() or int(width) == 0:
            raise argparse.ArgumentTypeError(f'expected name=channels,..., as in rgb=1024,flow=1024, found {text!r}')
        ranges[name] = [end, end := end + int(width)]
    return ranges


if __name__ == '__main__':
    run_tool(main, build_parser())
