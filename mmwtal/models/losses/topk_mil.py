"""Multiple-instance learning on the mean of a video's top snippets."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mmwtal.decoders.pooling import check_ratios, topk_mean
from mmwtal.models.losses.base import BaseLoss, full_precision
from mmwtal.models.losses.suppression import suppress
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput


@full_precision
def topk_mil_loss(cas: Tensor, targets: Tensor, mask: Tensor, *, topk_ratio: float) -> Tensor:
    """Cross-entropy between the video's pooled logits and its labels (as CO2-Net has it).

    Pooled logits are, for each class by itself, the mean of the top k = max(1, floor(T_b / topk_ratio)) of the video's
    own T_b snippets. Targets are divided by their sum + 1e-4, so that a video without any target adds 0.

    Args:
        cas: Logits, (B, T, C').
        targets: Multi-hot targets for the same channels, (B, C').
        mask: Valid snippets, bool, (B, T).
        topk_ratio: Snippets of a video for each snippet that is pooled.

    Returns:
        The mean over the videos, a scalar.
    """
    targets = targets / (targets.sum(dim=1, keepdim=True) + 1e-4)
    pooled = topk_mean(cas, mask, ratio=topk_ratio)
    return -(targets * F.log_softmax(pooled, dim=-1)).sum(dim=-1).mean()


def video_targets(labels: Tensor, output: LocalizerOutput, *, suppressed: bool) -> Tensor:
    """Return the targets of a video's channels: its labels and, where the model has one, that of the background.

    Args:
        labels: Multi-hot labels, (B, C).
        output: The localizer's output.
        suppressed: Whether the background must vanish (target 0); else every video has some (target 1).

    Returns:
        (B, C'), C' as in ``cas``.
    """
    if not output.has_background:
        return labels
    return torch.cat([labels, torch.full_like(labels[:, :1], 0.0 if suppressed else 1.0)], dim=1)


@MODELS.register_module()
class TopKMILLoss(BaseLoss):
    """See :func:`topk_mil_loss`.

    Args:
        topk_ratio: Snippets of a video for each snippet that is pooled.
        suppressed: Act on the sequence that the attention suppresses, where the background must vanish (its target
            is 0), instead of the plain one, where every untrimmed video has some (its target is 1).
        loss_weight: What the term is multiplied by.

    Raises:
        UserError: If the ratio is below 1.
    """

    def __init__(self, *, topk_ratio: float, suppressed: bool = False, loss_weight: float = 1.0) -> None:
        super().__init__(loss_weight=loss_weight)
        check_ratios(self, topk_ratio=topk_ratio)
        self.topk_ratio = topk_ratio
        self.suppressed = suppressed

    def compute(self, output: LocalizerOutput, labels: Tensor) -> Tensor:
        """See :class:`BaseLoss`."""
        cas = suppress(output.cas, output.attn) if self.suppressed else output.cas
        targets = video_targets(labels, output, suppressed=self.suppressed)
        return topk_mil_loss(cas, targets, output.mask, topk_ratio=self.topk_ratio)
