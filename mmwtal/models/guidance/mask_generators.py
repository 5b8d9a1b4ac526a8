"""Mask generators: a_complete, the part of a video that is needed to complete its description."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from mmwtal.models.guidance.streams import FeatureStream, GuidanceBatch
from mmwtal.models.guidance.video_embed import VideoEmbed
from mmwtal.models.layers import LEAKY_SLOPE, temporal_mean
from mmwtal.registry import MODELS
from mmwtal.utils.errors import UserError


@dataclass(kw_only=True)
class MadeMask:
    """What a mask generator gives.

    Args:
        attn: The attention, (B, T), zero in the padding.
        features: The features as the generator filtered them, (B, T, C), zero in the padding; None where it does not.
        terms: Weighted loss terms of its own by name.
    """

    attn: Tensor
    features: Tensor | None = None
    terms: dict[str, Tensor] = field(default_factory=dict)


class BaseMaskGenerator(nn.Module, ABC):
    """From features to an attention in [0, 1].

    Args:
        in_channels: Width of the base's features.
        feat_channels: Width of the base's embedding.
        stream: The features that it works on; see :class:`FeatureStream`.
        stream_channels: Width of a stream of another name.
    """

    #: Whether it gives features that it filtered.
    filters: ClassVar[bool] = False

    def __init__(
        self,
        *,
        in_channels: int,
        feat_channels: int | None = None,
        stream: str = 'inputs',
        stream_channels: int | None = None,
    ) -> None:
        super().__init__()
        self.stream = FeatureStream(
            stream, in_channels=in_channels, feat_channels=feat_channels, stream_channels=stream_channels
        )

    def forward(self, batch: GuidanceBatch) -> MadeMask:
        """Return the attention, and what else the generator makes."""
        return MadeMask(attn=self.attend(self.stream(batch), batch.mask).masked_fill(~batch.mask, 0))

    @abstractmethod
    def attend(self, values: Tensor, mask: Tensor) -> Tensor:
        """Return the attention (B, T) of ``values`` (B, T, C), any number where ``mask`` (B, T) is not set."""


@MODELS.register_module()
class AttentionMask(BaseMaskGenerator):
    """A free attention: one block of temporal convolutions a modality, as in CO2-Net, averaged [TSM/VLC].

    Unlike the published code no dropout sits before the sigmoid, where it would set snippets to 0.5.

    Args:
        modalities: Widths of the modalities; None for one block on all channels.
        hidden_channels: Width of the blocks [TSM/VLC: 512].
        dropout: Probability.
        in_channels: See :class:`BaseMaskGenerator`.
        feat_channels: See :class:`BaseMaskGenerator`.
        stream: See :class:`BaseMaskGenerator`.
        stream_channels: See :class:`BaseMaskGenerator`.

    Raises:
        UserError: If the widths of the modalities do not add up to that of the stream.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        feat_channels: int | None = None,
        stream: str = 'inputs',
        stream_channels: int | None = None,
        modalities: Sequence[int] | None = None,
        hidden_channels: int = 512,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(
            in_channels=in_channels, feat_channels=feat_channels, stream=stream, stream_channels=stream_channels
        )
        self.modalities = [self.stream.width] if modalities is None else list(modalities)
        if sum(self.modalities) != self.stream.width or min(self.modalities) < 1:
            raise UserError(
                f'AttentionMask.modalities: expected widths that add up to {self.stream.width}, the width of the '
                f'stream {self.stream.name!r}, found {self.modalities}; set them to those of the features, or None'
            )
        self.blocks = nn.ModuleList(
            VideoEmbed(in_channels=width, hidden_channels=hidden_channels, out_channels=1, dropout=dropout)
            for width in self.modalities
        )

    def attend(self, values: Tensor, mask: Tensor) -> Tensor:
        """See :class:`BaseMaskGenerator`."""
        parts = values.split(self.modalities, dim=-1)
        logits = [block(part, mask) for block, part in zip(self.blocks, parts, strict=True)]
        return torch.cat(logits, dim=-1).sigmoid().mean(dim=-1)


