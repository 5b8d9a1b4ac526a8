"""Attention guided by uncertainty: a snippet weighs by the rank of its uncertainty and the progress of training (DELU).

Paper: Chen, Gao, Yang, Xu, "Dual-Evidential Learning for Weakly-supervised Temporal Action Localization", ECCV 2022.
Source repository: https://github.com/MengyuanChen21/ECCV2022-DELU (MIT licence; written anew from the paper and from
the facts of the published behaviour, no code taken).
"""

from typing import Literal, get_args

import torch
from torch import Tensor

from mmwtal.models.layers import temporal_mean, temporal_ranks
from mmwtal.models.losses.attention import all_attentions
from mmwtal.models.losses.base import BaseLoss, full_precision
from mmwtal.models.losses.evidential import dirichlet
from mmwtal.models.losses.progress import training_progress
from mmwtal.models.losses.suppression import suppress
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput
from mmwtal.utils.errors import UserError

CurveOrder = Literal['published', 'rank']


@torch.no_grad()
def uncertainty_curve(
    cas: Tensor, attn: Tensor, mask: Tensor, *, progress: float, amplitude: float, order: CurveOrder
) -> Tensor:
    """Return the weight of each snippet, (B, T), in (1 - amplitude, 1 + amplitude), without a gradient.

    A snippet's uncertainty is C / s with s = sum_c alpha_c, alpha the Dirichlet parameters (exponential evidence) of
    its suppressed logits S', background included. Of a video's own T_b snippets, the one at place j of the order gets
    1 + amplitude tanh((2 (j + 0.5) / T_b - 1) (1 - 2 progress)): at first the most uncertain ones weigh the most, at
    the end the least. The places are

    - ``rank``: j of snippet i is the rank of its uncertainty, ascending, equal ones by time, which is what is meant;
    - ``published``: j of snippet i is the index of the snippet whose uncertainty has rank i, as the published code has
      it, which gathers the curve by sorting indices instead of ranks (a slip).

    Args:
        cas: Logits S, (B, T, C + 1).
        attn: Attention in [0, 1], (B, T, 1).
        mask: Valid snippets, bool, (B, T).
        progress: How much of the training run is done, in [0, 1].
        amplitude: Of the curve.
        order: See above.
    """
    strength = dirichlet(suppress(cas, attn), evidence='exp').sum(dim=-1)
    place = temporal_ranks((cas.shape[-1] - 1) / strength, mask)
    if order == 'published':
        # The inverse of the ranks: which snippet has each rank. The padding has the last ones and stays there.
        place = place.argsort(dim=1)
    position = 2 * (place.to(strength.dtype) + 0.5) / mask.sum(dim=1, keepdim=True) - 1
    return 1 + amplitude * torch.tanh(position * (1 - 2 * progress))


@full_precision
def uncertainty_guide_loss(
    cas: Tensor,
    attn: Tensor,
    attns: Tensor,
    mask: Tensor,
    *,
    progress: float,
    amplitude: float,
    order: CurveOrder = 'published',
) -> Tensor:
    """Mean of w abs(1 - A - b): an attention is high where the background's probability b is low.

    This is DELU's snippet level. The weight w goes by the snippet's uncertainty and the progress of training; see
    :func:`uncertainty_curve`.

    Args:
        cas: Logits S with the background last, (B, T, C + 1); b is the last channel of their softmax.
        attn: The attention that suppresses, in [0, 1], (B, T, 1).
        attns: Attentions A in [0, 1], (B, T, M).
        mask: Valid snippets, bool, (B, T).
        progress: How much of the training run is done, in [0, 1].
        amplitude: Of the weight, around 1.
        order: Which snippet gets which weight.

    Returns:
        Mean over each video's snippets, then over videos and attentions: a scalar.
    """
    cas, attn, attns = (values.masked_fill(~mask[..., None], 0) for values in (cas, attn, attns))
    weight = uncertainty_curve(cas, attn, mask, progress=progress, amplitude=amplitude, order=order)
    background = cas.softmax(dim=-1)[..., -1:]
    return temporal_mean(weight[..., None] * (1 - attns - background).abs(), mask).mean()


@MODELS.register_module()
class UncertaintyGuideLoss(BaseLoss):
    """See :func:`uncertainty_guide_loss`; over the output's attention and those of its modalities.

    The progress is that of the Runner, see :func:`~mmwtal.models.losses.progress.training_progress`.

    Args:
        amplitude: Of the weight, around 1; the published code takes 0.7 on THUMOS14, 0.2 on ActivityNet.
        order: ``published`` gives the weights to the snippets as the published code does, whose numbers depend on it;
            ``rank`` as it is meant. See :func:`uncertainty_curve`.
        max_iters: Iterations of a training run, for use outside a Runner only, where progress is 0.
        loss_weight: What the term is multiplied by.

    Raises:
        UserError: If the amplitude is negative or there is no such order.
    """

    def __init__(
        self,
        *,
        amplitude: float = 0.7,
        order: CurveOrder = 'published',
        max_iters: int | None = None,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight=loss_weight)
        if not amplitude >= 0:
            raise UserError(f'UncertaintyGuideLoss: amplitude must not be negative, found {amplitude!r}')
        if order not in get_args(CurveOrder):
            raise UserError(f'UncertaintyGuideLoss: order must be one of {list(get_args(CurveOrder))}, found {order!r}')
        self.amplitude = amplitude
        self.order: CurveOrder = order
        self.max_iters = max_iters

    def compute(self, output: LocalizerOutput, labels: Tensor) -> Tensor:
        """See :class:`BaseLoss`.

        Raises:
            UserError: If the output has no background channel, or there is neither a Runner nor ``max_iters``.
        """
        if not output.has_background:
            raise UserError(
                'UncertaintyGuideLoss needs a background channel, which this model does not give; remove it'
            )
        progress = training_progress(max_iters=self.max_iters, user='UncertaintyGuideLoss')
        return uncertainty_guide_loss(
            output.cas,
            output.attn,
            all_attentions(output),
            output.mask,
            progress=progress.fraction,
            amplitude=self.amplitude,
            order=self.order,
        )
