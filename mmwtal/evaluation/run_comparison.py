"""Runs of several models side by side: refused where they are not alike, paired by seed where they are."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmwtal.evaluation.runs import RunSet
from mmwtal.evaluation.statistics import CONFIDENCE, PairedDifference, Spread, paired_difference, spread, student_t
from mmwtal.utils.errors import UserError
from mmwtal.utils.tables import Table

_ENOUGH_PAIRS = 4

ALLOWED = ('protocol', 'videos', 'selection')
"""What the runs may differ in where the user says so."""

# A fact -> what it is called, and what must be allowed (one of these) for it to differ. The count of instances depends
# on the videos and on the rule, which removes some.
_CHECKED = {
    'protocol': ('protocol', ('protocol',)),
    'protocol_hash': ('hash of the protocol', ('protocol',)),
    'tious': ('tIoU thresholds', ('protocol',)),
    'subset': ('subset', ('videos',)),
    'num_videos': ('number of videos', ('videos',)),
    'video_list_hash': ('hash of the video list', ('videos',)),
    'num_instances': ('ground-truth instances', ('videos', 'protocol')),
    'left_out': ('faulty videos left out', ('videos',)),
    'selection': ('selection of the checkpoint', ('selection',)),
    'video_scores': ('external video scores', ('selection',)),
}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One set of runs against the first, over the seeds that both have.

    Args:
        name: The set.
        seeds: The common seeds.
        values: Differences of shape (1 + C, K + 1): mAP, then each class; each threshold, then their average. None
            without a common seed.
    """

    name: str
    seeds: tuple[int, ...]
    values: PairedDifference | None


