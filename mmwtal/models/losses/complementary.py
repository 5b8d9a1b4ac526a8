"""Complementary labels: no snippet of a video shows a class that the video does not have."""

import torch
from torch import Tensor

from mmwtal.models.layers import temporal_mean
from mmwtal.models.losses.base import BaseLoss, full_precision
from mmwtal.models.losses.topk_mil import video_targets
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput


@full_precision
def complementary_loss(cas: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Sum of -(1 - y_c) log(1 - p_c) over the classes, p the softmax of each snippet (DDG-Net's published code).

    1 - p is taken as 1e-6 where it is less, as published: such a snippet has no gradient there.

    Args:
        cas: Logits, (B, T, C').
        targets: Multi-hot targets y for the same channels, (B, C').
        mask: Valid snippets, bool, (B, T).

    Returns:
        Mean over each video's snippets, then over the videos: a scalar.
    """
    absent = torch.log((1 - cas.softmax(dim=-1)).clamp(min=1e-6))
    surprise = -((1 - targets[:, None]) * absent).sum(dim=-1, keepdim=True)
    return temporal_mean(surprise, mask).mean()


@MODELS.register_module()
class ComplementaryLoss(BaseLoss):
    """See :func:`complementary_loss`; any snippet may be background."""

    def compute(self, output: LocalizerOutput, labels: Tensor) -> Tensor:
        """See :class:`BaseLoss`."""
        targets = video_targets(labels, output, suppressed=False)
        return complementary_loss(output.cas, targets, output.mask)
