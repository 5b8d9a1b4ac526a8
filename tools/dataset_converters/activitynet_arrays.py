"""Convert ActivityNet as W-TALC, CO2-Net and their successors release it into a data root.

    python tools/dataset_converters/activitynet_arrays.py ActivityNet1.2-Annotations data/activitynet12 \
        --features ActivityNet1.2-I3D-JOINTFeatures.npy

Both inputs hold pickled Python objects; they are read without running anything. What the files mean:

- Version 1.2 names its videos video_1, video_2, ... and gives the YouTube address of each in ``url``; the part after
  ``v=`` becomes the id, so that the ids are those of the official files and of result files. Where there is no ``url``
  (version 1.3), ``videoname`` holds these ids.
- ``labels`` lists one label an instance and becomes the instances; ``labels_all`` becomes the labels of the video.
- The features are taken to have 25 frames a second and 16 a snippet, as the published evaluation does. The audit lists
  the videos whose features then end elsewhere than the video.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mmwtal.conversion.audit import ConversionLog, format_audit
from mmwtal.conversion.data_root import DataRootWriter
from mmwtal.conversion.options import add_blocked_option, drop_blocked
from mmwtal.conversion.released_arrays import (
    check_joint_features,
    class_list,
    decoded,
    make_database,
    read_columns,
    write_joint_features,
)
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError

SUBSETS = {'training': 'training', 'validation': 'validation'}


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description='Convert the ActivityNet arrays of the W-TALC family.')
    parser.add_argument('annotations', type=Path, help='the folder ActivityNet1.2-Annotations or its like')
    parser.add_argument('out', type=Path, help='the data root to write')
    parser.add_argument('--features', type=Path, help='ActivityNet1.2-I3D-JOINTFeatures.npy or its like')
    add_blocked_option(parser)
    parser.add_argument('--overwrite', action='store_true', help='replace an earlier conversion at OUT')
    return parser


def main(args: argparse.Namespace) -> None:
    """Convert and print the audit."""
    log = ConversionLog(converter='activitynet_arrays', sources={'annotations': str(args.annotations)})
    columns = read_columns(args.annotations, optional=['url'])
    database = make_database(args.annotations, columns, video_ids(args.annotations, columns), SUBSETS)
    if args.features is not None:
        log.sources['features'] = str(args.features)
        check_joint_features(args.features, len(database))
    writer = DataRootWriter(args.out, log=log, overwrite=args.overwrite, with_features=args.features is not None)
    sidecar = None
    if args.features is not None:
        sidecar = write_joint_features(args.features, database, writer, source='as released with the W-TALC family')
    # Not before the features: theirs is the order of all videos.
    drop_blocked(database, args.blocked, log)
    writer.forget_features(set(writer.facts) - set(database))
    classes = sorted(class_list(columns))
    print(format_audit(writer.finish(database=database, classes=classes, sidecar=sidecar)))
    print(f'\ndata root: {args.out}' + ('' if sidecar else ', still without features: give --features'))


def video_ids(folder: Path, columns: Mapping[str, np.ndarray]) -> list[str]:
    """Return the YouTube ids of the videos: from ``url`` where there is one, else ``videoname``.

    Args:
        folder: Where the arrays are from, for messages.
        columns: The arrays.

    Raises:
        UserError: If an address holds no id.
    """
    if 'url' not in columns:
        return decoded(columns['videoname'], 'videoname.npy')
    addresses = decoded(columns['url'], 'url.npy')
    ids = [address.partition('v=')[2].partition('&')[0] for address in addresses]
    bad = [address for address, video in zip(addresses, ids, strict=True) if not video]
    if bad:
        raise UserError(f'{folder / "url.npy"}: expected addresses with ...watch?v=ID, found {bad[0]!r:.120}')
    return ids


if __name__ == '__main__':
    run_tool(main, build_parser())
