"""Named parameter groups: what is in them, that they change nothing by themselves, clipping and the log."""

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

from mmwtal.engine.param_groups import check_param_groups
from mmwtal.utils.errors import UserError

ADAM = dict(type='Adam', lr=0.01, weight_decay=0.1)
GUIDED = dict(guidance=dict(lr=0.04, weight_decay=0.0, clip_grad=dict(max_norm=0.5)))


class Localizer(nn.Module):
    """A head, its guidance, and a name that only begins alike."""

    def __init__(self, *, guided: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(3, 2)
        self.guidance_like = nn.Linear(2, 2)
        self.guidance = nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 1)) if guided else None

    def loss(self, inputs: torch.Tensor) -> torch.Tensor:
        output = self.guidance_like(self.head(inputs))
        loss = output.square().sum()
        return loss if self.guidance is None else loss + (self.guidance(output.detach()) - 30).square().sum()


def wrap(model: nn.Module, *, groups: dict | None = None, **options: Any) -> OptimWrapper:
    init_default_scope('mmwtal')
    cfg = dict(type='OptimWrapper', optimizer=dict(ADAM), constructor='ParamGroupConstructor', **options)
    return build_optim_wrapper(model, {**cfg, 'paramwise_cfg': groups})


def train(model: Localizer, wrapper: OptimWrapper, steps: int = 5) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        with wrapper.optim_context(model):
            loss = model.loss(torch.randn(4, 3, generator=generator))
        wrapper.update_params(loss)
    return model.state_dict()


def test_groups_and_their_options() -> None:
    model = Localizer()
    groups = wrap(model, groups=GUIDED).optimizer.param_groups
    assert [group['name'] for group in groups] == ['base', 'guidance']
    assert {id(p) for p in groups[1]['params']} == {id(p) for p in model.guidance.parameters()}
    assert {id(p) for group in groups for p in group['params']} == {id(p) for p in model.parameters()}
    assert [(group['lr'], group['weight_decay']) for group in groups] == [(0.01, 0.1), (0.04, 0.0)]
    assert 'clip_grad' not in groups[1]


@pytest.mark.parametrize('guided', [False, True])
def test_without_options_it_trains_as_mmengine_does(guided: bool) -> None:
    ours, theirs = Localizer(guided=guided), Localizer(guided=guided)
    init_default_scope('mmwtal')
    default = build_optim_wrapper(theirs, dict(type='OptimWrapper', optimizer=dict(ADAM)))
    weights, expected = train(ours, wrap(ours)), train(theirs, default)
    assert all(torch.equal(weights[key], expected[key]) for key in expected)


def test_options_of_an_absent_guidance_are_idle() -> None:
    model, other = Localizer(guided=False), Localizer(guided=False)
    wrapper = wrap(model, groups=GUIDED)
    assert [group['name'] for group in wrapper.optimizer.param_groups] == ['base']
    weights, expected = train(model, wrapper), train(other, wrap(other))
    assert all(torch.equal(weights[key], expected[key]) for key in expected)


def test_a_group_with_its_own_optimizer_options_is_one_with_its_own_optimizer() -> None:
    model, other = Localizer(), Localizer()
    options = dict(guidance=dict(lr=0.04, weight_decay=0.0))
    weights = train(model, wrap(model, groups=options))
    base = [p for name, p in other.named_parameters() if not name.startswith('guidance.')]
    optimizers = [
        torch.optim.Adam(base, lr=0.01, weight_decay=0.1),
        torch.optim.Adam(other.guidance.parameters(), lr=0.04),
    ]
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        other.zero_grad()
        other.loss(torch.randn(4, 3, generator=generator)).backward()
        for optimizer in optimizers:
            optimizer.step()
    expected = other.state_dict()
    assert all(torch.equal(weights[key], expected[key]) for key in expected)


