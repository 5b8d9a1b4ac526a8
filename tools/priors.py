"""Write the prior store: what is said of the actions in the training videos, for guidance.

Example: python tools/priors.py import texts.json --data-root data/mine
"""

import argparse
from pathlib import Path

from mmwtal.formats.annotations import read_annotations
from mmwtal.priors.store import STORE_NAME, PriorStore
from mmwtal.priors.texts_file import import_texts
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)
    text = 'write texts that were made elsewhere into a prior store'
    one = commands.add_parser('import', help=text, description=f'{text[0].upper()}{text[1:]}; see docs/priors.md.')
    one.add_argument(
        'texts', type=Path, help='JSON: {video: {label: {"key": [...], "complete": "...", "key_words": [...]}}}'
    )
    one.add_argument('--data-root', type=Path, help='check videos and labels against its annotations.json')
    one.add_argument('--out', type=Path, help='the store, a folder (default: DATA_ROOT/priors)')
    one.add_argument('--source', default='import', help='what the records name as their source (default: %(default)s)')
    one.add_argument('--overwrite', action='store_true', help='replace a store of other texts')
    return parser


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    if args.out is None and args.data_root is None:
        raise UserError('name the store with --out, or the data root with --data-root')
    if not args.source.strip() or not args.source.isprintable():
        raise UserError(f'--source must be a name, found {args.source!r}')
    annotations = None if args.data_root is None else read_annotations(args.data_root / 'annotations.json')
    store = PriorStore(args.data_root / STORE_NAME if args.out is None else args.out)
    done = import_texts(args.texts, store, source=args.source, annotations=annotations, overwrite=args.overwrite)
    kept = f', {done.kept} were there already' if done.kept else ''
    print(f'{done.written} texts written to {store.folder}{kept}')
    if done.absent_key_words:
        print(f'{done.absent_key_words} of {done.key_words} key words are not in their description and weigh nothing')
    if done.pairs:
        share = f'{done.described / done.pairs:.1%}' if done.described is not None else ''
        print(f'{done.described} of {done.pairs} pairs of a training video and its class have a text ({share})')


if __name__ == '__main__':
    run_tool(main, build_parser())
