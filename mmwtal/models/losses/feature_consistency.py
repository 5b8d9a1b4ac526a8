"""Feature consistency: what a graph convolution makes of a snippet stays near what the graph's average makes of it."""

import torch
from torch import Tensor

from mmwtal.models.losses.base import BaseLoss, full_precision
from mmwtal.models.losses.present import shared_count
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput
from mmwtal.utils.errors import UserError


@full_precision
def feature_consistency(gap: Tensor, confidence: Tensor, members: Tensor, *, temperature: float) -> Tensor:
    """Average the gap over the snippets of one kind, confident ones above all (DDG-Net, ICCV 2023, section 3.4).

    A snippet of confidence p weighs exp(-(1 / p - 1) / temperature), held fixed.

    Args:
        gap: Distance between the two features of each snippet, (B, T, M) for M modalities.
        confidence: How surely a snippet is of the kind, in [0, 1], (B, T, 1).
        members: Which snippets are, bool, (B, T); others do not count.
        temperature: Of the weights, above 0.

    Returns:
        (B,), the mean over the modalities, 0 for a video without such a snippet.
    """
    weight = torch.exp(-(1 / confidence.detach() - 1) / temperature).masked_fill(~members[..., None], 0)
    gap = gap.masked_fill(~members[..., None], 0)
    # 1e-3 as published: it acts where a video has few snippets of a kind, of low confidence.
    return ((weight * gap).sum(dim=1) / weight.sum(dim=1).clamp(min=1e-3)).mean(dim=-1)


@MODELS.register_module()
class FeatureConsistencyLoss(BaseLoss):
    """See :func:`feature_consistency`; over DDG-Net's action snippets, plus that over its background snippets.

    Each of the two is the mean over the videos that have such snippets. The number of these videos is summed over the
    processes, so that the mean of their gradients is that of one big batch; without any the term is 0.

    Args:
        temperature: Of the weights, above 0.
        loss_weight: What the term is multiplied by.

    Raises:
        UserError: If the temperature is not above 0.
    """

    def __init__(self, *, temperature: float = 0.5, loss_weight: float = 1.0) -> None:
        super().__init__(loss_weight=loss_weight)
        if temperature <= 0:
            raise UserError(f'FeatureConsistencyLoss: expected a temperature above 0, found {temperature}')
        self.temperature = temperature

    def compute(self, output: LocalizerOutput, labels: Tensor) -> Tensor:
        """See :class:`BaseLoss`.

        Raises:
            UserError: If the backbone is not DDG-Net's.
        """
        extras = output.extras
        if 'graph_gap' not in extras:
            raise UserError(
                "FeatureConsistencyLoss needs extras['graph_gap'] and the snippets' kinds, which DDGNetBackbone gives, "
                'this backbone does not; remove the loss from the head'
            )
        members = torch.stack([extras['action_snippets'], extras['background_snippets']])
        action, background = (
            feature_consistency(extras['graph_gap'], confidence, kind, temperature=self.temperature)
            for kind, confidence in zip(members, (extras['initial_attn'], 1 - extras['initial_attn']), strict=True)
        )
        count = shared_count(members.any(dim=-1).sum(dim=-1).to(action.dtype))
        return action.sum() / count[0] + background.sum() / count[1]
