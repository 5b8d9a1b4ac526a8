"""Test a checkpoint: localize the actions of the test videos and score them.

Example: python tools/test.py configs/quick/co2net_synthetic.py work_dirs/co2net_synthetic
"""

import argparse
from pathlib import Path

from mmwtal.utils.cli import run_tool
from mmwtal.utils.config.options import add_cfg_options


def parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file, or a work dir: its newest checkpoint')
    parser.add_argument('--work-dir', help='folder for logs and results; default: work_dirs/<config name>')
    parser.add_argument('--data-root', help='replaces data_root of every dataset and evaluator')
    parser.add_argument('--dump', metavar='FILE', help='predictions; default: predictions.json in the work dir')
    parser.add_argument(
        '--external-scores',
        type=Path,
        metavar='FILE',
        help="JSON {video_id: {label: score}}: video scores from elsewhere, used in place of the model's own",
    )
    add_cfg_options(parser)
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local-rank', '--local_rank', type=int, help=argparse.SUPPRESS)
    return parser


def main(args: argparse.Namespace) -> None:
    """Run the tool."""
    from mmwtal.apis.settings import prepare_config
    from mmwtal.apis.test import test_localizer

    options = dict(args.cfg_options or {})
    if args.external_scores is not None:
        # The dataset resolves a path against its root; one on the command line is meant from here.
        options['test_dataloader.dataset.external_scores'] = str(args.external_scores.expanduser().absolute())
    cfg = prepare_config(
        args.config, cfg_options=options, data_root=args.data_root, work_dir=args.work_dir, guidance=False
    )
    report = test_localizer(cfg, args.checkpoint, dump=args.dump, launcher=args.launcher)
    if report is None:
        return
    print(report.result.table())
    selection = report.meta['selection']
    print(f'checkpoint:  {report.checkpoint} (iteration {report.meta["iteration"]}, selection: {selection["rule"]})')
    if 'test' in selection['rule']:
        print('             SELECTED ON THE TEST SPLIT: not comparable with results of the last checkpoint')
    if 'weight_average' in report.meta:
        mean = report.meta['weight_average']
        print(f'weights:     their mean over the iterations {mean["first"]} to {mean["last"]}')
    if report.meta['left_out']:
        names = ', '.join(report.meta['left_out'])
        print(f'left out:    {len(report.meta["left_out"])} faulty videos, whose instances count as missed: {names}')
    if 'video_scores' in report.meta:
        scores = report.meta['video_scores']
        print(f'             EXTERNAL VIDEO SCORES: {scores["file"]} (sha256 {scores["sha256"][:12]})')
    print(f'predictions: {report.predictions_file}')
    print(f'scores:      {report.result_file}')
    print(f'logs:        {report.log_dir}')


if __name__ == '__main__':
    run_tool(main, parser())
