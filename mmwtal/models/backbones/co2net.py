"""CO2-Net: cross-modal consensus network.

Paper: Hong, Feng, Xu, Shan, Zheng, "Cross-modal Consensus Network for Weakly Supervised Temporal Action
Localization", ACM MM 2021.
Source repository: https://github.com/harlanhong/MM2021-CO2-Net (no licence stated; written anew from the paper and
from the facts of the published behaviour, no code taken).
"""

import torch
from torch import Tensor, nn

from mmwtal.models.backbones.base import BackboneOutput, BaseBackbone
from mmwtal.models.layers import LEAKY_SLOPE, TemporalAveragePool, initialise_convolutions, masked, temporal_mean
from mmwtal.registry import MODELS
from mmwtal.utils.errors import UserError


class TemporalAttention(nn.Module):
    """Actionness of each snippet of one modality.

    Args:
        in_channels: Width of the modality.
        hidden_channels: Width of the two hidden layers.
        dropout: Probability.
        logit_dropout: As published, drop logits before the sigmoid as well (a dropped one gives 0.5).
    """

    def __init__(self, *, in_channels: int, hidden_channels: int, dropout: float, logit_dropout: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(in_channels, hidden_channels, 3, padding=1)
        self.conv2 = nn.Conv1d(hidden_channels, hidden_channels, 3, padding=1)
        self.score = nn.Conv1d(hidden_channels, 1, 1)
        self.activation = nn.LeakyReLU(LEAKY_SLOPE)
        self.dropout = nn.Dropout(dropout)
        self.logit_dropout = nn.Dropout(dropout if logit_dropout else 0.0)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Return the attention (B, 1, T) of ``values`` (B, C, T)."""
        hidden = self.dropout(self.activation(masked(self.conv1(values), mask)))
        hidden = self.activation(masked(self.conv2(hidden), mask))
        return masked(torch.sigmoid(self.logit_dropout(self.score(hidden))), mask)


class CrossModalConsensus(nn.Module):
    """Filters one modality by what its global context and the other modality agree on.

    Args:
        main_channels: Width of the modality that is filtered.
        auxiliary_channels: Width of the other modality.
        attention_channels: Hidden width of the attention.
        dropout: Probability.
    """

    def __init__(self, *, main_channels: int, auxiliary_channels: int, attention_channels: int, dropout: float) -> None:
        super().__init__()
        # The global context is one time step long, so only the middle tap of this kernel acts; the published weights
        # have all three, and their number sets the range of the initialisation.
        self.global_conv = nn.Conv1d(main_channels, main_channels, 3, padding=1)
        self.local_conv = nn.Conv1d(auxiliary_channels, main_channels, 3, padding=1)
        self.activation = nn.LeakyReLU(LEAKY_SLOPE)
        self.dropout = nn.Dropout(dropout)
        self.attention = TemporalAttention(
            in_channels=main_channels, hidden_channels=attention_channels, dropout=dropout
        )

    def forward(self, main: Tensor, auxiliary: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the filtered ``main`` (B, C, T) and its attention (B, 1, T)."""
        context = temporal_mean(main.transpose(1, 2), mask)[..., None]
        context = self.dropout(self.activation(self.global_conv(context)))
        local = self.dropout(self.activation(masked(self.local_conv(auxiliary), mask)))
        filtered = torch.sigmoid(context * local) * main
        return filtered, self.attention(filtered, mask)


@MODELS.register_module()
class CO2NetBackbone(BaseBackbone):
    """CO2-Net's two cross-modal consensus modules and the fusion of what they let through.

    ``extras['attn_modalities']`` holds the attentions of the two modalities, (B, T, 2), in the order of the channels;
    ``attn`` is their mean. The published model also holds a layer of 12.58 million parameters (``feat_encoder``) that
    its forward pass never uses; it is left out.

    Args:
        in_channels: Width of the snippet features, both modalities together.
        modalities: Widths of the two modalities, RGB before flow; halves by default.
        attention_channels: Hidden width of the attentions.
        dropout: Probability within the consensus modules.
        fusion_dropout: Probability after the fusion.
        pool_kernel: Snippets over which the attentions are averaged, odd; 1 leaves them as they are. The published
            code pools on ActivityNet only, the class activation sequence too: set the head's to the same.

    Raises:
        UserError: If the widths of the modalities do not add up to ``in_channels``, or the kernel is not odd.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        modalities: tuple[int, int] | None = None,
        attention_channels: int = 512,
        dropout: float = 0.5,
        fusion_dropout: float = 0.7,
        pool_kernel: int = 1,
    ) -> None:
        super().__init__()
        first, second = self.modalities = modality_widths(in_channels, modalities, backbone=type(self).__name__)
        self.rgb = CrossModalConsensus(
            main_channels=first, auxiliary_channels=second, attention_channels=attention_channels, dropout=dropout
        )
        self.flow = CrossModalConsensus(
            main_channels=second, auxiliary_channels=first, attention_channels=attention_channels, dropout=dropout
        )
        self.fusion = nn.Conv1d(in_channels, in_channels, 1)
        self.activation = nn.LeakyReLU(LEAKY_SLOPE)
        self.fusion_dropout = nn.Dropout(fusion_dropout)
        self.pool = TemporalAveragePool(kernel=pool_kernel)
        self.out_channels = in_channels
        initialise_convolutions(self)

    def forward(self, inputs: Tensor, mask: Tensor) -> BackboneOutput:
        """See :class:`BaseBackbone`."""
        rgb, flow = masked(inputs.transpose(1, 2), mask).split(self.modalities, dim=1)
        rgb_filtered, rgb_attn = self.rgb(rgb, flow, mask)
        flow_filtered, flow_attn = self.flow(flow, rgb, mask)
        fused = masked(self.fusion(torch.cat([rgb_filtered, flow_filtered], dim=1)), mask)
        feat = self.fusion_dropout(self.activation(fused))
        attn_modalities = self.pool(torch.cat([rgb_attn, flow_attn], dim=1), mask).transpose(1, 2)
        return BackboneOutput(
            feat=feat.transpose(1, 2),
            attn=attn_modalities.mean(dim=-1, keepdim=True),
            extras={'attn_modalities': attn_modalities},
        )


def modality_widths(in_channels: int, modalities: tuple[int, int] | None, *, backbone: str) -> tuple[int, int]:
    """Return the widths of RGB and flow.

    Args:
        in_channels: Width of the snippet features, both modalities together.
        modalities: As configured; None for halves.
        backbone: Class to name in an error.

    Raises:
        UserError: If they are not two positive widths that add up to ``in_channels``.
    """
    widths = (in_channels // 2, in_channels // 2) if modalities is None else tuple(modalities)
    if len(widths) != 2 or sum(widths) != in_channels or min(widths) < 1:
        raise UserError(
            f'{backbone} needs features of two modalities: expected two widths that add up to '
            f'in_channels={in_channels}, found {list(widths)}{" (halves, the default)" if modalities is None else ""}; '
            'set backbone.modalities to the widths of RGB and flow, or take a backbone without that argument for '
            'features of another number of modalities'
        )
    return widths[0], widths[1]
