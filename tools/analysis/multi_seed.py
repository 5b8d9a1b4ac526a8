"""Train and test a config with several seeds, a folder for each, and sum up the results.

Run the same command again to continue: finished seeds are skipped, interrupted ones go on from their last checkpoint.

Example: python tools/analysis/multi_seed.py configs/quick/co2net_synthetic.py --seeds 0-4 --jobs 2
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmwtal.evaluation.runs import RESULT_NAME, SUMMARY_NAME, Run, RunSet, read_runs, to_text
from mmwtal.utils.cli import run_tool
from mmwtal.utils.config.digest import changed_values, config_content, config_sha256, imports_sha256
from mmwtal.utils.config.options import add_cfg_options
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import real_path, write_atomically
from mmwtal.utils.jobs import Failure, Job, Step, run_jobs
from mmwtal.utils.json_file import read_json_object
from mmwtal.utils.locks import file_lock

REPOSITORY = Path(__file__).resolve().parents[2]
LOG_NAME = 'log.txt'
SETTINGS_NAME = 'multi_seed.json'
LOCK_NAME = '.lock'
MOST_SEEDS = 1000


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('--seeds', type=parse_seeds, required=True, metavar='0-4|0,2,7', help='which seeds')
    parser.add_argument('--work-dir', type=Path, help='holds seed_0/, seed_1/, ...; default: work_dirs/<config name>')
    parser.add_argument('--data-root', type=Path, help='replaces data_root of every dataset and evaluator')
    parser.add_argument('--jobs', type=_positive, default=1, metavar='N', help='seeds at the same time (default: 1)')
    parser.add_argument(
        '--threads',
        type=_positive,
        metavar='N',
        help='OMP_NUM_THREADS of each; default: that of the environment, else the number of cores divided by --jobs',
    )
    parser.add_argument(
        '--select-on-test',
        action='store_true',
        help='score the checkpoint that is best on the TEST split, as most published code does; the results say so',
    )
    parser.add_argument('--out', type=Path, metavar='FILE.json', help='write the summary there too, to be stored')
    add_cfg_options(parser)
    return parser


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read '0-4' or '0,2,7' or both mixed; raise ArgumentTypeError for anything else."""
    seeds: list[int] = []
    for part in text.split(','):
        first, dash, last = part.partition('-')
        if not (first.isdecimal() and (last.isdecimal() if dash else True)):
            raise argparse.ArgumentTypeError(f'expected seeds such as 0-4 or 0,2,7, found {text!r}')
        low, high = int(first), int(last) if dash else int(first)
        if high < low or high >= 2**32 or high - low >= MOST_SEEDS:
            raise argparse.ArgumentTypeError(
                f'expected at most {MOST_SEEDS} ascending seeds below 2^32, found {part!r}'
            )
        seeds.extend(range(low, high + 1))
    if len(set(seeds)) < len(seeds) or len(seeds) > MOST_SEEDS:
        raise argparse.ArgumentTypeError(f'expected at most {MOST_SEEDS} seeds, each given once, found {text!r}')
    return tuple(seeds)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'expected a whole number from 1, found {text!r}')
    return int(text)


