"""The page of results: made of metafiles and stored runs, refused where these are not what the configs are now."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmwtal.apis.metafiles import ModelEntry, Published, read_metafiles
from mmwtal.apis.settings import prepare_config
from mmwtal.evaluation.protocols import PROTOCOLS
from mmwtal.evaluation.runs import RunSet, read_runs
from mmwtal.utils.config.digest import config_sha256
from mmwtal.utils.errors import UserError
from mmwtal.utils.tables import Table

PAGE = 'configs/README.md'
QUICK = 'configs/quick/'
SEEDS = (0, 1, 2, 3, 4)
"""The seeds of every stored result."""
EXPECTED = '_expected'
"""Helper variable of a quick config: what training it anew must give."""
# A run on another processor rounds otherwise: without vector instructions DELU ended 1.8 points away, the others 0.6
# at most. One standard deviation over the seeds, in steps of half a point, but two points at least: more than rounding
# makes, less than most changes of what is computed do.
_LEAST, _STEP = 2.0, 0.5
_HEAD = """<!-- Written by tools/analysis/model_zoo.py from metafiles and stored results; edit those. -->

# Configs and results

One folder a base model, `quick/` for the embedded dataset, `_base_/` for what they inherit. How models are compared and
what the figures depend on: [docs/comparing.md](../docs/comparing.md).
"""
_QUICK_HEAD = """## Measured on the embedded dataset

Five seeds each, mean ± standard deviation of one run. The dataset is made up: the figures compare code, not methods.
The differences, paired by seed and with their intervals:
`python tools/analysis/compare_runs.py configs/quick/results/*.json`.
"""
_PUBLISHED_HEAD = """## Published figures

As their sources state them, by the protocol and with the checkpoint that the row names. Rows that differ in either are
not comparable with each other, nor with the last column: what this toolbox measured with the config.
"""


def expected_tolerance(results: RunSet) -> float:
    """Return by how much a quick config's result may differ from the stored one: a standard deviation, rounded up."""
    sd = results.spread().sd
    if sd is None:
        raise ValueError('one run has no standard deviation')
    return max(_LEAST, math.ceil(float(sd[-1]) / _STEP) * _STEP)


def build_page(root: Path) -> tuple[str | None, list[str]]:
    """Make the page of results.

    Args:
        root: The repository's root.

    Returns:
        The page, None if something is wrong, and a line for all that is: faults of metafiles, results that are stale or
        missing.
    """
    models, problems = read_metafiles(root)
    results: dict[str, RunSet] = {}
    for model in models:
        found = list(_read_results(model, root, results))
        problems += [f'{model.metafile}: {model.name}: {fault}' for fault in found]
    if problems:
        return None, problems
    parts = [_HEAD, _QUICK_HEAD, *_measured(models, results), _PUBLISHED_HEAD, *_published(models, results)]
    return '\n'.join(parts), []


def check_page(root: Path) -> list[str]:
    """Return a line for all that is wrong or stale: see :func:`build_page`, and the page itself."""
    page, problems = build_page(root)
    file = root / PAGE
    if page is not None and (not file.is_file() or file.read_text() != page):
        problems.append(f'{PAGE} is not what metafiles and stored results make; run tools/analysis/model_zoo.py')
    return problems


def _read_results(model: ModelEntry, root: Path, results: dict[str, RunSet]) -> Iterator[str]:
    """Read the stored results of a model; yield what is wrong with them."""
    is_quick = model.config.startswith(QUICK)
    if model.results is None:
        # A guided one, NAME_GUIDANCE_synthetic, need not have been measured.
        if is_quick and Path(model.config).stem.count('_') == 1:
            yield f'Results is missing; make them: {_command(model)}'
        return
    try:
        found = read_runs(root / model.results, name=model.name)
        cfg = prepare_config(root / model.config)
    except UserError as error:
        yield str(error)
        return
    faults = [*_stale(model, found, config_sha256(cfg))]
    if is_quick and not faults:
        faults += _expectation_faults(cfg.get(EXPECTED), found)
    yield from faults
    results[model.name] = found


def _stale(model: ModelEntry, found: RunSet, config_hash: str) -> Iterator[str]:
    again = f'make the results again: {_command(model)}'
    stored = found.origin.get('config_sha256')
    if stored != config_hash:
        yield f'{model.results} is stale: made with config hash {stored}, {model.config} has {config_hash}; {again}'
    rule = PROTOCOLS.get(found.facts['protocol'])
    if rule is None or rule.hash != found.facts['protocol_hash']:
        yield (
            f'{model.results} is stale: made by protocol {found.facts["protocol"]} with hash '
            f'{found.facts["protocol_hash"]}, which is now {rule.hash if rule else "gone"}; {again}'
        )
    if found.seeds != SEEDS:
        yield f'{model.results}: expected the seeds {_listed(SEEDS)}, found {_listed(found.seeds)}; {again}'


