"""Whether the figures meet what a plan aimed at."""

from dataclasses import dataclass
from typing import Any, Literal

from mmwtal.apis.ablation.plan import Aim
from mmwtal.apis.ablation.results import Results
from mmwtal.evaluation.run_comparison import Difference, interval_text, pairs_text, signed_text

Verdict = Literal['met', 'missed', 'not measured']


@dataclass(frozen=True, kw_only=True)
class PlaceVerdict:
    """An aim for one base on one data.

    Args:
        data: The data.
        base: The base.
        verdict: Whether it is met; 'not measured' as long as a run that it needs is missing.
        figures: The figures that this follows from, or those that there are.
    """

    data: str
    base: str
    verdict: Verdict
    figures: str


@dataclass(frozen=True, kw_only=True)
class AimVerdict:
    """An aim as a whole.

    Args:
        aim: The aim.
        verdict: 'met' if on each of its data as many bases meet it as it asks for, 'missed' if that cannot be any more.
        places: The verdict for each data and base.
    """

    aim: Aim
    verdict: Verdict
    places: tuple[PlaceVerdict, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            'aim': self.aim.text,
            'verdict': self.verdict,
            'places': [vars(place) for place in self.places],
        }


def judge(aim: Aim, results: Results) -> AimVerdict:
    """Return whether an aim is met."""
    places = tuple(_judge_place(aim, results, data, base) for data, base in aim.places)
    verdicts = {_of_data([place for place in places if place.data == data], aim.needed_on(data)) for data in aim.data}
    whole: Verdict = 'missed' if 'missed' in verdicts else 'not measured' if 'not measured' in verdicts else 'met'
    return AimVerdict(aim=aim, verdict=whole, places=places)


def _of_data(places: list[PlaceVerdict], needed: int) -> Verdict:
    met, open_ = (sum(place.verdict == verdict for place in places) for verdict in ('met', 'not measured'))
    if met >= needed:
        return 'met'
    return 'not measured' if met + open_ >= needed else 'missed'


def _judge_place(aim: Aim, results: Results, data: str, base: str) -> PlaceVerdict:
    missing = [arm for arm in aim.all_arms if results.cells[data, base, arm].missing]
    runs = results.cells[data, base, aim.reference].runs
    found = {arm: results.difference(data, base, arm, aim.reference) for arm in aim.arms}
    pairs = {arm: one for arm, one in found.items() if one is not None}
    if runs is None or not pairs:
        return PlaceVerdict(data=data, base=base, verdict='not measured', figures='no runs')
    column = results.column(runs)
    best = max(pairs, key=lambda arm: _mean(pairs[arm], column))
    holds, figures = _conditions(aim, pairs[best], column)
    if aim.ceiling is not None:
        reached, told = _share(aim, results, data, base, best, column)
        holds = _all([holds, reached])
        figures = f'{figures}; {told}'
    if len(aim.arms) > 1:
        figures = f'best is {best}: {figures}'
    if missing:
        return PlaceVerdict(
            data=data,
            base=base,
            verdict='not measured',
            figures=f'{figures} (runs of {", ".join(missing)} are missing)',
        )
    verdict: Verdict = 'not measured' if holds is None else 'met' if holds else 'missed'
    return PlaceVerdict(data=data, base=base, verdict=verdict, figures=figures)


def _conditions(aim: Aim, difference: Difference, column: int) -> tuple[bool | None, str]:
    """Return whether the conditions hold, None where there is no interval to tell, and the figures."""
    values = difference.values
    assert values is not None
    mean = _mean(difference, column)
    low = None if values.low is None else float(values.low[0, column])
    holds: list[bool | None] = []
    if aim.at_least is not None:
        holds.append(mean >= aim.at_least)
    if aim.above is not None:
        holds.append(mean > aim.above)
    if aim.lower_above is not None:
        holds.append(None if low is None else low > aim.lower_above)
    if aim.no_lift:
        holds.append(None if low is None else low <= 0)
    return _all(holds), f'{interval_text(values, 0, column)}, {pairs_text(difference)}'


def _share(aim: Aim, results: Results, data: str, base: str, arm: str, column: int) -> tuple[bool | None, str]:
    """Return whether the share of the way to the ceiling is reached, and the figures: of the seeds that all have."""
    assert aim.ceiling is not None
    assert aim.share is not None
    whole = [results.difference(data, base, name, aim.reference) for name in (arm, aim.ceiling)]
    seeds = [set(one.seeds) if one is not None else set() for one in whole]
    common = frozenset.intersection(*map(frozenset, seeds))
    if not common:
        return None, f'{aim.ceiling}: no runs of these seeds'
    gone, way = (
        _mean(one, column)
        for name in (arm, aim.ceiling)
        if (one := results.difference(data, base, name, aim.reference, seeds=common)) is not None
    )
    over = '' if seeds[0] == seeds[1] else f', over the {len(common)} seeds that both have'
    if way <= 0:
        return False, f'{aim.ceiling} is {signed_text(way)} from {aim.reference}{over}: it is no ceiling'
    return gone >= aim.share * way, f'{100 * gone / way:.0f} % of the way to {aim.ceiling}, {signed_text(way)}{over}'


def _all(holds: list[bool | None]) -> bool | None:
    if False in holds:
        return False
    return None if None in holds else True


def _mean(difference: Difference, column: int) -> float:
    assert difference.values is not None
    return float(difference.values.mean[0, column])
