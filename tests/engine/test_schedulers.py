"""The inverse square root schedule, and schedules of one parameter group."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.optim import OptimWrapper

from mmwtal.engine.schedulers import GroupScheduler, InverseSqrtLR
from mmwtal.registry import PARAM_SCHEDULERS
from mmwtal.utils.errors import UserError


def make_wrapper(*names: str, lr: tuple[float, ...] = (0.01, 0.4)) -> OptimWrapper:
    groups = [
        {'params': [torch.nn.Parameter(torch.ones(2))], 'lr': rate, **({'name': name} if name else {})}
        for name, rate in zip(names, lr, strict=False)
    ]
    wrapper = OptimWrapper(optimizer=torch.optim.Adam(groups))
    wrapper.base_param_settings = None
    return wrapper


def run(wrapper: OptimWrapper, schedulers: list, steps: int) -> list[list[float]]:
    """The learning rates of the updates."""
    rates = []
    for _ in range(steps):
        rates.append([group['lr'] for group in wrapper.optimizer.param_groups])
        wrapper.step()
        for scheduler in schedulers:
            scheduler.step()
    return rates


def of_group(wrapper: OptimWrapper, group: str, scheduler: str, **options: Any) -> GroupScheduler:
    return PARAM_SCHEDULERS.build(
        dict(type='GroupScheduler', group=group, scheduler=scheduler, by_epoch=False, **options),
        default_args=dict(optimizer=wrapper, epoch_length=7),
    )


@settings(deadline=None, max_examples=30)
@given(warmup=st.integers(1, 40), start=st.floats(0, 0.1))
def test_warm_up_and_decay(warmup: int, start: float) -> None:
    wrapper = make_wrapper('base', lr=(0.2,))
    rates = [rate for (rate,) in run(wrapper, [InverseSqrtLR(optimizer=wrapper, warmup=warmup, start=start)], 90)]
    for step, rate in enumerate(rates):
        if step < warmup:
            assert rate == pytest.approx(start + step * (0.2 - start) / warmup)
        else:
            assert rate == pytest.approx(0.2 * math.sqrt(warmup) / math.sqrt(step))
    assert max(rates) == rates[warmup] == pytest.approx(0.2)


def test_the_defaults_are_those_of_the_papers() -> None:
    wrapper = make_wrapper('base', lr=(4e-4,))
    rates = [rate for (rate,) in run(wrapper, [InverseSqrtLR(optimizer=wrapper, by_epoch=False)], 1601)]
    assert (rates[0], rates[400], rates[1600]) == pytest.approx((1e-7, 4e-4, 2e-4))


@pytest.mark.parametrize('options', [dict(warmup=0), dict(start=-1e-3)])
def test_bad_values(options: dict) -> None:
    with pytest.raises(UserError, match='warmup of at least 1 and start of at least 0'):
        InverseSqrtLR(optimizer=make_wrapper('base'), **options)


@pytest.mark.parametrize('scheduler', ['LinearLR', 'CosineAnnealingLR', 'ExponentialLR', 'InverseSqrtLR'])
@pytest.mark.parametrize('group', ['base', 'guidance'])
def test_one_group_follows_the_schedule_the_other_stays(scheduler: str, group: str) -> None:
    options = dict(LinearLR=dict(end=6), CosineAnnealingLR=dict(T_max=9), ExponentialLR=dict(gamma=0.9))
    options = options.get(scheduler, dict(warmup=3))
    wrapper, alone = make_wrapper('base', 'guidance'), make_wrapper('base', 'guidance')
    restricted = of_group(wrapper, group, scheduler, **options)
    rates = run(wrapper, [restricted], 12)
    everywhere = PARAM_SCHEDULERS.build(dict(type=scheduler, optimizer=alone, by_epoch=False, **options))
    expected = run(alone, [everywhere], 12)
    own = ['base', 'guidance'].index(group)
    assert [rate[own] for rate in rates] == [rate[own] for rate in expected]
    assert len({rate[own] for rate in rates}) > 5
    assert {rate[1 - own] for rate in rates} == {(0.01, 0.4)[1 - own]}
    assert restricted.get_last_value() == [wrapper.optimizer.param_groups[own]['lr']]


def test_two_groups_with_a_schedule_each() -> None:
    wrapper = make_wrapper('base', 'guidance')
    both = [of_group(wrapper, 'base', 'LinearLR', end=6), of_group(wrapper, 'guidance', 'InverseSqrtLR', warmup=3)]
    rates = run(wrapper, both, 12)
    assert rates[0] == pytest.approx([0.01 / 3, 1e-7])
    assert rates[3][1] == pytest.approx(0.4)
    assert rates[11] == pytest.approx([0.01, 0.4 * math.sqrt(3 / 11)])


def test_resumes(tmp_path: Path) -> None:
    def make() -> tuple[OptimWrapper, list[GroupScheduler]]:
        wrapper = make_wrapper('base', 'guidance')
        return wrapper, [
            of_group(wrapper, 'base', 'ExponentialLR', gamma=0.9),
            of_group(wrapper, 'guidance', 'InverseSqrtLR', warmup=3),
        ]

    whole = run(*make(), 12)
    wrapper, schedulers = make()
    run(wrapper, schedulers, 5)
    state = dict(optimizer=wrapper.state_dict(), schedulers=[scheduler.state_dict() for scheduler in schedulers])
    torch.save(state, tmp_path / 'state.pth')
    state = torch.load(tmp_path / 'state.pth', weights_only=True)
    wrapper, schedulers = make()
    wrapper.load_state_dict(state['optimizer'])
    for scheduler, saved in zip(schedulers, state['schedulers'], strict=True):
        scheduler.load_state_dict(saved)
    assert run(wrapper, schedulers, 7) == whole[5:]


def test_a_group_that_the_model_lacks_is_left_alone() -> None:
    wrapper = make_wrapper('base')
    scheduler = of_group(wrapper, 'guidance', 'InverseSqrtLR')
    assert run(wrapper, [scheduler], 5) == [[0.01]] * 5
    assert scheduler.get_last_value() == []


def test_what_cannot_be_restricted() -> None:
    with pytest.raises(UserError, match="constructor='ParamGroupConstructor'"):
        of_group(make_wrapper('', ''), 'guidance', 'InverseSqrtLR')
    with pytest.raises(UserError, match='ReduceOnPlateauLR follows validation scores'):
        GroupScheduler(optimizer=make_wrapper('base'), group='base', scheduler='ReduceOnPlateauLR', monitor='average')
