"""Reading a plan of an ablation: checked as a whole, all faults in one message, before anything runs."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from mmwtal.apis.ablation.options import flatten, option_faults
from mmwtal.apis.ablation.plan import Base, Data, Plan
from mmwtal.apis.ablation.read_aims import aim_faults, make_aim
from mmwtal.apis.ablation.read_arms import ArmEntries, name_faults, seed_faults
from mmwtal.evaluation.protocols import PROTOCOLS
from mmwtal.utils.errors import UserError
from mmwtal.utils.fields import field_faults, shown_value, unknown_names
from mmwtal.utils.files import read_text
from mmwtal.utils.names import did_you_mean
from mmwtal.utils.run_options import parse_seeds

RECIPES = ('embedded',)
MEASURES = ('attention_quality',)
_TOP = {'title': str, 'protocol': str, 'seeds': dict, 'data': dict, 'bases': dict, 'arms': dict, 'references': list}
_TOP_OPTIONAL = {
    'about': str,
    'metric': (str, int, float),
    'selection': str,
    'measure': list,
    'per_tiou': bool,
    'default_seeds': str,
    'options': dict,
    'grid': dict,
    'aims': list,
}


class _Loader(yaml.SafeLoader):
    """Plain values only, and a key that is given twice is a fault."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        if key.tag != 'tag:yaml.org,2002:merge':
            name = str(key.value)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f'the key {name!r} is given twice', key.start_mark)
            seen.add(name)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor('tag:yaml.org,2002:map', _mapping)


def read_plan(path: Path) -> Plan:
    """Read and check a plan.

    Args:
        path: A YAML file.

    Raises:
        UserError: For whatever is wrong with it; all faults in one message.
    """
    text = read_text(path, what='plan')
    try:
        content = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UserError(f'plan {path} is not valid YAML: {error}') from None
    if not isinstance(content, dict):
        raise UserError(f'plan {path}: expected keys and values at the top, found {shown_value(content)}')
    faults = list(_faults(content))
    if faults:
        raise UserError('\n  '.join([f'plan {path}: {len(faults)} faults, nothing was run', *faults]))
    return _plan(content, name=path.name, sha256=hashlib.sha256(text.encode()).hexdigest())


def _faults(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield all that is wrong; what depends on a faulty part is not looked at."""
    for part in (_form_faults, _top_faults, _arm_faults, _aim_faults):
        found = list(part(content))
        yield from found
        if found:
            return


def _form_faults(content: Mapping[str, Any]) -> Iterator[str]:
    yield from field_faults(content, _TOP, _TOP_OPTIONAL)


def _top_faults(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong outside of arms and aims."""
    if content['protocol'] not in PROTOCOLS:
        hint = did_you_mean(content['protocol'], PROTOCOLS)
        yield f'protocol: no rule is called {content["protocol"]!r}{hint}'
    if content.get('selection', 'last') not in ('last', 'best_on_test'):
        yield f"selection: expected 'last' or 'best_on_test', found {content['selection']!r}"
    metric = _metric(content)
    if metric != 'average' and not re.fullmatch(r'0\.\d+', metric):
        yield f"metric: expected 'average' or a tIoU such as 0.5, found {content['metric']!r}"
    yield from (f'measure: {fault}' for fault in unknown_names(content.get('measure', []), MEASURES))
    yield from (f'options: {fault}' for fault in option_faults(content.get('options', {})))
    for part in ('seeds', 'data', 'bases'):
        yield from (f'{part}: {fault}' for fault in name_faults(content[part]))
    yield from (f'seeds: {fault}' for fault in seed_faults(content['seeds']))
    if 'default_seeds' in content:
        yield from (f'default_seeds: {fault}' for fault in unknown_names([content['default_seeds']], content['seeds']))
    for name, value in content['data'].items():
        yield from (f'data: {name}: {fault}' for fault in _data_faults(value))
    for name, value in content['bases'].items():
        yield from (f'bases: {name}: {fault}' for fault in _base_faults(value, content['data']))


def _data_faults(value: Any) -> Iterator[str]:
    if not isinstance(value, dict | None):
        yield f'expected recipe: embedded, or nothing, found {shown_value(value)}'
        return
    yield from field_faults(value or {}, {}, {'recipe': str})
    if value and 'recipe' in value:
        yield from (f'recipe: {fault}' for fault in unknown_names([value['recipe']], RECIPES))


def _base_faults(value: Any, data: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f'expected configs by data, found {shown_value(value)}'
        return
    found = [*field_faults(value, {}, {**dict.fromkeys(data, str), 'options': dict})]
    yield from found
    if not found:
        yield from (f'options: {fault}' for fault in option_faults(value.get('options', {})))
        if not value.keys() - {'options'}:
            yield 'expected a config for one of the data, found none'


def _arm_faults(content: Mapping[str, Any]) -> Iterator[str]:
    entries = ArmEntries(content)
    found = list(entries.faults())
    yield from found
    if not found:
        if not content['references']:
            yield 'references: expected at least one arm, found none'
        yield from (f'references: {fault}' for fault in unknown_names(content['references'], entries.runnable))


def _aim_faults(content: Mapping[str, Any]) -> Iterator[str]:
    arms = ArmEntries(content).arms()
    for number, entry in enumerate(content.get('aims', []), 1):
        yield from (f'aims: {number}: {fault}' for fault in aim_faults(entry, content, arms))


def _plan(content: Mapping[str, Any], *, name: str, sha256: str) -> Plan:
    arms = ArmEntries(content).arms()
    return Plan(
        name=name,
        sha256=sha256,
        title=content['title'],
        about=content.get('about', ''),
        protocol=content['protocol'],
        metric=_metric(content),
        select_on_test=content.get('selection', 'last') != 'last',
        measure=tuple(content.get('measure', ())),
        per_tiou=content.get('per_tiou', False),
        seeds={key: parse_seeds(str(value)) for key, value in content['seeds'].items()},
        default_seeds=content.get('default_seeds', next(iter(content['seeds']))),
        options=flatten(content.get('options', {})),
        data={key: Data(name=key, recipe=(value or {}).get('recipe')) for key, value in content['data'].items()},
        bases={key: _base(key, value) for key, value in content['bases'].items()},
        arms=arms,
        references=tuple(content['references']),
        aims=tuple(make_aim(entry, content, arms) for entry in content.get('aims', [])),
    )


def _base(name: str, value: Mapping[str, Any]) -> Base:
    configs = {key: path for key, path in value.items() if key != 'options'}
    return Base(name=name, configs=configs, options=flatten(value.get('options', {})))


def _metric(content: Mapping[str, Any]) -> str:
    value = content.get('metric', 'average')
    return f'{value:g}' if isinstance(value, float) else str(value)
