"""Draw what several models find in one video of a data root, beside what is known of it.

A row is a file of predictions, or a model, which is run and adds its class activation sequences and attention; or, with
--plan, each arm of the first base of a plan that tools/analysis/ablate.py has run, with the first seed. Without --video
it is the test video whose id comes first in the alphabet: a choice that looks at no result.

Example: python tools/analysis/timeline.py data/synthetic --out timeline.png
         --model base=configs/quick/co2net_synthetic.py:work_dirs/co2net_synthetic --predictions mine=predictions.json
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError

if TYPE_CHECKING:
    from mmwtal.apis.timelines import ModelSource

REPOSITORY = Path(__file__).resolve().parents[2]


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data_root', type=Path, metavar='DATA_ROOT', help='with annotations.json and features/')
    parser.add_argument('--video', metavar='ID', help='default: the first test video')
    named: Any = {'action': 'append', 'dest': 'sources', 'default': []}
    text = 'a row of the actions in a file, as tools/test.py and tools/infer.py write it'
    parser.add_argument('--predictions', type=_predictions, metavar='NAME=FILE', help=text, **named)
    text = 'a row, and curves, of a model; CHECKPOINT is a file or a work dir'
    parser.add_argument('--model', type=_model, metavar='NAME=CONFIG:CHECKPOINT', help=text, **named)
    text = 'rows of the models that ablate.py made with this plan'
    parser.add_argument('--plan', type=Path, metavar='PLAN', help=text)
    parser.add_argument('--work-dir', type=Path, metavar='D', help="the plan's; default: work_dirs/<plan name>")
    parser.add_argument('--out', type=Path, default=Path('timeline.png'), metavar='FILE', help='default: %(default)s')
    return parser


def _predictions(text: str) -> 'tuple[str, Path]':
    name, equals, path = text.partition('=')
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f'expected NAME=FILE, found {text!r}')
    return name, Path(path)


def _model(text: str) -> 'tuple[str, ModelSource]':
    from mmwtal.apis.timelines import ModelSource

    name, _, source = text.partition('=')
    config, _, checkpoint = source.partition(':')
    if not (name and config and checkpoint):
        raise argparse.ArgumentTypeError(f'expected NAME=CONFIG:CHECKPOINT, found {text!r}')
    return name, ModelSource(config=config, checkpoint=checkpoint)


def main(args: argparse.Namespace) -> None:
    """Draw the picture."""
    from mmwtal.apis.timelines import ModelSource, compared_timeline, models_of_plan
    from mmwtal.utils.files import real_path
    from mmwtal.visualization.timeline import draw_timeline

    sources, note = dict(args.sources), ''
    if args.plan is not None:
        work_dir = args.work_dir or Path('work_dirs') / args.plan.stem
        models, seed = models_of_plan(args.plan, work_dir=work_dir, repository=REPOSITORY)
        args.sources += models.items()
        sources, note = {**models, **sources}, f'; seed {seed}'
    if len(sources) < len(args.sources):
        raise UserError('two rows have the same name: give each a name of its own')
    if not sources:
        raise UserError('there is nothing to draw: give --predictions, --model or --plan')
    read = [args.data_root, *(source for source in sources.values() if isinstance(source, Path))]
    read += [Path(part) for one in sources.values() if isinstance(one, ModelSource) for part in one.files]
    if real_path(args.out) in map(real_path, read):
        raise UserError(f'--out {args.out}: is read, and never replaced; choose another name')
    timeline = compared_timeline(args.data_root, sources, video=args.video, note=note)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    draw_timeline(args.out, timeline)
    print(f'picture of {timeline.video}: {args.out}')


if __name__ == '__main__':
    run_tool(main, build_parser())
