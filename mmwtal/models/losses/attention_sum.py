"""Sparsity of the attention by its sum over time (BaS-Net)."""

from torch import Tensor

from mmwtal.models.losses.base import BaseLoss, full_precision
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput


@full_precision
def attention_sum_loss(attn: Tensor, mask: Tensor) -> Tensor:
    """L1 norm of the attention over time: it grows with the video, unlike the mean of ``attention_norm_loss``.

    Args:
        attn: Attention in [0, 1], (B, T, 1).
        mask: Valid snippets, bool, (B, T).

    Returns:
        Sum over each video's snippets, mean over the videos: a scalar.
    """
    return attn.masked_fill(~mask[..., None], 0).abs().sum(dim=1).mean()


@MODELS.register_module()
class AttentionSumLoss(BaseLoss):
    """See :func:`attention_sum_loss`."""

    def compute(self, output: LocalizerOutput, labels: Tensor) -> Tensor:
        """See :class:`BaseLoss`."""
        return attention_sum_loss(output.attn, output.mask)
