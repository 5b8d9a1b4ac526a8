"""Stored results of runs that differ in their seed alone: read, checked, summed up."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmwtal.evaluation.statistics import Spread, spread
from mmwtal.utils.errors import UserError
from mmwtal.utils.json_file import finite_number, read_json_object
from mmwtal.utils.tables import Table

RESULT_NAME = 'result.json'
SUMMARY_NAME = 'summary.json'
# What a result's figures depend on beside the model; equal in all runs of a set.
FACTS = (
    'protocol',
    'protocol_hash',
    'tious',
    'subset',
    'video_list',
    'video_list_hash',
    'num_videos',
    'num_instances',
    'num_removed_instances',
    'selection',
    'video_scores',
    'left_out',
)
_DIGITS = 4  # of a stored figure, in percent
_SEED_FOLDER = re.compile(r'seed_(\d+)')


@dataclass(frozen=True, kw_only=True)
class Run:
    """The figures of one run.

    Args:
        seed: Its seed; None where the result does not say.
        iteration: Of its checkpoint; None where the result does not say.
        mAP: Percent, one a threshold.
        average: Mean of ``mAP``.
        per_class: Class -> average precision in percent, one a threshold.
    """

    seed: int | None
    iteration: int | None
    mAP: tuple[float, ...]
    average: float
    per_class: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, kw_only=True)
class RunSet:
    """Runs of one config that differ in their seed alone.

    Args:
        name: What tables call it.
        facts: What the figures depend on beside the model: a value for each of :data:`FACTS`.
        origin: What else the results say of where they come from: ``config``, ``config_sha256``, ``versions``.
        runs: The runs, at least one.
    """

    name: str
    facts: Mapping[str, Any]
    origin: Mapping[str, Any]
    runs: tuple[Run, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that are known."""
        return tuple(run.seed for run in self.runs if run.seed is not None)

    def spread(self) -> Spread:
        """Return mean and standard deviation of (mAP at each threshold ..., average), each of shape (K + 1,)."""
        return spread(np.array([[*run.mAP, run.average] for run in self.runs]))

    def heading(self) -> str:
        """Return by which rule and on which data the figures were made."""
        facts = self.facts
        videos = ', '.join(filter(None, (facts['video_list'], facts['video_list_hash'])))
        lines = [
            f'protocol {facts["protocol"]} (hash {facts["protocol_hash"]}), subset {facts["subset"]}: '
            f'{facts["num_videos"]} videos (list {videos}), {facts["num_instances"]} instances; '
            f'checkpoint: {facts["selection"]}'
        ]
        if facts['video_scores'] is not None:
            lines.append(f'EXTERNAL VIDEO SCORES: sha256 {facts["video_scores"]}')
        if facts['left_out']:
            lines.append(
                f'left out: {len(facts["left_out"])} faulty videos, whose instances count as missed: '
                f'{", ".join(facts["left_out"])}'
            )
        return '\n'.join(lines)

    def table(self) -> Table:
        """Return a row for each seed, their mean and standard deviation."""
        found = self.spread()
        rows = [[_seed(run.seed), *(f'{value:.2f}' for value in (*run.mAP, run.average))] for run in self.runs]
        rows.append(['mean', *(f'{value:.2f}' for value in found.mean)])
        if found.sd is not None:
            rows.append(['sd', *(f'{value:.2f}' for value in found.sd)])
        heads = ['seed', *(f'{tiou:g}' for tiou in self.facts['tious']), 'average']
        return Table(title=f'{self.name}: mAP (%) by tIoU', heads=heads, rows=rows)

    def to_dict(self) -> dict[str, Any]:
        """Return what :func:`read_runs` reads: facts, origin, figures of each run, mean and standard deviation."""
        found = self.spread()
        return {
            **self.facts,
            **self.origin,
            'runs': [_stored(run) for run in self.runs],
            'mean': _named(found.mean),
            'sd': None if found.sd is None else _named(found.sd),
        }


