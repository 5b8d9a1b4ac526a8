"""The arms of a plan: written one by one, extending each other, or as the product of switches."""

import argparse
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mmwtal.apis.ablation.options import flatten, option_faults
from mmwtal.apis.ablation.plan import Arm
from mmwtal.utils.fields import field_faults, shown_value, unknown_names
from mmwtal.utils.run_options import parse_seeds

TEMPLATE = '_'
"""Arms whose name begins so are there to be extended; they are not run."""
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
_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.=+-]{0,79}')


def name_faults(entries: Mapping[Any, Any]) -> Iterator[str]:
    """Yield names that cannot be those of a folder; there must be at least one."""
    if not entries:
        yield 'expected at least one, found none'
    for name in entries:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            yield f'a name must be of letters, digits and _.=+-, found {shown_value(name)}'


def seed_faults(sets: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with seeds by name."""
    for name, value in sets.items():
        try:
            parse_seeds(str(value))
        except argparse.ArgumentTypeError as error:
            yield f'{name}: {error}'


class ArmEntries:
    """The entries under ``arms`` and those that ``grid`` stands for.

    Args:
        content: The whole plan, of which all but arms and aims is known to be right.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content
        self.entries: dict[Any, Any] = {name: {} if entry is None else entry for name, entry in content['arms'].items()}
        self._grid_faults: list[str] = []
        for name, entry in content.get('grid', {}).items():
            found = [*self._faults_of_grid(entry)]
            self._grid_faults += [f'grid: {name}: {fault}' for fault in found]
            if not found:
                self._add_grid(str(name), entry)

    @property
    def runnable(self) -> list[str]:
        """The names of the arms that are run."""
        return [name for name in self.entries if not name.startswith(TEMPLATE)]

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with them."""
        yield from self._grid_faults
        named = {name.removeprefix(TEMPLATE) if isinstance(name, str) else name: None for name in self.entries}
        found = [*(f'arms: {fault}' for fault in name_faults(named))]
        for name, entry in self.entries.items():
            found += [f'arms: {name}: {fault}' for fault in self._faults_of_entry(entry)]
        yield from found
        if not found:
            yield from (f'arms: {fault}' for fault in self._circles())
            if not self.runnable:
                yield f'arms: expected one whose name does not begin with {TEMPLATE}, found none'

    def arms(self) -> dict[str, Arm]:
        """Return the arms that are run, in order."""
        return {name: self._arm(name) for name in self.runnable}

    def _faults_of_grid(self, entry: Any) -> Iterator[str]:
        if not isinstance(entry, dict):
            yield f'expected keys and values, found {shown_value(entry)}'
            return
        found = [*field_faults(entry, {'switches': dict}, _ARM)]
        yield from found
        for key, values in entry['switches'].items() if not found else ():
            if not isinstance(values, list) or not values or any(isinstance(value, dict) for value in values):
                yield f'switches: {key}: expected a list of values, found {shown_value(values)}'

    def _add_grid(self, name: str, entry: Mapping[str, Any]) -> None:
        """Add an arm for each choice of one value a switch."""
        switches = entry['switches']
        rest = {key: value for key, value in entry.items() if key != 'switches'}
        for values in itertools.product(*switches.values()):
            chosen = dict(zip(switches, values, strict=True))
            said = [f'{_short(key, switches)}={_shown(value)}' for key, value in chosen.items()]
            arm = re.sub(r'[^A-Za-z0-9_.=+-]', '-', '.'.join([name, *said]))
            if arm in self.entries:
                self._grid_faults.append(f'grid: {name}: there are two arms {arm}; give one another name')
            label = ', '.join(filter(None, [entry.get('label', ''), *said]))
            self.entries[arm] = {**rest, 'label': label, 'options': {**rest.get('options', {}), **chosen}}

    def _faults_of_entry(self, entry: Any) -> Iterator[str]:
        if not isinstance(entry, dict):
            yield f'expected keys and values, found {shown_value(entry)}'
            return
        found = [*field_faults(entry, {}, _ARM)]
        yield from found
        if found:
            return
        content = self.content
        names = {
            'extends': ([entry['extends']] if 'extends' in entry else [], self.entries),
            'bases': (entry.get('bases', []), content['bases']),
            'data': (entry.get('data', []), content['data']),
            'options_of': (entry.get('options_of', {}), content['bases']),
            'seeds': (entry.get('seeds', {}), content['seeds']),
        }
        for key, (given, known) in names.items():
            yield from (f'{key}: {fault}' for fault in unknown_names(given, [str(name) for name in known]))
        yield from (f'options: {fault}' for fault in option_faults(entry.get('options', {})))
        for base, options in entry.get('options_of', {}).items():
            if isinstance(options, dict):
                yield from (f'options_of: {base}: {fault}' for fault in option_faults(options))
            else:
                yield f'options_of: {base}: expected keys and values, found {shown_value(options)}'
        yield from (f'seeds: {fault}' for fault in self._faults_of_seeds(entry.get('seeds', {})))

    def _faults_of_seeds(self, sets: Mapping[str, Any]) -> Iterator[str]:
        found = [*seed_faults(sets)]
        yield from found
        for name, value in sets.items() if not found else ():
            whole = self.content['seeds'].get(name)
            strange = set(parse_seeds(str(value))) - set(parse_seeds(str(whole)) if whole is not None else ())
            if strange:
                yield f'{name}: {min(strange)} is none of the set, {whole}: without a partner there is no difference'

    def _circles(self) -> Iterator[str]:
        for name in self.entries:
            seen, following = [name], self.entries[name].get('extends')
            while following is not None and following not in seen:
                seen.append(following)
                following = self.entries[following].get('extends')
            if following is not None:
                yield f'{name}: extends itself: {" -> ".join([*seen, following])}'

    def _chain(self, name: str) -> list[dict[str, Any]]:
        """Return the entries that make an arm, that which extends no other first."""
        entry = self.entries[name]
        return [*(self._chain(entry['extends']) if 'extends' in entry else []), entry]

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
            label=self.entries[name].get('label', name),
            variant=whole.get('variant', ''),
            config=whole.get('config'),
            layers=layers,
            bases=tuple(whole.get('bases', self.content['bases'])),
            data=tuple(whole.get('data', self.content['data'])),
            seeds={key: parse_seeds(str(value)) for key, value in whole.get('seeds', {}).items()},
        )


def _short(key: str, switches: Mapping[str, Any]) -> str:
    """Return the last part of a dotted key, or all of it where another ends alike."""
    last = str(key).rpartition('.')[2]
    return last if sum(str(other).rpartition('.')[2] == last for other in switches) == 1 else str(key)


def _shown(value: Any) -> str:
    return f'{value:g}' if isinstance(value, float) else str(value)
