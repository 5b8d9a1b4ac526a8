"""Train a localizer.

Example: python tools/train.py configs/quick/co2net_synthetic.py
"""

import argparse

from mmwtal.utils.cli import run_tool
from mmwtal.utils.config.options import add_cfg_options


def parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder for logs and checkpoints; default: work_dirs/<config name>')
    parser.add_argument('--data-root', help='replaces data_root of every dataset and evaluator')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='auto|CHECKPOINT',
        help='continue from the newest checkpoint of the work dir (start where there is none), or from CHECKPOINT',
    )
    parser.add_argument('--overwrite', action='store_true', help="delete an earlier run's checkpoints in the work dir")
    parser.add_argument('--amp', action='store_true', help='bfloat16 mixed precision')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the batch of all processes together against auto_scale_lr.base_batch_size',
    )
    parser.add_argument('--seed', type=_seed, help="replaces the config's randomness.seed")
    parser.add_argument(
        '--select-on-test',
        action='store_true',
        help='also keep best_on_test.pth, the checkpoint that scores best on the TEST split, as most published code '
        'does; results made with it carry that mark',
    )
    add_cfg_options(parser)
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local-rank', '--local_rank', type=int, help=argparse.SUPPRESS)
    return parser


def _seed(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f'expected a number from 0 to 2^32 - 1, found {value}')
    return value


def main(args: argparse.Namespace) -> None:
    """Run the tool."""
    from mmwtal.apis.runtime import use_amp
    from mmwtal.apis.settings import prepare_config
    from mmwtal.apis.train import train_localizer

    options = dict(args.cfg_options or {})
    if args.seed is not None:
        options['randomness.seed'] = args.seed
    if args.auto_scale_lr:
        options['auto_scale_lr.enable'] = True
    if args.select_on_test:
        options['default_hooks.checkpoint.select_on_test'] = True
    cfg = prepare_config(args.config, cfg_options=options, data_root=args.data_root, work_dir=args.work_dir)
    if args.amp:
        use_amp(cfg)
    train_localizer(cfg, resume=args.resume, overwrite=args.overwrite, launcher=args.launcher)


if __name__ == '__main__':
    run_tool(main, parser())