def to_text(summary: Mapping[str, Any]) -> str:
    """Return a summary as JSON of one line a key and a run, so that a change of a figure is a change of a line."""
    lines = []
    for key, value in summary.items():
        text = json.dumps(value)
        if key == 'runs':
            text = '[\n    ' + ',\n    '.join(map(json.dumps, value)) + '\n  ]'
        lines.append(f'  {json.dumps(key)}: {text}')
    return '{\n' + ',\n'.join(lines) + '\n}\n'


def read_runs(path: str | Path, *, name: str | None = None) -> RunSet:
    """Read runs from a folder or a file.

    Args:
        path: A folder of ``tools/analysis/multi_seed.py`` (``seed_N/result.json``), the folder of one run
            (``result.json``), a summary that the tool wrote, or a ``result.json``.
        name: What tables call the runs; by default the name of the folder or of the summary.

    Raises:
        UserError: If there is nothing to read, a file is malformed, or the runs differ in more than their seed.
    """
    path = Path(path).expanduser()
    files, default = [path], path.parent.name if path.name in (RESULT_NAME, SUMMARY_NAME) else path.stem
    if path.is_dir():
        default = path.resolve().name
        files = _files_of(path)
    named = name or default or str(path)
    if len(files) == 1:
        content = read_json_object(files[0], what='result')
        if 'runs' in content:
            return _of_summary(content, files[0], named)
        return _of_results([(files[0], content)], named)
    return _of_results([(file, read_json_object(file, what='result')) for file in files], named)


def _files_of(folder: Path) -> list[Path]:
    numbered = [(int(match[1]), path) for path in folder.iterdir() if (match := _SEED_FOLDER.fullmatch(path.name))]
    results = [path / RESULT_NAME for _, path in sorted(numbered) if (path / RESULT_NAME).is_file()]
    if results:
        return results
    for name in (SUMMARY_NAME, RESULT_NAME):
        if (folder / name).is_file():
            return [folder / name]
    raise UserError(
        f'folder {folder}: expected {RESULT_NAME} of one run, or of several in seed_0/, seed_1/, ..., found neither; '
        'make them with tools/analysis/multi_seed.py or tools/test.py'
    )


def _of_results(contents: Sequence[tuple[Path, Mapping[str, Any]]], name: str) -> RunSet:
    sets = [_of_result(content, file, name) for file, content in contents]
    first = sets[0]
    for (file, _), other in zip(contents, sets, strict=True):
        for key in (*FACTS, 'config_sha256'):
            ours, theirs = ({**one.facts, **one.origin}.get(key) for one in (first, other))
            if ours != theirs:
                raise UserError(
                    f'{file} and {contents[0][0]} are not runs of one config that differ in their seed alone: {key} is '
                    f'{theirs!r} in the first, {ours!r} in the second'
                )
    return _checked(name, first.facts, first.origin, [run for one in sets for run in one.runs], contents[0][0])


def _of_result(content: Mapping[str, Any], file: Path, name: str) -> RunSet:
    meta = content.get('meta', {})
    if not isinstance(meta, Mapping):
        raise _malformed(file, 'an object under "meta"')
    selection = meta.get('selection')
    scores = meta.get('video_scores')
    facts = {
        **content,
        'selection': selection.get('rule', 'unknown') if isinstance(selection, Mapping) else 'unknown',
        'video_scores': scores.get('sha256', 'unknown') if isinstance(scores, Mapping) else None,
        'left_out': meta.get('left_out', []),
    }
    run = _run({**content, 'seed': meta.get('seed'), 'iteration': meta.get('iteration')}, _facts(facts, file), file)
    origin = {key: meta[key] for key in ('config', 'config_sha256', 'versions') if key in meta}
    return RunSet(name=name, facts=_facts(facts, file), origin=origin, runs=(run,))


