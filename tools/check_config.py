"""Check configs without building anything: keys, types, arguments and the types of simple values.

Example: python tools/check_config.py configs/quick/co2net_synthetic.py --cfg-options train_cfg.max_iters=100
"""

import argparse

from mmwtal.utils.cli import run_tool
from mmwtal.utils.config.options import add_cfg_options
from mmwtal.utils.errors import UserError


def parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='config file')
    add_cfg_options(parser)
    return parser


def main(args: argparse.Namespace) -> int:
    """Report on each config; the exit code is 2 if anything is wrong with any of them."""
    sound = [_check(config, args.cfg_options) for config in args.configs]
    return 0 if all(sound) else 2


def _check(config: str, cfg_options: dict | None) -> bool:
    from mmwtal.utils.config.check import inspect_config
    from mmwtal.utils.config.origin import load_config

    try:
        report = inspect_config(*load_config(config, cfg_options))
    except UserError as error:
        print(f'{config}: cannot be read\n  {error}')
        return False
    count = len(report.problems)
    print(f'{config}: ' + ('ok' if not count else '1 problem' if count == 1 else f'{count} problems'))
    for problem in report.problems:
        print(f'  {problem}')
    for note in report.notes:
        print(f'  not checked: {note}')
    return not count


if __name__ == '__main__':
    run_tool(main, parser())
