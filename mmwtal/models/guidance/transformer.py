"""Transformer layers whose attention can be weighted: some of the things attended to count for less."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmwtal.utils.errors import UserError

# What a weight of 0 leaves of a snippet [TSM/VLC, CNM/CPL].
LEAST_WEIGHT = 1e-10


def key_bias(weights: Tensor | None, mask: Tensor) -> Tensor:
    """Return what is added to attention logits, (B, 1, 1, T): log(m + 1e-10), and minus infinity in the padding.

    After the softmax this is the weight w_j m_j / sum_i w_i m_i: logits with a bias leave the fused kernels in use.

    Args:
        weights: m in [0, 1], (B, T); None for 1.
        mask: What there is to attend to, bool, (B, T).
    """
    bias = torch.zeros(mask.shape, device=mask.device)
    if weights is not None:
        wide = weights.to(torch.promote_types(weights.dtype, torch.float32))
        bias = (wide.masked_fill(~mask, 1) + LEAST_WEIGHT).log()
    return bias.masked_fill(~mask, -torch.inf)[:, None, None]


def causal_bias(length: int, device: torch.device) -> Tensor:
    """Return the bias that hides what comes later, (1, 1, L, L)."""
    return torch.full((length, length), -torch.inf, device=device).triu(1)[None, None]


class Attention(nn.Module):
    """Multi-head attention with a bias on its logits.

    Args:
        width: Of queries, keys and values.
        num_heads: Divides the width.
        dropout: Probability of dropping an attention weight.

    Raises:
        UserError: If the heads do not divide the width.
    """

    def __init__(self, *, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        if width % num_heads:
            raise UserError(f'the width {width} of a transformer must be a multiple of its num_heads, {num_heads}')
        self.num_heads = num_heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, queries: Tensor, memory: Tensor, bias: Tensor) -> Tensor:
        """Return (B, L, width).

        Args:
            queries: (B, L, width).
            memory: What is attended to, (B, T, width).
            bias: Broadcastable to (B, heads, L, T).
        """
        query = self.query(queries)
        key, value = self.key_value(memory).chunk(2, dim=-1)
        query, key, value = (part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in (query, key, value))
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype), dropout_p=dropout)
        return self.out(attended.transpose(1, 2).flatten(2))


Norm = Literal['before', 'after']


class Layer(nn.Module):
    """Self-attention, perhaps attention to a memory, and a feed-forward net, each a residual with a norm.

    Args:
        width: Of the tokens.
        num_heads: Divides the width.
        dropout: Probability.
        with_memory: Whether there is a memory.
        norm: Where the norms are: 'before' each part, which trains without the long warm-up that norms behind them need
            [ours], or 'after' each sum [TSM/VLC, CNM/CPL].
        expansion: How many times as wide as the tokens the feed-forward net is inside [TSM/VLC: 2].
    """

    def __init__(
        self, *, width: int, num_heads: int, dropout: float, with_memory: bool, norm: Norm, expansion: int
    ) -> None:
        super().__init__()
        self.norm = norm
        self.self_attention = Attention(width=width, num_heads=num_heads, dropout=dropout)
        self.self_norm = nn.LayerNorm(width)
        self.memory_attention = None
        if with_memory:
            self.memory_attention = Attention(width=width, num_heads=num_heads, dropout=dropout)
            self.memory_norm = nn.LayerNorm(width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, expansion * width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(expansion * width, width),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, tokens: Tensor, bias: Tensor, memory: Tensor | None = None, memory_bias: Tensor | None = None
    ) -> Tensor:
        """Return the tokens, (B, L, width).

        Args:
            tokens: (B, L, width).
            bias: Of the self-attention, broadcastable to (B, heads, L, L).
            memory: (B, T, width), or (B / M, T, width) for M weightings of it, those of a weighting together.
            memory_bias: (B, 1, 1, T).
        """
        tokens = self._add(tokens, self.self_norm, lambda own: self.self_attention(own, own, bias))
        attention = self.memory_attention
        if attention is not None:
            assert memory is not None
            assert memory_bias is not None
            given = (memory, memory_bias)
            tokens = self._add(tokens, self.memory_norm, lambda own: _attend_to_shared(attention, own, *given))
        return self._add(tokens, self.feed_forward_norm, self.feed_forward)

    def _add(self, tokens: Tensor, norm: nn.Module, part: Callable[[Tensor], Tensor]) -> Tensor:
        if self.norm == 'after':
            return norm(tokens + self.dropout(part(tokens)))
        return tokens + self.dropout(part(norm(tokens)))


def _attend_to_shared(attention: Attention, tokens: Tensor, memory: Tensor, bias: Tensor) -> Tensor:
    """Attend to a memory with M weightings of it: its keys and values are computed once, the weightings act as queries.

    Args:
        attention: The layer.
        tokens: (M B, L, width), those of a weighting together.
        memory: (B, T, width), or (M B, T, width) for M = 1.
        bias: (M B, 1, 1, T).

    Returns:
        (M B, L, width).
    """
    rows, number = len(memory), len(tokens) // len(memory)
    if number == 1:
        return attention(tokens, memory, bias)
    length = tokens.shape[1]
    queries = tokens.unflatten(0, (number, rows)).transpose(0, 1).flatten(1, 2)
    by_query = bias[:, 0, 0].unflatten(0, (number, rows)).transpose(0, 1).repeat_interleave(length, dim=1)[:, None]
    attended = attention(queries, memory, by_query)
    return attended.unflatten(1, (number, length)).transpose(0, 1).flatten(0, 1)


class Transformer(nn.Module):
    """A stack of layers; where their norms are before their parts, a last norm follows.

    Args:
        width: Of the tokens.
        num_heads: Divides the width.
        num_layers: 0 gives a last norm alone, or nothing.
        dropout: Probability.
        with_memory: Whether the layers attend to a memory.
        norm: See :class:`Layer`.
        expansion: See :class:`Layer`.
    """

    def __init__(
        self,
        *,
        width: int,
        num_heads: int,
        num_layers: int,
        dropout: float,
        with_memory: bool,
        norm: Norm = 'before',
        expansion: int = 4,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            Layer(
                width=width,
                num_heads=num_heads,
                dropout=dropout,
                with_memory=with_memory,
                norm=norm,
                expansion=expansion,
            )
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(width) if norm == 'before' else nn.Identity()

    def forward(
        self, tokens: Tensor, bias: Tensor, memory: Tensor | None = None, memory_bias: Tensor | None = None
    ) -> Tensor:
        """See :class:`Layer`."""
        for layer in self.layers:
            tokens = layer(tokens, bias, memory, memory_bias)
        return self.norm(tokens)
