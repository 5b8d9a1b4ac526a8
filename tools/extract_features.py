"""Extract snippet features of videos, and with labels a data root to train on.

    python tools/extract_features.py CONFIG VIDEOS OUT

CONFIG is one of configs/features/. The features of VIDEOS/any/folder/ID.mp4 are written to OUT/features/ID.npy, and how
they were made to OUT/features/features.json. Called again, it goes on where it was stopped. See docs/extraction.md.

Example: python tools/extract_features.py configs/features/tiny_rgb.py videos data/mine --labels labels.csv
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from mmwtal.conversion.options import add_label_options
from mmwtal.formats.findings import shown
from mmwtal.offline.job import State
from mmwtal.offline.lists import alike, counted_lines
from mmwtal.utils.cli import run_tool
from mmwtal.utils.config.options import add_cfg_options
from mmwtal.utils.errors import UserError
from mmwtal.utils.run_options import positive_number_word


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', metavar='CONFIG', help='a config of configs/features/, or one like it')
    parser.add_argument('videos', type=Path, metavar='VIDEOS', help='a folder; a file is named by its video')
    parser.add_argument('out', type=Path, metavar='OUT', help='the data root to write')
    text = 'CSV: video,label[;label...]; only these videos are extracted, and annotations.json is written'
    parser.add_argument('--labels', type=Path, metavar='CSV', help=text)
    add_label_options(parser)
    # Nothing here refuses a video.
    states = ['failed', 'quarantined']
    text = 'try again those that failed; or those with the named states'
    parser.add_argument('--retry', nargs='*', choices=states, metavar='STATE', help=text)
    parser.add_argument('--status', action='store_true', help='count what is done and what is left, and end')
    parser.add_argument('--overwrite', action='store_true', help='remove what another config extracted to OUT first')
    parser.add_argument('--num-shards', type=positive_number_word, default=1, metavar='N', help='parts, one a process')
    parser.add_argument('--shard', type=int, default=0, metavar='I', help='the part of this process, from 0')
    parser.add_argument('--ray', metavar='ADDRESS', help='run on this Ray cluster; auto: the one of this machine')
    text = 'processes that look into the files before; with --ray also its workers (default: %(default)s)'
    parser.add_argument('--workers', type=positive_number_word, default=2, help=text)
    text = 'GPUs of each worker of Ray, which shows it no other (default: 0)'
    parser.add_argument('--gpus', type=float, metavar='N', help=text)
    add_cfg_options(parser)
    return parser


def main(args: argparse.Namespace) -> int:
    """Plan, extract, and write what goes with the features."""
    if args.status:
        return _status(args)
    from mmwtal.apis.feature_jobs import begin_extraction
    from mmwtal.apis.offline import build_job
    from mmwtal.features.job import FeatureExtraction
    from mmwtal.features.store import FEATURES_NAME

    shard = _shard(args)
    labels = _labels(args)
    features, folder = _folders(args)
    job = build_job(args.config, data_root=args.out, store=folder, cfg_options=args.cfg_options)
    if not isinstance(job, FeatureExtraction):
        raise UserError(f'{args.config} is no config of a FeatureExtraction: take one of configs/features/')
    if not args.ray:
        # What is not there on this machine is said before an earlier extraction is replaced.
        job.extractor.prepare()
    wanted = None if labels is None else labels.videos
    plan = begin_extraction(job, args.videos, wanted, workers=args.workers, overwrite=args.overwrite)
    _say_planned(plan)
    try:
        done = _run(args, job, plan, shard)
    finally:
        # Also of a run that is stopped: what is there can be used.
        job.store.write_sidecar(job.sidecar())
    # Another stream has no annotations of its own.
    if labels is not None and features == FEATURES_NAME:
        _write_data_root(args, job, plan, labels)
    print(f'\nfeatures of width {job.extractor.width}: {job.store.features}')
    return 1 if done['failed'] or done['quarantined'] else 0


def _shard(args: argparse.Namespace) -> Any:
    """Return the part of this process; ``--ray`` does all of them."""
    from mmwtal.offline.shards import Shard

    if args.ray and (args.num_shards > 1 or args.shard):
        raise UserError('--ray divides the videos by itself: leave out --num-shards and --shard')
    if args.gpus is not None and not args.ray:
        raise UserError('--gpus is of Ray, which --ray names; the device of one process is job.extractor.device')
    return Shard(args.shard, args.num_shards)


def _run(args: argparse.Namespace, job: Any, plan: Any, shard: Any) -> Counter[State]:
    """Do the videos that are not done, say what was done, and return the counts by state."""
    from mmwtal.offline.folder import run_folder
    from mmwtal.offline.progress import counted

    again: frozenset[State] = frozenset() if args.retry is None else frozenset(args.retry or ('failed',))
    if args.ray:
        from mmwtal.offline.ray_runner import run_on_ray

        options = {'workers': args.workers, 'address': args.ray, 'resources': {'num_gpus': args.gpus or 0.0}}
        done = run_on_ray(job, plan, job.store.folder, again=again, stream=sys.stderr, **options)
    else:
        done = run_folder(job, plan, job.store.folder, shard, again=again, stream=sys.stderr)
    print(f'{counted(done.counts) or "nothing to do"} in {done.seconds:.0f} s; {done.before} videos were done before')
    records = job.store.records()
    _say(counted_lines('videos have no features', _reasons(records)))
    return done.counts


def _write_data_root(args: argparse.Namespace, job: Any, plan: Any, labels: Any) -> None:
    """Write annotations and audit, unless the videos with labels are those of shards that still work."""
    from mmwtal.apis.feature_jobs import write_data_root
    from mmwtal.conversion.audit import format_audit

    left = job.unfinished(plan.entries, frozenset()) if args.num_shards > 1 else []
    if left and not job.store.done().keys() & labels.training.keys():
        print(f'{len(left)} videos are left to other shards; annotations.json is written once one of them has a label')
        return
    sources = {'videos': str(args.videos), 'labels': str(args.labels)}
    if args.test_csv:
        sources['test_csv'] = str(args.test_csv)
    audit = write_data_root(job, args.out, labels, train_subset=args.train_subset, sources=sources)
    print(format_audit(audit))


def _status(args: argparse.Namespace) -> int:
    from mmwtal.features.store import FeatureStore
    from mmwtal.offline.manifest import MANIFEST_NAME
    from mmwtal.offline.plan import read_plan

    features, folder = _folders(args)
    if not (folder / MANIFEST_NAME).exists():
        raise UserError(f'nothing was extracted to {args.out} yet')
    store, plan = FeatureStore(args.out, folder, features), read_plan(folder, args.videos)
    records = store.records()
    states: Counter[str] = Counter(record['state'] for record in records.values())
    left = store.unfinished(plan.entries, frozenset())
    counts = [f'{count} {state}' for state, count in states.items()]
    print(f'videos    {len(plan.entries)} planned, {len(plan.missing)} missing')
    print(f'features  {", ".join([*counts, f"{len(left)} to do"])}')
    print(f'snippets  {sum(record["snippets"] for record in store.done().values())}')
    if busy := store.ledger.busy():
        print(f'running   {", ".join(busy)}')
    _say(counted_lines('videos have no features', _reasons(records)))
    return 0


def _reasons(records: Any) -> list[str]:
    return [f'{shown(video)}: {record["reason"]}' for video, record in records.items() if record['state'] != 'ok']


def _say_planned(plan: Any) -> None:
    readable = [entry for entry in plan.entries if not entry.problem]
    print(f'{len(readable)} videos of {sum(entry.duration for entry in readable) / 3600:.2f} hours can be read')
    _say(counted_lines('labels have no video file', [shown(video) for video in plan.missing]))
    _say(counted_lines('groups of videos have the same content', [alike(group) for group in plan.duplicates]))
    _say(counted_lines('files have names that are no video ids', plan.misnamed))
    if plan.unasked:
        print(f'{plan.unasked} other video files are there, which no CSV file names')


def _labels(args: argparse.Namespace) -> Any:
    from mmwtal.conversion.own_labels import read_own_labels
    from mmwtal.offline.ledger import raise_problems

    if args.labels is None:
        if args.test_csv or args.classes:
            raise UserError('--test-csv and --classes go with --labels, the labels of the training videos')
        return None
    problems: list[str] = []
    labels = read_own_labels(args.labels, args.test_csv, args.classes, problems)
    raise_problems('the labels', problems)
    return labels


def _say(lines: list[str]) -> None:
    if lines:
        print(*lines, sep='\n')


def _folders(args: argparse.Namespace) -> tuple[str, Path]:
    """Return the name of the features' folder, and the folder of their records."""
    from mmwtal.apis.offline import job_config
    from mmwtal.features.store import FEATURES_NAME, store_folder

    features = job_config(args.config, args.cfg_options).get('features', FEATURES_NAME)
    return features, store_folder(args.out, features)


if __name__ == '__main__':
    run_tool(main, build_parser())
