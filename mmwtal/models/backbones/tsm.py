"""The backbone of TSM + VLC: each modality is filtered by a code of the other one, which must also rebuild it.

Paper: Li, Cheng, Ding, Wang, Wang, Gao, "Boosting Weakly-Supervised Temporal Action Localization with Text
Information", CVPR 2023, arXiv:2305.00607.
Source repository: https://github.com/lgzlIlIlI/Boosting-WTAL (no licence stated; written anew from the paper and from
the facts of the published behaviour, no code taken).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmwtal.models.backbones.base import BackboneOutput, BaseBackbone
from mmwtal.models.backbones.co2net import TemporalAttention, modality_widths
from mmwtal.models.layers import LEAKY_SLOPE, initialise_convolutions, masked, temporal_mean
from mmwtal.models.losses.base import full_precision
from mmwtal.registry import MODELS


@dataclass(kw_only=True)
class FilteredModalities:
    """What is made of both modalities of a batch, zero in the padding.

    Args:
        features: Both, each filtered by the other, (B, T, D), in the order of the channels.
        attn: Their attentions, (B, T, 2).
        error: How far each is from what was rebuilt of it, (B, T, 2); see :func:`squared_error`.
    """

    features: Tensor
    attn: Tensor
    error: Tensor


class CrossModalAutoencoder(nn.Module):
    """Filters one modality by a code of the other, from which it is rebuilt.

    Args:
        main_channels: Width of the modality that is filtered and rebuilt.
        auxiliary_channels: Width of the other modality.
        code_channels: Width of the code.
        attention_channels: Hidden width of the attention.
        dropout: Probability.
        vlc_compat: See :class:`CrossModalAutoencoders`.
    """

    def __init__(
        self,
        *,
        main_channels: int,
        auxiliary_channels: int,
        code_channels: int,
        attention_channels: int,
        dropout: float,
        vlc_compat: bool,
    ) -> None:
        super().__init__()
        self.encode = nn.Conv1d(auxiliary_channels, code_channels, 3, padding=1)
        self.decode = nn.Conv1d(code_channels, main_channels, 3, padding=1)
        # As in CO2-Net, only the middle tap of the global kernel acts.
        self.global_conv = nn.Conv1d(main_channels, main_channels, 3, padding=1)
        self.local_conv = nn.Conv1d(code_channels, main_channels, 3, padding=1)
        self.activation = nn.LeakyReLU(LEAKY_SLOPE)
        self.dropout = nn.Dropout(dropout)
        self.attention = TemporalAttention(
            in_channels=main_channels, hidden_channels=attention_channels, dropout=dropout, logit_dropout=vlc_compat
        )

    def forward(self, main: Tensor, auxiliary: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the filtered ``main`` (B, C, T), its attention (B, 1, T) and what was rebuilt of it (B, C, T)."""
        code = self._layer(self.encode, auxiliary, mask)
        rebuilt = self._layer(self.decode, code, mask)
        context = temporal_mean(main.transpose(1, 2), mask)[..., None]
        context = self.dropout(self.activation(self.global_conv(context)))
        local = self._layer(self.local_conv, code, mask)
        agreement = (F.normalize(context, dim=1) * F.normalize(local, dim=1)).sum(dim=1, keepdim=True)
        filtered = torch.sigmoid(local * agreement) * main
        return filtered, self.attention(filtered, mask), rebuilt

    def _layer(self, convolution: nn.Conv1d, values: Tensor, mask: Tensor) -> Tensor:
        return self.dropout(self.activation(masked(convolution(values), mask)))


