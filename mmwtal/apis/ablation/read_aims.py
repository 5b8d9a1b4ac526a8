"""The aims of a plan."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmwtal.apis.ablation.plan import Aim, Arm
from mmwtal.utils.fields import field_faults, shown_value, unknown_names

_NUMBER = (int, float)
_AIM = {'aim': str, 'arm': (str, list), 'reference': str}
_CONDITIONS = {'at_least': _NUMBER, 'above': _NUMBER, 'lower_above': _NUMBER, 'no_lift': bool, 'share': _NUMBER}
_AIM_OPTIONAL = {'bases': list, 'data': list, 'of_bases': int, 'ceiling': str, **_CONDITIONS}


def aim_faults(entry: Any, content: Mapping[str, Any], arms: Mapping[str, Arm]) -> Iterator[str]:
    """Yield what is wrong with an aim.

    Args:
        entry: The aim.
        content: The whole plan, of which all but the aims is known to be right.
        arms: Its arms.
    """
    if not isinstance(entry, dict):
        yield f'expected keys and values, found {shown_value(entry)}'
        return
    found = [*field_faults(entry, _AIM, _AIM_OPTIONAL)]
    if not found:
        found += [f'arm: {fault}' for fault in unknown_names(_named_arms(entry), arms)]
        for kind in ('bases', 'data'):
            found += [f'{kind}: {fault}' for fault in unknown_names(entry.get(kind, []), content[kind])]
        if entry['arm'] == [] or not entry.keys() & _CONDITIONS.keys():
            found.append(f'expected an arm and one of the conditions {", ".join(_CONDITIONS)}')
        if ('share' in entry) != ('ceiling' in entry):
            found.append('share and ceiling go together')
        if entry.get('no_lift', True) is not True:
            found.append('no_lift: expected true, found false; leave it out')
    yield from found
    if not found:
        yield from _place_faults(entry, make_aim(entry, content, arms))


def _place_faults(entry: Mapping[str, Any], aim: Aim) -> Iterator[str]:
    together = f'all of the arms {", ".join(aim.all_arms)}'
    if not aim.places:
        yield f'no base and data have {together}'
        return
    for kind, kept in (('bases', aim.bases), ('data', aim.data)):
        yield from (f'{kind}: {name}: does not have {together}' for name in entry.get(kind, []) if name not in kept)
    fewest = min(aim.data, key=lambda data: len(aim.bases_on(data)))
    count = len(aim.bases_on(fewest))
    if aim.of_bases is not None and not 1 <= aim.of_bases <= count:
        yield f'of_bases: expected 1 to {count}, as many as there are on {fewest}, found {aim.of_bases}'


def make_aim(entry: Mapping[str, Any], content: Mapping[str, Any], arms: Mapping[str, Arm]) -> Aim:
    """Return an aim; without bases or data of its own it is about all places where all of its arms are run.

    Args:
        entry: The aim.
        content: The whole plan.
        arms: Its arms.
    """
    needed = [arms[name] for name in _named_arms(entry)]
    bases, data = (dict.fromkeys(entry.get(kind, content[kind])) for kind in ('bases', 'data'))
    places = tuple(
        (of, base)
        for of in data
        for base in bases
        if of in content['bases'][base] and all(of in arm.data and base in arm.bases for arm in needed)
    )
    return Aim(
        text=entry['aim'],
        arms=tuple(_own_arms(entry)),
        reference=entry['reference'],
        places=places,
        of_bases=entry.get('of_bases'),
        ceiling=entry.get('ceiling'),
        **{key: entry[key] for key in _CONDITIONS if key in entry},
    )


def _own_arms(entry: Mapping[str, Any]) -> list[str]:
    return entry['arm'] if isinstance(entry['arm'], list) else [entry['arm']]


def _named_arms(entry: Mapping[str, Any]) -> list[str]:
    ceiling = [entry['ceiling']] if 'ceiling' in entry else []
    return [*_own_arms(entry), entry['reference'], *ceiling]
