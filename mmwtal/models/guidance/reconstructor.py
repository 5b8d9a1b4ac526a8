"""The reconstructor: completes a masked description from a video whose snippets are weighted by an attention."""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from mmwtal.models.guidance.transformer import LEAST_WEIGHT, Norm, Transformer, causal_bias, key_bias
from mmwtal.models.layers import sinusoidal_positions
from mmwtal.registry import MODELS
from mmwtal.utils.errors import UserError


class VideoTokens(nn.Module):
    """Features as tokens: disturbed while training, projected.

    Args:
        in_channels: Width of the features.
        width: Of the tokens.
        channel_dropout: Probability of dropping a channel for the whole video.
        noise: Standard deviation of what is added.
        input_dropout: Probability of dropping a number.
        normalise: Whether each snippet is normalised before.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        width: int,
        channel_dropout: float,
        noise: float,
        input_dropout: float,
        normalise: bool,
    ) -> None:
        super().__init__()
        self.normalise = normalise
        self.channel_dropout = nn.Dropout1d(channel_dropout)
        self.input_dropout = nn.Dropout(input_dropout)
        self.noise = noise
        self.project = nn.Linear(in_channels, width)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Return the tokens (B, T, width) of ``values`` (B, T, C)."""
        if self.normalise:
            values = F.layer_norm(values, values.shape[-1:])
        if self.training:
            values = self.channel_dropout(values.transpose(1, 2)).transpose(1, 2)
            values = self.input_dropout(values + self.noise * torch.randn_like(values))
        return self.project(values).masked_fill(~mask[..., None], 0)


