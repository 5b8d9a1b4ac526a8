"""Evaluate a prediction file against a ground-truth file under a named protocol, several or all of them.

Example: python tools/evaluate.py predictions.json annotations.json --protocol all --videos thumos14-210
"""

import argparse
import json
from pathlib import Path
from typing import Any

from mmwtal.evaluation import (
    PROTOCOLS,
    VIDEO_LISTS,
    EvaluationResult,
    evaluate,
    get_protocols,
    get_video_list,
    parse_tious,
    read_detections,
    read_ground_truth,
)
from mmwtal.evaluation.comparison import COMMON_TIOUS, Comparison, compare_protocols
from mmwtal.evaluation.protocols import ALL
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import real_path, write_atomically


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('predictions', help='ActivityNet result JSON')
    parser.add_argument('ground_truth', help='annotation JSON with a "database"')
    parser.add_argument(
        '--protocol',
        required=True,
        help=f'evaluation rule: {", ".join(sorted(PROTOCOLS))}; several with commas between them, or "{ALL}", give one '
        'table with a row a rule',
    )
    parser.add_argument(
        '--tious',
        help="thresholds: START:STOP:STEP with STOP included, or a,b,c; by default the protocol's own, and for several "
        f'{COMMON_TIOUS}',
    )
    parser.add_argument('--subset', help='by default "test" if there is one, else the only one')
    parser.add_argument(
        '--videos',
        help=f'the videos to evaluate: {", ".join(VIDEO_LISTS)}, or a file with one id a line; by default '
        'all. Predictions for the others are left out',
    )
    parser.add_argument('--out', type=Path, help='write the result, with the AP of each class, to this JSON file')
    return parser


def main(args: argparse.Namespace) -> None:
    """Evaluate, print the table and write the result."""
    if args.out is not None and not args.out.absolute().parent.is_dir():
        raise UserError(f'--out {args.out}: there is no folder {args.out.parent}; create it first')
    if args.out is not None and args.out.is_dir():
        raise UserError(f'--out {args.out}: cannot be written, it is a folder; name a file')
    inputs = [real_path(Path(name)) for name in (args.predictions, args.ground_truth)]
    if args.out is not None and real_path(args.out) in inputs:
        raise UserError(f'--out {args.out}: this is an input; name another file')
    rules = get_protocols(args.protocol)
    tious = None if args.tious is None else parse_tious(args.tious)
    videos = None if args.videos is None else get_video_list(args.videos)
    predictions, truth = read_detections(args.predictions), read_ground_truth(args.ground_truth, args.subset)
    if videos is not None:
        videos.apply(truth)  # an error here is the list's, not one of the rules'
    outcome: EvaluationResult | Comparison
    if args.protocol != ALL and len(rules) == 1:
        outcome = evaluate(predictions, truth, protocol=rules[0], tious=tious, videos=videos)
    else:
        outcome = compare_protocols(predictions, truth, protocols=args.protocol, tious=tious, videos=videos)
    print(outcome.table())
    if args.out is not None:
        # Many results would be thousands of lines, one a number.
        write_json(args.out, outcome.to_dict(), indent=2 if isinstance(outcome, EvaluationResult) else None)
        print(f'written to {args.out}')


def write_json(path: Path, content: dict[str, Any], *, indent: int | None) -> None:
    """Write a result.

    Raises:
        UserError: If the file cannot be written.
    """
    text = json.dumps(content, indent=indent) + '\n'
    try:
        write_atomically(path, lambda file: file.write(text.encode()))
    except OSError as error:
        raise UserError(f'--out {path}: cannot be written ({error.strerror}); choose another file') from error


if __name__ == '__main__':
    run_tool(main, build_parser())
