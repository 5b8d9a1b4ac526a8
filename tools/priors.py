"""The texts of the training videos, for guidance: asked of a multimodal language model, or made elsewhere.

Asking (docs/asking.md): plan, run, retry, status, check, show, merge.
Made elsewhere (docs/priors.md): import, import-captions; those of whole classes: tools/class_texts.py.
Besides: embed, which runs the text encoder before training, and tiny-model, to try the road without a model.

Example: python tools/priors.py run configs/priors/qwen3-vl-8b_server.py --data-root data/mine
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, get_args

from mmwtal.formats.annotations import AnnotationSet, read_annotations
from mmwtal.formats.findings import shown
from mmwtal.offline.job import State
from mmwtal.offline.lists import alike, counted_lines
from mmwtal.offline.manifest import MANIFEST_NAME, PLAN_NAME
from mmwtal.priors.status import format_status
from mmwtal.priors.store import STORE_NAME, PriorStore
from mmwtal.utils.cli import run_tool
from mmwtal.utils.config.options import add_cfg_options
from mmwtal.utils.errors import UserError
from mmwtal.utils.run_options import positive_number_word

# Commands that begin a store; the others need one.
_BEGINNING = ('plan', 'import', 'import-captions')


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')

    def command(name: str, text: str, *, store: bool = True) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=f'{text[0].upper()}{text[1:]}.')
        if store:
            one.add_argument('--data-root', type=Path, help='the data root, with annotations.json')
            one.add_argument('--out', type=Path, help='the store, a folder (default: DATA_ROOT/priors)')
        return one

    one = command('plan', 'find and probe the training videos, and begin the store of what is asked about them')
    _add_job(one)
    one.add_argument('--videos', type=Path, required=True, help='their folder; a file is named by its video')
    one.add_argument('--workers', type=positive_number_word, default=2, help='processes (default: %(default)s)')
    one.add_argument('--overwrite', action='store_true', help='replace a store of another job')
    _add_run_options(command('run', 'ask about every video of the plan that has no record yet'))
    one = command('retry', 'ask again about videos that failed or were refused')
    _add_run_options(one)
    states = [state for state in get_args(State) if state != 'ok']
    text = 'which videos (default: failed refused)'
    one.add_argument('--states', nargs='+', choices=states, default=['failed', 'refused'], help=text)
    command('status', 'count what is done and what is left')
    one = command('check', 'judge the texts: coverage, lengths, repeated sentences, wrong classes, the worst ones')
    one.add_argument('--worst', type=positive_number_word, default=10, help='how many are shown (default: %(default)s)')
    one.add_argument('--json', type=Path, metavar='FILE', help='write the report there, too')
    one = command('show', 'draw the frames that the model was asked about, and what it answered')
    one.add_argument('video', metavar='VIDEO', help="the video's id")
    one.add_argument('--picture', type=Path, metavar='FILE', help='a PNG file (default: VIDEO.png)')
    _add_videos(one)
    one = command('merge', 'write the texts of all writers into one Parquet file')
    one.add_argument('parquet', type=Path, metavar='FILE')
    one = command('import', 'write texts that were made elsewhere into a store')
    text = 'JSON: {video: {label: {"key": [...], "complete": "...", "key_words": [...]}}}'
    one.add_argument('texts', type=Path, help=text)
    one.add_argument('--source', default='import', help='what the records name as their source (default: %(default)s)')
    one.add_argument('--overwrite', action='store_true', help='replace a store of other texts')
    one = command('import-captions', 'write human captions of ActivityNet videos into a store, as complete semantics')
    one.add_argument('captions', type=Path, nargs='+', help='files of ActivityNet Captions: train.json, ...')
    one.add_argument('--overwrite', action='store_true', help='replace a store of other texts')
    one = command('embed', 'run the text encoder of a config with guidance, so that training need not', store=False)
    one.add_argument('config', metavar='CONFIG', help='a config of configs/mllm4wtal/, or one like it')
    one.add_argument('--data-root', type=Path, help="replaces the config's")
    add_cfg_options(one)
    one = command('tiny-model', 'write a tiny random model of a real architecture', store=False)
    one.add_argument('folder', type=Path)
    one.add_argument('--family', default='qwen3_vl', help='which architecture (default: %(default)s)')
    return parser


def _add_job(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', metavar='CONFIG', help='a config of configs/priors/, or one like it')
    add_cfg_options(parser)


def _add_videos(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--videos', type=Path, help='the folder of videos, if it is not where the plan was made')


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    _add_job(parser)
    _add_videos(parser)
    parser.add_argument('--num-shards', type=positive_number_word, default=1, metavar='N', help='parts, one a process')
    parser.add_argument('--shard', type=int, default=0, metavar='I', help='the part of this process, from 0')
    text = 'seconds to wait for a server that is gone (default: %(default)g)'
    parser.add_argument('--patience', type=float, default=600.0, metavar='S', help=text)
    parser.add_argument('--ray', metavar='ADDRESS', help='run on this Ray cluster; auto: the one of this machine')
    parser.add_argument('--workers', type=positive_number_word, metavar='N', help='of Ray (default: 2)')


def main(args: argparse.Namespace) -> int | None:
    """Run the command."""
    commands = {
        'plan': _plan,
        'run': _run,
        'retry': _run,
        'status': _status,
        'check': _check,
        'show': _show,
        'merge': _merge,
        'import': _import,
        'import-captions': _import_captions,
        'embed': _embed,
        'tiny-model': _tiny_model,
    }
    return commands[args.command](args)


def _plan(args: argparse.Namespace) -> None:
    from mmwtal.apis.prior_jobs import begin_plan

    plan = begin_plan(_job(args), _folder(args), args.videos, workers=args.workers, overwrite=args.overwrite)
    readable = [entry for entry in plan.entries if not entry.problem]
    hours = sum(entry.duration for entry in readable) / 3600
    lines = [f'{len(readable)} videos of {hours:.2f} hours can be read; plan written to {_folder(args)}']
    lines += counted_lines('cannot be read', [f'{shown(one.video)}: {one.problem}' for one in plan.unreadable])
    lines += counted_lines('training videos have no file', [shown(video) for video in plan.missing])
    lines += counted_lines('groups of videos have the same content', [alike(group) for group in plan.duplicates])
    if plan.unasked:
        lines.append(f'{plan.unasked} other video files are there, which no training video with a label is named by')
    print(*lines, sep='\n')


def _run(args: argparse.Namespace) -> int:
    from mmwtal.apis.prior_jobs import need_plan
    from mmwtal.offline.folder import run_folder
    from mmwtal.offline.progress import counted
    from mmwtal.offline.shards import Shard

    if args.ray and (args.num_shards > 1 or args.shard):
        raise UserError('--ray divides the videos by itself: leave out --num-shards and --shard')
    if args.workers and not args.ray:
        raise UserError('--workers is of Ray, which --ray names; how many decode is in the config (job.decoders)')
    folder, job = _folder(args), _job(args)
    plan = need_plan(folder, args.videos)
    again = frozenset(args.states) if args.command == 'retry' else frozenset()
    if args.ray:
        from mmwtal.offline.ray_runner import run_on_ray

        options = {'workers': args.workers or 2, 'address': args.ray, 'patience': args.patience}
        done = run_on_ray(job, plan, folder, again=again, stream=sys.stderr, **options)
    else:
        shard = Shard(args.shard, args.num_shards)
        done = run_folder(job, plan, folder, shard, again=again, patience=args.patience, stream=sys.stderr)
    print(f'{counted(done.counts) or "nothing to do"} in {done.seconds:.0f} s; {done.before} videos were done before')
    # A refusal is an answer; a video that failed is work left undone.
    return 1 if done.counts['failed'] or done.counts['quarantined'] else 0


def _status(args: argparse.Namespace) -> None:
    from mmwtal.offline.plan import find_plan

    folder = _folder(args)
    print(format_status(PriorStore(folder), find_plan(folder), _annotations(args)))


def _check(args: argparse.Namespace) -> None:
    from mmwtal.formats.class_names import choose_classes
    from mmwtal.priors.report import format_report
    from mmwtal.priors.store_check import check_store
    from mmwtal.utils.files import write_atomically

    _check_output(args, args.json)
    annotations = _annotations(args)
    classes = () if annotations is None else choose_classes(annotations)
    records = PriorStore(_folder(args)).read()
    report = check_store(records, annotations=annotations, classes=classes, worst=args.worst)
    print(format_report(report))
    if args.json:
        content = json.dumps(report.to_json(), indent=1) + '\n'
        write_atomically(args.json, lambda file: file.write(content.encode()))
        print(f'\nwritten to {args.json}')


def _show(args: argparse.Namespace) -> None:
    from mmwtal.apis.prior_jobs import draw_video

    path = args.picture or Path(f'{args.video}.png')
    if path.suffix.lower() != '.png':
        raise UserError(f'--picture: expected a name that ends in .png, found {path}')
    _check_output(args, path)
    draw_video(_folder(args), args.video, path, videos=args.videos)
    print(f'written to {path}')


def _merge(args: argparse.Namespace) -> None:
    from mmwtal.offline.parquet import merge

    _check_output(args, args.parquet)
    records = PriorStore(_folder(args)).read()
    merge([record.to_json() for record in records.values()], args.parquet)
    print(f'{len(records)} records written to {args.parquet}')


def _import(args: argparse.Namespace) -> None:
    from mmwtal.priors.texts_file import import_texts

    folder = _folder(args)
    if not args.source.strip() or not args.source.isprintable():
        raise UserError(f'--source must be a name, found {args.source!r}')
    options = {'source': args.source, 'annotations': _annotations(args), 'overwrite': args.overwrite}
    _say_imported(import_texts(args.texts, PriorStore(folder), **options), folder)


def _import_captions(args: argparse.Namespace) -> None:
    from mmwtal.priors.captions import import_captions

    annotations = read_annotations(_need_data_root(args) / 'annotations.json')
    store = PriorStore(_folder(args))
    done, counts = import_captions(args.captions, store, annotations=annotations, overwrite=args.overwrite)
    _say_imported(done, store.folder)
    left_out = {
        'training videos have several labels, and a caption is about none of them alone': counts.several_labels,
        'captioned videos are no training videos': counts.elsewhere,
    }
    print(*(f'{count} {what}' for what, count in left_out.items() if count), sep='\n')


def _embed(args: argparse.Namespace) -> None:
    from mmwtal.apis.prior_jobs import embed_texts

    texts = embed_texts(args.config, data_root=args.data_root, cfg_options=args.cfg_options)
    print(f'vectors of width {texts.width} for {texts.vocabulary_size - 1} words are there')


def _tiny_model(args: argparse.Namespace) -> None:
    from mmwtal.priors.tiny_mllm import write_tiny_mllm

    write_tiny_mllm(args.folder, family=args.family)
    print(f'a random model of the family {args.family} was written to {args.folder}')


def _say_imported(done: Any, folder: Path) -> None:
    kept = f', {done.kept} were there already' if done.kept else ''
    print(f'{done.written} texts written to {folder}{kept}')
    if done.absent_key_words:
        print(f'{done.absent_key_words} of {done.key_words} key words are not in their description and weigh nothing')
    if done.pairs:
        share = f'{done.described / done.pairs:.1%}' if done.described is not None else ''
        print(f'{done.described} of {done.pairs} pairs of a training video and its class have a text ({share})')


def _folder(args: argparse.Namespace) -> Path:
    if args.out is None and args.data_root is None:
        raise UserError('name the store with --out, or the data root with --data-root')
    folder = args.data_root / STORE_NAME if args.out is None else args.out
    if args.command not in _BEGINNING and not (folder / MANIFEST_NAME).exists():
        raise UserError(f'there is no prior store at {folder}: begin one with tools/priors.py plan or import')
    return folder


def _check_output(args: argparse.Namespace, path: Path | None) -> None:
    """Check that a file that is to be written is none of those that are read, and has a folder."""
    folder = _folder(args)
    read = [folder / MANIFEST_NAME, folder / PLAN_NAME, *PriorStore(folder).ledger.files()]
    read += [] if args.data_root is None else [args.data_root / 'annotations.json']
    if path is not None and path.exists() and any(one.exists() and path.samefile(one) for one in read):
        raise UserError(f'{path} is what is read, and is never replaced: name another file')
    if path is not None and not path.absolute().parent.is_dir():
        raise UserError(f'the folder of {path} does not exist: make it, or name another file')


def _annotations(args: argparse.Namespace) -> AnnotationSet | None:
    return None if args.data_root is None else read_annotations(args.data_root / 'annotations.json')


def _need_data_root(args: argparse.Namespace) -> Path:
    root: Path | None = args.data_root
    if root is None:
        raise UserError(f'{args.command} needs --data-root, whose annotations.json names videos and labels')
    return root


def _job(args: argparse.Namespace) -> Any:
    from mmwtal.apis.offline import build_job

    return build_job(args.config, data_root=_need_data_root(args), store=_folder(args), cfg_options=args.cfg_options)


if __name__ == '__main__':
    run_tool(main, build_parser())
