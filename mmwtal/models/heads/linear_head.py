"""The linear classifier of snippets of BaS-Net and UM."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from mmwtal.models.backbones.base import BackboneOutput
from mmwtal.models.heads.base import BaseHead
from mmwtal.models.layers import masked
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput
from mmwtal.utils.errors import UserError


@MODELS.register_module()
class LinearHead(BaseHead):
    """One convolution of kernel 1 without bias.

    Where the backbone gives the embedding of suppressed features, ``extras['feat_supp']`` (B, T, Db), the same weights
    classify it, too: ``extras['cas_supp']`` (B, T, C'), logits like ``cas``. Where the backbone has no attention, the
    snippet's probability of not being background takes its place.

    Args:
        in_channels: Width of the embedding.
        num_classes: C, without the background.
        losses: The loss terms by name; see :class:`BaseHead`.
        background: Give the background a last channel, as BaS-Net does; UM has none.
        dropout: Probability before the convolution.

    Raises:
        UserError: In the forward pass, if neither the backbone nor a background channel makes an attention.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        num_classes: int,
        losses: Mapping[str, Any],
        background: bool,
        dropout: float = 0.7,
    ) -> None:
        super().__init__(losses=losses)
        self.background = background
        self.classifier = nn.Conv1d(in_channels, num_classes + int(background), 1, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: BackboneOutput, mask: Tensor) -> LocalizerOutput:
        """See :class:`BaseHead`."""
        cas = self._classify(features.feat, mask)
        extras = dict(features.extras)
        if 'feat_supp' in extras:
            extras['cas_supp'] = self._classify(extras['feat_supp'], mask)
        return LocalizerOutput(
            feat=features.feat,
            attn=self._attention(cas) if features.attn is None else features.attn,
            cas=cas,
            has_background=self.background,
            mask=mask,
            extras=extras,
        )

    def _classify(self, feat: Tensor, mask: Tensor) -> Tensor:
        return self.classifier(self.dropout(masked(feat.transpose(1, 2), mask))).transpose(1, 2)

    def _attention(self, cas: Tensor) -> Tensor:
        if not self.background:
            raise UserError(
                'LinearHead: the backbone gives no attention, and without a background channel none can be made; set '
                'head.background=True or choose a backbone with an attention'
            )
        return 1 - cas.softmax(dim=-1)[..., -1:]