@MODELS.register_module()
class LightMask(BaseMaskGenerator):
    """A hidden layer and a sigmoid on the base's embedding, which has seen each snippet's neighbours already [ours].

    Args:
        hidden_channels: Width of the hidden layer.
        dropout: Probability.
        in_channels: See :class:`BaseMaskGenerator`.
        feat_channels: See :class:`BaseMaskGenerator`.
        stream: See :class:`BaseMaskGenerator`.
        stream_channels: See :class:`BaseMaskGenerator`.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        feat_channels: int | None = None,
        stream: str = 'feat',
        stream_channels: int | None = None,
        hidden_channels: int = 256,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(
            in_channels=in_channels, feat_channels=feat_channels, stream=stream, stream_channels=stream_channels
        )
        self.score = nn.Sequential(
            nn.Linear(self.stream.width, hidden_channels),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Dropout(dropout),
            nn.Linear(hidden_channels, 1),
        )

    def attend(self, values: Tensor, mask: Tensor) -> Tensor:
        """See :class:`BaseMaskGenerator`."""
        return self.score(values)[..., 0].sigmoid()


@MODELS.register_module()
class GaussianMask(BaseMaskGenerator):
    """The largest of K Gaussians over the video's time, each with peak 1: one is CNM's mask, several are CPL's.

    Centres and widths come from the mean of a convolutional embedding. A Gaussian of width w in (0, 1] has the standard
    deviation w / sharpness of the video's length. CPL reconstructs with each of several and keeps the best; here their
    maximum is one mask, since an untrimmed video shows an action many times [ours].

    Args:
        num_gaussians: K.
        sharpness: Standard deviations in the video's length for w = 1 [CNM/CPL: 9].
        hidden_channels: Width of the embedding.
        dropout: Probability.
        in_channels: See :class:`BaseMaskGenerator`.
        feat_channels: See :class:`BaseMaskGenerator`.
        stream: See :class:`BaseMaskGenerator`.
        stream_channels: See :class:`BaseMaskGenerator`.

    Raises:
        UserError: If there is no Gaussian.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        feat_channels: int | None = None,
        stream: str = 'inputs',
        stream_channels: int | None = None,
        num_gaussians: int = 1,
        sharpness: float = 9.0,
        hidden_channels: int = 512,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(
            in_channels=in_channels, feat_channels=feat_channels, stream=stream, stream_channels=stream_channels
        )
        if num_gaussians < 1:
            raise UserError(f'GaussianMask.num_gaussians must be at least 1, found {num_gaussians}')
        self.sharpness = sharpness
        self.embed = VideoEmbed(
            in_channels=self.stream.width,
            hidden_channels=hidden_channels,
            out_channels=hidden_channels,
            dropout=dropout,
        )
        self.place = nn.Linear(hidden_channels, 2 * num_gaussians)
        with torch.no_grad():  # centres start evenly spread, or several would stay one
            centres = (torch.arange(num_gaussians) + 0.5) / num_gaussians
            self.place.bias[:num_gaussians] = torch.logit(centres)

    def attend(self, values: Tensor, mask: Tensor) -> Tensor:
        """See :class:`BaseMaskGenerator`."""
        placed = self.place(temporal_mean(self.embed(values, mask), mask))
        # In half precision places would be no finer than a 256th of the video.
        placed = placed.to(torch.promote_types(placed.dtype, torch.float32))
        centre, width = placed.sigmoid()[:, None].chunk(2, dim=-1)
        time = (torch.arange(mask.shape[1], device=mask.device) + 0.5) / mask.sum(dim=1, keepdim=True)
        # CNM and CPL keep a width from vanishing likewise.
        deviation = width.clamp(min=1e-2) / self.sharpness
        gaussians = torch.exp(-(((time[..., None] - centre) / deviation) ** 2) / 2)
        return gaussians.amax(dim=-1)
