"""Key semantic matching: the snippets that agree with the key phrases of a class say whether a video shows it."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmwtal.decoders.pooling import topk_mean
from mmwtal.models.losses.base import full_precision
from mmwtal.models.losses.topk_mil import topk_mil_loss
from mmwtal.registry import MODELS


@full_precision
def key_matching_bce_loss(logits: Tensor, labels: Tensor, mask: Tensor, *, topk_ratio: float) -> Tensor:
    """Binary cross-entropy between the labels and p, the mean of the top k of the sigmoid of each class's logits.

    k = max(1, floor(T_b / topk_ratio)) of the video's own T_b snippets.

    Args:
        logits: Agreement of snippets and classes, (B, T, C).
        labels: Multi-hot labels, (B, C).
        mask: Valid snippets, bool, (B, T).
        topk_ratio: Snippets of a video for each snippet that is pooled.

    Returns:
        The mean over videos and classes, a scalar. Logarithms are cut off at -100, so that it is finite.
    """
    scores = topk_mean(logits.masked_fill(~mask[..., None], 0).sigmoid(), mask, ratio=topk_ratio)
    # A mean of numbers that are 1 may be rounded to more than 1, which the cross-entropy refuses.
    return F.binary_cross_entropy(scores.clamp(max=1), labels.to(scores.dtype))


@MODELS.register_module()
class KSMLoss(nn.Module):
    """The loss of the matching head, L_match: ``(logits, labels, mask) -> weighted scalar``.

    Args:
        kind: 'bce' is :func:`key_matching_bce_loss` [a note on the paper says that its losses are BCE, reconstruction
            and MSE; the placement is ours]; 'softmax' is :func:`topk_mil_loss` over C + 1 channels, of which the last
            is the background with target 1 [TSM/VLC].
        topk_ratio: Snippets of a video for each snippet that is pooled [as the CO2-Net family has it].
        loss_weight: w_m. 1 is what a prototype found to work.
    """

    def __init__(
        self, *, kind: Literal['bce', 'softmax'] = 'bce', topk_ratio: float = 7, loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        self.kind = kind
        self.topk_ratio = topk_ratio
        self.loss_weight = loss_weight

    @property
    def needs_background(self) -> bool:
        """Whether the logits have a background channel, the last one."""
        return self.kind == 'softmax'

    def forward(self, logits: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
        """Return the weighted loss.

        Args:
            logits: (B, T, C), or (B, T, C + 1) where :attr:`needs_background`.
            labels: Multi-hot labels, (B, C).
            mask: Valid snippets, bool, (B, T).
        """
        if self.needs_background:
            labels = torch.cat([labels, torch.ones_like(labels[:, :1])], dim=1)
            return self.loss_weight * topk_mil_loss(logits, labels, mask, topk_ratio=self.topk_ratio)
        return self.loss_weight * key_matching_bce_loss(logits, labels, mask, topk_ratio=self.topk_ratio)