def main(args: argparse.Namespace) -> None:
    """Run what is left to run, then print and write the summary."""
    from mmwtal.apis.runtime import make_work_dir
    from mmwtal.apis.settings import prepare_config

    _check_out(args)
    if 'randomness.seed' in (args.cfg_options or {}):
        raise UserError('--cfg-options randomness.seed: the seeds are given with --seeds')
    threads = args.threads or _threads_of_environment() or max(1, _cores() // args.jobs)
    cfg = prepare_config(args.config, cfg_options=args.cfg_options, data_root=args.data_root, work_dir=args.work_dir)
    folder = make_work_dir(cfg.work_dir)
    with _locked(folder) as lock:
        _check_settings(folder / SETTINGS_NAME, _settings(args, cfg))
        finished = {seed: run for seed in args.seeds if (run := _finished(folder, seed, cfg, args.select_on_test))}
        for seed, run in finished.items():
            _say(f'seed {seed}: finished already, average {run.average:.2f}')
        jobs = [_job(args, folder, seed) for seed in args.seeds if seed not in finished]
        environment = {**os.environ, 'OMP_NUM_THREADS': str(threads), 'MKL_NUM_THREADS': str(threads)}
        try:
            failures = run_jobs(jobs, at_once=args.jobs, environment=environment, report=_say, keep_open=(lock,))
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(_how_to_go_on(args, folder, interrupt)) from None
        if len(failures) < len(args.seeds):
            _sum_up(args, folder, threads)
    if failures:
        raise UserError('\n  '.join([f'{len(failures)} of {len(args.seeds)} seeds failed', *map(_described, failures)]))


def _check_out(args: argparse.Namespace) -> None:
    """Refuse before the runs what would only fail after them."""
    if args.out is None:
        return
    if args.out.is_dir() or not args.out.parent.is_dir() or real_path(args.out) == real_path(Path(args.config)):
        raise UserError(f'--out {args.out}: expected a file in an existing folder, and not the config itself')


def _say(line: str) -> None:
    print(line, flush=True)


def _threads_of_environment() -> int | None:
    """Return the outermost level of OMP_NUM_THREADS, which may be a list, None where it is not set."""
    text = os.environ.get('OMP_NUM_THREADS', '')
    outer = text.split(',')[0].strip()
    if text and not (outer.isdecimal() and int(outer)):
        raise UserError(f'OMP_NUM_THREADS is {text!r}, expected a whole number from 1; mend it, or give --threads')
    return int(outer) if text else None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def _locked(folder: Path) -> AbstractContextManager[int]:
    """Hold a lock that children inherit: those of a killed run keep it, so that no two processes train one seed."""
    busy = (
        f'work dir {folder}: runs are under way in it, of another multi_seed.py or of one that was killed; '
        'wait for them or end them, or choose another --work-dir'
    )
    return file_lock(folder / LOCK_NAME, wait=False, busy=busy)


def _settings(args: argparse.Namespace, cfg: Config) -> dict[str, Any]:
    """Return what all runs of a folder have in common."""
    loaders = [cfg[key]['dataset'].get('data_root') for key in ('train_dataloader', 'test_dataloader') if cfg.get(key)]
    settings = {
        'data_root': sorted({os.path.abspath(root) for root in loaders if root is not None}),
        'select_on_test': args.select_on_test,
        'load_from': cfg.get('load_from'),
        'config': config_content(cfg),
    }
    hashes = imports_sha256(cfg)
    return {**settings, 'source of custom_imports': hashes} if hashes else settings


def _check_settings(file: Path, settings: dict[str, Any]) -> None:
    """Refuse settings that are not those of the runs in the folder; keep them where there is none that got anywhere."""
    started = (found for name in ('*.pth', RESULT_NAME) for found in file.parent.glob(f'seed_*/{name}'))
    if file.exists() and any(started):
        earlier = read_json_object(file, what='settings of the earlier runs')
        changes = list(changed_values(settings, earlier))
        if changes:
            shown = [*changes[:10], *([f'and {len(changes) - 10} more'] if len(changes) > 10 else [])]
            raise UserError(
                '\n  '.join(
                    [f'work dir {file.parent}: holds runs of other settings (asked for now, found there):', *shown]
                )
                + '\nRepeat the command that they were made with, or choose another --work-dir'
            )
        return
    write_atomically(file, lambda opened: opened.write(json.dumps(settings, indent=1).encode()))


def _finished(folder: Path, seed: int, cfg: Config, select_on_test: bool) -> Run | None:
    """Return the result of a seed, None where there is none yet.

    Raises:
        UserError: If it is not that of this seed and config.
    """
    file = _seed_folder(folder, seed) / RESULT_NAME
    if not file.is_file():
        return None
    found = read_runs(file)
    best = 'best on' in found.facts['selection']
    for what, ours, theirs in (
        ('seed', seed, found.runs[0].seed),
        ('hash of the config', config_sha256(cfg), found.origin.get('config_sha256')),
        ('checkpoint selected on the test split', select_on_test, best),
    ):
        if ours != theirs:
            raise UserError(
                f'{file}: is the result of another run: {what} is {theirs}, expected {ours}; delete the folder '
                f'{file.parent}, or choose another --work-dir'
            )
    iteration, last = found.runs[0].iteration, cfg.train_cfg.get('max_iters')
    if not select_on_test and iteration != last:
        # tools/test.py, called by hand, has scored an earlier checkpoint.
        raise UserError(
            f'{file}: is the result of iteration {iteration}, not of the last, {last}; delete this file, and the same '
            'command goes on training'
        )
    return found.runs[0]


def _seed_folder(folder: Path, seed: int) -> Path:
    return folder / f'seed_{seed}'


def _job(args: argparse.Namespace, folder: Path, seed: int) -> Job:
    from mmwtal.engine.checkpoint import BEST_ON_TEST

    own = _seed_folder(folder, seed)
    own.mkdir(exist_ok=True)
    tools = REPOSITORY / 'tools'
    shared = ['--work-dir', str(own)]
    if args.data_root is not None:
        shared += ['--data-root', str(args.data_root)]
    if args.cfg_options:
        shared += ['--cfg-options', *args.cfg_options_words]
    train = [sys.executable, str(tools / 'train.py'), args.config, '--seed', str(seed), '--resume']
    train += ['--select-on-test'] if args.select_on_test else []
    checkpoint = own / BEST_ON_TEST if args.select_on_test else own
    test = [sys.executable, str(tools / 'test.py'), args.config, str(checkpoint)]
    steps = (Step(name='training', command=(*train, *shared)), Step(name='test', command=(*test, *shared)))
    return Job(name=f'seed {seed}', steps=steps, log=own / LOG_NAME)


def _how_to_go_on(args: argparse.Namespace, folder: Path, interrupt: KeyboardInterrupt) -> str:
    done = sum((_seed_folder(folder, seed) / RESULT_NAME).is_file() for seed in args.seeds)
    by = f'{interrupt}; ' if str(interrupt) else ''
    return f'{by}{done} of {len(args.seeds)} seeds are finished in {folder}; the same command goes on from there'


def _described(failure: Failure) -> str:
    """Return a line that names the log, and what the run itself gave as the reason."""
    lines = failure.job.log.read_text(errors='replace').splitlines()
    reasons = [line for line in lines if line.startswith('error: ')] or [line for line in lines if line.strip()]
    reason = reasons[-1].removeprefix('error: ')
    return f'{failure.job.name}: {failure.step} ended with exit code {failure.code}: {reason} (log: {failure.job.log})'


def _sum_up(args: argparse.Namespace, folder: Path, threads: int) -> None:
    found = read_runs(folder, name=Path(args.config).stem)
    config = Path(args.config).resolve()
    name = str(config.relative_to(REPOSITORY)) if config.is_relative_to(REPOSITORY) else config.name
    origin = {**found.origin, 'config': name, 'command': _command(args, name, found.seeds), 'threads': threads}
    options = shlex.join(args.cfg_options_words) if args.cfg_options else ''
    if options:
        origin['cfg_options'] = list(args.cfg_options_words)
    summary = RunSet(name=found.name, facts=found.facts, origin=origin, runs=found.runs)
    heading = summary.heading() + (f'\n--cfg-options {options}' if options else '')
    print()
    print(heading)
    print(summary.table().text())
    _write(folder / SUMMARY_NAME, to_text(summary.to_dict()))
    _write((folder / SUMMARY_NAME).with_suffix('.md'), f'{heading}\n\n{summary.table().markdown()}\n')
    if args.out is not None:
        _write(args.out, to_text(summary.to_dict()))


def _command(args: argparse.Namespace, config: str, seeds: Sequence[int]) -> str:
    """Return the command that makes the summary anywhere: without folders of this machine."""
    words = ['python', 'tools/analysis/multi_seed.py', config, '--seeds', _seeds_text(seeds)]
    words += ['--threads', str(args.threads)] if args.threads else []
    words += ['--select-on-test'] if args.select_on_test else []
    words += ['--cfg-options', *args.cfg_options_words] if args.cfg_options else []
    return shlex.join(words)


def _seeds_text(seeds: Sequence[int]) -> str:
    if len(seeds) > 1 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f'{seeds[0]}-{seeds[-1]}'
    return ','.join(map(str, seeds))


def _write(file: Path, text: str) -> None:
    try:
        write_atomically(file, lambda opened: opened.write(text.encode()))
    except OSError as error:
        raise UserError(f'{file}: cannot be written ({error.strerror})') from error
    print(f'written to {file}')


if __name__ == '__main__':
    run_tool(main, build_parser())
