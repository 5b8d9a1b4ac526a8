"""The contract test finds the mistakes that it is there for: each model here makes one, and fails."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mmwtal.models.backbones.base import BackboneOutput, BaseBackbone
from mmwtal.models.layers import masked, temporal_mean
from mmwtal.models.losses.base import BaseLoss
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput
from mmwtal.utils.errors import UserError

from . import contract_rules
from . import test_model_contract as contract
from .contract_models import CONFIGS, ROOT, training_progress
from .contract_rules import PAGE, SECTION, broken


@MODELS.register_module()
class Careless(BaseBackbone):
    """Sound but for one mistake."""

    def __init__(self, *, in_channels: int, mistake: str, hidden_channels: int = 8) -> None:
        super().__init__()
        self.mistake = mistake
        self.first = nn.Conv1d(in_channels, hidden_channels, 3, padding=1)
        self.second = nn.Conv1d(hidden_channels, hidden_channels, 3, padding=1)
        self.gate = nn.Conv1d(hidden_channels, 1, 1)
        self.out_channels = hidden_channels
        if mistake == 'a layer that is not used':
            self.unused = nn.Linear(2, 2)

    def forward(self, inputs: Tensor, mask: Tensor) -> BackboneOutput:
        values, mistake = inputs.transpose(1, 2), self.mistake
        if mistake == 'a batch of ten':
            values = values.reshape(10, -1, values.shape[-1])
        values = values * mask[:, None] if mistake == 'a mask that is multiplied' else masked(values, mask)
        hidden = self.first(values)
        if mistake != 'no mask between convolutions':
            hidden = masked(hidden, mask)
        hidden = masked(self.second(hidden.relu()), mask)
        if mistake == 'a mean over the padding':
            hidden = hidden - hidden.mean(dim=2, keepdim=True)
        elif mistake == 'a mean over the batch':
            hidden = hidden - temporal_mean(hidden.transpose(1, 2), mask).mean(dim=0)[:, None]
        elif mistake == 'chance in evaluation mode':
            hidden = hidden + 0.1 * torch.rand_like(hidden)
        elif mistake == 'float32 by name':
            hidden = hidden.to(torch.float32)
        elif mistake == 'a standard deviation of one snippet':
            hidden = hidden / hidden.std(dim=2, keepdim=True)
        attn = self.gate(hidden)
        attn = attn if mistake == 'a logit for an attention' else attn.sigmoid()
        return BackboneOutput(feat=hidden.transpose(1, 2), attn=attn.transpose(1, 2))


@MODELS.register_module()
class CarelessLoss(BaseLoss):
    """A mean over what has a label, with one mistake."""

    def __init__(self, *, mistake: str) -> None:
        super().__init__()
        self.mistake = mistake

    def compute(self, output: LocalizerOutput, labels: Tensor) -> Tensor:
        scores = temporal_mean(output.cas, output.mask)[:, : output.num_classes]
        if self.mistake == 'a mean over no label':
            return scores[labels > 0].mean()
        if self.mistake == 'a sum that grows with the padding':
            return (output.cas.sigmoid() * labels[:, None].amax()).mean()
        if self.mistake == 'a vector':
            return scores.mean(dim=1)
        if self.mistake == 'the first video':
            return scores[0].square().mean()
        return scores.mean()


FAILS = {
    'a batch of ten': ('output', (2, 12)),
    'no mask between convolutions': ('a_video_has_the_same_output_alone_and_in_any_batch', (0.0,)),
    'a mask that is multiplied': ('a_video_has_the_same_output_alone_and_in_any_batch', (float('nan'),)),
    'a mean over the padding': ('a_video_has_the_same_output_alone_and_in_any_batch', (0.0,)),
    'a mean over the batch': ('a_video_has_the_same_output_alone_and_in_any_batch', (0.0,)),
    'chance in evaluation mode': ('losses_are_finite_scalars_that_reach_every_parameter', ('labels',)),
    'a layer that is not used': ('losses_are_finite_scalars_that_reach_every_parameter', ('labels',)),
    'float32 by name': ('float64', ()),
    'a standard deviation of one snippet': ('losses_are_finite_scalars_that_reach_every_parameter', ('one snippet',)),
    'a logit for an attention': ('output', (2, 12)),
    'a mean over no label': ('losses_are_finite_scalars_that_reach_every_parameter', ('no labels at all',)),
    'a sum that grows with the padding': ('padding_changes_no_loss_and_no_gradient', (0.0, 6)),
    'a vector': ('losses_are_finite_scalars_that_reach_every_parameter', ('labels',)),
    'the first video': ('the_order_of_the_pairs_does_not_matter', ()),
}

# What the message calls the broken rule; torch or the model itself refuses what is left out here.
RULES = {
    'no mask between convolutions': 'Padding does not matter',
    'a mask that is multiplied': 'Padding does not matter',
    'a mean over the padding': 'Padding does not matter',
    'a mean over the batch': 'Padding does not matter',
    'chance in evaluation mode': 'Losses',
    'a layer that is not used': 'Losses',
    'a standard deviation of one snippet': 'Losses',
    'a logit for an attention': 'Attention in [0, 1]',
    'a mean over no label': 'Losses',
    'a sum that grows with the padding': 'Padding does not matter',
    'the first video': 'Losses',
}


def run(mistake: str, name: str, arguments: tuple, folder: Path) -> None:
    config = folder / 'careless.py'
    config.write_text(f"""_base_ = [{str(CONFIGS / 'quick' / 'co2net_synthetic.py')!r}]
model = dict(
    backbone=dict(_delete_=True, type='Careless', mistake={mistake!r}),
    head=dict(losses=dict(loss_mutual=None, loss_own=dict(type='CarelessLoss', mistake={mistake!r}))),
)
""")
    test: Callable = getattr(contract, f'test_{name}')
    with training_progress():
        test(config, *arguments)


@pytest.mark.parametrize('mistake', FAILS)
def test_a_mistake_is_found(mistake: str, tmp_path: Path) -> None:
    with pytest.raises((AssertionError, RuntimeError, ArithmeticError, UserError)) as caught:
        run(mistake, *FAILS[mistake], tmp_path)
    if mistake in RULES:
        assert broken(RULES[mistake], '').split(':')[0] in str(caught.value)


def test_every_rule_that_a_message_names_is_on_the_page() -> None:
    section = (ROOT / PAGE).read_text().split(f'### {SECTION}\n')[1].split('\n## ')[0]
    stated = set(re.findall(r'^- \*\*(.*?)\.?\*\*', section, flags=re.MULTILINE))
    messages = ''.join(Path(module.__file__).read_text() for module in (contract, contract_rules))
    named = set(re.findall(r"(?:broken\(|, |= )'([A-Z][^']*)'", messages))
    assert named - {SECTION} == stated


def test_the_model_without_a_mistake_passes(tmp_path: Path) -> None:
    for name, arguments in {FAILS[mistake] for mistake in FAILS if FAILS[mistake][1] != (float('nan'),)}:
        run('none', name, arguments, tmp_path)
