"""The mask generator of TSM + VLC: the attention of cross-modal autoencoders, and the features that they filter."""

from typing import ClassVar

from torch import Tensor

from mmwtal.models.backbones.co2net import modality_widths
from mmwtal.models.backbones.tsm import CrossModalAutoencoders
from mmwtal.models.guidance.mask_generators import BaseMaskGenerator, MadeMask
from mmwtal.models.guidance.streams import GuidanceBatch
from mmwtal.models.losses.autoencoder import autoencoder_loss
from mmwtal.registry import MODELS


@MODELS.register_module()
class CrossModalMask(BaseMaskGenerator):
    """The mean attention of two modalities, each filtered by a code of the other, from which it is rebuilt [TSM/VLC].

    The network is that of the ancestor's base model, :class:`TSMBackbone`, with weights of its own. What it filters is
    what the reconstructor sees where its stream is 'filtered'.

    Args:
        modalities: Widths of the two modalities; halves by default.
        code_channels: Width of the codes [TSM/VLC: 512].
        hidden_channels: Width of the attentions [TSM/VLC: 512].
        dropout: Probability.
        autoencoder_weight: Of ``loss_complete_autoencoder``, see :func:`autoencoder_loss` [TSM/VLC: 1.5 on THUMOS14,
            0.15 on ActivityNet].
        vlc_compat: See :class:`CrossModalAutoencoders`.
        in_channels: See :class:`BaseMaskGenerator`.
        feat_channels: See :class:`BaseMaskGenerator`.
        stream: See :class:`BaseMaskGenerator`.
        stream_channels: See :class:`BaseMaskGenerator`.

    Raises:
        UserError: If the widths of the modalities do not add up to that of the stream.
    """

    filters: ClassVar[bool] = True

    def __init__(
        self,
        *,
        in_channels: int,
        feat_channels: int | None = None,
        stream: str = 'inputs',
        stream_channels: int | None = None,
        modalities: tuple[int, int] | None = None,
        code_channels: int = 512,
        hidden_channels: int = 512,
        dropout: float = 0.5,
        autoencoder_weight: float = 1.5,
        vlc_compat: bool = False,
    ) -> None:
        super().__init__(
            in_channels=in_channels, feat_channels=feat_channels, stream=stream, stream_channels=stream_channels
        )
        self.autoencoder_weight = autoencoder_weight
        self.autoencoders = CrossModalAutoencoders(
            modalities=modality_widths(self.stream.width, modalities, backbone=type(self).__name__),
            code_channels=code_channels,
            attention_channels=hidden_channels,
            dropout=dropout,
            vlc_compat=vlc_compat,
        )

    def forward(self, batch: GuidanceBatch) -> MadeMask:
        """Return the attention, the filtered features and ``loss_complete_autoencoder``."""
        made = self.autoencoders(self.stream(batch), batch.mask)
        term = self.autoencoder_weight * autoencoder_loss(made.error, batch.mask)
        return MadeMask(attn=made.attn.mean(dim=-1), features=made.features, terms={'loss_complete_autoencoder': term})

    def attend(self, values: Tensor, mask: Tensor) -> Tensor:
        """See :class:`BaseMaskGenerator`."""
        return self.autoencoders(values, mask).attn.mean(dim=-1)