class WordDecoder(nn.Module):
    """Predicts each word from those before it, the replaced ones unseen, and from the video's tokens.

    Args:
        text_channels: Width of the word vectors.
        width: Of the tokens.
        vocabulary_size: V.
        input_dropout: Probability of dropping a number of a word vector.
        key_given: See :class:`TextReconstructor`.
        vlc_compat: See :class:`TextReconstructor`.
        **transformer: Arguments of the :class:`Transformer`.
    """

    def __init__(
        self,
        *,
        text_channels: int,
        width: int,
        vocabulary_size: int,
        input_dropout: float,
        key_given: bool,
        vlc_compat: bool,
        **transformer: Any,
    ) -> None:
        super().__init__()
        self.vlc_compat = vlc_compat
        self.input_dropout = nn.Dropout(input_dropout)
        self.replacement = nn.Parameter(0.02 * torch.randn(text_channels))
        self.start = nn.Parameter(0.02 * torch.randn(width))
        self.project = nn.Linear(text_channels, width)
        self.project_key = nn.Linear(text_channels, width) if key_given else None
        self.transformer = Transformer(width=width, with_memory=True, **transformer)
        self.classify = nn.Linear(width, vocabulary_size)

    def seen(self, words: Tensor, replaced: Tensor, key: Tensor | None = None) -> Tensor:
        """Return what is seen of the texts, (B, L, width): words shifted right by one behind the start token, replaced
        ones as one learned vector; the start token has the key semantics, where they are given.

        Args:
            words: Word vectors, (B, L, D).
            replaced: bool, (B, L).
            key: Key semantics of the class that is described, (B, D), which count where they are to be given.
        """
        replacement = self.replacement.to(words.dtype)
        if self.vlc_compat:  # every parameter stays in the graph, as several processes need it
            replaced, words = torch.zeros_like(replaced), words + 0 * replacement
        vectors = torch.where(replaced[..., None], replacement, self.input_dropout(words))
        tokens = self.project(vectors)[:, :-1]
        start = self.start.to(tokens.dtype).expand(len(words), -1)
        if self.project_key is not None and key is not None:
            start = start + self.project_key(key)
        tokens = torch.cat([start[:, None], tokens], dim=1)
        if self.vlc_compat:
            return tokens
        length, width = tokens.shape[1:]
        return tokens + sinusoidal_positions(length, width, tokens.device).to(tokens.dtype)

    def forward(
        self, words: Tensor, replaced: Tensor, key: Tensor | None, memory: Tensor, memory_bias: Tensor
    ) -> Tensor:
        """Return the logits of the words, (M B, L, V), for M weightings of each video.

        Args:
            words: Word vectors, (B, L, D).
            replaced: bool, (B, L).
            key: See :meth:`seen`.
            memory: Video tokens, (M B, T, width), or (B, T, width) for all weightings.
            memory_bias: (M B, 1, 1, T).
        """
        tokens = self.seen(words, replaced, key)
        tokens = tokens.repeat(len(memory_bias) // len(words), 1, 1)
        return self.classify(self.transformer(tokens, causal_bias(words.shape[1], words.device), memory, memory_bias))


@MODELS.register_module()
class TextReconstructor(nn.Module):
    """Predicts the words of a description from the words before it and a weighted video.

    Args:
        in_channels: Width of the video's features.
        text_channels: Width of the word vectors.
        vocabulary_size: V.
        hidden_channels: Width of the transformer [TSM/VLC: 512].
        num_heads: [TSM/VLC: 4].
        encoder_layers: Layers in which the video's snippets attend to each other [TSM/VLC: 3]; 0 for none.
        decoder_layers: Layers in which words attend to words and to the video [TSM/VLC: 3].
        dropout: Probability inside the transformer [CNM/CPL: 0.1].
        channel_dropout: Probability of dropping a channel of a whole video while training [ours: 0.3 in a prototype].
        noise: Standard deviation of the noise on the video while training, in units of a snippet's own [ours: 0.5 in a
            prototype]. Without the two the reconstructor knows its descriptions by heart.
        weighted: Which attention the mask weighs: 'cross', that of words to the video, which leaves one encoding of the
            video for all masks [ours, the light setting]; 'both', that of snippets to each other as well [TSM/VLC]. Of
            a ``video`` that is seen as a 'mean' the mask weighs the mean in place of the former.
        video: What words see of the video: its 'snippets', one by one, or one 'mean' of them, weighted by the mask
            [ours]. Words that attend to snippets choose those that they need by themselves, so that it hardly matters
            how the mask weighs them; of a mean they see what the mask chose.
        key_given: Tell the reconstructor the key semantics of the class whose description it completes [ours]. Without
            them it finds out the class, by what scenery goes with it as well as by the action, and the mask follows.
        causal_video: Let a snippet attend to earlier ones only [the public code of TSM/VLC; off by default].
        norm: Where the transformer's norms are, 'before' its parts [ours] or 'after' them [TSM/VLC, CNM/CPL].
        expansion: How many times as wide as the tokens its feed-forward nets are inside; 4 [ours], 2 [TSM/VLC].
        normalise: Whether each snippet of the video is normalised before it is projected [ours].
        input_dropout: Probability of dropping a number of a feature or a word vector while training [TSM/VLC: 0.1].
        vlc_compat: Repeat a slip of the released code of TSM/VLC, for comparison: masked words are overwritten by the
            unmasked ones, their positions with them, so that nothing is masked and there are no positions.

    Raises:
        UserError: If the vocabulary has fewer than two entries, or an option is about attention that there is not.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        text_channels: int,
        vocabulary_size: int,
        hidden_channels: int = 512,
        num_heads: int = 4,
        encoder_layers: int = 3,
        decoder_layers: int = 3,
        dropout: float = 0.1,
        channel_dropout: float = 0.3,
        noise: float = 0.5,
        weighted: Literal['cross', 'both'] = 'cross',
        video: Literal['snippets', 'mean'] = 'snippets',
        key_given: bool = False,
        causal_video: bool = False,
        norm: Norm = 'before',
        expansion: int = 4,
        normalise: bool = True,
        input_dropout: float = 0.0,
        vlc_compat: bool = False,
    ) -> None:
        super().__init__()
        if vocabulary_size < 2:
            raise UserError(
                f'TextReconstructor: expected a vocabulary of at least 2 entries, found {vocabulary_size}; give '
                'descriptions of the training videos to guidance.texts, or leave out guidance.csr'
            )
        if encoder_layers == 0 and (weighted == 'both' or causal_video):
            raise UserError(
                "TextReconstructor: weighted='both' and causal_video are about attention between snippets, and with "
                'encoder_layers=0 there is none; set encoder_layers=1 or more'
            )
        self.weighted = weighted
        self.video = video
        self.causal_video = causal_video
        self.tokens = VideoTokens(
            in_channels=in_channels,
            width=hidden_channels,
            channel_dropout=channel_dropout,
            noise=noise,
            input_dropout=input_dropout,
            normalise=normalise,
        )
        shared: dict[str, Any] = dict(num_heads=num_heads, dropout=dropout, norm=norm, expansion=expansion)
        self.encoder = Transformer(width=hidden_channels, num_layers=encoder_layers, with_memory=False, **shared)
        self.decoder = WordDecoder(
            text_channels=text_channels,
            width=hidden_channels,
            vocabulary_size=vocabulary_size,
            input_dropout=input_dropout,
            key_given=key_given,
            vlc_compat=vlc_compat,
            num_layers=decoder_layers,
            **shared,
        )

    def embed(self, values: Tensor, mask: Tensor, *, frozen: bool = False) -> Tensor:
        """Return a video's tokens, (B, T, width).

        Args:
            values: Features, (B, T, in_channels).
            mask: Valid snippets, bool, (B, T).
            frozen: Hold the parameters fixed.
        """
        return _call(self.tokens, (values, mask), frozen=frozen)

    def encode(self, tokens: Tensor, mask: Tensor, weights: Tensor | None, *, frozen: bool = False) -> Tensor:
        """Let a video's tokens attend to each other.

        Args:
            tokens: (B, T, width).
            mask: Valid snippets, bool, (B, T).
            weights: Of the snippets as keys, (B, T); None for none.
            frozen: Hold the parameters fixed.

        Returns:
            (B, T, width).
        """
        bias = key_bias(weights, mask)
        if self.causal_video:
            bias = bias + causal_bias(mask.shape[1], mask.device)
        return _call(self.encoder, (tokens, bias), frozen=frozen)

    def decode(
        self,
        words: Tensor,
        replaced: Tensor,
        memory: Tensor,
        mask: Tensor,
        weights: Tensor,
        *,
        key: Tensor | None = None,
        frozen: bool = False,
    ) -> Tensor:
        """Return the logits of the words for M masks, (M, B, L, V).

        Args:
            words: Word vectors, (B, L, D).
            replaced: Which words are not seen, bool, (B, L).
            memory: What :meth:`encode` gave, (M B, T, width), or (B, T, width) for all masks.
            mask: Valid snippets, bool, (B, T).
            weights: M masks in [0, 1], (M, B, T).
            key: Key semantics of the class that is described, (B, D); needed where they are to be given.
            frozen: Hold the parameters fixed.
        """
        every = mask.repeat(len(weights), 1)
        if self.video == 'mean':
            memory = weighted_mean(memory.repeat(len(every) // len(memory), 1, 1), weights.flatten(0, 1), every)
            bias = memory.new_zeros(len(memory), 1, 1, 1)
        else:
            bias = key_bias(weights.flatten(0, 1), every)
        logits = _call(self.decoder, (words, replaced, key, memory, bias), frozen=frozen)
        return logits.unflatten(0, (len(weights), -1))


def weighted_mean(tokens: Tensor, weights: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over time, weighted and then normalised, as one token, (N, 1, width).

    Args:
        tokens: (N, T, width), zero in the padding.
        weights: In [0, 1], (N, T).
        mask: Valid snippets, bool, (N, T).
    """
    # The least weight is 0 in half precision, where a mask that is closed everywhere would give NaN.
    share = (weights.to(torch.promote_types(weights.dtype, torch.float32)) + LEAST_WEIGHT) * mask
    share = (share / share.sum(dim=1, keepdim=True)).to(tokens.dtype)
    mean = share[:, None] @ tokens
    return F.layer_norm(mean, mean.shape[-1:])


def _call(module: nn.Module, arguments: tuple[Tensor | None, ...], *, frozen: bool) -> Tensor:
    """Call a module, perhaps with parameters that get no gradient, which does not change the module."""
    if not frozen:
        return module(*arguments)
    return functional_call(module, {name: value.detach() for name, value in module.named_parameters()}, arguments)
