"""Uncertainty modelling: actions have large features, background small ones that favour no class (UM)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mmwtal.decoders.pooling import check_ratios, topk_counts
from mmwtal.models.losses.base import BaseLoss, full_precision
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput
from mmwtal.utils.errors import UserError


def select_top(ranking: Tensor, mask: Tensor, *, ratio: float) -> Tensor:
    """Return the weights that average the k = max(1, floor(T_b / ratio)) of a video's own snippets that rank highest.

    Args:
        ranking: (B, T); of equal values the earlier snippet ranks higher.
        mask: Valid snippets, bool, (B, T).
        ratio: Snippets of a video for each one that is selected.

    Returns:
        1 / k for the selected ones, 0 for the others, (B, T).
    """
    k = topk_counts(mask, ratio=ratio)[:, None]
    order = ranking.detach().masked_fill(~mask, float('-inf')).argsort(dim=1, descending=True, stable=True)
    weights = (torch.arange(ranking.shape[1], device=k.device) < k) / k
    return torch.zeros_like(ranking).scatter(1, order, weights.to(ranking.dtype))


def select_action(magnitude: Tensor, keep: Tensor, mask: Tensor, *, ratio: float) -> Tensor:
    """Select the snippets of largest magnitude, those that may not be picked last; see :func:`select_top`.

    Args:
        magnitude: (B, T).
        keep: Snippets that may be picked, bool, (B, T).
        mask: Valid snippets, bool, (B, T).
        ratio: Snippets of a video for each one that is selected.
    """
    return select_top(magnitude * keep, mask, ratio=ratio)


def select_background(magnitude: Tensor, keep: Tensor, mask: Tensor, *, ratio: float) -> Tensor:
    """Select the snippets of smallest magnitude; arguments and result as in :func:`select_action`."""
    largest = magnitude.masked_fill(~mask, 0).amax(dim=1, keepdim=True)
    return select_top((largest - magnitude) * keep, mask, ratio=ratio)


@full_precision
def magnitude_loss(feat: Tensor, action: Tensor, background: Tensor, mask: Tensor, *, margin: float) -> Tensor:
    """Mean over the videos of (max(0, margin - |mean action feature|) + |mean background feature|) ** 2.

    Args:
        feat: Snippet embeddings, (B, T, D).
        action: Weights of the action snippets, (B, T), see :func:`select_action`.
        background: Likewise of the background.
        mask: Valid snippets, bool, (B, T).
        margin: Magnitude that actions must reach.

    Returns:
        A scalar.
    """
    feat = feat.masked_fill(~mask[..., None], 0)
    weights = torch.stack([action, background], dim=1).to(feat.dtype)
    action_norm, background_norm = torch.linalg.vector_norm(weights @ feat, dim=-1).unbind(dim=1)
    return ((F.relu(margin - action_norm) + background_norm) ** 2).mean()


@full_precision
def background_entropy_loss(cas: Tensor, background: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy between the softmax of the background's mean logits and the uniform distribution.

    Args:
        cas: Logits of the classes alone, (B, T, C).
        background: Weights of the background snippets, (B, T), see :func:`select_background`.
        mask: Valid snippets, bool, (B, T).

    Returns:
        The mean over videos and classes, a scalar.
    """
    cas = cas.masked_fill(~mask[..., None], 0)
    scores = torch.einsum('bt,btc->bc', background.to(cas.dtype), cas).softmax(dim=-1)
    return F.binary_cross_entropy(scores, torch.full_like(scores, 1 / scores.shape[1]))


def _magnitudes(output: LocalizerOutput, loss: str) -> tuple[Tensor, Tensor]:
    """Return the magnitudes and which snippets may be picked, (B, T) each."""
    magnitude, keep = output.extras.get('magnitude'), output.extras.get('magnitude_keep')
    if magnitude is None or keep is None:
        raise UserError(
            f"{loss} needs extras['magnitude'] and extras['magnitude_keep'], which UMBackbone gives and this model "
            'does not; remove the loss from the head'
        )
    return magnitude[..., 0].detach(), keep[..., 0]


@MODELS.register_module()
class MagnitudeLoss(BaseLoss):
    """See :func:`magnitude_loss`.

    Args:
        margin: Magnitude that actions must reach; 100 as published belongs to a feature of 2,048 channels.
        action_ratio: Snippets of a video for each one taken as action.
        background_ratio: Snippets of a video for each one taken as background.
        loss_weight: What the term is multiplied by.

    Raises:
        UserError: If a ratio is below 1.
    """

    def __init__(
        self,
        *,
        margin: float = 100.0,
        action_ratio: float = 9,
        background_ratio: float = 4,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(loss_weight=loss_weight)
        check_ratios(self, action_ratio=action_ratio, background_ratio=background_ratio)
        self.margin = margin
        self.action_ratio = action_ratio
        self.background_ratio = background_ratio

    def compute(self, output: LocalizerOutput, labels: Tensor) -> Tensor:
        """See :class:`BaseLoss`.

        Raises:
            UserError: If the backbone gives no magnitudes.
        """
        magnitude, keep = _magnitudes(output, 'MagnitudeLoss')
        action = select_action(magnitude, keep, output.mask, ratio=self.action_ratio)
        background = select_background(magnitude, keep, output.mask, ratio=self.background_ratio)
        return magnitude_loss(output.feat, action, background, output.mask, margin=self.margin)


@MODELS.register_module()
class BackgroundEntropyLoss(BaseLoss):
    """See :func:`background_entropy_loss`; a background channel, where the model has one, takes no part.

    Args:
        background_ratio: Snippets of a video for each one taken as background.
        loss_weight: What the term is multiplied by.

    Raises:
        UserError: If a ratio is below 1.
    """

    def __init__(self, *, background_ratio: float = 4, loss_weight: float = 1.0) -> None:
        super().__init__(loss_weight=loss_weight)
        check_ratios(self, background_ratio=background_ratio)
        self.background_ratio = background_ratio

    def compute(self, output: LocalizerOutput, labels: Tensor) -> Tensor:
        """See :class:`BaseLoss`.

        Raises:
            UserError: If the backbone gives no magnitudes.
        """
        magnitude, keep = _magnitudes(output, 'BackgroundEntropyLoss')
        background = select_background(magnitude, keep, output.mask, ratio=self.background_ratio)
        return background_entropy_loss(output.cas[..., : output.num_classes], background, output.mask)
