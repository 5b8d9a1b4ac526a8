"""Evaluate a prediction file against a ground-truth file under a named protocol."""

import argparse
import json
from pathlib import Path

from mmwtal.evaluation import PROTOCOLS, evaluate
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import real_path, write_atomically


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('predictions', help='ActivityNet result JSON')
    parser.add_argument('ground_truth', help='annotation JSON with a "database"')
    parser.add_argument('--protocol', required=True, help=f'evaluation rule: {", ".join(sorted(PROTOCOLS))}')
    parser.add_argument(
        '--tious', help="thresholds: START:STOP:STEP with STOP included, or a,b,c; by default the protocol's own"
    )
    parser.add_argument('--subset', help='by default "test" if there is one, else the only one')
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
    result = evaluate(args.predictions, args.ground_truth, protocol=args.protocol, tious=args.tious, subset=args.subset)
    print(result.table())
    if args.out is not None:
        content = json.dumps(result.to_dict(), indent=2) + '\n'
        try:
            write_atomically(args.out, lambda file: file.write(content.encode()))
        except OSError as error:
            raise UserError(f'--out {args.out}: cannot be written ({error.strerror}); choose another file') from error
        print(f'written to {args.out}')


if __name__ == '__main__':
    run_tool(main, build_parser())
