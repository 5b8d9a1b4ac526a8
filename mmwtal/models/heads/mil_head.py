"""The classifier of the CO2-Net family, trained by multiple-instance learning."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from mmwtal.models.backbones.base import BackboneOutput
from mmwtal.models.heads.base import BaseHead
from mmwtal.models.layers import LEAKY_SLOPE, TemporalAveragePool, initialise_convolutions, masked
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput


@MODELS.register_module()
class MILHead(BaseHead):
    """Two temporal convolutions that give a class activation sequence with the background as its last channel.

    Where the backbone has no attention, the snippet's probability of not being background takes its place.

    Args:
        in_channels: Width of the embedding.
        num_classes: C, without the background.
        losses: The loss terms by name; see :class:`BaseHead`.
        dropout: Probability before each of the two convolutions.
        pool_kernel: Snippets over which the class activation sequence is averaged, odd; 1 leaves it as it is. The
            published code pools on ActivityNet only, the attentions too: set the backbone's to the same.

    Raises:
        UserError: If the kernel is not odd.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        num_classes: int,
        losses: Mapping[str, Any],
        dropout: float = 0.7,
        pool_kernel: int = 1,
    ) -> None:
        super().__init__(losses=losses)
        self.hidden = nn.Conv1d(in_channels, in_channels, 3, padding=1)
        self.activation = nn.LeakyReLU(LEAKY_SLOPE)
        self.classifier = nn.Conv1d(in_channels, num_classes + 1, 1)
        self.dropout = nn.Dropout(dropout)
        self.pool = TemporalAveragePool(kernel=pool_kernel)
        initialise_convolutions(self)

    def forward(self, features: BackboneOutput, mask: Tensor) -> LocalizerOutput:
        """See :class:`BaseHead`."""
        embedding = masked(features.feat.transpose(1, 2), mask)
        hidden = self.activation(masked(self.hidden(self.dropout(embedding)), mask))
        cas = self.pool(self.classifier(self.dropout(hidden)), mask).transpose(1, 2)
        attn = features.attn
        if attn is None:
            attn = 1 - cas.softmax(dim=-1)[..., -1:]
        return LocalizerOutput(
            feat=features.feat, attn=attn, cas=cas, has_background=True, mask=mask, extras=features.extras
        )
