"""``configs/*/metafile.yml``: which configs there are, what was published for them, where results are stored."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mmwtal.evaluation.protocols import PROTOCOLS
from mmwtal.evaluation.tious import parse_tious
from mmwtal.utils.errors import UserError
from mmwtal.utils.fields import field_faults, shown_value
from mmwtal.utils.files import read_text
from mmwtal.utils.json_file import finite_number
from mmwtal.utils.names import did_you_mean

METAFILE = 'metafile.yml'
# Folders of configs of offline jobs, which are no models.
_OFFLINE = ('features', 'priors')
_COLLECTION = {'Name': str, 'Paper': dict, 'Code': str, 'README': str}
_PAPER = {'Title': str, 'URL': str}
_MODEL = {'Name': str, 'In Collection': str, 'Config': str}
_MODEL_OPTIONAL = {'Published': (dict, list), 'Results': str}
_PUBLISHED = {'Dataset': str, 'Protocol': str, 'Selection': str, 'tIoU': list, 'Source': str}
_PUBLISHED_OPTIONAL = {'mAP': list, 'Average': (int, float), 'Average over': str}
# Published averages are rounded, and made of figures that are.
_ROUNDING = 0.1


@dataclass(frozen=True, kw_only=True)
class Published:
    """Figures that a paper or repository states.

    Args:
        dataset: What they were measured on.
        protocol: The rule, by its name here.
        selection: How the checkpoint was chosen.
        tious: Thresholds.
        mAP: Percent, one a threshold; None where only the average is stated.
        average: The stated average; None where none is stated.
        average_over: Thresholds of that average, where they are not ``tious``.
        source: Which table of which paper or repository.
    """

    dataset: str
    protocol: str
    selection: str
    tious: tuple[float, ...]
    mAP: tuple[float, ...] | None
    average: float | None
    average_over: str | None
    source: str


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """A config and what is known of it.

    Args:
        name: Its name.
        collection: The base model.
        config: Path of the config below the repository.
        published: Figures that were published for it.
        results: Path of the stored results below the repository; None where nothing was measured.
        metafile: The file that states all this, likewise.
    """

    name: str
    collection: str
    config: str
    published: tuple[Published, ...]
    results: str | None
    metafile: str


def read_metafiles(root: Path) -> tuple[list[ModelEntry], list[str]]:
    """Read and check all metafiles of a repository.

    Args:
        root: The folder that holds ``configs/``; paths in metafiles are below it.

    Returns:
        The models, in the order of the files, and a line for each fault: of a file's form, a path that leads nowhere, a
        name used twice, a collection that no file defines, a config that no metafile lists.
    """
    files = sorted((root / 'configs').glob(f'*/{METAFILE}'))
    problems: list[str] = [] if files else [f'configs/: expected */{METAFILE}, found none']
    collections: list[str] = []
    models: list[ModelEntry] = []
    listed: list[object] = []
    for file in files:
        name = file.relative_to(root).as_posix()
        content = _read(file, name, problems)
        for place, entry in _entries(content, 'Collections', name, problems):
            found = list(_collection_faults(entry, root))
            problems += [f'{place}: {fault}' for fault in found]
            collections += [] if found else [entry['Name']]
        for place, entry in _entries(content, 'Models', name, problems):
            listed.append(entry.get('Config'))
            found = list(_model_faults(entry, root))
            problems += [f'{place}: {fault}' for fault in found]
            models += [] if found else [_model(entry, name)]
    problems += [*_faults_together(models, collections), *_unlisted(listed, root)]
    return models, problems


def _read(file: Path, name: str, problems: list[str]) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(read_text(file, what='metafile'))
    except (UserError, yaml.YAMLError) as error:
        problems.append(f'{name}: is not valid YAML: {error}')
        return {}
    if not isinstance(content, dict) or not content.keys() <= {'Collections', 'Models'}:
        problems.append(f'{name}: expected the keys Collections and Models at the top, found {shown_value(content)}')
        return {}
    return content


def _entries(
    content: Mapping[str, Any], key: str, file: str, problems: list[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    entries = content.get(key, [])
    if not isinstance(entries, list):
        problems.append(f'{file}: expected a list under {key}, found {shown_value(entries)}')
        return
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict):
            problems.append(f'{file}: {key}, entry {number}: expected keys and values, found {shown_value(entry)}')
        else:
            yield f'{file}: {key}, {entry.get("Name", f"entry {number}")}', entry


def _collection_faults(entry: Mapping[str, Any], root: Path) -> Iterator[str]:
    faults = [*field_faults(entry, _COLLECTION, {})]
    yield from faults
    if not faults:
        yield from (f'Paper: {fault}' for fault in field_faults(entry['Paper'], _PAPER, {}))
        yield from _path_fault('README', entry['README'], root)


def _model_faults(entry: Mapping[str, Any], root: Path) -> Iterator[str]:
    faults = [*field_faults(entry, _MODEL, _MODEL_OPTIONAL)]
    yield from faults
    if faults:
        return
    yield from _path_fault('Config', entry['Config'], root)
    if 'Results' in entry:
        yield from _path_fault('Results', entry['Results'], root)
    for number, published in enumerate(_published(entry), 1):
        where = f'Published {number}' if isinstance(entry['Published'], list) else 'Published'
        if isinstance(published, dict):
            yield from (f'{where}: {fault}' for fault in _published_faults(published))
        else:
            yield f'{where}: expected keys and values, found {shown_value(published)}'


def _path_fault(key: str, path: str, root: Path) -> Iterator[str]:
    if Path(path).is_absolute() or '..' in Path(path).parts:
        yield f'{key}: {path} leads out of the repository; expected a path below its root'
    elif not (root / path).is_file():
        yield f'{key}: there is no file {path} in the repository'


def _published(entry: Mapping[str, Any]) -> list[Any]:
    published = entry.get('Published', [])
    return published if isinstance(published, list) else [published]


def _published_faults(published: Mapping[str, Any]) -> Iterator[str]:
    faults = [*field_faults(published, _PUBLISHED, _PUBLISHED_OPTIONAL)]
    yield from faults
    if faults:
        return
    if published['Protocol'] not in PROTOCOLS:
        yield f'Protocol: no rule is called {published["Protocol"]!r}{did_you_mean(published["Protocol"], PROTOCOLS)}'
    for key in ('tIoU', 'Average over'):
        try:
            parse_tious(published.get(key, '0.5'))
        except UserError as error:
            yield f'{key}: {error}'
    if 'mAP' not in published:
        if 'Average' not in published:
            yield 'mAP, Average: both are missing; expected one of them or both'
        return
    figures = [finite_number(value) for value in published['mAP']]
    if len(figures) != len(published['tIoU']) or any(value is None or not 0 <= value <= 100 for value in figures):
        yield f'mAP: expected {len(published["tIoU"])} numbers in percent, one a tIoU, found {published["mAP"]}'
    elif 'Average' in published and 'Average over' not in published:
        mean = math.fsum(published['mAP']) / len(figures)
        if abs(mean - published['Average']) > _ROUNDING:
            yield (
                f'Average: {published["Average"]} is not the mean of mAP, {mean:.2f}; where it is taken over other '
                "thresholds, state them: Average over: '0.5:0.95:0.05'"
            )


def _model(entry: Mapping[str, Any], file: str) -> ModelEntry:
    return ModelEntry(
        name=entry['Name'],
        collection=entry['In Collection'],
        config=entry['Config'],
        results=entry.get('Results'),
        metafile=file,
        published=tuple(
            Published(
                dataset=one['Dataset'],
                protocol=one['Protocol'],
                selection=one['Selection'],
                tious=parse_tious(one['tIoU']),
                mAP=tuple(map(float, one['mAP'])) if 'mAP' in one else None,
                average=float(one['Average']) if 'Average' in one else None,
                average_over=one.get('Average over'),
                source=one['Source'],
            )
            for one in _published(entry)
        ),
    )


def _faults_together(models: list[ModelEntry], collections: list[str]) -> Iterator[str]:
    """Yield what only all files together show."""
    for kind, names in (('collection', collections), ('model', [model.name for model in models])):
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f'metafiles define the {kind} {name} more than once'
    for model in models:
        if model.collection not in collections:
            hint = did_you_mean(model.collection, collections)
            yield f'{model.metafile}: Models, {model.name}: no collection is called {model.collection!r}{hint}'


def _unlisted(listed: list[object], root: Path) -> Iterator[str]:
    """Yield the configs that metafiles do not list exactly once."""
    for leaf in sorted((root / 'configs').rglob('*.py')):
        name = leaf.relative_to(root).as_posix()
        if not {'_base_', *_OFFLINE} & set(leaf.parts) and listed.count(name) != 1:
            file = leaf.parent.relative_to(root) / METAFILE
            yield f'{name}: expected once as Config under Models of {file}, found {listed.count(name)} times'
