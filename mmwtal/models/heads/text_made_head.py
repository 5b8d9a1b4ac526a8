"""The classifier of TSM + VLC, whose weights are made of the words of the classes and of learned prompt vectors."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mmwtal.models.backbones.base import BackboneOutput
from mmwtal.models.heads.base import BaseHead
from mmwtal.models.layers import LEAKY_SLOPE, initialise_convolutions, masked, sinusoidal_positions
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput
from mmwtal.utils.errors import UserError


class ScaledResidual(nn.Module):
    """What a residual branch adds: scaled by channel, and dropped as a whole for some of the classes while training.

    Args:
        channels: Width.
        drop: Probability of dropping a class's branch.
        start: Start value of the scale.
    """

    def __init__(self, *, channels: int, drop: float, start: float = 1e-4) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), start))
        self.drop = nn.Dropout(drop)

    def forward(self, branch: Tensor) -> Tensor:
        """Return what is added for a branch (C, 1, channels)."""
        return self.scale * branch * self.drop(branch.new_ones(len(branch), 1, 1))


class ClassWeights(nn.Module):
    """A classifier's weights from tokens: prompt vectors of each class, then the word vectors of its name.

    Each token is projected and gets an offset of its own and its position; the first prompt attends to all tokens and
    passes a feed-forward net, both scaled residuals that start near zero. What it ends as is the class's weight vector.
    The background has learned words.

    Args:
        num_classes: C, without the background.
        channels: Width of the weights.
        text_channels: Width of the word vectors.
        num_words: Words of each class's name.
        num_prompts: Prompt vectors of each class, at least 1.
        num_heads: Of the attention; where it does not divide the width, their greatest common divisor.
        dropout: Probability after the projection.
        hidden_dropout: Probability in the feed-forward net, after each layer.
        branch_drop: Probability of dropping a class's residual branch.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        channels: int,
        text_channels: int,
        num_words: int,
        num_prompts: int,
        num_heads: int,
        dropout: float,
        hidden_dropout: float,
        branch_drop: float,
    ) -> None:
        super().__init__()
        # What a checkpoint brings along, so that a test needs no text.
        self.words: Tensor
        self.register_buffer('words', torch.randn(num_classes, num_words, text_channels))
        self.background_words = nn.Parameter(torch.zeros(num_words, text_channels))
        self.prompts = nn.Parameter(torch.empty(num_classes + 1, num_prompts, text_channels))
        nn.init.kaiming_uniform_(self.prompts.transpose(1, 2))
        self.project = _linear(text_channels, channels)
        self.activation = nn.LeakyReLU(LEAKY_SLOPE)
        self.dropout = nn.Dropout(dropout)
        self.offsets = nn.Parameter(0.03125 * torch.randn(num_classes + 1, num_prompts + num_words, channels))
        self.attention = nn.MultiheadAttention(channels, math.gcd(num_heads, channels), batch_first=True)
        self.feed_forward = nn.Sequential(
            _linear(channels, 4 * channels),
            nn.GELU(),
            nn.Dropout(hidden_dropout),
            _linear(4 * channels, channels),
            nn.Dropout(hidden_dropout),
        )
        self.attention_residual = ScaledResidual(channels=channels, drop=branch_drop)
        self.feed_forward_residual = ScaledResidual(channels=channels, drop=branch_drop)

    def forward(self) -> Tensor:
        """Return the weights of the classes and the background, (C + 1, channels)."""
        words = torch.cat([self.words, self.background_words[None]])
        tokens = self.dropout(self.activation(self.project(torch.cat([self.prompts, words], dim=1))))
        length, width = tokens.shape[1:]
        tokens = tokens + self.offsets + sinusoidal_positions(length, width, tokens.device).to(tokens.dtype)
        # The other tokens are read, never what they would become.
        first = tokens[:, :1]
        attended, _ = self.attention(first, tokens, tokens, need_weights=False)
        first = first + self.attention_residual(attended)
        first = first + self.feed_forward_residual(self.feed_forward(first))
        return first[:, 0]


