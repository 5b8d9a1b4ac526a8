"""Reading a plan of an ablation: checked as a whole, all faults in one message, before anything runs."""

import argparse
import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from mmwtal.apis.ablation.options import flatten, option_faults
from mmwtal.apis.ablation.plan import Aim, Arm, Base, Data, Plan
from mmwtal.evaluation.protocols import PROTOCOLS
from mmwtal.utils.errors import UserError
from mmwtal.utils.fields import field_faults, shown_value
from mmwtal.utils.files import read_text
from mmwtal.utils.names import did_you_mean
from mmwtal.utils.run_options import parse_seeds

RECIPES = ('embedded',)
MEASURES = ('attention_quality',)
# Arms whose name begins so are there to be extended; they are not run.
TEMPLATE = '_'
_NUMBER = (int, float)
_TOP = {'title': str, 'protocol': str, 'seeds': dict, 'data': dict, 'bases': dict, 'arms': dict, 'references': list}
_TOP_OPTIONAL = {
    'about': str,
    'metric': (str, *_NUMBER),
    'selection': str,
    'measure': list,
    'per_tiou': bool,
    'default_seeds': str,
    'options': dict,
    'grid': dict,
    'aims': list,
}
_ARM = {
    'label': str,
    'extends': str,
    'variant': str,
    'config': str,
    'options': dict,
    'options_of': dict,
    'bases': list,
    'data': list,
    'seeds': dict,
}
_GRID = {**_ARM, 'switches': dict}
_AIM = {'aim': str, 'arm': (str, list), 'reference': str}
_CONDITIONS = {'at_least': _NUMBER, 'above': _NUMBER, 'lower_above': _NUMBER, 'no_lift': bool, 'share': _NUMBER}
_AIM_OPTIONAL = {'bases': list, 'data': list, 'of_bases': int, 'ceiling': str, **_CONDITIONS}
_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.=+-]{0,79}')


