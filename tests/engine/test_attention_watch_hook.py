"""Warnings of attentions that tell nothing: when, how often, and of what."""

from types import SimpleNamespace

import pytest
from mmengine.logging import MessageHub

from mmwtal.engine.hooks import attention_watch_hook
from mmwtal.engine.hooks.attention_watch_hook import AttentionWatchHook
from mmwtal.utils.errors import UserError

FINE = {'base': (0.5, 0.2), 'key': (0.3, 0.3), 'complete': (0.5, 0.1)}


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest):
    """Log the given mean and spread of each attention for 40 iterations of 100; return the warnings."""

    def run(hook: AttentionWatchHook, **levels) -> list[str]:
        said: list[str] = []
        monkeypatch.setattr(attention_watch_hook, 'print_log', lambda text, logger, level: said.append(text))
        hub = MessageHub(f'{request.node.name}{len(levels)}')
        runner = SimpleNamespace(message_hub=hub, iter=0, max_iters=100)
        while runner.iter < 40:
            for name, level in levels.items():
                mean, spread = level(runner.iter) if callable(level) else level
                hub.update_scalar(f'train/attn_{name}', mean)
                hub.update_scalar(f'train/attn_{name}_spread', spread)
            hook.after_train_iter(runner, batch_idx=runner.iter)
            runner.iter += 1
        return said

    return run


@pytest.mark.parametrize('name', ['base', 'key', 'complete'])
@pytest.mark.parametrize(
    ('level', 'state'), [((0.95, 0.2), 'saturated'), ((0.04, 0.1), 'collapsed'), ((0.5, 0.01), 'flat')]
)
def test_it_warns_of_each_once_a_period(train, name: str, level: tuple[float, float], state: str) -> None:
    said = train(AttentionWatchHook(window=5, period=20, start=0.1), **{**FINE, name: level})
    assert [text.split('.')[0] for text in said] == [
        f'iteration {iteration}: attn_{name} is {state} (mean {level[0]:g}'.split('.')[0] for iteration in (15, 35)
    ]
    assert all('Likely: ' in text and 'over the last 5 iterations' in text for text in said)


def test_it_is_silent_where_all_is_well_or_nothing_is_logged(train) -> None:
    assert train(AttentionWatchHook(window=5), **FINE) == []
    assert train(AttentionWatchHook(window=5)) == []


def test_the_mean_over_the_window_counts(train) -> None:
    swinging = {**FINE, 'key': lambda iteration: (0.99 if iteration % 2 else 0.75, 0.1)}
    assert train(AttentionWatchHook(window=10), **swinging) == []
    late = {**FINE, 'complete': lambda iteration: (0.99 if iteration >= 25 else 0.5, 0.1)}
    assert [text[:14] for text in train(AttentionWatchHook(window=5), **late)] == ['iteration 30: ']


def test_the_known_causes_are_named(train) -> None:
    said = train(AttentionWatchHook(window=10), key=(0.95, 0.1), complete=(0.96, 0.1), base=(0.5, 0.2))
    assert len(said) == 2
    assert 'ksm.bias' in said[0]
    assert "negatives='whole'" in said[1]
    assert 'weight_decay=0' in train(AttentionWatchHook(window=10), complete=(0.5, 0.0))[0]


@pytest.mark.parametrize(
    'options', [{'window': 0}, {'period': 0}, {'start': 1.0}, {'collapsed': 0.9}, {'saturated': 1.1}, {'flat': -1.0}]
)
def test_numbers_out_of_range(options: dict) -> None:
    with pytest.raises(UserError, match='AttentionWatchHook: expected'):
        AttentionWatchHook(**options)