def _linear(inputs: int, outputs: int) -> nn.Linear:
    """Return a layer drawn as :func:`initialise_convolutions` draws: the published code has convolutions here."""
    layer = nn.Linear(inputs, outputs)
    nn.init.kaiming_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


@MODELS.register_module()
class TextMadeHead(BaseHead):
    """A temporal convolution and a classifier made of text, the Text-Segment Mining of TSM + VLC [TSM/VLC].

    The class activation sequence is the inner product of snippets and class weights, background last; see
    :class:`ClassWeights`. The word vectors of the classes come from the texts of the localizer's guidance while
    training, and from the checkpoint ever after: a test needs neither text nor a text encoder. Without such texts they
    are random vectors. Where the backbone has no attention, the probability of not being background takes its place.

    Args:
        in_channels: Width of the embedding.
        num_classes: C, without the background.
        losses: The loss terms by name; see :class:`BaseHead`.
        text_channels: Width of the word vectors [TSM/VLC: GloVe, 300].
        num_words: Words of a class's name that count; of fewer, they are repeated [TSM/VLC: 2 on THUMOS14].
        num_prompts: Learned vectors before the name, of each class [TSM/VLC: 9].
        num_heads: Of the attention between them; where it does not divide the width, their greatest common divisor
            [TSM/VLC: 8].
        dropout: Probability before the classifier.
        text_dropout: Probability after the projection of the word vectors.
        hidden_dropout: Probability in the feed-forward net.
        branch_drop: Probability of dropping a class's residual branch.

    Raises:
        UserError: If there is no prompt or no word.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        num_classes: int,
        losses: Mapping[str, Any],
        text_channels: int = 300,
        num_words: int = 2,
        num_prompts: int = 9,
        num_heads: int = 8,
        dropout: float = 0.7,
        text_dropout: float = 0.5,
        hidden_dropout: float = 0.1,
        branch_drop: float = 0.1,
    ) -> None:
        super().__init__(losses=losses)
        if num_words < 1 or num_prompts < 1:
            raise UserError(
                f'TextMadeHead: expected at least one word and one prompt, found num_words={num_words} and '
                f'num_prompts={num_prompts}'
            )
        self.hidden = nn.Conv1d(in_channels, in_channels, 3, padding=1)
        self.activation = nn.LeakyReLU(LEAKY_SLOPE)
        self.dropout = nn.Dropout(dropout)
        self.class_weights = ClassWeights(
            num_classes=num_classes,
            channels=in_channels,
            text_channels=text_channels,
            num_words=num_words,
            num_prompts=num_prompts,
            num_heads=num_heads,
            dropout=text_dropout,
            hidden_dropout=hidden_dropout,
            branch_drop=branch_drop,
        )
        initialise_convolutions(self.hidden)

    @torch.no_grad()
    def take_texts(self, texts: Any) -> None:
        """Take the word vectors of the classes from the texts of the guidance.

        Args:
            texts: Has a method ``class_words(number)``, which gives (C, number, D); see :class:`PriorTexts`.

        Raises:
            UserError: If they are of another width or of other classes than the head.
        """
        own = self.class_weights.words
        words = texts.class_words(own.shape[1])
        if words.shape != own.shape:
            raise UserError(
                f'TextMadeHead: expected word vectors of width {own.shape[2]} for {len(own)} classes, found those of '
                f'width {words.shape[2]} for {len(words)}; set head.text_channels={words.shape[2]}, and give '
                'guidance.texts the classes of the dataset'
            )
        own.copy_(words)

    def forward(self, features: BackboneOutput, mask: Tensor) -> LocalizerOutput:
        """See :class:`BaseHead`."""
        embedding = masked(features.feat.transpose(1, 2), mask)
        hidden = self.dropout(self.activation(masked(self.hidden(embedding), mask))).transpose(1, 2)
        cas = hidden @ self.class_weights().T
        attn = features.attn
        if attn is None:
            attn = 1 - cas.softmax(dim=-1)[..., -1:]
        return LocalizerOutput(
            feat=features.feat, attn=attn, cas=cas, has_background=True, mask=mask, extras=features.extras
        )
