"""Print a config with its bases merged and the command line applied.

Example: python tools/analysis/print_config.py configs/quick/co2net_synthetic.py --origin
"""

import argparse
from collections.abc import Iterator
from typing import Any

from mmwtal.utils.cli import run_tool
from mmwtal.utils.config.options import add_cfg_options

MAX_COLUMN = 72


def parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('--origin', action='store_true', help='print each value with the file and line that wrote it')
    add_cfg_options(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    """Run the tool."""
    from mmwtal.utils.config.origin import load_config

    cfg, origins = load_config(args.config, args.cfg_options)
    if not args.origin:
        print(cfg.pretty_text, end='')
        return
    lines = [('.'.join(map(str, path)) + f' = {value!r}', origins.value(path)) for path, value in leaves(cfg.to_dict())]
    column = max((len(text) for text, _ in lines if len(text) <= MAX_COLUMN), default=0)
    for text, origin in lines:
        print(f'{text:<{column}}  # {origin}')


def leaves(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield the path and value of everything that is not a dict, or a list that holds dicts; and of empty ones."""
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from leaves(value, (*path, key))
    elif isinstance(node, list | tuple) and any(isinstance(value, dict | list | tuple) for value in node):
        for index, value in enumerate(node):
            yield from leaves(value, (*path, index))
    else:
        yield path, node


if __name__ == '__main__':
    run_tool(main, parser())
