"""Convert the folders of the BaS-Net family (BaS-Net, UM, CoLA, ACM-Net and others) into a data root.

    python tools/dataset_converters/basnet.py dataset/THUMOS14 data/thumos14

The folder holds ``features/{train,test}/{rgb,flow}/VIDEO.npy``, each (T, 1024), ``gt.json``, ``split_train.txt`` and
``split_test.txt``. The split files decide which videos there are and in which subset; the labels of the training videos
are those of their instances in ``gt.json``, as in the published code. RGB and flow are joined to (T, 2048). Where one
of them is longer by a snippet or two, its end is cut, which the audit lists: the published code reads as many snippets
as RGB has.

``gt.json`` states no durations, so none are written: times are then clipped by the features alone.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from mmwtal.conversion.annotation_json import LAYOUTS, SourceAnnotations, find_classes, read_annotation_json
from mmwtal.conversion.audit import ConversionLog, format_audit
from mmwtal.conversion.data_root import DataRootWriter
from mmwtal.conversion.feature_folder import open_features
from mmwtal.conversion.released_arrays import joint_sidecar
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import read_text

SPLITS = {'train': 'training', 'test': 'test'}
MODALITIES = ('rgb', 'flow')


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description='Convert the folders of the BaS-Net family into a data root.')
    parser.add_argument('folder', type=Path, help='the folder of features/, gt.json and split_*.txt')
    parser.add_argument('out', type=Path, help='the data root to write')
    parser.add_argument(
        '--max-cut', type=int, default=2, help='snippets by which RGB and flow may differ in length (default 2)'
    )
    parser.add_argument('--no-features', action='store_true', help='convert the annotations only')
    parser.add_argument('--overwrite', action='store_true', help='replace an earlier conversion at OUT')
    return parser


def main(args: argparse.Namespace) -> None:
    """Check everything, then convert and print the audit."""
    if not args.folder.is_dir():
        raise UserError(f'{args.folder} is no folder: expected one with features/, gt.json and split_train.txt')
    log = ConversionLog(converter='basnet', sources={'folder': str(args.folder)})
    problems: list[str] = []
    source = SourceAnnotations()
    read_annotation_json(
        args.folder / 'gt.json', layout=LAYOUTS['activitynet'], subset=None, into=source, problems=problems
    )
    splits = {split: read_split(args.folder / f'split_{split}.txt', problems) for split in SPLITS}
    database = make_database(args.folder, splits, source, log, problems)
    classes, _ = find_classes(source, None, problems)
    arrays = {} if args.no_features else open_all(args.folder, splits, args.max_cut, problems)
    if problems:
        raise UserError('\n  '.join([f'nothing was written, {len(problems)} to mend:', *problems]))
    writer = DataRootWriter(args.out, log=log, overwrite=args.overwrite, with_features=not args.no_features)
    for video, (rgb, flow) in arrays.items():
        length = min(len(rgb), len(flow))
        if len(rgb) != len(flow):
            log.change(f'features of {video}', f'{len(rgb)} RGB and {len(flow)} flow snippets cut to {length}')
        writer.add_features(video, np.concatenate([rgb[:length], flow[:length]], axis=1))
    widths = [array.shape[1] for array in next(iter(arrays.values()), ())]
    sidecar = joint_sidecar(*widths, source='as released with the BaS-Net family') if arrays else None
    print(format_audit(writer.finish(database=database, classes=classes, sidecar=sidecar)))
    print(f'\ndata root: {args.out}')


def read_split(path: Path, problems: list[str]) -> list[str]:
    """Return the videos of a split file, one a line; repetitions and an empty file are appended to ``problems``."""
    videos = [video for line in read_text(path, what='split file').splitlines() if (video := line.strip())]
    if not videos:
        problems.append(f'{path}: expected one video a line, found none')
    problems += [f'{path}: {video} is there more than once' for video in set(videos) if videos.count(video) > 1]
    return list(dict.fromkeys(videos))


def make_database(
    folder: Path, splits: dict[str, list[str]], source: SourceAnnotations, log: ConversionLog, problems: list[str]
) -> dict[str, dict[str, Any]]:
    """Return the ``database`` of ``annotations.json``.

    Args:
        folder: The folder, for messages.
        splits: The videos of each split.
        source: What ``gt.json`` says.
        log: Lists what is left out and what the splits change.
        problems: Videos that are in no or in several places are appended.
    """
    database: dict[str, dict[str, Any]] = {}
    for split, subset in SPLITS.items():
        for video in splits[split]:
            entry = source.database.get(video)
            if entry is None:
                problems.append(f'{folder / "gt.json"} has no entry for {video} of split_{split}.txt')
            elif video in database:
                problems.append(f'{video} is in split_train.txt and in split_test.txt')
            else:
                database[video] = {**entry, 'subset': subset}
    for video, entry in source.database.items():
        if video not in database:
            log.drop(video, f'in no split file; {len(entry["annotations"])} instances left with it')
        elif SPLITS.get(entry['subset'], entry['subset']) != database[video]['subset']:
            log.change(f'subset of {video}', f'gt.json says {entry["subset"]}, the split file decides')
    return database


def open_all(
    folder: Path, splits: dict[str, list[str]], max_cut: int, problems: list[str]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return RGB and flow features of each video, mapped into memory.

    Args:
        folder: The folder.
        splits: The videos of each split.
        max_cut: Snippets by which the two may differ.
        problems: Missing and unsuitable files are appended.
    """
    opened: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for split, videos in splits.items():
        place = folder / 'features' / split
        rgb, flow = (open_features(place / modality, videos, None, problems) for modality in MODALITIES)
        for video in rgb.keys() & flow.keys():
            if abs(len(rgb[video]) - len(flow[video])) > max_cut:
                problems.append(
                    f'{place}: {video} has {len(rgb[video])} RGB and {len(flow[video])} flow snippets: features of '
                    'different frame rates? Extract them again, or allow more with --max-cut'
                )
        opened |= {video: (rgb[video], flow[video]) for video in videos if video in rgb and video in flow}
    widths = {(rgb.shape[1], flow.shape[1]) for rgb, flow in opened.values()}
    if len(widths) > 1:
        problems.append(f'{folder}: expected one width of RGB and one of flow, found {sorted(widths)}')
    return opened


if __name__ == '__main__':
    run_tool(main, build_parser())
