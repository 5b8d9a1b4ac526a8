"""Evidential learning from video labels: how sure a video's prediction is weighs how much it learns (DELU).

Paper: Chen, Gao, Yang, Xu, "Dual-Evidential Learning for Weakly-supervised Temporal Action Localization", ECCV 2022.
Source repository: https://github.com/MengyuanChen21/ECCV2022-DELU (MIT licence; written anew from the paper and from
the facts of the published behaviour, no code taken).
"""

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from mmwtal.decoders.pooling import check_ratios, topk_counts
from mmwtal.models.layers import temporal_ranks
from mmwtal.models.losses.base import BaseLoss, full_precision
from mmwtal.models.losses.suppression import suppress
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput
from mmwtal.utils.errors import UserError

Evidence = Literal['exp', 'relu']
EvidentialForm = Literal['log', 'mse']

# Logits are cut off here before the exponential, as published.
EXPONENT_LIMIT = 10.0


def dirichlet(logits: Tensor, *, evidence: Evidence) -> Tensor:
    """Return the Dirichlet parameters alpha = e + 1 with e = exp(clip(v, -10, 10)) or e = relu(v), v the logits."""
    if evidence == 'exp':
        return logits.clamp(-EXPONENT_LIMIT, EXPONENT_LIMIT).exp() + 1
    return F.relu(logits) + 1


def attended_mean(values: Tensor, attn: Tensor, mask: Tensor, *, ratio: float) -> Tensor:
    """Average over the k = max(1, floor(T_b / ratio)) snippets of each video's own T_b with the highest attention.

    Of equal attentions the earlier snippet goes first, so that padding makes no difference.

    Args:
        values: (B, T, C).
        attn: (B, T, 1).
        mask: Valid snippets, bool, (B, T); at least one a video.
        ratio: Snippets of a video for each snippet that is averaged.

    Returns:
        (B, C).
    """
    k = topk_counts(mask, ratio=ratio)[:, None]
    selected = temporal_ranks(-attn[..., 0], mask) < k
    return values.masked_fill(~selected[..., None], 0).sum(dim=1) / k


@full_precision
def evidential_loss(
    cas: Tensor,
    attn: Tensor,
    labels: Tensor,
    mask: Tensor,
    *,
    attn_ratio: float,
    evidence: Evidence = 'exp',
    form: EvidentialForm = 'log',
) -> Tensor:
    """Evidential loss of each video's prediction (DELU's video level; as its published code has it).

    With v the mean of the suppressed logits S' over the snippets of highest attention (see :func:`attended_mean`),
    alpha the Dirichlet parameters of v (see :func:`dirichlet`), s = sum_c alpha_c and y the labels:

    - ``log``: sum_c g_c (log s - log alpha_c), where g = (1 - u) |y| (y / alpha) / sum_c(y_c / alpha_c) shares the
      video's weight among its |y| classes, more to those of little evidence. A video of high uncertainty u = C / s,
      which much background may cause, learns less; no gradient goes through u, but it does through the shares.
    - ``mse``: sum_c (y_c - alpha_c / s)^2.

    Args:
        cas: Logits S, (B, T, C + 1) with the background last, or (B, T, C): the background has no evidence.
        attn: Attention in [0, 1], (B, T, 1).
        labels: Multi-hot labels y, (B, C).
        mask: Valid snippets, bool, (B, T).
        attn_ratio: Snippets of a video for each snippet that v averages.
        evidence: How evidence is made of v.
        form: Of the loss.

    Returns:
        The mean over the videos, a scalar; a video without any class adds 0 to ``log``.
    """
    cas, attn = (values.masked_fill(~mask[..., None], 0) for values in (cas, attn))
    num_classes = labels.shape[1]
    logits = attended_mean(suppress(cas, attn)[..., :num_classes], attn, mask, ratio=attn_ratio)
    alpha = dirichlet(logits, evidence=evidence)
    strength = alpha.sum(dim=1, keepdim=True)
    if form == 'mse':
        return (labels - alpha / strength).square().sum(dim=1).mean()
    certainty = 1 - num_classes / strength.detach()
    share = labels / alpha
    total = share.sum(dim=1, keepdim=True)
    share = share / torch.where(total > 0, total, 1)
    weight = certainty * labels.sum(dim=1, keepdim=True) * share
    return (weight * (strength.log() - alpha.log())).sum(dim=1).mean()


@MODELS.register_module()
class EvidentialLoss(BaseLoss):
    """See :func:`evidential_loss`. The published code takes ``exp`` and ``log`` on THUMOS14, ``relu`` and ``mse`` on
    ActivityNet.

    Args:
        attn_ratio: Snippets of a video for each snippet of highest attention that the video's logits average.
        evidence: How evidence is made of the video's logits: ``exp`` or ``relu``.
        form: Of the loss: ``log`` or ``mse``.
        loss_weight: What the term is multiplied by.

    Raises:
        UserError: If ``attn_ratio`` is below 1, or there is no such evidence or form.
    """

    def __init__(
        self,
        *,
        attn_ratio: float = 9,
        evidence: Evidence = 'exp',
        form: EvidentialForm = 'log',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight=loss_weight)
        check_ratios(self, attn_ratio=attn_ratio)
        for name, value, known in (('evidence', evidence, Evidence), ('form', form, EvidentialForm)):
            if value not in get_args(known):
                raise UserError(f'EvidentialLoss: {name} must be one of {list(get_args(known))}, found {value!r}')
        self.attn_ratio = attn_ratio
        self.evidence: Evidence = evidence
        self.form: EvidentialForm = form

    def compute(self, output: LocalizerOutput, labels: Tensor) -> Tensor:
        """See :class:`BaseLoss`."""
        return evidential_loss(
            output.cas,
            output.attn,
            labels,
            output.mask,
            attn_ratio=self.attn_ratio,
            evidence=self.evidence,
            form=self.form,
        )