class CrossModalAutoencoders(nn.Module):
    """One :class:`CrossModalAutoencoder` for each of two modalities.

    Args:
        modalities: Widths of the two modalities.
        code_channels: Width of the codes [TSM/VLC: 512].
        attention_channels: Hidden width of the attentions [TSM/VLC: 512].
        dropout: Probability.
        vlc_compat: Repeat a slip of the released code of TSM/VLC: dropout hits the logits right before the sigmoid, so
            that a dropped snippet gets 0.5.
    """

    def __init__(
        self,
        *,
        modalities: tuple[int, int],
        code_channels: int,
        attention_channels: int,
        dropout: float,
        vlc_compat: bool,
    ) -> None:
        super().__init__()
        self.modalities = modalities
        self.rgb, self.flow = (
            CrossModalAutoencoder(
                main_channels=main,
                auxiliary_channels=auxiliary,
                code_channels=code_channels,
                attention_channels=attention_channels,
                dropout=dropout,
                vlc_compat=vlc_compat,
            )
            for main, auxiliary in (modalities, modalities[::-1])
        )
        initialise_convolutions(self)

    def forward(self, inputs: Tensor, mask: Tensor) -> FilteredModalities:
        """Filter the features (B, T, D) of a batch."""
        rgb, flow = masked(inputs.transpose(1, 2), mask).split(self.modalities, dim=1)
        rgb_filtered, rgb_attn, rgb_rebuilt = self.rgb(rgb, flow, mask)
        flow_filtered, flow_attn, flow_rebuilt = self.flow(flow, rgb, mask)
        errors = [squared_error(rgb_rebuilt, rgb), squared_error(flow_rebuilt, flow)]
        return FilteredModalities(
            features=torch.cat([rgb_filtered, flow_filtered], dim=1).transpose(1, 2),
            attn=torch.cat([rgb_attn, flow_attn], dim=1).transpose(1, 2),
            error=torch.cat(errors, dim=1).transpose(1, 2),
        )


@full_precision
def squared_error(found: Tensor, wanted: Tensor) -> Tensor:
    """Return the squared difference of two sequences (B, C, T), averaged over the channels: (B, 1, T)."""
    return ((found - wanted) ** 2).mean(dim=1, keepdim=True)


@MODELS.register_module()
class TSMBackbone(BaseBackbone):
    """The cross-modal autoencoders of TSM + VLC and the fusion of what they let through [TSM/VLC].

    ``attn`` is the mean of the attentions of the two modalities, which ``extras['attn_modalities']`` holds, (B, T, 2);
    ``extras['autoencoder_error']``, (B, T, 2), is what :class:`AutoencoderLoss` lowers.

    Args:
        in_channels: Width of the snippet features, both modalities together.
        modalities: Widths of the two modalities, RGB before flow; halves by default.
        code_channels: Width of the codes [TSM/VLC: 512].
        attention_channels: Hidden width of the attentions [TSM/VLC: 512].
        dropout: Probability within the autoencoders.
        fusion_dropout: Probability after the fusion.
        vlc_compat: See :class:`CrossModalAutoencoders`.

    Raises:
        UserError: If the widths of the modalities do not add up to ``in_channels``.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        modalities: tuple[int, int] | None = None,
        code_channels: int = 512,
        attention_channels: int = 512,
        dropout: float = 0.5,
        fusion_dropout: float = 0.7,
        vlc_compat: bool = False,
    ) -> None:
        super().__init__()
        self.modalities = modality_widths(in_channels, modalities, backbone=type(self).__name__)
        self.autoencoders = CrossModalAutoencoders(
            modalities=self.modalities,
            code_channels=code_channels,
            attention_channels=attention_channels,
            dropout=dropout,
            vlc_compat=vlc_compat,
        )
        self.fusion = nn.Conv1d(in_channels, in_channels, 3, padding=1)
        self.activation = nn.LeakyReLU(LEAKY_SLOPE)
        self.fusion_dropout = nn.Dropout(fusion_dropout)
        self.out_channels = in_channels
        initialise_convolutions(self.fusion)

    def forward(self, inputs: Tensor, mask: Tensor) -> BackboneOutput:
        """See :class:`BaseBackbone`."""
        made = self.autoencoders(inputs, mask)
        fused = masked(self.fusion(made.features.transpose(1, 2)), mask)
        feat = self.fusion_dropout(self.activation(fused))
        return BackboneOutput(
            feat=feat.transpose(1, 2),
            attn=made.attn.mean(dim=-1, keepdim=True),
            extras={'attn_modalities': made.attn, 'autoencoder_error': made.error},
        )
