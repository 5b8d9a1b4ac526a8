"""The tables of an ablation, and all its figures, from what lies in the folders of its runs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmwtal.apis.ablation.aims import AimVerdict, judge
from mmwtal.apis.ablation.plan import Plan
from mmwtal.apis.ablation.records import MEASURED
from mmwtal.apis.ablation.results import CellResult, Results
from mmwtal.apis.seed_runs import seed_folder
from mmwtal.evaluation.run_comparison import few_pairs_text, interval_text
from mmwtal.evaluation.runs import to_text
from mmwtal.evaluation.statistics import CONFIDENCE, Spread
from mmwtal.utils.run_options import seeds_text
from mmwtal.utils.tables import Table

_MEASURED_ARE = (
    'Measured on the test videos, in [0, 1]: incompleteness, the share of an instance that its best detection leaves '
    'out, and over-completeness, the share of that detection outside all instances of its class, both over the '
    'instances that are found; missed, the share of the others. AP: average precision over snippets of an attention, '
    'on the training videos unless stated otherwise.'
)


class Report:
    """The report of a plan.

    Args:
        results: The figures.
        chosen: Name of the set of seeds.
        command: The command that makes the report anywhere.
    """

    def __init__(self, results: Results, *, chosen: str, command: str) -> None:
        self.results = results
        self.plan: Plan = results.plan
        self.chosen = chosen
        self.command = command
        self.verdicts: list[AimVerdict] = [judge(aim, results) for aim in self.plan.aims]

    def markdown(self) -> str:
        """Return the report as a Markdown page."""
        plan = self.plan
        seeds = seeds_text(plan.seeds[self.chosen])
        parts = [f'# {plan.title}', plan.about.strip()]
        parts.append(
            f'Written by `{self.command}` from the plan `{plan.name}` (sha256 `{plan.sha256}`); no figure is '
            f'typed by hand. Seeds {seeds} ({self.chosen}); {self._metric()} in percent, protocol '
            f'{plan.protocol}; mean ± standard deviation of one run; differences in points, paired by seed, with their '
            f'{100 * CONFIDENCE:g} % interval.'
        )
        parts += [_MEASURED_ARE] if any(one.measured for one in self.results.cells.values()) else []
        parts += self.notes()
        if self.verdicts:
            parts += ['## Aims', self.aims_table().markdown()]
        for data in dict.fromkeys(data for data, _, _ in self.results.tables()):
            parts += self._data(data)
        parts += ['## Arms', self._arms_table().markdown(), '## Runs', *self._runs()]
        return '\n\n'.join(filter(None, parts)) + '\n'

    def aims_table(self) -> Table:
        """Return a row for each aim and place."""
        rows = []
        for number, one in enumerate(self.verdicts, 1):
            aim = one.aim
            counts = dict.fromkeys(f'{aim.needed_on(data)} of {len(aim.bases_on(data))}' for data in aim.data)
            wanted = f' ({", ".join(counts)} bases)' if len(aim.bases) > 1 else ''
            rows.append([str(number), f'{aim.text}{wanted}', one.verdict.upper(), ''])
            rows += [['', f'{place.data}, {place.base}', place.verdict, place.figures] for place in one.places]
        return Table(
            title='Each aim, and what it is on each data with each base',
            heads=['', 'aim', 'verdict', 'figures'],
            rows=rows,
            words=range(4),
        )

    def tables(self, data: str) -> Iterator[Table]:
        """Yield the table of differences over the bases, then for each base its figures."""
        found = [(base, cells) for of, base, cells in self.results.tables() if of == data]
        reference = self.plan.references[0]
        if len(found) > 1:
            arms = [name for name in self.plan.arms if name != reference]
            rows = [[arm, *(self._difference(data, base, arm, reference) for base, _ in found)] for arm in arms]
            rows = [row for row in rows if any(cell != '-' for cell in row[1:])]
            if rows:
                title = f'{data}: {self._metric()}, difference from {reference}'
                yield Table(title=title, heads=['arm', *(base for base, _ in found)], rows=rows)
        for base, cells in found:
            yield self._base_table(data, base, cells)
            if self.plan.per_tiou:
                yield from self._tiou_table(data, base, cells)

    def to_json(self) -> str:
        """Return every figure: of the plan, of each aim, of each run; a line a run."""
        plan = self.plan
        head = {
            'title': plan.title,
            'plan': plan.name,
            'plan_sha256': plan.sha256,
            'command': self.command,
            'protocol': plan.protocol,
            'metric': plan.metric,
            'seeds': {'set': self.chosen, 'seeds': list(plan.seeds[self.chosen])},
            'aims': [verdict.to_dict() for verdict in self.verdicts],
        }
        lines = [f'{json.dumps(key)}: {json.dumps(value)}' for key, value in head.items()]
        cells = ',\n'.join(to_text(self._stored(one)).rstrip() for one in self.results.cells.values())
        return '{\n' + ',\n'.join(lines) + f',\n"cells": [\n{cells}\n]' + '\n}\n'

    def _metric(self) -> str:
        return 'average mAP' if self.plan.metric == 'average' else f'mAP at tIoU {self.plan.metric}'

    def notes(self) -> list[str]:
        """Return what the reader must know: of runs that are not there, of intervals that say little."""
        cells = self.results.cells
        # Arms that are the same config share their runs.
        whole = {seed_folder(one.cell.folder, seed) for one in cells.values() for seed in one.cell.seeds}
        lacking = {seed_folder(one.cell.folder, seed) for one in cells.values() for seed in one.missing}
        notes = []
        if lacking:
            notes.append(
                f'**{len(lacking)} of {len(whole)} runs are missing**; what is stated is of those that there are.'
            )
        references = self.plan.references
        found = [self.results.difference(*place, name) for place in cells for name in references if name != place[2]]
        few = (few_pairs_text(pairs) for pairs in sorted({len(one.seeds) for one in found if one is not None}))
        return [*notes, *(f'Note: {text}.' for text in few if text is not None)]

    def _data(self, data: str) -> list[str]:
        cells = [one for of, _, found in self.results.tables() if of == data for one in found]
        sets = [one.runs for one in cells if one.runs is not None]
        tables = [table.markdown() for table in self.tables(data)]
        if not sets:
            return [f'## Data: {data}', 'No runs.']
        hashes = dict.fromkeys(record.get('data', '?')[:12] for one in cells for record in one.records.values())
        origin = f'{sets[0].heading()}; annotations.json of sha256 {", ".join(hashes)}'
        return [f'## Data: {data}', origin, *tables]

    def _base_table(self, data: str, base: str, cells: Sequence[CellResult]) -> Table:
        measured = [name for name in MEASURED if any(one.measured_spread(name) for one in cells)]
        heads = ['arm', 'n', self._metric(), *(f'minus {name}' for name in self.plan.references)]
        rows = []
        for one in cells:
            arm = one.cell.arm.name
            whole = '-' if one.runs is None else _figure(one.runs.spread(), 2, self.results.column(one.runs))
            count = 0 if one.runs is None else len(one.runs.runs)
            row = [arm, f'{count}' if not one.missing else f'{count} of {len(one.cell.seeds)}', whole]
            row += ['' if name == arm else self._difference(data, base, arm, name) for name in self.plan.references]
            row += ['-' if (found := one.measured_spread(name)) is None else _figure(found, 3) for name in measured]
            rows.append(row)
        return Table(title=f'{base} on {data}', heads=[*heads, *(MEASURED[name] for name in measured)], rows=rows)

    def _tiou_table(self, data: str, base: str, cells: Sequence[CellResult]) -> Iterator[Table]:
        found = [one.runs for one in cells if one.runs is not None]
        if found:
            heads = ['arm', *(f'{tiou:g}' for tiou in found[0].facts['tious']), 'average']
            columns = range(len(heads) - 1)
            rows = [[runs.name, *(_figure(runs.spread(), 2, column) for column in columns)] for runs in found]
            yield Table(title=f'{base} on {data}, mAP by tIoU', heads=heads, rows=rows)

    def _difference(self, data: str, base: str, arm: str, reference: str) -> str:
        found = self.results.difference(data, base, arm, reference)
        if found is None or found.values is None:
            return '-'
        runs = self.results.cells[data, base, arm].runs
        assert runs is not None
        return interval_text(found.values, 0, self.results.column(runs))

    def _arms_table(self) -> Table:
        rows = []
        for arm in self.plan.arms.values():
            cells = [one.cell for (_, _, name), one in self.results.cells.items() if name == arm.name]
            for options in dict.fromkeys(cell.options for cell in cells):
                own = [cell for cell in cells if cell.options == options]
                bases = dict.fromkeys(cell.base for cell in own)
                configs = ', '.join(f'`{config}`' for config in dict.fromkeys(cell.config for cell in own))
                words = f'`{" ".join(options)}`' if options else ''
                rows.append([arm.name, arm.label, ', '.join(bases), configs, words])
        heads = ['arm', 'what it is', 'bases', 'config', '--cfg-options']
        return Table(title='What each arm is', heads=heads, rows=rows, words=range(5))

    def _runs(self) -> list[str]:
        """Return by which code and versions, on how many threads and in what time the runs were made."""
        # By folder: arms that are the same config share their runs.
        records = {
            seed_folder(one.cell.folder, seed): record
            for one in self.results.cells.values()
            for seed, record in one.records.items()
        }.values()
        sets = [one.runs for one in self.results.cells.values() if one.runs is not None]
        versions = dict.fromkeys(
            ', '.join(f'{name} {version}' for name, version in one.origin.get('versions', {}).items()) for one in sets
        )
        sources = dict.fromkeys(' then '.join(text[:12] for text in record.get('source', ['?'])) for record in records)
        threads = dict.fromkeys(' then '.join(map(str, record.get('threads', ['?']))) for record in records)
        seconds: dict[str, list[float]] = {}
        for record in records:
            for step, value in record.get('seconds', {}).items():
                seconds.setdefault(step, []).append(value)
        times = ', '.join(f'{step} {sum(values):.0f} s ({len(values)} runs)' for step, values in seconds.items())
        lines = [
            f'- Runs: {len(records)}; versions: {"; ".join(versions) or "none"}.',
            f"- Hash of mmwtal's own code when a run was begun or continued: {', '.join(sources) or 'none'}.",
            f'- Time: {times or "not noted"}; threads of a run: {", ".join(threads) or "none"}.',
        ]
        return ['\n'.join(lines)]

    def _stored(self, one: CellResult) -> dict[str, Any]:
        cell = one.cell
        head: dict[str, Any] = {
            'data': cell.data,
            'base': cell.base,
            'arm': cell.arm.name,
            'config': cell.config,
            'cfg_options': list(cell.options),
            'missing_seeds': list(one.missing),
        }
        if one.runs is None:
            return head
        found = one.runs.to_dict()
        runs = [
            {**run, 'measured': one.measured.get(run['seed']), **one.records.get(run['seed'], {})}
            for run in found['runs']
        ]
        return {
            **found,
            **head,
            'differences': self._stored_differences(cell.data, cell.base, cell.arm.name),
            'runs': runs,
        }

    def _stored_differences(self, data: str, base: str, arm: str) -> Mapping[str, Any]:
        stored: dict[str, Any] = {}
        for name in self.plan.references:
            found = self.results.difference(data, base, arm, name) if name != arm else None
            if found is not None and found.values is not None:
                stored[name] = {
                    'seeds': list(found.seeds),
                    **{
                        key: None if values is None else [round(value, 4) for value in values[0].tolist()]
                        for key in ('mean', 'low', 'high')
                        for values in [getattr(found.values, key)]
                    },
                }
        return stored


def _figure(found: Spread, digits: int, column: int | None = None) -> str:
    mean, sd = (
        None if values is None else float(values if column is None else values[column])
        for values in (found.mean, found.sd)
    )
    return f'{mean:.{digits}f}' if sd is None else f'{mean:.{digits}f} ± {sd:.{digits}f}'