def _of_summary(content: Mapping[str, Any], file: Path, name: str) -> RunSet:
    facts = _facts(content, file)
    if not isinstance(content['runs'], list) or not all(isinstance(run, Mapping) for run in content['runs']):
        raise _malformed(file, 'a list of objects under "runs"')
    runs = [_run(run, facts, file) for run in content['runs']]
    origin = {key: value for key, value in content.items() if key not in (*FACTS, 'runs', 'mean', 'sd')}
    return _checked(name, facts, origin, runs, file)


def _checked(name: str, facts: Mapping[str, Any], origin: Mapping[str, Any], runs: Sequence[Run], file: Path) -> RunSet:
    if not runs:
        raise _malformed(file, 'at least one run')
    seeds = [run.seed for run in runs]
    for seed in seeds:
        if len(runs) > 1 and (seed is None or seeds.count(seed) > 1):
            raise UserError(f'{file.parent}: expected runs of different seeds, found the seed {seed} in several')
    for run in runs:
        other = run.per_class.keys() ^ runs[0].per_class.keys()
        if other:
            raise UserError(
                f'{file.parent}: expected the same classes in all runs; those of the seeds {_seed(runs[0].seed)} and '
                f'{_seed(run.seed)} differ in {min(other)!r}: make them again with tools/analysis/multi_seed.py'
            )
    return RunSet(name=name, facts=facts, origin=origin, runs=tuple(runs))


def _facts(content: Mapping[str, Any], file: Path) -> dict[str, Any]:
    optional: dict[str, Any] = {'video_list': None, 'num_removed_instances': 0, 'video_scores': None, 'left_out': []}
    missing = [key for key in FACTS if key not in content and key not in optional]
    if missing:
        raise _malformed(file, f'the key {missing[0]!r}')
    facts = {key: content.get(key, optional.get(key)) for key in FACTS}
    if not facts['tious'] or not _numbers(facts['tious']):
        raise _malformed(file, 'a list of numbers under "tious"')
    if not isinstance(facts['left_out'], list):
        raise _malformed(file, 'a list of videos under "left_out"')
    return facts


def _run(content: Mapping[str, Any], facts: Mapping[str, Any], file: Path) -> Run:
    count = len(facts['tious'])
    classes = content.get('per_class')
    figures = [content.get('mAP'), *(classes.values() if isinstance(classes, Mapping) else ())]
    if finite_number(content.get('average')) is None or not isinstance(classes, Mapping) or not classes:
        raise _malformed(file, 'a number under "average" and an object with the classes under "per_class"')
    for values in figures:
        if not _numbers(values) or len(values) != count:
            raise _malformed(file, f'{count} numbers, one a tIoU, under "mAP" and for each class')
    for key in ('seed', 'iteration'):
        if not isinstance(content.get(key), int | None) or isinstance(content.get(key), bool):
            raise _malformed(file, f'a whole number under {key!r}')
    return Run(
        seed=content.get('seed'),
        iteration=content.get('iteration'),
        mAP=tuple(map(float, content['mAP'])),
        average=float(content['average']),
        per_class={label: tuple(map(float, values)) for label, values in classes.items()},
    )


def _numbers(values: object) -> bool:
    return isinstance(values, list) and all(finite_number(value) is not None for value in values)


def _malformed(file: Path, expected: str) -> UserError:
    return UserError(
        f'result {file}: expected {expected}; give a folder or summary of tools/analysis/multi_seed.py or a '
        f'{RESULT_NAME} of tools/test.py'
    )


def _stored(run: Run) -> dict[str, Any]:
    return {
        'seed': run.seed,
        'iteration': run.iteration,
        'mAP': [round(value, _DIGITS) for value in run.mAP],
        'average': round(run.average, _DIGITS),
        'per_class': {label: [round(value, _DIGITS) for value in values] for label, values in run.per_class.items()},
    }


def _named(values: np.ndarray) -> dict[str, Any]:
    *mean_ap, average = (round(value, _DIGITS) for value in values.tolist())
    return {'mAP': mean_ap, 'average': average}


def _seed(seed: int | None) -> str:
    return '?' if seed is None else str(seed)
