"""Descriptions of classes, for the source `class` of guidance's texts: asked of a language model, or imported.

    python tools/class_texts.py describe configs/priors/qwen3-vl-8b_server.py --data-root data/mine
    python tools/class_texts.py import --complete descriptions.json --data-root data/mine

Both write DATA_ROOT/classes.json, for configs with texts=dict(sources=('video', 'class'), class_texts='classes.json').
"""

import argparse
import asyncio
import sys
from pathlib import Path

from mmwtal.formats.annotations import read_annotations
from mmwtal.formats.class_names import choose_classes
from mmwtal.formats.findings import shown
from mmwtal.utils.cli import run_tool
from mmwtal.utils.config.options import add_cfg_options


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    for name, text in (
        ('describe', 'ask the model of a config to describe each class'),
        ('import', "take descriptions that were made elsewhere, in GAP's format"),
    ):
        one = commands.add_parser(name, help=text, description=f'{text[0].upper()}{text[1:]}.')
        one.add_argument('--data-root', type=Path, required=True, help='the data root, whose classes are described')
        one.add_argument('--out', type=Path, help='the file to write (default: DATA_ROOT/classes.json)')
        if name == 'describe':
            one.add_argument('config', metavar='CONFIG', help='a config of configs/priors/, or one like it')
            add_cfg_options(one)
        else:
            one.add_argument('--key', type=Path, metavar='FILE', help='whose phrases are the key semantics')
            one.add_argument('--complete', type=Path, metavar='FILE', help='whose steps are the complete semantics')
            one.add_argument('--overwrite', action='store_true', help='replace a file that is there')
    return parser


def main(args: argparse.Namespace) -> int | None:
    """Run the command."""
    classes = choose_classes(read_annotations(args.data_root / 'annotations.json'))
    out = args.data_root / 'classes.json' if args.out is None else args.out
    if args.command == 'describe':
        return _describe(args, classes, out)
    _import(args, classes, out)
    return None


def _describe(args: argparse.Namespace, classes: tuple[str, ...], out: Path) -> int:
    from mmwtal.apis.prior_jobs import describe_classes_by

    done = asyncio.run(describe_classes_by(args.config, classes, out, cfg_options=args.cfg_options))
    print(f'{done.written} classes described in {out}, {done.kept} were there already')
    for label, (state, reason) in done.missing.items():
        sys.stderr.write(f'{shown(label)}: {state}: {reason}\n')
    return 1 if done.missing else 0


def _import(args: argparse.Namespace, classes: tuple[str, ...], out: Path) -> None:
    from mmwtal.priors.class_texts_import import import_class_texts

    done = import_class_texts(out, classes=classes, key=args.key, complete=args.complete, overwrite=args.overwrite)
    print(*done.lines(), f'written to {out}', sep='\n')


if __name__ == '__main__':
    run_tool(main, build_parser())
