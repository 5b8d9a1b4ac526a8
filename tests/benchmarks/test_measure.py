import math

import pytest

from benchmarks.measure import disagreement, measure, speedup, spread
from benchmarks.session import WorkerFailure


class StandIn:
    """Answers as a worker does and writes down what it is asked."""

    def __init__(self, name, calls, *, seconds=1.0, fails_at=None):
        self.name, self.calls, self.seconds, self.fails_at = name, calls, seconds, fails_at

    def ask(self, command):
        self.calls.append((self.name, command))
        if command == self.fails_at:
            raise WorkerFailure('AttributeError: no such thing')
        return {'seconds': self.seconds} if command == 'sample' else {'outcome': [1.0, 2.0]}

    def close(self):
        self.calls.append((self.name, 'close'))


def run(rounds, **options):
    calls = []
    results = measure(('a', 'b'), lambda name: StandIn(name, calls, **options.get(name, {})), rounds=rounds)
    return results, calls


def test_the_sides_take_turns_and_every_other_round_is_reversed():
    results, calls = run(3)
    assert [name for name, command in calls if command == 'sample'] == ['a', 'b', 'b', 'a', 'a', 'b']
    assert [name for name, command in calls if command == 'warm'] == ['a', 'b']
    assert results['a'] == {'seconds': [1.0] * 3, 'outcome': [1.0, 2.0]}


@pytest.mark.parametrize('command', ['warm', 'sample', 'finish'])
def test_a_side_that_fails_is_reported_and_the_other_is_measured(command):
    results, calls = run(2, a={'fails_at': command})
    assert results['a'] == {'failure': 'AttributeError: no such thing'}
    assert results['b']['seconds'] == [1.0, 1.0]
    assert [name for name, what in calls if what == 'close'] == ['a', 'b']


def test_workers_are_closed_when_the_comparison_is_interrupted():
    calls = []

    def open_worker(name):
        if name == 'b':
            raise KeyboardInterrupt
        return StandIn(name, calls)

    with pytest.raises(KeyboardInterrupt):
        measure(('a', 'b'), open_worker, rounds=1)
    assert calls[-1] == ('a', 'close')


def test_the_speed_up_is_that_of_pairs():
    # A disturbance that meets both sides of a pair leaves the ratio as it is.
    assert speedup([2.0, 200.0, 2.0], [1.0, 100.0, 1.0]) == {'median': 2, 'low': 2, 'high': 2, 'of_minima': 2}
    assert speedup([6.0, 2.0], [2.0, 1.0]) == {'median': 2.5, 'low': 2.25, 'high': 2.75, 'of_minima': 2}
    with pytest.raises(ValueError, match='zip'):
        speedup([1.0, 2.0], [1.0])


def test_the_spread_of_samples():
    assert spread([3.0, 1.0, 2.0]) == {'median': 2, 'min': 1, 'low': 1.5, 'high': 2.5}
    assert spread([3.0]) == {'median': 3, 'min': 3, 'low': 3, 'high': 3}


def test_how_far_results_differ():
    assert disagreement({'a': {'outcome': [1.0, 2.0]}, 'b': {'outcome': [1.0, 2.0]}}) == 0
    assert disagreement({'a': {'outcome': [1.0, 2.0]}, 'b': {'outcome': [1.0, 1.0]}}) == 0.5
    assert disagreement({'a': {'outcome': [0.0]}, 'b': {'outcome': [0.0]}}) == 0
    assert disagreement({'a': {'outcome': [1.0]}, 'b': {'outcome': [1.0, 2.0]}}) == math.inf
    assert disagreement({'a': {'outcome': [1.0]}, 'b': {'failure': 'x'}}) is None
    assert disagreement({'a': {'outcome': []}, 'b': {'outcome': []}}) is None
