"""Heads that compare snippets with texts: in a space that is learned, or in one that both share from the start."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmwtal.models.guidance.video_embed import VideoEmbed


class MatchingHead(nn.Module):
    """Agreement of snippets and classes: s = scale <e / |e|, q / |q|> + bias.

    Args:
        in_channels: Width of the features.
        text_channels: Width of the text vectors.
        hidden_channels: Width of the convolutions.
        embed_channels: Width that video and text are compared in.
        dropout: Probability in the video's embedding.
        scale: Start value of the scale.
        bias: Start value of the bias.
        background: Whether there is one more class, the background, with a learned vector in place of a text's.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        text_channels: int,
        hidden_channels: int,
        embed_channels: int,
        dropout: float,
        scale: float,
        bias: float,
        background: bool,
    ) -> None:
        super().__init__()
        self.embed = VideoEmbed(
            in_channels=in_channels, hidden_channels=hidden_channels, out_channels=embed_channels, dropout=dropout
        )
        self.project = nn.Linear(text_channels, embed_channels)
        self.scale = nn.Parameter(torch.tensor(float(scale)))
        self.bias = nn.Parameter(torch.tensor(float(bias)))
        self.background = nn.Parameter(torch.randn(embed_channels)) if background else None

    def forward(self, values: Tensor, mask: Tensor, key: Tensor) -> Tensor:
        """Return s, (B, T, C), with the background last where there is one: (B, T, C + 1).

        Args:
            values: Features, (B, T, D).
            mask: Valid snippets, bool, (B, T).
            key: Text vectors of the classes, (B, C, text_channels).
        """
        embedded = F.normalize(self.embed(values, mask), dim=-1)
        texts = self.project(key)
        if self.background is not None:
            texts = torch.cat([texts, self.background.to(texts.dtype).expand(len(texts), 1, -1)], dim=1)
        agreement = torch.einsum('btd,bcd->btc', embedded, F.normalize(texts, dim=-1))
        return self.scale * agreement + self.bias


class SharedSpaceHead(nn.Module):
    """Agreement of snippets and classes, s = scale <e / |e|, q / |q|> + bias, where both are vectors of one space.

    CLIP-guided localization (Ju et al., Distilling Vision-Language Pre-training to Collaborate with WTAL, CVPR 2023)
    compares frames and texts as the encoders give them; a residual adapter is that of CLIP-Adapter (Gao et al.,
    arXiv:2110.04544). Here e = x + r(x) with the snippet x, scaled to channels of unit mean square, and q = t, the text
    itself. r is a :class:`VideoEmbed` whose projection starts as 0, so that the matching starts as what the encoders
    say, and can learn what neighbouring snippets add [ours]. Vectors that mean nothing have no such start.

    Args:
        channels: Width of the features and of the text vectors.
        hidden_channels: Width of the convolutions of r.
        dropout: Probability in r.
        scale: Start value of the scale.
        bias: Start value of the bias.
        background: Whether there is one more class, the background, with a learned vector in place of a text's.
        adapter: Whether there is r; without, scale, bias and background alone are learned.
    """

    def __init__(
        self,
        *,
        channels: int,
        hidden_channels: int,
        dropout: float,
        scale: float,
        bias: float,
        background: bool,
        adapter: bool,
    ) -> None:
        super().__init__()
        self.adapter = None
        if adapter:
            self.adapter = VideoEmbed(
                in_channels=channels, hidden_channels=hidden_channels, out_channels=channels, dropout=dropout
            )
            for parameter in self.adapter.project.parameters():
                nn.init.zeros_(parameter)
        self.scale = nn.Parameter(torch.tensor(float(scale)))
        self.bias = nn.Parameter(torch.tensor(float(bias)))
        self.background = nn.Parameter(torch.randn(channels)) if background else None

    def forward(self, values: Tensor, mask: Tensor, key: Tensor) -> Tensor:
        """Return s, (B, T, C), with the background last where there is one: (B, T, C + 1).

        Args:
            values: Features, (B, T, D).
            mask: Valid snippets, bool, (B, T).
            key: Text vectors of the classes, (B, C, D).
        """
        snippets = F.normalize(values, dim=-1)
        if self.adapter is not None:
            snippets = snippets * values.shape[-1] ** 0.5
            # Their length is about the root of the width. A snippet of none, the only one of its video, must not get
            # the gradient that a division by almost nothing has.
            snippets = F.normalize(snippets + self.adapter(snippets, mask), dim=-1, eps=1.0)
        if self.background is not None:
            key = torch.cat([key, self.background.to(key.dtype).expand(len(key), 1, -1)], dim=1)
        return self.scale * torch.einsum('btd,bcd->btc', snippets, F.normalize(key, dim=-1)) + self.bias