class _Loader(yaml.SafeLoader):
    """Plain values only, and a key that is given twice is a fault."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        if key.tag != 'tag:yaml.org,2002:merge':
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f'the key {key.value!r} is given twice', key.start_mark
                )
            seen.add(key.value)
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
    reader = _Reader(content)
    faults = list(dict.fromkeys(reader.faults()))
    if faults:
        raise UserError('\n  '.join([f'plan {path}: {len(faults)} faults, nothing was run', *faults]))
    return reader.plan(name=path.name, sha256=hashlib.sha256(text.encode()).hexdigest())


class _Reader:
    """The content of a plan: first its faults, then, if there are none, the plan.

    Args:
        content: What the file holds.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content
        self.arms: dict[str, dict[str, Any]] = {}

    def faults(self) -> Iterator[str]:
        """Yield all that is wrong; what depends on a faulty part is not looked at."""
        found = [*field_faults(self.content, _TOP, _TOP_OPTIONAL)]
        yield from found
        if found:
            return
        steps = (self._top_faults, self._data_faults, self._base_faults, self._arm_faults, self._aim_faults)
        for step in steps:
            found = list(step())
            yield from found
            if found and step is not self._top_faults:
                return

    def plan(self, *, name: str, sha256: str) -> Plan:
        """Return the plan."""
        content = self.content
        arms = {key: self._arm(key) for key in self.arms if not key.startswith(TEMPLATE)}
        return Plan(
            name=name,
            sha256=sha256,
            title=content['title'],
            about=content.get('about', ''),
            protocol=content['protocol'],
            metric=_metric(content.get('metric', 'average')),
            select_on_test=content.get('selection', 'last') != 'last',
            measure=tuple(content.get('measure', ())),
            per_tiou=content.get('per_tiou', False),
            seeds=self._seeds,
            default_seeds=content.get('default_seeds', next(iter(content['seeds']))),
            options=flatten(content.get('options', {})),
            data={key: Data(name=key, recipe=(value or {}).get('recipe')) for key, value in content['data'].items()},
            bases={key: self._base(key, value) for key, value in content['bases'].items()},
            arms=arms,
            references=tuple(content['references']),
            aims=tuple(self._aim(entry, arms) for entry in content.get('aims', [])),
        )

    def _top_faults(self) -> Iterator[str]:
        content = self.content
        if content['protocol'] not in PROTOCOLS:
            hint = did_you_mean(content['protocol'], PROTOCOLS)
            yield f'protocol: no rule is called {content["protocol"]!r}{hint}'
        if content.get('selection', 'last') not in ('last', 'best_on_test'):
            yield f"selection: expected 'last' or 'best_on_test', found {content['selection']!r}"
        metric = _metric(content.get('metric', 'average'))
        if metric != 'average' and not re.fullmatch(r'0\.\d+', metric):
            yield f"metric: expected 'average' or a tIoU such as 0.5, found {content['metric']!r}"
        yield from _unknown('measure', content.get('measure', []), MEASURES)
        yield from (f'options: {fault}' for fault in option_faults(content.get('options', {})))
        self._seeds: dict[str, tuple[int, ...]] = {}
        for name, value in content['seeds'].items():
            yield from self._read_seeds(f'seeds: {name}', name, value, self._seeds)
        if not content['seeds']:
            yield 'seeds: expected a set of seeds such as develop: 0-4, found none'
        elif 'default_seeds' in content:
            yield from _unknown('default_seeds', [content['default_seeds']], content['seeds'])

    def _read_seeds(self, place: str, name: str, value: Any, into: dict[str, tuple[int, ...]]) -> Iterator[str]:
        try:
            into[name] = parse_seeds(str(value))
        except argparse.ArgumentTypeError as error:
            yield f'{place}: {error}'

    def _data_faults(self) -> Iterator[str]:
        yield from _named('data', self.content['data'])
        for name, value in self.content['data'].items():
            if not isinstance(value, dict | None):
                yield f'data: {name}: expected recipe: embedded, or nothing, found {shown_value(value)}'
                continue
            yield from (f'data: {name}: {fault}' for fault in field_faults(value or {}, {}, {'recipe': str}))
            yield from _unknown(f'data: {name}: recipe', [value['recipe']] if value else [], RECIPES)

    def _base_faults(self) -> Iterator[str]:
        yield from _named('bases', self.content['bases'])
        for name, value in self.content['bases'].items():
            if not isinstance(value, dict):
                yield f'bases: {name}: expected configs by data, found {shown_value(value)}'
                continue
            known = {**dict.fromkeys(self.content['data'], str), 'options': dict}
            found = [*field_faults(value, {}, known)]
            yield from (f'bases: {name}: {fault}' for fault in found)
            if not found:
                yield from (f'bases: {name}: options: {fault}' for fault in option_faults(value.get('options', {})))
                if not value.keys() - {'options'}:
                    yield f'bases: {name}: expected a config for one of the data, found none'

    def _arm_faults(self) -> Iterator[str]:
        yield from _named('arms', {key.removeprefix(TEMPLATE): value for key, value in self._text_keys('arms').items()})
        self.arms = dict(self._text_keys('arms'))
        for name, entry in self.content.get('grid', {}).items():
            yield from self._grid_faults(str(name), entry)
        for name, entry in self.arms.items():
            found = [*self._entry_faults(entry)]
            yield from (f'arms: {name}: {fault}' for fault in found)
        yield from self._chain_faults()
        runnable = [name for name in self.arms if not name.startswith(TEMPLATE)]
        yield from _unknown('references', self.content['references'], runnable)

    def _text_keys(self, key: str) -> dict[str, Any]:
        return {str(name): ({} if entry is None else entry) for name, entry in self.content[key].items()}

    def _grid_faults(self, name: str, entry: Any) -> Iterator[str]:
        """Yield what is wrong with a grid; add the arms that it stands for."""
        if not isinstance(entry, dict):
            yield f'grid: {name}: expected keys and values, found {shown_value(entry)}'
            return
        found = [*field_faults(entry, {'switches': dict}, _GRID)]
        yield from (f'grid: {name}: {fault}' for fault in found)
        if found:
            return
        switches = entry['switches']
        for key, values in switches.items():
            if not isinstance(values, list) or not values or any(isinstance(value, dict) for value in values):
                yield f'grid: {name}: switches: {key}: expected a list of values, found {shown_value(values)}'
                return
        rest = {key: value for key, value in entry.items() if key != 'switches'}
        for values in itertools.product(*switches.values()):
            chosen = dict(zip(switches, values, strict=True))
            said = [f'{_short(key, switches)}={_shown(value)}' for key, value in chosen.items()]
            arm = re.sub(r'[^A-Za-z0-9_.=+-]', '-', '.'.join([name, *said]))
            if arm in self.arms:
                yield f'grid: {name}: there are two arms {arm}'
            label = ', '.join(filter(None, [entry.get('label', ''), *said]))
            self.arms[arm] = {**rest, 'label': label, 'options': {**rest.get('options', {}), **chosen}}

    def _entry_faults(self, entry: Any) -> Iterator[str]:
        if not isinstance(entry, dict):
            yield f'expected keys and values, found {shown_value(entry)}'
            return
        found = [*field_faults(entry, {}, _ARM)]
        yield from found
        if found:
            return
        yield from _unknown('extends', [entry['extends']] if 'extends' in entry else [], self.arms)
        yield from _unknown('bases', entry.get('bases', []), self.content['bases'])
        yield from _unknown('data', entry.get('data', []), self.content['data'])
        yield from (f'options: {fault}' for fault in option_faults(entry.get('options', {})))
        yield from _unknown('options_of', entry.get('options_of', {}), self.content['bases'])
        for base, options in entry.get('options_of', {}).items():
            if not isinstance(options, dict):
                yield f'options_of: {base}: expected keys and values, found {shown_value(options)}'
            else:
                yield from (f'options_of: {base}: {fault}' for fault in option_faults(options))
        yield from _unknown('seeds', entry.get('seeds', {}), self._seeds)
        for name, value in entry.get('seeds', {}).items():
            seeds: dict[str, tuple[int, ...]] = {}
            yield from self._read_seeds(f'seeds: {name}', name, value, seeds)
            strange = set(seeds.get(name, ())) - set(self._seeds.get(name, ()))
            if strange:
                yield f'seeds: {name}: {min(strange)} is none of the set {self.content["seeds"].get(name)}'

    def _chain_faults(self) -> Iterator[str]:
        for name in self.arms:
            seen, following = [name], self._extends(name)
            while following in self.arms and following not in seen:
                seen.append(following)
                following = self._extends(following)
            if following in seen:
                yield f'arms: {name}: extends itself: {" -> ".join([*seen, following])}'

    def _extends(self, name: str) -> str:
        entry = self.arms[name]
        return str(entry.get('extends', '')) if isinstance(entry, dict) else ''

    def _chain(self, name: str) -> list[dict[str, Any]]:
        """Return the entries that make an arm, that which extends no other first."""
        entry = self.arms[name]
        return [*(self._chain(entry['extends']) if 'extends' in entry else []), entry]

    def _aim_faults(self) -> Iterator[str]:
        runnable = [name for name in self.arms if not name.startswith(TEMPLATE)]
        for number, entry in enumerate(self.content.get('aims', []), 1):
            place = f'aims: {number}'
            if not isinstance(entry, dict):
                yield f'{place}: expected keys and values, found {shown_value(entry)}'
                continue
            found = [*field_faults(entry, _AIM, _AIM_OPTIONAL)]
            yield from (f'{place}: {fault}' for fault in found)
            if found:
                continue
            arms = entry['arm'] if isinstance(entry['arm'], list) else [entry['arm']]
            named = [*arms, entry['reference'], *([entry['ceiling']] if 'ceiling' in entry else [])]
            found = [
                *_unknown(f'{place}: arm', named, runnable),
                *_unknown(f'{place}: bases', entry.get('bases', []), self.content['bases']),
                *_unknown(f'{place}: data', entry.get('data', []), self.content['data']),
            ]
            if not arms or not entry.keys() & _CONDITIONS.keys():
                found.append(f'{place}: expected an arm and one of the conditions {", ".join(_CONDITIONS)}')
            if ('share' in entry) != ('ceiling' in entry):
                found.append(f'{place}: share and ceiling go together')
            yield from found
            if not found:
                yield from (f'{place}: {fault}' for fault in self._reach_faults(entry, named))

    def _reach_faults(self, entry: Mapping[str, Any], named: list[str]) -> Iterator[str]:
        aim = self._aim(entry, {name: self._arm(name) for name in named})
        if not aim.bases or not aim.data:
            yield f'no base and data have all of the arms {", ".join(named)}'
        elif not 1 <= aim.of_bases <= len(aim.bases):
            yield f'of_bases: expected 1 to {len(aim.bases)}, found {aim.of_bases}'

    def _base(self, name: str, value: Mapping[str, Any]) -> Base:
        configs = {key: path for key, path in value.items() if key != 'options'}
        return Base(name=name, configs=configs, options=flatten(value.get('options', {})))

    def _arm(self, name: str) -> Arm:
        chain = self._chain(name)
        whole = {key: value for entry in chain for key, value in entry.items()}
        layers = tuple(
            (
                flatten(entry.get('options', {})),
                {base: flatten(options) for base, options in entry.get('options_of', {}).items()},
            )
            for entry in chain
        )
        return Arm(
            name=name,
            label=self.arms[name].get('label', name),
            variant=whole.get('variant', ''),
            config=whole.get('config'),
            layers=layers,
            bases=tuple(whole.get('bases', self.content['bases'])),
            data=tuple(whole.get('data', self.content['data'])),
            seeds={key: parse_seeds(str(value)) for key, value in whole.get('seeds', {}).items()},
        )

    def _aim(self, entry: Mapping[str, Any], arms: Mapping[str, Arm]) -> Aim:
        own = entry['arm'] if isinstance(entry['arm'], list) else [entry['arm']]
        needed = [
            arms[name] for name in (*own, entry['reference'], *([entry['ceiling']] if 'ceiling' in entry else []))
        ]
        bases, data = (
            tuple(
                name
                for name in entry.get(kind, self.content[kind])
                if all(name in getattr(arm, kind) for arm in needed)
            )
            for kind in ('bases', 'data')
        )
        return Aim(
            text=entry['aim'],
            arms=tuple(own),
            reference=entry['reference'],
            bases=bases,
            data=data,
            of_bases=entry.get('of_bases', len(bases)),
            ceiling=entry.get('ceiling'),
            **{key: entry[key] for key in _CONDITIONS if key in entry},
        )


def _metric(value: Any) -> str:
    return f'{value:g}' if isinstance(value, float) else str(value)


def _unknown(place: str, names: Any, known: Any) -> Iterator[str]:
    for name in names:
        if not isinstance(name, str) or name not in known:
            hint = did_you_mean(str(name), [str(one) for one in known])
            yield f'{place}: there is no {shown_value(name)}{hint}'


def _named(place: str, entries: Mapping[Any, Any]) -> Iterator[str]:
    """Yield names that cannot be those of a folder."""
    if not entries:
        yield f'{place}: expected at least one, found none'
    for name in entries:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            yield f'{place}: a name must be of letters, digits and _.=+-, found {shown_value(name)}'


def _short(key: str, switches: Mapping[str, Any]) -> str:
    """Return the last part of a dotted key, or all of it where another ends alike."""
    last = key.rpartition('.')[2]
    return last if sum(other.rpartition('.')[2] == last for other in switches) == 1 else key


def _shown(value: Any) -> str:
    return f'{value:g}' if isinstance(value, float) else str(value)
