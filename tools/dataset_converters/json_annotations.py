"""Convert annotation files of a JSON layout that is in use into a data root without features.

    python tools/dataset_converters/json_annotations.py activitynet activity_net.v1-3.min.json data/activitynet13
    python tools/dataset_converters/json_annotations.py actionformer thumos14.json data/thumos14
    python tools/dataset_converters/json_annotations.py opentad thumos_14_anno.json data/thumos14
    python tools/dataset_converters/json_annotations.py mmaction training=anet_anno_train.json \
        validation=anet_anno_val.json data/activitynet13

Every instance is kept as it is: the audit lists those of zero length, those given more than once and those beyond the
video's end, and the evaluation protocol decides what they count. ``feature_store.py`` adds the features.
"""

import argparse
from collections import Counter
from pathlib import Path

from mmwtal.conversion.annotation_json import (
    LAYOUTS,
    SourceAnnotations,
    assign_subsets,
    find_classes,
    read_annotation_json,
)
from mmwtal.conversion.audit import ConversionLog, format_audit
from mmwtal.conversion.data_root import DataRootWriter
from mmwtal.conversion.options import add_blocked_option, drop_blocked, pairs
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import read_text


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description='Convert annotation files of a JSON layout into a data root.')
    titles = '; '.join(f'{name}: {layout.title}' for name, layout in LAYOUTS.items())
    parser.add_argument('layout', choices=sorted(LAYOUTS), help=titles)
    parser.add_argument(
        'files', nargs='+', metavar='[SUBSET=]FILE', help='the files; mmaction states the subset here, as in training=F'
    )
    parser.add_argument('out', type=Path, help='the data root to write')
    parser.add_argument(
        '--subsets',
        type=pairs,
        default={},
        metavar='THEIRS=OURS,...',
        help='what becomes of a subset of the files, as in validation=training; ours are training, validation, test',
    )
    parser.add_argument('--classes', type=Path, help='text file of the class names, one a line, in order')
    add_blocked_option(parser)
    parser.add_argument('--overwrite', action='store_true', help='replace an earlier conversion at OUT')
    return parser


def main(args: argparse.Namespace) -> None:
    """Read and check everything, then write the annotations and print the audit."""
    layout = LAYOUTS[args.layout]
    log = ConversionLog(converter=args.layout, sources={'annotations': list(args.files)})
    source = SourceAnnotations()
    problems: list[str] = []
    for argument in args.files:
        subset, path = _split(argument, needs_subset=not layout.wrapped)
        read_annotation_json(path, layout=layout, subset=subset, into=source, problems=problems)
    counts = Counter(entry['subset'] for entry in source.database.values())
    for name, target in assign_subsets(source, layout, args.subsets, problems).items():
        log.change(f'subset {name} ({counts[name]} videos)', f'written as {target}')
    given = None if args.classes is None else read_class_list(args.classes)
    classes, origin = find_classes(source, given, problems)
    if problems:
        raise UserError('\n  '.join([f'nothing was written, {len(problems)} to mend:', *problems]))
    log.remarks.append(f'classes: {origin}')
    if source.ambiguous:
        log.change(f'{source.ambiguous} instances labelled Ambiguous', 'written as ambiguous stretches')
    if source.texts:
        log.change(f'{source.texts} times', 'given as text, written as numbers')
    drop_blocked(source.database, args.blocked, log)
    writer = DataRootWriter(args.out, log=log, overwrite=args.overwrite, with_features=False)
    print(format_audit(writer.finish(database=source.database, classes=classes)))
    print(f'\ndata root: {args.out}, still without features: tools/dataset_converters/feature_store.py adds them')


def read_class_list(path: Path) -> list[str]:
    """Read class names, one a line.

    Raises:
        UserError: If the file cannot be read, is empty or repeats a name.
    """
    names = [name for line in read_text(path, what='class list').splitlines() if (name := line.strip())]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if not names or repeated:
        raise UserError(f'class list {path}: expected one name a line, found {repeated[:1] or "none"} more than once')
    return names


def _split(argument: str, *, needs_subset: bool) -> tuple[str | None, Path]:
    subset, separator, path = argument.partition('=')
    if not needs_subset:
        return None, Path(argument)
    if not separator or not subset or not path:
        raise UserError(
            f'{argument}: files of this layout do not say which subset they are: write SUBSET=FILE, as in '
            f'training={Path(argument).name}'
        )
    return subset, Path(path)


if __name__ == '__main__':
    run_tool(main, build_parser())
