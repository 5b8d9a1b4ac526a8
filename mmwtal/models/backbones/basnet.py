"""BaS-Net: background suppression network.

Paper: Lee, Uh, Byun, "Background Suppression Network for Weakly-supervised Temporal Action Localization", AAAI 2020.
Source repository: https://github.com/Pilhyeon/BaSNet-pytorch (MIT; written anew from the paper and from the facts of
the published behaviour, no code taken).
"""

import torch
from torch import Tensor, nn

from mmwtal.models.backbones.base import BackboneOutput, BaseBackbone
from mmwtal.models.layers import masked
from mmwtal.registry import MODELS


@MODELS.register_module()
class BaSNetBackbone(BaseBackbone):
    """A filter that lets actions through, and two temporal convolutions that see the features with and without it.

    ``feat`` is the embedding of the features as they are (base branch) and ``extras['feat_supp']``, (B, T, Db), that of
    the filtered ones (suppression branch), by the same weights. The filter is the attention.

    Args:
        in_channels: Width of the snippet features.
        hidden_channels: Db, width of both convolutions.
        filter_channels: Hidden width of the filter.
    """

    def __init__(self, *, in_channels: int, hidden_channels: int = 2048, filter_channels: int = 512) -> None:
        super().__init__()
        self.filter_hidden = nn.Conv1d(in_channels, filter_channels, 1)
        self.filter_score = nn.Conv1d(filter_channels, 1, 1)
        self.conv1 = nn.Conv1d(in_channels, hidden_channels, 3, padding=1)
        self.conv2 = nn.Conv1d(hidden_channels, hidden_channels, 3, padding=1)
        # Slope 0.01, as published.
        self.activation = nn.LeakyReLU()
        self.out_channels = hidden_channels

    def forward(self, inputs: Tensor, mask: Tensor) -> BackboneOutput:
        """See :class:`BaseBackbone`."""
        values = masked(inputs.transpose(1, 2), mask)
        attn = masked(torch.sigmoid(self.filter_score(self.activation(self.filter_hidden(values)))), mask)
        return BackboneOutput(
            feat=self._embed(values, mask).transpose(1, 2),
            attn=attn.transpose(1, 2),
            extras={'feat_supp': self._embed(attn * values, mask).transpose(1, 2)},
        )

    def _embed(self, values: Tensor, mask: Tensor) -> Tensor:
        """Return the embedding (B, Db, T) of ``values`` (B, D, T)."""
        hidden = self.activation(masked(self.conv1(values), mask))
        return self.activation(masked(self.conv2(hidden), mask))
