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
from pathlib import Path

from mmwtal.conversion.audit import ConversionLog, format_audit
from mmwtal.conversion.data_root import FEATURES_NAME, DataRootWriter
from mmwtal.conversion.feature_folder import needs_conversion, open_features
from mmwtal.conversion.label_csv import read_durations
from mmwtal.conversion.options import add_grid_options, add_label_options, grid_options
from mmwtal.conversion.own_labels import Labels, make_database, read_own_labels
from mmwtal.conversion.time_grid import TimeGrid, VideoTime, sidecar_content
from mmwtal.formats.sidecar import read_sidecar
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import real_path


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(
        description='Convert a folder of features and CSV files of labels into a data root.'
    )
    parser.add_argument('features', type=Path, help='folder of <video>.npy, each (T, D)')
    parser.add_argument('labels', type=Path, help='CSV of the training videos: video,label[;label...]')
    parser.add_argument('out', type=Path, help='the data root to write')
    add_label_options(parser)
    add_grid_options(parser)
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
    labels = read_own_labels(args.labels, args.test_csv, args.classes, problems)
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
    durations = {video: time.duration for video, time in times.items()}
    database = make_database(labels, durations, args.train_subset, problems)
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