def _expectation_faults(expected: Any, found: RunSet) -> Iterator[str]:
    """Yield how a quick config's expectation differs from its stored results."""
    run = found.runs[0]
    right = dict(
        protocol=found.facts['protocol'],
        seed=run.seed,
        average=round(run.average, 2),
        tolerance=expected_tolerance(found),
    )
    if expected is None or dict(expected) != right:
        text = ', '.join(f'{key}={value!r}' for key, value in right.items())
        stated = 'nothing' if expected is None else dict(expected)
        yield f'the config states {stated}, its stored results make {EXPECTED} = dict({text}); write that into it'


def _command(model: ModelEntry) -> str:
    results = model.results or f'{QUICK}results/{Path(model.config).stem}.json'
    return (
        f'python tools/analysis/multi_seed.py {model.config} --seeds {SEEDS[0]}-{SEEDS[-1]} --threads 1 --out {results}'
    )


def _listed(seeds: Sequence[int]) -> str:
    return ', '.join(map(str, seeds)) or 'none'


def _measured(models: Sequence[ModelEntry], results: Mapping[str, RunSet]) -> Iterator[str]:
    """Yield a table for each rule and data of the results on the embedded dataset."""
    groups: dict[str, list[ModelEntry]] = {}
    for model in models:
        if model.name in results and model.config.startswith(QUICK):
            groups.setdefault(_common_facts(results[model.name]), []).append(model)
    for members in groups.values():
        first = results[members[0].name]
        rows = [_measured_row(model, results[model.name]) for model in members]
        heads = ['config', 'base model', 'seeds', *(f'{tiou:g}' for tiou in first.facts['tious']), 'average']
        title = f'{first.heading()[0].upper()}{first.heading()[1:]}; mAP (%) by tIoU'
        yield Table(title=title, heads=heads, rows=rows, words=(0, 1, 2)).markdown() + '\n'


def _measured_row(model: ModelEntry, found: RunSet) -> list[str]:
    stored = f'[{_listed(found.seeds)}]({_from_page(model.results or "")})'
    return [_link(model), model.collection, stored, *_figures(found)]


def _common_facts(found: RunSet) -> str:
    return f'{found.heading()} {found.facts["tious"]}'


def _published(models: Sequence[ModelEntry], results: Mapping[str, RunSet]) -> Iterator[str]:
    """Yield a table for each list of thresholds of the published figures, then the configs without any."""
    groups: dict[tuple[float, ...], list[list[str]]] = {}
    for model in models:
        for one in model.published:
            groups.setdefault(one.tious, []).append(_published_row(model, one, results.get(model.name)))
    for tious, rows in groups.items():
        heads = ['config', 'Dataset', 'Protocol', 'Selection', *(f'{tiou:g}' for tiou in tious)]
        heads += ['average', 'Source', 'measured with this toolbox']
        yield (
            Table(
                title='Published mAP (%) by tIoU', heads=heads, rows=rows, words=(0, 1, 2, 3, len(heads) - 2)
            ).markdown()
            + '\n'
        )
    without = [_link(model) for model in models if not model.published and not model.config.startswith(QUICK)]
    if without:
        yield f'Nothing is quoted for {", ".join(without)}.\n'


def _published_row(model: ModelEntry, one: Published, found: RunSet | None) -> list[str]:
    figures = ['–' for _ in one.tious] if one.mAP is None else [f'{value:.1f}' for value in one.mAP]
    average = '–' if one.average is None else f'{one.average:.1f}'
    if one.average_over is not None:
        average += f' (over {one.average_over})'
    cells = [_link(model), one.dataset, f'`{one.protocol}`', one.selection, *figures, average, one.source]
    return [*cells, 'not measured' if found is None else _measured_cell(found)]


def _measured_cell(found: RunSet) -> str:
    facts = found.facts
    return f'{_figures(found)[-1]} (`{facts["protocol"]}`, {facts["selection"]}, {len(found.runs)} seeds)'


def _figures(found: RunSet) -> list[str]:
    over = found.spread()
    assert over.sd is not None
    return [f'{mean:.2f} ± {sd:.2f}' for mean, sd in zip(over.mean, over.sd, strict=True)]


def _link(model: ModelEntry) -> str:
    return f'[{model.name}]({_from_page(model.config)})'


def _from_page(path: str) -> str:
    return path.removeprefix('configs/')
