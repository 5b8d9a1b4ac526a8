"""Write the embedded dataset into a data root: made-up videos with the difficulties of the field."""

import argparse
from dataclasses import fields
from pathlib import Path

from mmwtal.conversion.audit import format_audit
from mmwtal.datasets.synthetic import write_synthetic
from mmwtal.datasets.synthetic_clip import ClipConfig
from mmwtal.datasets.synthetic_film import FILMS_NAME, make_films
from mmwtal.datasets.synthetic_video import SyntheticConfig
from mmwtal.utils.cli import run_tool
from mmwtal.utils.extras import require


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options: one for each field of :class:`SyntheticConfig` and :class:`ClipConfig`."""
    parser = argparse.ArgumentParser(description='Write the embedded dataset into a data root.')
    parser.add_argument('out', type=Path, help='the data root to write')
    parser.add_argument('--overwrite', action='store_true', help='replace an earlier data root at OUT')
    films = f'also write the training videos as small MP4 files into OUT/{FILMS_NAME} (needs PyAV: mmwtal[priors])'
    parser.add_argument('--films', action='store_true', help=films)
    for settings, prefix in ((SyntheticConfig, ''), (ClipConfig, 'clip_')):
        for item in fields(settings):
            option = f'--{prefix}{item.name}'.replace('_', '-')
            text = f'{"aligned stream: " if prefix else ""}{item.metadata["help"]} (default: {item.default})'
            parser.add_argument(option, type=type(item.default), default=item.default, help=text.replace('%', '%%'))
    return parser


def main(args: argparse.Namespace) -> None:
    """Write the dataset and print the audit."""
    settings = {item.name: getattr(args, item.name) for item in fields(SyntheticConfig)}
    clip = ClipConfig(**{item.name: getattr(args, f'clip_{item.name}') for item in fields(ClipConfig)})
    if args.films:
        # Known before the rest is written.
        require('av', 'priors')
    print(format_audit(write_synthetic(args.out, overwrite=args.overwrite, clip=clip, **settings)))
    if args.films:
        print(f'\nfilms: {make_films(args.out, SyntheticConfig(**settings))} in {args.out / FILMS_NAME}')
    print(f'\ndata root: {args.out}')


if __name__ == '__main__':
    run_tool(main, build_parser())