@pytest.mark.parametrize('kind', ['OptimWrapper', 'BFloat16OptimWrapper'])
@pytest.mark.parametrize('counts', [1, 2])
def test_clips_the_accumulated_gradients_of_its_group_alone(kind: str, counts: int) -> None:
    torch.manual_seed(0)
    model = Localizer()
    init_default_scope('mmwtal')
    wrapper = build_optim_wrapper(
        model,
        dict(
            type=kind,
            optimizer=dict(type='SGD', lr=1.0),
            constructor='ParamGroupConstructor',
            paramwise_cfg=dict(guidance=dict(clip_grad=dict(max_norm=0.5))),
            accumulative_counts=counts,
        ),
    )
    hub = MessageHub.get_current_instance()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    batches = [torch.randn(4, 3) for _ in range(counts)]
    gradients = dict.fromkeys(before, torch.zeros(()))
    for batch in batches:
        with wrapper.optim_context(model):
            loss = model.loss(batch) / counts
        for name, gradient in zip(before, torch.autograd.grad(loss, list(model.parameters())), strict=True):
            gradients[name] = gradients[name] + gradient
    train_on = iter(batches)
    for _ in range(counts):
        with wrapper.optim_context(model):
            loss = model.loss(next(train_on))
        wrapper.update_params(loss)
    guided = [name for name in before if name.startswith('guidance.')]
    norm = torch.stack([gradients[name].norm() for name in guided]).norm()
    assert norm > 1
    assert hub.get_scalar('train/guidance_grad_norm').current() == pytest.approx(norm.item(), rel=1e-3)
    for name, value in model.state_dict().items():
        scale = 0.5 / norm if name in guided else 1.0
        torch.testing.assert_close(before[name] - value, scale * gradients[name], rtol=1e-3, atol=1e-5)


def test_clips_gradients_after_their_scaling_is_undone() -> None:
    hub = MessageHub.get_current_instance()

    def step(model: Localizer, scale: float) -> tuple[dict[str, torch.Tensor], float]:
        optimizer = wrap(model, groups=GUIDED).optimizer
        scaler = torch.amp.GradScaler('cpu', init_scale=scale)
        scaler.scale(model.loss(torch.ones(4, 3))).backward()
        scaler.step(optimizer)
        return model.state_dict(), hub.get_scalar('train/guidance_grad_norm').current()

    (plain, norm), (scaled, scaled_norm) = step(Localizer(), 1.0), step(Localizer(), 1024.0)
    assert norm == scaled_norm
    assert all(torch.equal(scaled[name], value) for name, value in plain.items())


def test_the_log_names_the_learning_rates() -> None:
    model = Localizer()
    wrapper = wrap(model, groups=GUIDED)
    assert wrapper.get_lr() == {'lr': [0.01, 0.04]}
    train(model, wrapper, steps=1)
    assert MessageHub.get_current_instance().get_scalar('train/guidance_lr').current() == 0.04


def test_the_state_is_plain_and_comes_back(tmp_path: Path) -> None:
    whole, model = Localizer(), Localizer()
    expected = train(whole, wrap(whole, groups=GUIDED), steps=5)
    generator = torch.Generator().manual_seed(1)
    first = wrap(model, groups=GUIDED)
    for _ in range(3):
        first.update_params(model.loss(torch.randn(4, 3, generator=generator)))
    torch.save(first.state_dict(), tmp_path / 'state.pth')
    second = wrap(model, groups=GUIDED)
    second.load_state_dict(torch.load(tmp_path / 'state.pth', weights_only=True))
    for _ in range(2):
        second.update_params(model.loss(torch.randn(4, 3, generator=generator)))
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(guidanc=dict(lr=1.0)), "no parameter group 'guidanc'"),
        (dict(guidance=dict(learning_rate=1.0)), 'guidance.learning_rate: Adam has no such option'),
    ],
)
def test_bad_options(options: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        wrap(Localizer(), groups=options)


def test_float16_with_a_fused_optimizer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.optim.Adam, '_step_supports_amp_scaling', True, raising=False)
    monkeypatch.setattr('mmwtal.engine.param_groups.AmpOptimWrapper', OptimWrapper)
    with pytest.raises(UserError, match='fused=False'):
        wrap(Localizer(), groups=GUIDED)
    wrap(Localizer())


def test_other_groups_cannot_be_resumed() -> None:
    guided, plain = (wrap(Localizer(guided=guided)) for guided in (True, False))
    check_param_groups(guided, {'optimizer': guided.state_dict()}, 'a.pth')
    with pytest.raises(UserError, match=r'a.pth: .*groups base \(4 tensors\), that of .*guidance \(4 tensors\)'):
        check_param_groups(guided, {'optimizer': plain.state_dict()}, 'a.pth')
    with pytest.raises(UserError, match='groups none'):
        check_param_groups(guided, {'optimizer': {}}, 'a.pth')
