"""Write predictions or annotations in a format that other projects read.

    python tools/dataset_converters/export.py predictions predictions.json out.json --to activitynet
    python tools/dataset_converters/export.py predictions predictions.json out.txt --to thumos14
    python tools/dataset_converters/export.py annotations data/thumos14 thumos14.json --to actionformer --fps 30

Predictions (``tools/test.py`` writes them): ``activitynet``, a result file for ActivityNet's evaluator; ``thumos14``,
lines of ``video start end class_number score``; ``csv``. Annotations (a data root or its ``annotations.json``):
``activitynet``, ``actionformer``, ``opentad`` (with its class list beside the file), and two kinds of folder,
``thumos14``, the text files of the challenge, and ``csv``, the files that ``custom.py`` reads. What a format cannot
hold is printed.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from mmwtal.conversion.annotation_export import (
    actionformer_json,
    activitynet_json,
    csv_texts,
    left_out,
    opentad_json,
    thumos_texts,
    to_csv,
)
from mmwtal.conversion.data_root import ANNOTATIONS_NAME
from mmwtal.conversion.options import pairs, positive
from mmwtal.conversion.thumos_text import CLASS_NUMBERS, read_class_numbers
from mmwtal.evaluation.detections import Detections, read_detections
from mmwtal.formats.annotations import AnnotationSet, read_annotations
from mmwtal.formats.findings import Kind, faults, render
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import write_atomically

PREDICTION_FORMATS = ('activitynet', 'csv', 'thumos14')
ANNOTATION_FORMATS = ('actionformer', 'activitynet', 'csv', 'opentad', 'thumos14')
CLASS_LIST = 'category_idx.txt'


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description='Write predictions or annotations as other projects read them.')
    kinds = parser.add_subparsers(dest='kind', required=True)
    predictions = kinds.add_parser('predictions', help='a result file')
    predictions.add_argument('source', type=Path, help='ActivityNet result JSON, as tools/test.py writes it')
    predictions.add_argument('out', type=Path, help='the file to write')
    predictions.add_argument('--to', choices=PREDICTION_FORMATS, required=True)
    predictions.add_argument(
        '--class-numbers', type=Path, help='lines of "number name" for thumos14; by default those of THUMOS14'
    )
    annotations = kinds.add_parser('annotations', help='a data root')
    annotations.add_argument('source', type=Path, help='data root or annotations.json')
    annotations.add_argument('out', type=Path, help='the file to write; for thumos14 and csv the folder')
    annotations.add_argument('--to', choices=ANNOTATION_FORMATS, required=True)
    annotations.add_argument('--fps', type=positive, help='frames a second of the videos; actionformer and opentad')
    annotations.add_argument(
        '--subsets', type=pairs, default={}, metavar='OURS=THEIRS,...', help='as in test=validation for OpenTAD'
    )
    for sub in (predictions, annotations):
        sub.add_argument('--overwrite', action='store_true', help='replace what is at OUT')
    return parser


def main(args: argparse.Namespace) -> None:
    """Read everything, then write the files and print what they hold."""
    if args.kind == 'predictions':
        detections = read_detections(args.source)
        files = {args.out: prediction_text(detections, args)}
        summary = f'{len(detections.scores)} predictions in {len(detections.video_ids)} videos'
        losses: list[str] = []
        if args.to != 'activitynet':
            without = len(detections.video_ids) - len(set(detections.videos.tolist()))
            losses = [f'{without} videos without a prediction'] if without else []
    else:
        annotations = read_source(args.source)
        files = annotation_texts(annotations, args)
        instances = sum(len(video.segment_labels) for video in annotations.videos.values())
        summary = f'{len(annotations.videos)} videos, {instances} instances'
        losses = left_out(annotations, args.to)
    write_files(files, overwrite=args.overwrite)
    print(f'{summary} as {args.to}: {args.out}')
    for loss in losses:
        print(f'left out, the format has no place for it: {loss}')


def prediction_text(detections: Detections, args: argparse.Namespace) -> str:
    """Return the content of a prediction file.

    Raises:
        UserError: If a class has no number, or a name cannot stand in the format.
    """
    if args.to == 'activitynet':
        return _json(detections.to_dict(version='VERSION 1.3'))
    rows = [
        (detections.video_ids[video], detections.classes[label], start, end, score)
        for video, label, (start, end), score in zip(
            detections.videos.tolist(),
            detections.labels.tolist(),
            detections.segments.tolist(),
            detections.scores.tolist(),
            strict=True,
        )
    ]
    if args.to == 'csv':
        head = ['video', 'label', 'start', 'end', 'score']
        return to_csv([head, *([video, label, *map(repr, values)] for video, label, *values in rows)])
    numbers = CLASS_NUMBERS if args.class_numbers is None else read_class_numbers(args.class_numbers)
    unknown = [name for name in detections.classes if name not in numbers]
    if unknown:
        raise UserError(
            f'{args.source}: class {unknown[0]!r} has no number (and {len(unknown) - 1} more); state them with '
            '--class-numbers FILE, lines of "number name"'
        )
    spaced = [video for video in detections.video_ids if any(map(str.isspace, video))]
    if spaced:
        raise UserError(f'{args.source}: video {spaced[0]!r}: an id with spaces cannot stand in THUMOS14 text files')
    lines = [f'{video} {start!r} {end!r} {numbers[label]} {score!r}' for video, label, start, end, score in rows]
    return ''.join(f'{line}\n' for line in lines)


def annotation_texts(annotations: AnnotationSet, args: argparse.Namespace) -> dict[Path, str]:
    """Return the contents of the files to write, by path.

    Raises:
        UserError: If the format needs something that is not stated.
    """
    classes = list(annotations.classes or annotations.all_labels())
    unknown = sorted(set(annotations.all_labels()) - set(classes))
    if unknown:
        raise UserError(f'{annotations.path}: the label {unknown[0]!r} is not among the classes of the file')
    if args.to in ('actionformer', 'opentad') and args.fps is None:
        raise UserError(f'--to {args.to} counts in frames: state the frames a second of the videos with --fps')
    if args.to == 'activitynet':
        return {args.out: _json(activitynet_json(annotations, subsets=args.subsets))}
    if args.to == 'actionformer':
        content = actionformer_json(annotations, classes=classes, subsets=args.subsets, fps=args.fps)
        return {args.out: _json(content)}
    if args.to == 'opentad':
        content = opentad_json(annotations, subsets=args.subsets, fps=args.fps)
        names = ''.join(f'{name}\n' for name in classes)
        return {args.out: _json(content), args.out.with_name(CLASS_LIST): names}
    texts = thumos_texts(annotations, classes=classes) if args.to == 'thumos14' else csv_texts(annotations)
    return {args.out / name: text for name, text in texts.items()}


def read_source(source: Path) -> AnnotationSet:
    """Read the annotations of a data root, or an annotation file.

    Raises:
        UserError: If an entry is faulty.
    """
    annotations = read_annotations(source / ANNOTATIONS_NAME if source.is_dir() else source)
    findings = [finding for video in annotations.videos.values() for finding in video.findings]
    found = [finding for finding in faults(findings) if finding.kind is not Kind.OUTSIDE]
    if found:
        raise UserError(f'{annotations.path} has faulty entries:\n{render(found, limit=20)}')
    return annotations


def write_files(files: dict[Path, str], *, overwrite: bool) -> None:
    """Write all files, or none if one of them is there already.

    Raises:
        UserError: If a file is there and ``overwrite`` is not set, or cannot be written.
    """
    taken = [path for path in files if path.exists()]
    if taken and not overwrite:
        raise UserError(f'{taken[0]} is there already: name another OUT, or add --overwrite to replace it')
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            content = text.encode()
            write_atomically(path, lambda file, content=content: file.write(content))  # type: ignore[misc]
    except OSError as error:
        raise UserError(f'{path} cannot be written: {error.strerror or error}') from None


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False) + '\n'


if __name__ == '__main__':
    run_tool(main, build_parser())
