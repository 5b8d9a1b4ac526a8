"""Convert the text files of the THUMOS14 challenge into a data root without features.

    python tools/dataset_converters/thumos14_official.py TH14_Temporal_annotations_validation/annotation \
        TH14_Temporal_Annotations_Test/annotations/annotation data/thumos14

Each folder holds ``CLASS_val.txt`` or ``CLASS_test.txt`` for each of the 20 classes and ``Ambiguous_val.txt`` or
``Ambiguous_test.txt``: lines of ``video start end`` in seconds. The validation videos are what everybody trains on and
become the subset ``training``. The files state no durations: ``--durations`` takes them from a CSV file.
"""

import argparse
import re
from pathlib import Path
from typing import Any

from mmwtal.conversion.audit import ConversionLog, format_audit
from mmwtal.conversion.data_root import DataRootWriter
from mmwtal.conversion.label_csv import read_durations
from mmwtal.conversion.options import add_blocked_option, drop_blocked
from mmwtal.conversion.thumos_text import AMBIGUOUS, CLASS_NUMBERS, read_class_numbers, read_stretches
from mmwtal.formats.annotations import video_id_problem
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError

SUBSETS = {'val': 'training', 'test': 'test'}
CLASS_LIST = 'detclasslist.txt'
_NAME = re.compile(r'(?P<label>\w+)_(?P<subset>val|test)\.txt')


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description='Convert the text files of the THUMOS14 challenge into a data root.')
    parser.add_argument('folders', nargs='+', type=Path, help='folders of CLASS_val.txt or CLASS_test.txt')
    parser.add_argument('out', type=Path, help='the data root to write')
    parser.add_argument('--durations', type=Path, help='CSV: video,duration, in seconds')
    add_blocked_option(parser)
    parser.add_argument('--overwrite', action='store_true', help='replace an earlier conversion at OUT')
    return parser


def main(args: argparse.Namespace) -> None:
    """Read and check everything, then write the annotations and print the audit."""
    log = ConversionLog(converter='thumos14_official', sources={'annotations': [str(path) for path in args.folders]})
    problems: list[str] = []
    database: dict[str, dict[str, Any]] = {}
    ambiguous: list[tuple[str, float, float]] = []
    for folder in args.folders:
        ambiguous += read_folder(folder, database, log, problems)
    for video, start, end in ambiguous:
        if video in database:
            database[video].setdefault('ambiguous', []).append([start, end])
        else:
            log.drop(f'ambiguous stretch [{start:g}, {end:g}] of {video}', 'no class has an instance in the video')
    if args.durations is not None:
        log.sources['durations'] = str(args.durations)
        durations = read_durations(args.durations, problems)
        for video, entry in database.items():
            if video in durations:
                entry['duration'] = durations[video]
    if problems:
        raise UserError('\n  '.join([f'nothing was written, {len(problems)} to mend:', *problems]))
    drop_blocked(database, args.blocked, log)
    log.remarks.append(f'{len(ambiguous)} lines of ambiguous stretches')
    writer = DataRootWriter(args.out, log=log, overwrite=args.overwrite, with_features=False)
    print(format_audit(writer.finish(database=database, classes=sorted(CLASS_NUMBERS))))
    print(f'\ndata root: {args.out}, still without features: tools/dataset_converters/feature_store.py adds them')


def read_folder(
    folder: Path, database: dict[str, dict[str, Any]], log: ConversionLog, problems: list[str]
) -> list[tuple[str, float, float]]:
    """Read the files of one folder.

    Args:
        folder: The folder.
        database: Takes the instances.
        log: Lists the text files that belong to no class.
        problems: Faults are appended.

    Returns:
        The ambiguous stretches: video, start and end in seconds.

    Raises:
        UserError: If it is no folder, or lacks classes.
    """
    if not folder.is_dir():
        raise UserError(f'{folder} is no folder: expected the folder of BaseballPitch_test.txt and its like')
    if (folder / CLASS_LIST).is_file() and read_class_numbers(folder / CLASS_LIST) != dict(CLASS_NUMBERS):
        problems.append(f'{folder / CLASS_LIST}: expected the 20 classes of THUMOS14 and their numbers')
    ambiguous: list[tuple[str, float, float]] = []
    found: dict[str, set[str]] = {}
    for path in sorted(folder.glob('*.txt')):
        match = _NAME.fullmatch(path.name)
        if match is not None and match['label'] == AMBIGUOUS:
            ambiguous += read_stretches(path, problems)
        elif match is not None and match['label'] in CLASS_NUMBERS:
            found.setdefault(match['subset'], set()).add(match['label'])
            for video, start, end in read_stretches(path, problems):
                _add(database, video, SUBSETS[match['subset']], match['label'], [start, end], problems)
        elif path.name != CLASS_LIST:
            log.drop(path.name, 'not the file of a class of THUMOS14')
    if not found:
        raise UserError(f'{folder}: expected files such as BaseballPitch_test.txt, found none')
    problems += _missing_classes(folder, found)
    return ambiguous


def _missing_classes(folder: Path, found: dict[str, set[str]]) -> list[str]:
    missing = {subset: [name for name in CLASS_NUMBERS if name not in labels] for subset, labels in found.items()}
    return [
        f'{folder}: no file {names[0]}_{subset}.txt; {len(names)} classes lack theirs'
        for subset, names in missing.items()
        if names
    ]


def _add(
    database: dict[str, dict[str, Any]], video: str, subset: str, label: str, segment: list[float], problems: list[str]
) -> None:
    entry = database.setdefault(video, {'subset': subset, 'annotations': []})
    if entry['subset'] != subset:
        problems.append(f'video {video} is in the files of both subsets')
    if not entry['annotations'] and (problem := video_id_problem(video)):
        problems.append(f'video {video!r}: {problem}')
    entry['annotations'].append({'label': label, 'segment': segment})


if __name__ == '__main__':
    run_tool(main, build_parser())
