"""UM: the feature magnitude as certainty that a snippet belongs to an action.

Paper: Lee, Wang, Lu, Byun, "Weakly-supervised Temporal Action Localization by Uncertainty Modeling", AAAI 2021.
Source repository: https://github.com/Pilhyeon/WTAL-Uncertainty-Modeling (MIT; written anew from the paper and from the
facts of the published behaviour, no code taken).
"""

import torch
from torch import Tensor, nn

from mmwtal.models.backbones.base import BackboneOutput, BaseBackbone
from mmwtal.models.layers import masked
from mmwtal.registry import MODELS


@MODELS.register_module()
class UMBackbone(BaseBackbone):
    """One temporal convolution; the length of a snippet's embedding says how likely it is an action.

    ``extras['magnitude']``, (B, T, 1), is that length, and the attention is the magnitude divided by the largest of the
    video's own snippets. A video whose magnitudes are all 0 shows no action anywhere: its attention is 0.

    ``extras['magnitude_keep']``, bool, (B, T, 1), says which snippets UM's losses may pick as action or background:
    all in evaluation, a random part in training. It is drawn here and not in the losses, since these must agree on it.

    Args:
        in_channels: Width of the snippet features.
        hidden_channels: Db, width of the convolution.
        snippet_dropout: Probability, in training, that a snippet may not be picked.
    """

    def __init__(self, *, in_channels: int, hidden_channels: int = 2048, snippet_dropout: float = 0.7) -> None:
        super().__init__()
        self.conv = nn.Conv1d(in_channels, hidden_channels, 3, padding=1)
        self.snippet_dropout = nn.Dropout(snippet_dropout)
        self.out_channels = hidden_channels

    def forward(self, inputs: Tensor, mask: Tensor) -> BackboneOutput:
        """See :class:`BaseBackbone`."""
        feat = torch.relu(masked(self.conv(masked(inputs.transpose(1, 2), mask)), mask)).transpose(1, 2)
        # In float32 or better also under autocast: snippets are ranked by it.
        magnitude = torch.linalg.vector_norm(feat.to(torch.promote_types(feat.dtype, torch.float32)), dim=-1)
        largest = magnitude.amax(dim=1, keepdim=True)
        attn = magnitude / torch.where(largest > 0, largest, 1)
        keep = self.snippet_dropout(torch.ones_like(magnitude)) > 0
        return BackboneOutput(
            feat=feat,
            attn=attn[..., None],
            extras={'magnitude': magnitude[..., None], 'magnitude_keep': keep[..., None]},
        )
