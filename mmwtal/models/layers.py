"""What temporal networks on padded batches share: masking, pooling, mean and ranks of own snippets, initialisation."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mmwtal.utils.errors import UserError

# Of the leaky ReLU after each temporal convolution, as published (CO2-Net and its descendants).
LEAKY_SLOPE = 0.2


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Hold a module and its parts in evaluation mode; afterwards each has the mode that it had."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def masked(values: Tensor, mask: Tensor) -> Tensor:
    """Set the padding of a channels-first sequence to zero.

    A convolution with kernel 3 reads one snippet beyond the video's end, and its bias makes padding non-zero, so that
    padding would leak through the next one: this is applied after every temporal operator.

    Args:
        values: (B, C, T).
        mask: Valid snippets, bool, (B, T).

    Returns:
        (B, C, T). Filled rather than multiplied, so that NaN in the padding does not survive.
    """
    return values.masked_fill(~mask[:, None], 0)


def temporal_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Average over each video's own snippets.

    Args:
        values: (B, T, C).
        mask: Valid snippets, bool, (B, T); at least one a video.

    Returns:
        (B, C).
    """
    total = values.masked_fill(~mask[..., None], 0).sum(dim=1)
    return total / mask.sum(dim=1, keepdim=True)


def temporal_ranks(values: Tensor, mask: Tensor) -> Tensor:
    """Rank each snippet among its video's own, ascending from 0; of equal values the earlier one goes first.

    Args:
        values: (B, T).
        mask: Valid snippets, bool, (B, T), a video's own before its padding.

    Returns:
        int64, (B, T); the padding has the ranks that follow, in its own order.
    """
    order = values.masked_fill(~mask, float('inf')).argsort(dim=1, stable=True)
    return order.argsort(dim=1)


def sinusoidal_positions(length: int, width: int, device: torch.device) -> Tensor:
    """Return the positions of "Attention Is All You Need", (L, width)."""
    half = (width + 1) // 2
    rates = 10000.0 ** (-torch.arange(half, device=device) / half)
    angles = torch.arange(length, device=device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width]


class TemporalAveragePool(nn.Module):
    """Average over a window around each snippet, at the ends of a video divided by the whole window nevertheless.

    This is ``AvgPool1d(kernel, stride=1, padding=kernel // 2, count_include_pad=True)`` on each video by itself: what
    lies beyond its ends counts as zero, whether the batch is padded there or not. CO2-Net and its descendants smooth
    their outputs on ActivityNet with it.

    Args:
        kernel: Snippets in the window, odd; 1 changes nothing.

    Raises:
        UserError: If the kernel is not an odd number above 0.
    """

    def __init__(self, *, kernel: int) -> None:
        super().__init__()
        if not isinstance(kernel, int) or kernel < 1 or kernel % 2 == 0:
            raise UserError(f'pool_kernel must be an odd number of snippets above 0, found {kernel!r}')
        self.pool = nn.AvgPool1d(kernel, stride=1, padding=kernel // 2, count_include_pad=True)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Return ``values`` (B, C, T) pooled, zero where ``mask`` (B, T) is not set."""
        return masked(self.pool(masked(values, mask)), mask)


@torch.no_grad()
def initialise_convolutions(module: nn.Module) -> None:
    """Draw the weights of all temporal convolutions Kaiming-uniform (fan in, ReLU's gain) and set their biases to 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv1d):
            nn.init.kaiming_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
