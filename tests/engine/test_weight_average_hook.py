"""The mean of the weights: of which iterations, what it leaves alone, and what a resumed run makes of it."""

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mmwtal.engine.hooks.weight_average_hook import WeightAverageHook
from mmwtal.utils.errors import UserError


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.register_buffer('scale', torch.zeros(()))
        self.register_buffer('steps', torch.zeros((), dtype=torch.int64))


def make_runner(max_iters: int = 10) -> Any:
    return SimpleNamespace(model=Model(), iter=0, max_iters=max_iters)


def value(iteration: int) -> float:
    return float(iteration**2)


def train(runner: Any, hook: WeightAverageHook, until: int) -> None:
    hook.before_train(runner)
    while runner.iter < until:
        with torch.no_grad():
            runner.model.weight.fill_(value(runner.iter + 1))
            runner.model.scale.fill_(-value(runner.iter + 1))
            runner.model.steps.add_(1)
        hook.after_train_iter(runner, batch_idx=runner.iter)
        runner.iter += 1


def save(runner: Any, hook: WeightAverageHook) -> dict[str, Any]:
    checkpoint = {'state_dict': dict(runner.model.state_dict()), 'meta': {}}
    hook.before_save_checkpoint(runner, checkpoint)
    return copy.deepcopy(checkpoint)


def resume(runner: Any, hook: WeightAverageHook, checkpoint: dict[str, Any], iteration: int) -> None:
    checkpoint = copy.deepcopy(checkpoint)
    hook.after_load_checkpoint(runner, checkpoint)
    assert 'weight_average' not in checkpoint
    runner.model.load_state_dict(checkpoint['state_dict'])
    runner.iter = iteration


@settings(deadline=None, max_examples=40)
@given(max_iters=st.integers(1, 30), start=st.floats(0, 0.999), data=st.data())
def test_it_is_the_mean_of_the_last_part_resumed_or_not(max_iters: int, start: float, data: Any) -> None:
    runner, hook = make_runner(max_iters), WeightAverageHook(start=start)
    train(runner, hook, max_iters)
    checkpoint = save(runner, hook)
    about = checkpoint['meta']['weight_average']
    assert about == dict(first=max_iters - about['count'] + 1, last=max_iters, count=about['count'])
    assert abs(about['count'] - (1 - start) * max_iters) <= 1
    assert about['count'] >= 1
    mean = sum(map(value, range(about['first'], max_iters + 1))) / about['count']
    torch.testing.assert_close(checkpoint['state_dict']['weight'], torch.full((3,), mean))
    torch.testing.assert_close(checkpoint['state_dict']['scale'], torch.tensor(-mean))
    assert checkpoint['state_dict']['steps'] == max_iters
    assert (runner.model.weight == value(max_iters)).all()

    stop = data.draw(st.integers(0, max_iters))
    first, first_hook = make_runner(max_iters), WeightAverageHook(start=start)
    train(first, first_hook, stop)
    second, second_hook = make_runner(max_iters), WeightAverageHook(start=start)
    resume(second, second_hook, save(first, first_hook), stop)
    assert torch.equal(second.model.weight, first.model.weight)
    train(second, second_hook, max_iters)
    again = save(second, second_hook)
    assert again['meta'] == checkpoint['meta']
    for name in ('weight', 'scale', 'steps'):
        assert torch.equal(again['state_dict'][name], checkpoint['state_dict'][name])
    assert again['weight_average'].keys() == {'running', 'first', 'count'}


def test_validation_sees_the_mean_and_training_does_not() -> None:
    runner, hook = make_runner(), WeightAverageHook(start=0.6)
    train(runner, hook, 8)
    hook.before_val_epoch(runner)
    assert (runner.model.weight == (value(7) + value(8)) / 2).all()
    hook.after_val_epoch(runner)
    assert (runner.model.weight == value(8)).all()
    assert (save(runner, hook)['state_dict']['weight'] == (value(7) + value(8)) / 2).all()


def test_before_the_start_it_leaves_everything_alone() -> None:
    runner, hook = make_runner(), WeightAverageHook(start=0.6)
    train(runner, hook, 6)
    hook.before_val_epoch(runner)
    assert (runner.model.weight == value(6)).all()
    checkpoint = save(runner, hook)
    assert checkpoint.keys() == {'state_dict', 'meta'}
    assert (checkpoint['state_dict']['weight'] == value(6)).all()
    assert checkpoint['meta'] == {}


@pytest.mark.parametrize(('start', 'first'), [(0.0, 1), (0.6, 7), (0.7, 8), (0.99, 10)])
def test_the_first_iteration(start: float, first: int) -> None:
    runner, hook = make_runner(), WeightAverageHook(start=start)
    train(runner, hook, 10)
    assert save(runner, hook)['meta']['weight_average'] == dict(first=first, last=10, count=11 - first)


def test_a_run_that_is_made_longer_starts_its_mean_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr('mmwtal.engine.hooks.weight_average_hook.print_log', lambda text, **_: told.append(text))
    runner, hook = make_runner(), WeightAverageHook(start=0.6)
    train(runner, hook, 10)
    longer, longer_hook = make_runner(20), WeightAverageHook(start=0.6)
    resume(longer, longer_hook, save(runner, hook), 10)
    train(longer, longer_hook, 20)
    assert save(longer, longer_hook)['meta']['weight_average'] == dict(first=13, last=20, count=8)
    assert told == [
        'the mean of the weights from iteration 7 is dropped: with max_iters=20 it starts after iteration 12'
    ]


def test_a_run_that_had_no_mean_says_where_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr('mmwtal.engine.hooks.weight_average_hook.print_log', lambda text, **_: told.append(text))
    runner, hook = make_runner(), WeightAverageHook(start=0.6)
    resume(runner, hook, {'state_dict': dict(Model().state_dict()), 'meta': {}}, 8)
    train(runner, hook, 10)
    assert save(runner, hook)['meta']['weight_average'] == dict(first=9, last=10, count=2)
    assert len(told) == 1
    assert 'starts with iteration 9, not 7' in told[0]


@pytest.mark.parametrize('start', [-0.1, 1.0, 1.5, float('nan')])
def test_bad_start(start: float) -> None:
    with pytest.raises(UserError, match='start from 0 to below 1'):
        WeightAverageHook(start=start)
