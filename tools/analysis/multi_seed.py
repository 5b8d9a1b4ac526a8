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
from typing import TYPE_CHECKING, Any

from mmengine.config import Config

from mmwtal.evaluation.runs import RESULT_NAME, SUMMARY_NAME, RunSet, read_runs, to_text
from mmwtal.utils.cli import run_tool
from mmwtal.utils.config.digest import changed_values, config_content, imports_sha256
from mmwtal.utils.config.options import add_cfg_options
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import real_path, write_atomically
from mmwtal.utils.jobs import Job, run_jobs
from mmwtal.utils.json_file import read_json_object
from mmwtal.utils.run_options import add_run_options, child_environment, parse_seeds, seeds_text, threads_of_each

if TYPE_CHECKING:
    from mmwtal.apis.seed_runs import SeedRun

REPOSITORY = Path(__file__).resolve().parents[2]
SETTINGS_NAME = 'multi_seed.json'


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('--seeds', type=parse_seeds, required=True, metavar='0-4|0,2,7', help='which seeds')
    parser.add_argument('--work-dir', type=Path, help='holds seed_0/, seed_1/, ...; default: work_dirs/<config name>')
    parser.add_argument('--data-root', type=Path, help='replaces data_root of every dataset and evaluator')
    add_run_options(parser, what='seeds')
    parser.add_argument(
        '--select-on-test',
        action='store_true',
        help='score the checkpoint that is best on the TEST split, as most published code does; the results say so',
    )
    parser.add_argument('--out', type=Path, metavar='FILE.json', help='write the summary there too, to be stored')
    add_cfg_options(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    """Run what is left to run, then print and write the summary."""
    from mmwtal.apis.runtime import make_work_dir
    from mmwtal.apis.seed_runs import described_failure
    from mmwtal.apis.settings import prepare_config

    _check_out(args)
    if 'randomness.seed' in (args.cfg_options or {}):
        raise UserError('--cfg-options randomness.seed: the seeds are given with --seeds')
    threads = threads_of_each(args.threads, args.jobs)
    cfg = prepare_config(args.config, cfg_options=args.cfg_options, data_root=args.data_root, work_dir=args.work_dir)
    folder = make_work_dir(cfg.work_dir)
    with _locked(folder) as lock:
        _check_settings(folder / SETTINGS_NAME, _settings(args, cfg))
        finished = {seed: run for seed in args.seeds if (run := _run(args, folder, seed).finished(cfg))}
        for seed, run in finished.items():
            _say(f'seed {seed}: finished already, average {run.average:.2f}')
        jobs = [_job(args, folder, seed) for seed in args.seeds if seed not in finished]
        environment = child_environment(threads)
        try:
            failures = run_jobs(jobs, at_once=args.jobs, environment=environment, report=_say, keep_open=(lock,))
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(_how_to_go_on(args, folder, interrupt)) from None
        if len(failures) < len(args.seeds):
            _sum_up(args, folder, threads)
    if failures:
        raise UserError(
            '\n  '.join([f'{len(failures)} of {len(args.seeds)} seeds failed', *map(described_failure, failures)])
        )


def _check_out(args: argparse.Namespace) -> None:
    """Refuse before the runs what would only fail after them."""
    if args.out is None:
        return
    if args.out.is_dir() or not args.out.parent.is_dir() or real_path(args.out) == real_path(Path(args.config)):
        raise UserError(f'--out {args.out}: expected a file in an existing folder, and not the config itself')


def _say(line: str) -> None:
    print(line, flush=True)


def _locked(folder: Path) -> AbstractContextManager[int]:
    from mmwtal.apis.seed_runs import runs_lock

    return runs_lock(folder, 'multi_seed.py')


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


def _run(args: argparse.Namespace, folder: Path, seed: int) -> 'SeedRun':
    from mmwtal.apis.seed_runs import SeedRun, seed_folder

    return SeedRun(
        config=args.config,
        seed=seed,
        folder=seed_folder(folder, seed),
        data_root=args.data_root,
        options=tuple(args.cfg_options_words) if args.cfg_options else (),
        select_on_test=args.select_on_test,
    )


def _job(args: argparse.Namespace, folder: Path, seed: int) -> Job:
    run = _run(args, folder, seed)
    run.folder.mkdir(exist_ok=True)
    return run.job(sys.executable, REPOSITORY / 'tools')


def _how_to_go_on(args: argparse.Namespace, folder: Path, interrupt: KeyboardInterrupt) -> str:
    from mmwtal.apis.seed_runs import seed_folder

    done = sum((seed_folder(folder, seed) / RESULT_NAME).is_file() for seed in args.seeds)
    by = f'{interrupt}; ' if str(interrupt) else ''
    return f'{by}{done} of {len(args.seeds)} seeds are finished in {folder}; the same command goes on from there'


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
    words = ['python', 'tools/analysis/multi_seed.py', config, '--seeds', seeds_text(seeds)]
    words += ['--threads', str(args.threads)] if args.threads else []
    words += ['--select-on-test'] if args.select_on_test else []
    words += ['--cfg-options', *args.cfg_options_words] if args.cfg_options else []
    return shlex.join(words)


def _write(file: Path, text: str) -> None:
    try:
        write_atomically(file, lambda opened: opened.write(text.encode()))
    except OSError as error:
        raise UserError(f'{file}: cannot be written ({error.strerror})') from error
    print(f'written to {file}')


if __name__ == '__main__':
    run_tool(main, build_parser())
