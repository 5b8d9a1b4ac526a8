"""Multiple-instance learning by binary cross-entropy of softmax scores (BaS-Net, UM)."""

from torch import Tensor
from torch.nn import functional as F

from mmwtal.decoders.pooling import check_ratios, topk_mean
from mmwtal.models.losses.base import BaseLoss, full_precision
from mmwtal.models.losses.topk_mil import video_targets
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput
from mmwtal.utils.errors import UserError


@full_precision
def topk_bce_loss(cas: Tensor, targets: Tensor, mask: Tensor, *, topk_ratio: float) -> Tensor:
    """Binary cross-entropy between the softmax of the video's pooled logits and its share of labels.

    Pooled logits are, for each class by itself, the mean of the top k = max(1, floor(T_b / topk_ratio)) of the video's
    own T_b snippets (published: k may be 0, which gives NaN). Targets are divided by their sum; a video without any
    keeps targets of 0, so that no class may stand out (published: NaN).

    Args:
        cas: Logits, (B, T, C').
        targets: Multi-hot targets for the same channels, (B, C').
        mask: Valid snippets, bool, (B, T).
        topk_ratio: Snippets of a video for each snippet that is pooled.

    Returns:
        The mean over videos and channels, a scalar. Logarithms are cut off at -100, so that it is finite.
    """
    targets = targets / targets.sum(dim=1, keepdim=True).clamp(min=1)
    scores = topk_mean(cas, mask, ratio=topk_ratio).softmax(dim=-1)
    return F.binary_cross_entropy(scores, targets.to(scores.dtype))


@MODELS.register_module()
class TopKBCELoss(BaseLoss):
    """See :func:`topk_bce_loss`.

    Args:
        topk_ratio: Snippets of a video for each snippet that is pooled.
        suppressed: Act on the sequence of the suppressed features, ``extras['cas_supp']``, where the background must
            vanish (its target is 0), instead of the plain one, where every untrimmed video has some (its target is 1).
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
        """See :class:`BaseLoss`.

        Raises:
            UserError: If the suppressed sequence is asked for and the model gives none.
        """
        cas = output.extras.get('cas_supp') if self.suppressed else output.cas
        if cas is None:
            raise UserError(
                "TopKBCELoss(suppressed=True) needs extras['cas_supp'], the sequence of suppressed features, which "
                'BaSNetBackbone with LinearHead gives and this model does not; remove the loss from the head'
            )
        targets = video_targets(labels, output, suppressed=self.suppressed)
        return topk_bce_loss(cas, targets, output.mask, topk_ratio=self.topk_ratio)
