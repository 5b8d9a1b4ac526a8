"""Localize the actions of videos, or of features of videos.

An input is a video, a folder of videos or features, a list of them (.txt, a path a line), a feature file (.npy) or a
data root, which stands for its test videos; with --data-root, the id of one of its videos. docs/inference.md has more.

Exit code: 0 if all videos were looked at, 1 if some failed, 2 if nothing could be begun.

Example: python tools/infer.py video.mp4 --config configs/co2net/co2net_custom.py --checkpoint work_dirs/co2net_custom
         --extractor configs/features/i3d.py --out found
"""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mmwtal.formats.findings import shown
from mmwtal.utils.cli import run_tool
from mmwtal.utils.config.options import add_cfg_options
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import real_path
from mmwtal.utils.run_options import positive_number_word

if TYPE_CHECKING:
    from mmwtal.apis.inference_inputs import InferenceInput
    from mmwtal.apis.localized import Failure, Localized

FORMATS = ('json', 'csv', 'vtt', 'picture')


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('inputs', nargs='*', metavar='INPUT', help='video, folder, list, features or data root')
    parser.add_argument('--config', required=True, help='the config that the model was trained with')
    parser.add_argument('--checkpoint', required=True, help='checkpoint file, or a work dir: its newest checkpoint')
    parser.add_argument('--extractor', help='a config of configs/features/: makes the features of videos')
    parser.add_argument('--data-root', type=Path, metavar='R', help='the inputs are ids of videos of this data root')
    text = 'folder of the videos whose features are given, for the thumbnails of pictures'
    parser.add_argument('--videos', type=Path, metavar='DIR', help=text)
    parser.add_argument('--out', type=Path, default=Path('found'), metavar='DIR', help='default: %(default)s')
    text = 'what is written (default: all)'
    parser.add_argument('--formats', nargs='+', choices=FORMATS, default=list(FORMATS), help=text)
    parser.add_argument('--score-threshold', type=float, metavar='S', help='leave out actions with a lower score')
    parser.add_argument('--top-k', type=positive_number_word, metavar='K', help='keep the K best actions of a video')
    parser.add_argument('--batch-size', type=positive_number_word, default=1, metavar='N', help='default: 1')
    parser.add_argument('--device', help='cpu, cuda, cuda:N; default: a GPU where there is one')
    add_cfg_options(parser)
    return parser


def main(args: argparse.Namespace) -> int:
    """Look at every video, write what is found; say which failed."""
    from mmwtal.apis.inference_files import ResultFolder
    from mmwtal.apis.inferencer import WTALInferencer
    from mmwtal.apis.localized import Failure

    if args.score_threshold is not None and args.score_threshold != args.score_threshold:
        raise UserError('--score-threshold must be a number, found nan')
    inputs = {real_path(Path(one)) for one in [*args.inputs, *filter(None, [args.data_root, args.videos])]}
    if real_path(args.out) in inputs:
        raise UserError(f'--out {args.out} is an input: name another folder for what is found')
    progress = _Progress()
    inferencer = WTALInferencer(
        args.config,
        args.checkpoint,
        extractor=args.extractor,
        device=args.device,
        cfg_options=args.cfg_options,
        score_threshold=args.score_threshold,
        top_k=args.top_k,
        progress=progress.extracted,
    )
    found = inferencer.find(args.inputs, data_root=args.data_root, videos=args.videos)
    folder = ResultFolder(args.out, formats=args.formats, meta=inferencer.meta)
    failed, done = 0, 0
    try:
        for outcome in inferencer.localize(found, batch_size=args.batch_size):
            folder.add(outcome)
            done += 1
            failed += isinstance(outcome, Failure)
            progress.say(f'[{done}/{len(found)}] {_described(outcome)}')
    finally:
        # Also where it is interrupted: what was found stays.
        written = folder.finish(one.name for one in found[done:])
    print(*(f'written: {path}' for path in written), sep='\n')
    if failed:
        progress.say(f'{failed} of {len(found)} videos failed')
    return 1 if failed else 0


class _Progress:
    """Says on the standard error output how far it is."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._last = time.monotonic()

    def extracted(self, source: 'InferenceInput', seconds: float) -> None:
        """Say up to which second of a video its features are there."""
        if time.monotonic() - self._last >= (0.2 if self._terminal else 10.0):
            self._write(f'{shown(source.name)}: features up to {seconds:.0f} s', '' if self._terminal else '\n')

    def say(self, line: str) -> None:
        """Say a line that stays."""
        self._write(line, '\n')

    def _write(self, text: str, end: str) -> None:
        start = '\r\x1b[K' if self._terminal else ''
        sys.stderr.write(f'{start}{text}{end}')
        sys.stderr.flush()
        self._last = time.monotonic()


def _described(outcome: 'Localized | Failure') -> str:
    from mmwtal.apis.localized import Failure

    name = shown(outcome.source.name)
    if isinstance(outcome, Failure):
        return f'{name}: FAILED: {outcome.reason}'
    best = max(outcome.actions, key=lambda action: action.score, default=None)
    count = len(outcome.actions)
    seen = '' if best is None else f', best {best.label} {best.start:.1f} to {best.end:.1f} s, score {best.score:.3g}'
    return f'{name}: {count} action{"" if count == 1 else "s"} in {outcome.duration:.1f} s{seen}'


if __name__ == '__main__':
    run_tool(main, build_parser())
