"""Measure the attentions of a trained model, guided or plain, by ground truth, and how complete its results are.

On the training videos, with their texts: average precision and level of each attention over snippets. On the test
videos: those of the base's attention; incompleteness (share of an instance that its best detection leaves out),
over-completeness (share of that detection outside all instances of its class) and the share of missed instances.
An analysis by segments of training videos, which training never sees.

Example: python tools/analysis/attention_quality.py configs/quick/co2net_dual-prior_synthetic.py work_dirs/guided
"""

import argparse
import json
from pathlib import Path
from typing import Any

from mmwtal.utils.cli import run_tool
from mmwtal.utils.config.options import add_cfg_options
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import real_path, write_atomically

_ROWS = {
    'base': 'base, training videos',
    'key': 'key, training videos',
    'complete': 'complete, training videos',
    'base_test': 'base, test videos',
}


def parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', type=Path, help='checkpoint file, or a work dir: its newest checkpoint')
    parser.add_argument('--data-root', help='replaces data_root of every dataset, of the evaluator and of the texts')
    parser.add_argument('--out', type=Path, metavar='FILE.json', help='write it as JSON')
    add_cfg_options(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    """Measure, print and write."""
    from mmwtal.apis.attention_quality import measure_attentions

    _check_output(args)
    found = measure_attentions(
        args.config, args.checkpoint, data_root=args.data_root, cfg_options=dict(args.cfg_options or {})
    )
    print(_table(found))
    if args.out is not None:
        try:
            write_atomically(args.out, lambda file: file.write((json.dumps(found, indent=2) + '\n').encode()))
        except OSError as error:
            raise UserError(f'--out {args.out}: cannot be written ({error.strerror})') from error
        print(f'written to {args.out}')


def _check_output(args: argparse.Namespace) -> None:
    if args.out is None:
        return
    if not args.out.absolute().parent.is_dir():
        raise UserError(f'--out {args.out}: there is no folder {args.out.parent}; create it first')
    if args.out.is_dir() or real_path(args.out) in (real_path(Path(args.config)), real_path(args.checkpoint)):
        raise UserError(f'--out {args.out}: is a folder or one of the inputs; name another file')


def _table(found: dict[str, Any]) -> str:
    lines = [f'{"attention":<28}{"AP":>7}{"action":>9}{"background":>12}']
    for name, title in _ROWS.items():
        level = found['level'][name]
        if level is not None:
            cells = (found['ap'][name], level['action'], level['background'])
            lines.append(f'{title:<28}{_cell(cells[0]):>7}{_cell(cells[1]):>9}{_cell(cells[2]):>12}')
    share = found['action_share']
    lines += [
        f'AP of an attention that knows nothing: training {_cell(share["training"])}, test {_cell(share["test"])}',
        f'incompleteness      {_cell(found["incompleteness"])}',
        f'over-completeness   {_cell(found["over_completeness"])} outside all instances of its class, '
        f'{_cell(found["beyond_instance"])} outside its own',
        f'missed              {_cell(found["missed"])} of {found["num_instances"]} instances '
        f'(no detection with tIoU {found["found_tiou"]:g})',
        f'average mAP         {found["average"]:.2f} % ({found["protocol"]})',
    ]
    return '\n'.join(lines)


def _cell(value: float | None) -> str:
    return '-' if value is None else f'{value:.3f}'


if __name__ == '__main__':
    run_tool(main, parser())
