"""Write what testing needs of a guided checkpoint: no guidance, no state of the training.

Example: python tools/model_converters/strip_guidance.py work_dirs/co2net_dual-prior_synthetic co2net_guided.pth
"""

import argparse
from pathlib import Path
from typing import Any

from mmwtal.engine.checkpoint import (
    check_output,
    find_checkpoint,
    is_guidance,
    read_checkpoint,
    without_guidance,
    write_checkpoint,
)
from mmwtal.utils.cli import run_tool
from mmwtal.utils.compat import prepare

KEPT = ('state_dict', 'meta')


def strip(checkpoint: dict[str, Any], source: str) -> tuple[dict[str, Any], list[str]]:
    """Return the weights without guidance and the facts of a checkpoint, and what was dropped, in words."""
    guided = {name: value for name, value in checkpoint['state_dict'].items() if is_guidance(name)}
    count = sum(value.numel() for value in guided.values())
    dropped = [f'guidance, {len(guided)} tensors, {count:,} parameters'] if guided else []
    dropped += [f'{key}, which only --resume needs' for key in checkpoint if key not in KEPT]
    small = without_guidance(checkpoint)
    # A tensor is written with all of the storage that it may share with others.
    weights = {name: value.clone() for name, value in small['state_dict'].items()}
    return {'state_dict': weights, 'meta': {**small['meta'], 'stripped_from': source}}, dropped


def build_parser() -> argparse.ArgumentParser:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('input', type=Path, metavar='IN', help='checkpoint, or a work dir: its newest checkpoint')
    parser.add_argument('output', type=Path, metavar='OUT', help='where to write the small one')
    parser.add_argument('--overwrite', action='store_true', help='replace OUT if it exists')
    return parser


def main(args: argparse.Namespace) -> None:
    """Strip, write, and say what was dropped."""
    prepare()
    source = find_checkpoint(args.input)
    check_output(args.output, source, overwrite=args.overwrite)
    small, dropped = strip(read_checkpoint(source), source.name)
    write_checkpoint(small, args.output)
    sizes = [path.stat().st_size / 2**20 for path in (source, args.output)]
    print(f'{args.output}: {len(small["state_dict"])} tensors, {sizes[1]:.1f} MiB; {source}: {sizes[0]:.1f} MiB')
    for part in dropped:
        print(f'dropped: {part}')
    if not dropped:
        print('nothing was dropped: the checkpoint has neither guidance nor the state of a training')


if __name__ == '__main__':
    run_tool(main, build_parser())
