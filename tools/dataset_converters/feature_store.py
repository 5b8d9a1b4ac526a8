"""Add features to a data root that has annotations: from an HDF5 file, an NPZ archive or a folder of ``.npy`` files.

    python tools/dataset_converters/feature_store.py features.npz data/mine --fps 25 --stride 16
    python tools/dataset_converters/feature_store.py sub_activitynet_v1-3.c3d.hdf5 data/activitynet13 \
        --name 'v_{video}/c3d_features' --linear-time
    python tools/dataset_converters/feature_store.py anet_i3d/ data/anet --name 'v_{video}' --fps 25 --stride 16

The store holds one array (T, D) a video. ``--name`` says what it is called; in an HDF5 file the name may lead through
groups. Everything is checked by shape and dtype before anything is written. An HDF5 file needs
``pip install -r requirements/hdf5.txt``.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmwtal.conversion.audit import ConversionLog, format_audit
from mmwtal.conversion.data_root import ANNOTATIONS_NAME, AUDIT_NAME, DataRootWriter, features_problem
from mmwtal.conversion.feature_folder import width_problems
from mmwtal.conversion.feature_store import FeatureStore, open_store
from mmwtal.conversion.label_csv import read_durations
from mmwtal.conversion.options import add_grid_options, grid_options
from mmwtal.conversion.time_grid import TimeGrid, sidecar_content
from mmwtal.formats.annotations import read_annotations
from mmwtal.formats.findings import Kind, faults, render
from mmwtal.formats.sidecar import read_sidecar
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError
from mmwtal.utils.json_file import read_json_object


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description='Add the features of a store to a data root that has annotations.')
    parser.add_argument('store', type=Path, help='HDF5 file, .npz archive or folder of .npy files')
    parser.add_argument('root', type=Path, help='the data root; an annotation converter wrote it')
    parser.add_argument(
        '--name', default='{video}', help='what the array of a video is called, as in v_{video}/c3d_features'
    )
    parser.add_argument('--transposed', action='store_true', help='the arrays are (D, T)')
    parser.add_argument(
        '--missing',
        choices=('error', 'drop'),
        default='error',
        help='drop: videos without features leave the annotations, and with them the evaluation',
    )
    add_grid_options(parser)
    parser.add_argument('--overwrite', action='store_true', help='replace features that are at ROOT already')
    return parser


def main(args: argparse.Namespace) -> None:
    """Check the whole store, then write the features and print the audit."""
    if '{video}' not in args.name:
        raise UserError(f'--name {args.name}: expected {{video}} in it, where the id of a video stands')
    database, classes, log = read_root(args.root)
    problems: list[str] = []
    with open_store(args.store) as store:
        log.sources['features'] = {'store': str(args.store), 'name': args.name}
        heads = read_heads(store, database, args, log, problems)
        folder = args.store if args.store.is_dir() else None
        sidecar = None if folder is None else read_sidecar(folder)
        grid = TimeGrid(
            options=grid_options(args),
            durations=known_durations(database, args.durations, problems),
            durations_path=args.durations or args.root / ANNOTATIONS_NAME,
            sidecar=sidecar,
            problems=problems,
        )
        times = {video: time for video, head in heads.items() if (time := grid.video(video, len(head)))}
        widths = {head.shape[1] for head in heads.values()}
        content = sidecar_content(folder, grid, times, widths=widths, modalities=args.modalities, problems=problems)
        if problems:
            raise UserError('\n  '.join([f'nothing was written, {len(problems)} to mend:', *problems]))
        for video, time in times.items():
            if time.measured:
                database[video]['duration'] = time.duration
        writer = DataRootWriter(args.root, log=log, overwrite=args.overwrite, adding=True)
        for video in heads:
            values = store.read(args.name.replace('{video}', video))
            writer.add_features(video, values.T if args.transposed else values)
    print(format_audit(writer.finish(database=database, classes=classes, sidecar=content)))
    print(f'\ndata root: {args.root}')


def read_root(root: Path) -> tuple[dict[str, dict[str, Any]], list[str], ConversionLog]:
    """Return the entries and classes of a data root, and the log of its conversion, to be continued.

    Args:
        root: The data root.

    Raises:
        UserError: If it has no sound annotations.
    """
    path = root / ANNOTATIONS_NAME
    if not path.is_file():
        raise UserError(f'{root} has no {ANNOTATIONS_NAME}: convert the annotations first (json_annotations.py, ...)')
    annotations = read_annotations(path)
    findings = [finding for video in annotations.videos.values() for finding in video.findings]
    # A released instance that starts after its video is for the protocol to judge.
    found = [finding for finding in faults(findings) if finding.kind is not Kind.OUTSIDE]
    if found:
        raise UserError(f'{path} has faulty entries:\n{render(found, limit=20)}')
    database = {
        name: {'annotations': [], **entry, 'subset': annotations.videos[name].subset}
        for name, entry in read_json_object(path, what='annotation file')['database'].items()
    }
    for entry in database.values():
        if entry.get('duration', 0) is None:
            del entry['duration']
    audit_path = root / AUDIT_NAME
    audit = dict(read_json_object(audit_path, what='audit')) if audit_path.is_file() else {}
    log = ConversionLog(
        converter=f'{audit.get("converter", "annotations")} + feature_store',
        sources=dict(audit.get('sources', {'annotations': str(path)})),
        dropped=list(audit.get('dropped', [])),
        changed=list(audit.get('changed', [])),
        remarks=list(audit.get('remarks', [])),
    )
    return database, list(annotations.classes or annotations.all_labels()), log


def read_heads(
    store: FeatureStore,
    database: dict[str, dict[str, Any]],
    args: argparse.Namespace,
    log: ConversionLog,
    problems: list[str],
) -> dict[str, np.ndarray]:
    """Return an array (T, D) of zeros for each video whose features are sound.

    Args:
        store: The features.
        database: With ``--missing drop`` the videos without features leave it.
        args: The options.
        log: Lists what was left out.
        problems: Missing and unsuitable arrays are appended.
    """
    heads: dict[str, np.ndarray] = {}
    missing: list[str] = []
    origins = {video: args.name.replace('{video}', video) for video in database}
    for video, name in origins.items():
        head = store.head(name)
        if head is None:
            missing.append(video)
            continue
        problem = head if isinstance(head, str) else features_problem(head)
        if problem:
            problems.append(f'{store.path}, {name}: {problem}')
        elif not isinstance(head, str):
            heads[video] = head.T if args.transposed else head
    problems += width_problems(heads, None, place=str(store.path), hint='if so, add --transposed')
    if missing and (args.missing == 'error' or len(missing) == len(database)):
        there = ', '.join(store.names()[:3]) or 'nothing'
        problems.append(
            f'{store.path} has no features of {len(missing)} of {len(database)} videos, the first is '
            f'{origins[missing[0]]}; it holds {there}, ...: correct --name, or leave them out with --missing drop'
        )
    elif missing:
        for video in missing:
            entry = database.pop(video)
            log.drop(video, f'{store.path.name} lacks it; {len(entry["annotations"])} {entry["subset"]} instances left')
    used = {store.top(name) for name in origins.values()}
    unused = [name for name in store.names() if name not in used]
    if unused:
        listed = ', '.join(unused[:5]) + (', ...' if len(unused) > 5 else '')
        log.drop(f'{len(unused)} entries of {store.path.name}', f'not named by the annotations: {listed}')
    return heads


def known_durations(
    database: Mapping[str, Mapping[str, Any]], path: Path | None, problems: list[str]
) -> dict[str, float]:
    """Return the durations of the annotations and, for videos without one, of a CSV file.

    Args:
        database: The entries of the videos.
        path: The CSV file, if there is one.
        problems: Faults of the file are appended.
    """
    stated = {video: entry['duration'] for video, entry in database.items() if entry.get('duration') is not None}
    return {**({} if path is None else read_durations(path, problems)), **stated}


if __name__ == '__main__':
    run_tool(main, build_parser())
