"""A mistake in a part of the user's own is one message that names the class, what was expected and what was found."""

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from mmwtal.models.backbones.base import BackboneOutput, BaseBackbone
from mmwtal.models.heads.base import BaseHead
from mmwtal.models.localizers.wtal_localizer import WTALLocalizer
from mmwtal.models.losses.base import BaseLoss
from mmwtal.structures import LocalizerOutput
from mmwtal.utils.errors import UserError

B, T, C, WIDTH = 2, 5, 3, 4


class OwnBackbone(BaseBackbone):
    def __init__(self) -> None:
        super().__init__()
        self.out_channels = WIDTH

    def forward(self, inputs: Tensor, mask: Tensor) -> BackboneOutput:
        return BackboneOutput(feat=inputs, attn=inputs.mean(dim=2, keepdim=True).sigmoid())


class OwnHead(BaseHead):
    def __init__(self, **changes: object) -> None:
        super().__init__(losses={})
        self.changes = changes
        self.classifier = nn.Linear(WIDTH, C)

    def forward(self, features: BackboneOutput, mask: Tensor) -> LocalizerOutput:
        output = LocalizerOutput(
            feat=features.feat, attn=features.attn, cas=self.classifier(features.feat), has_background=False, mask=mask
        )
        return dataclasses.replace(output, **self.changes)


def localizer(head: BaseHead, backbone: nn.Module | None = None) -> WTALLocalizer:
    return WTALLocalizer(num_classes=C, in_channels=WIDTH, backbone=backbone or OwnBackbone(), head=head)


def test_a_sound_output_passes() -> None:
    output = localizer(OwnHead())(torch.randn(B, T, WIDTH))
    assert output.num_classes == C
    with_background = OwnHead(cas=torch.zeros(B, T, C + 1), has_background=True)
    assert localizer(with_background)(torch.randn(B, T, WIDTH)).num_classes == C


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'attn': None}, r'OwnHead: attn .*expected \(B, T, 1\) = \(2, 5, 1\), found None'),
        ({'attn': torch.zeros(B, T)}, r'OwnHead: attn .*expected \(B, T, 1\) = \(2, 5, 1\), found \(2, 5\)'),
        (
            {'feat': torch.zeros(B, WIDTH, T)},
            r'OwnHead: feat .* \(B, T, Db\) = \(2, 5, any\), found \(2, 4, 5\)',
        ),
        ({'feat': torch.zeros(B, T)}, r'OwnHead: feat .*found \(2, 5\)'),
        (
            {'cas': torch.zeros(B, T, C + 1)},
            r'OwnHead: cas .*\(B, T, C\) = \(2, 5, 3\), found \(2, 5, 4\).*has_back',
        ),
        ({'has_background': True}, r'OwnHead: cas .*\(B, T, C \+ 1\) = \(2, 5, 4\), found \(2, 5, 3\).*has_background'),
        ({'mask': torch.ones(B, T, 1, dtype=torch.bool)}, r'OwnHead: mask .*\(B, T\) = \(2, 5\), found \(2, 5, 1\)'),
    ],
)
def test_an_output_of_the_wrong_shape(changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        localizer(OwnHead(**changes))(torch.randn(B, T, WIDTH))


def test_a_head_that_returns_something_else() -> None:
    class TupleHead(OwnHead):
        def forward(self, features: BackboneOutput, mask: Tensor) -> LocalizerOutput:
            return features.feat, features.attn

    with pytest.raises(UserError, match=r'TupleHead: expected a LocalizerOutput, found tuple'):
        localizer(TupleHead())(torch.randn(B, T, WIDTH))


def test_a_backbone_without_its_width() -> None:
    class Widthless(OwnBackbone):
        def __init__(self) -> None:
            super().__init__()
            del self.out_channels

    with pytest.raises(UserError, match=r'Widthless sets no out_channels, the width of its embedding.*__init__'):
        localizer(OwnHead(), Widthless())


@pytest.mark.parametrize(
    ('value', 'found'),
    [(torch.zeros(B), r'a tensor of shape \(2,\)'), (0.5, r'0\.5'), (torch.zeros(1, 1), r'\(1, 1\)'), (None, 'None')],
)
def test_a_loss_that_is_no_scalar(value: object, found: str) -> None:
    class OwnLoss(BaseLoss):
        def compute(self, output: LocalizerOutput, labels: Tensor) -> Tensor:
            return value

    head = OwnHead()
    output = localizer(head)(torch.randn(B, T, WIDTH))
    with pytest.raises(UserError, match=rf'OwnLoss\.compute: expected a scalar, .*found .*{found}.*mean'):
        OwnLoss()(output, torch.zeros(B, C))