@dataclass(frozen=True, kw_only=True)
class RunComparison:
    """Sets of runs and their differences.

    Args:
        sets: The sets; the others are compared with the first.
        tious: Thresholds that all have, K.
        classes: Classes that all have, C.
        spreads: Mean and standard deviation of each set, of shape (1 + C, K + 1) as in :class:`Difference`.
        differences: One for each set but the first.
        remarks: What the reader must know: how the sets differ nonetheless, what could not be paired.
    """

    sets: tuple[RunSet, ...]
    tious: tuple[float, ...]
    classes: tuple[str, ...]
    spreads: tuple[Spread, ...]
    differences: tuple[Difference, ...]
    remarks: tuple[str, ...]

    def tables(self) -> list[Table]:
        """Return the tables: means, differences by threshold, and by class."""
        heads = [*(f'{tiou:g}' for tiou in self.tious), 'average']
        first = self.sets[0].name
        means = [
            [one.name, str(len(one.runs)), *_row(found, 0)] for one, found in zip(self.sets, self.spreads, strict=True)
        ]
        over = ', mean ± sd over the seeds' if any(found.sd is not None for found in self.spreads) else ''
        tables = [Table(title=f'mAP (%) by tIoU{over}', heads=['runs', 'n', *heads], rows=means)]
        paired = [one for one in self.differences if one.values is not None]
        names = [f'{one.name} ({pairs_text(one)})' for one in paired]
        if paired:
            rows = [
                [head, *(interval_text(one.values, 0, column) for one in paired if one.values is not None)]
                for column, head in enumerate(heads)
            ]
            interval = (
                f', with its {100 * CONFIDENCE:g} % interval' if any(len(one.seeds) > 1 for one in paired) else ''
            )
            title = f'difference from {first}, paired by seed{interval}: mAP (points)'
            tables.append(Table(title=title, heads=['tIoU', *names], rows=rows))
        by_class = []
        for row, label in enumerate(self.classes, 1):
            differences = [interval_text(one.values, row, -1) for one in paired if one.values is not None]
            by_class.append([label, _row(self.spreads[0], row)[-1], *differences])
        title = f'by class, average over the tIoUs: {first}, AP (%)' + (', and difference from it' if paired else '')
        tables.append(Table(title=title, heads=['class', first, *names], rows=by_class))
        return tables

    def text(self) -> str:
        """Return the tables as text, with rule, data and remarks."""
        notes = '\n'.join(f'note: {remark}' for remark in self.remarks)
        return '\n\n'.join(filter(None, [self.sets[0].heading(), notes, *(table.text() for table in self.tables())]))

    def markdown(self) -> str:
        """Return the tables as Markdown, with rule, data and remarks."""
        notes = '\n'.join(f'- {remark}' for remark in self.remarks)
        parts = [self.sets[0].heading(), notes, *(table.markdown() for table in self.tables())]
        return '\n\n'.join(filter(None, parts)) + '\n'

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, dicts and numbers, ready for JSON."""
        return {
            'tious': list(self.tious),
            'confidence': CONFIDENCE,
            'remarks': list(self.remarks),
            'runs': [
                {
                    'name': one.name,
                    **one.facts,
                    **one.origin,
                    'seeds': list(one.seeds),
                    'n': len(one.runs),
                    'mean': self._named(found.mean),
                    'sd': self._named(found.sd),
                }
                for one, found in zip(self.sets, self.spreads, strict=True)
            ],
            'differences': [
                {
                    'name': one.name,
                    'from': self.sets[0].name,
                    'seeds': list(one.seeds),
                    **{
                        key: self._named(getattr(one.values, key, None) if one.values is not None else None)
                        for key in ('mean', 'sd', 'low', 'high')
                    },
                }
                for one in self.differences
            ],
        }

    def _named(self, values: np.ndarray | None) -> dict[str, Any] | None:
        if values is None:
            return None
        rows = values.tolist()
        by_class = dict(zip(self.classes, rows[1:], strict=True))
        return {
            'mAP': rows[0][:-1],
            'average': rows[0][-1],
            'per_class': {label: row[:-1] for label, row in by_class.items()},
            'per_class_average': {label: row[-1] for label, row in by_class.items()},
        }


def compare_runs(sets: Sequence[RunSet], *, allow: Collection[str] = ()) -> RunComparison:
    """Compare sets of runs with the first of them.

    Args:
        sets: Two or more.
        allow: In what they may differ nonetheless: names out of :data:`ALLOWED`. Where thresholds or classes differ,
            the common ones are compared, and averages are taken over these.

    Raises:
        UserError: If they differ in anything that a comparison must hold fixed, naming both values of each; or if they
            have no threshold or class in common.
    """
    remarks = _check_alike(sets, allow)
    tious = _common([one.facts['tious'] for one in sets], 'tIoU threshold')
    classes = _common([list(one.runs[0].per_class) for one in sets], 'class')
    left = {label for one in sets for label in one.runs[0].per_class} - set(classes)
    if left:
        remarks.append(f'{len(left)} classes that not all runs have are left out: {", ".join(sorted(left)[:5])}')
    values = [_values(one, tious, classes) for one in sets]
    differences = [_difference(sets[0], values[0], *other) for other in zip(sets[1:], values[1:], strict=True)]
    for one in sets:
        if len(one.runs) == 1:
            remarks.append(f'{one.name} is one run: it has no standard deviation, and no interval can be stated')
    for one, difference in zip(sets[1:], differences, strict=True):
        remarks += _unpaired(sets[0], one, difference)
        few = few_pairs_text(len(difference.seeds))
        remarks += [f'{difference.name}: {few}'] if few is not None else []
    return RunComparison(
        sets=tuple(sets),
        tious=tuple(tious),
        classes=tuple(classes),
        spreads=tuple(map(spread, values)),
        differences=tuple(differences),
        remarks=tuple(remarks),
    )


def _check_alike(sets: Sequence[RunSet], allow: Collection[str]) -> list[str]:
    """Return what the sets differ in and may; raise for what they may not."""
    first, allowed, refused, needed = sets[0], [], [], set()
    for other in sets[1:]:
        for key, (label, kinds) in _CHECKED.items():
            ours, theirs = first.facts[key], other.facts[key]
            if ours != theirs:
                line = f'{label}: {_shown(ours)} in {first.name}, {_shown(theirs)} in {other.name}'
                if set(kinds) & set(allow):
                    allowed.append(f'NOT ALIKE, and compared nonetheless: {line}')
                else:
                    refused.append(line)
                    needed.add(kinds[0])
    if refused:
        options = ','.join(kind for kind in ALLOWED if kind in {*needed, *allow})
        raise UserError(
            '\n  '.join(['the runs are not alike, so that their difference would not be that of the models:', *refused])
            + f'\nMake them alike, or compare them nonetheless with --allow {options}'
        )
    return allowed


def _common(lists: Sequence[Sequence[Any]], what: str) -> list[Any]:
    found = [item for item in lists[0] if all(item in other for other in lists[1:])]
    if not found:
        raise UserError(f'the runs have no {what} in common: there is nothing to compare')
    return found


def _values(runs: RunSet, tious: Sequence[float], classes: Sequence[str]) -> np.ndarray:
    """Return the figures of all runs, (n, 1 + C, K + 1), as in :class:`Difference`."""
    columns = [runs.facts['tious'].index(tiou) for tiou in tious]
    values = np.array([[run.mAP, *(run.per_class[label] for label in classes)] for run in runs.runs])[:, :, columns]
    return np.concatenate([values, values.mean(axis=2, keepdims=True)], axis=2)


def _difference(first: RunSet, reference: np.ndarray, other: RunSet, values: np.ndarray) -> Difference:
    places: list[Mapping[int | None, int]] = [
        {run.seed: place for place, run in enumerate(one.runs) if run.seed is not None} for one in (first, other)
    ]
    seeds = tuple(seed for seed in first.seeds if seed in places[1])
    if not seeds:
        return Difference(name=other.name, seeds=(), values=None)
    rows = [[place[seed] for seed in seeds] for place in places]
    return Difference(name=other.name, seeds=seeds, values=paired_difference(values[rows[1]], reference[rows[0]]))


def _unpaired(first: RunSet, other: RunSet, difference: Difference) -> list[str]:
    counts = f'{first.name} has {_runs(len(first.runs))}, {other.name} {_runs(len(other.runs))}'
    if not difference.seeds:
        return [f'{other.name} and {first.name} have no seed in common, so no difference is stated: {counts}']
    common = len(difference.seeds)
    if common < max(len(first.runs), len(other.runs)):
        seeds = ', '.join(map(str, difference.seeds))
        hint = '; one pair has no interval' if common == 1 else ''
        return [f'{other.name} and {first.name} are paired over the common seeds alone ({seeds}): {counts}{hint}']
    return []


def few_pairs_text(pairs: int) -> str | None:
    """Return what is to be said of an interval of so few pairs; None where they are enough, or there is no interval."""
    if not 1 < pairs < _ENOUGH_PAIRS:
        return None
    here, with_five = (student_t(CONFIDENCE, number - 1) for number in (pairs, 5))
    return (
        f'an interval of {pairs} pairs says little: t is {here:.1f}, where five pairs have {with_five:.1f}; add seeds'
    )


def _row(found: Spread, row: int) -> list[str]:
    if found.sd is None:
        return [f'{mean:.2f}' for mean in found.mean[row]]
    return [f'{mean:.2f} ± {sd:.2f}' for mean, sd in zip(found.mean[row], found.sd[row], strict=True)]


def interval_text(found: PairedDifference, row: int, column: int) -> str:
    """Return one of the differences and, where there is one, its interval: ``+1.20 [-0.30, +2.70]``."""
    text = signed_text(found.mean[row, column])
    if found.low is None or found.high is None:
        return text
    return f'{text} [{signed_text(found.low[row, column])}, {signed_text(found.high[row, column])}]'


def signed_text(value: float) -> str:
    """Return a difference with its sign."""
    return f'{round(value, 2) + 0.0:+.2f}'  # a rounded -0 is 0


def pairs_text(difference: Difference) -> str:
    """Return how many pairs a difference is the mean of."""
    return '1 pair' if len(difference.seeds) == 1 else f'{len(difference.seeds)} pairs'


def _runs(count: int) -> str:
    return '1 run' if count == 1 else f'{count} runs'


def _shown(value: Any) -> str:
    if value is None or value == []:
        return 'none'
    return ', '.join(map(str, value)) if isinstance(value, list) else str(value)
