"""Write configs/README.md, the page of measured and published figures, from metafiles and stored results.

Stored results must have been made with the configs as they are now. With --check nothing is written: the exit code is 1
where the page, a metafile or a result is stale.

Example: python tools/analysis/model_zoo.py --check
"""

import argparse
from pathlib import Path

from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import write_atomically

REPOSITORY = Path(__file__).resolve().parents[2]


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--check', action='store_true', help='write nothing; exit code 1 if anything is stale')
    parser.add_argument('--root', type=Path, default=REPOSITORY, help='holds configs/; default: this repository')
    return parser


def main(args: argparse.Namespace) -> int:
    """Write the page or check it; the exit code is 1 if anything is wrong."""
    from mmwtal.apis.model_zoo import PAGE, build_page, check_page

    if not (args.root / 'configs').is_dir():
        raise UserError(f'--root {args.root}: expected a folder that holds configs/')
    if args.check:
        problems = check_page(args.root)
    else:
        page, problems = build_page(args.root)
        if page is not None:
            write_atomically(args.root / PAGE, lambda file: file.write(page.encode()))
            print(f'written to {args.root / PAGE}')
    print(*problems, sep='\n', end='\n' if problems else '')
    return 1 if problems else 0


if __name__ == '__main__':
    run_tool(main, build_parser())
