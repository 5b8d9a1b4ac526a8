"""What holds the attentions together: mutual agreement, sparsity, opposition to the background (CO2-Net)."""

import torch
from torch import Tensor

from mmwtal.models.layers import temporal_mean
from mmwtal.models.losses.base import BaseLoss, full_precision
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput
from mmwtal.utils.errors import UserError


@full_precision
def attention_mutual_loss(first: Tensor, second: Tensor, mask: Tensor) -> Tensor:
    """Mean squared difference of two attentions, each learning from the other held fixed, half the weight each.

    Args:
        first: Attention of one modality, (B, T, 1).
        second: That of the other, (B, T, 1).
        mask: Valid snippets, bool, (B, T).

    Returns:
        Mean over each video's snippets, then over the videos: a scalar.
    """
    squared = 0.5 * (first - second.detach()) ** 2 + 0.5 * (second - first.detach()) ** 2
    return temporal_mean(squared, mask).mean()


@full_precision
def attention_norm_loss(attns: Tensor, mask: Tensor) -> Tensor:
    """Mean of M attentions: actions are sparse.

    Args:
        attns: Attentions in [0, 1], (B, T, M).
        mask: Valid snippets, bool, (B, T).

    Returns:
        Mean over each video's snippets, then over videos and attentions: a scalar.
    """
    return temporal_mean(attns, mask).mean()


@full_precision
def attention_guide_loss(attns: Tensor, cas: Tensor, mask: Tensor) -> Tensor:
    """Mean of abs(1 - A - b): an attention is high where the background's probability b is low.

    Args:
        attns: Attentions A in [0, 1], (B, T, M).
        cas: Logits with the background last, (B, T, C + 1); b is the last channel of their softmax.
        mask: Valid snippets, bool, (B, T).

    Returns:
        Mean over each video's snippets, then over videos and attentions: a scalar.
    """
    background = cas.softmax(dim=-1)[..., -1:]
    return temporal_mean((1 - attns - background).abs(), mask).mean()


def all_attentions(output: LocalizerOutput) -> Tensor:
    """Return the output's attention and, where ``extras`` has them, those of its modalities, (B, T, M)."""
    modalities = output.extras.get('attn_modalities')
    return output.attn if modalities is None else torch.cat([output.attn, modalities], dim=-1)


@MODELS.register_module()
class AttentionMutualLoss(BaseLoss):
    """See :func:`attention_mutual_loss`; between the two attentions of ``extras['attn_modalities']``, (B, T, 2)."""

    def compute(self, output: LocalizerOutput, labels: Tensor) -> Tensor:
        """See :class:`BaseLoss`.

        Raises:
            UserError: If the backbone gave no attentions of two modalities.
        """
        modalities = output.extras.get('attn_modalities')
        if modalities is None or modalities.shape[-1] != 2:
            raise UserError(
                "AttentionMutualLoss needs extras['attn_modalities'] with the attentions of two modalities, which this "
                'backbone does not give; remove the loss from the head'
            )
        first, second = modalities.split(1, dim=-1)
        return attention_mutual_loss(first, second, output.mask)


@MODELS.register_module()
class AttentionNormLoss(BaseLoss):
    """See :func:`attention_norm_loss`; over the output's attention and those of its modalities."""

    def compute(self, output: LocalizerOutput, labels: Tensor) -> Tensor:
        """See :class:`BaseLoss`."""
        return attention_norm_loss(all_attentions(output), output.mask)


@MODELS.register_module()
class AttentionGuideLoss(BaseLoss):
    """See :func:`attention_guide_loss`; over the output's attention and those of its modalities."""

    def compute(self, output: LocalizerOutput, labels: Tensor) -> Tensor:
        """See :class:`BaseLoss`.

        Raises:
            UserError: If the output has no background channel.
        """
        if not output.has_background:
            raise UserError('AttentionGuideLoss needs a background channel, which this model does not give; remove it')
        return attention_guide_loss(all_attentions(output), output.cas, output.mask)
