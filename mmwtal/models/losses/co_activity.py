"""Co-activity: two videos of one class agree where the class is active and differ from each other's background."""

import torch
from mmengine import dist
from torch import Tensor
from torch.nn import functional as F

from mmwtal.models.losses.base import BaseLoss, full_precision
from mmwtal.models.losses.present import shared_count
from mmwtal.models.losses.suppression import suppress
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput
from mmwtal.utils.errors import UserError


@full_precision
def co_activity_hinge(feat: Tensor, cas: Tensor, mask: Tensor, *, margin: float) -> Tensor:
    """Ranking hinge of each pair of videos for each class (W-TALC, ECCV 2018; CO2-Net).

    With H the embedding averaged by the softmax over time of a class's logits, and L the one averaged by what that
    softmax leaves, the two videos' H must be more alike than one's H and the other's L, by ``margin`` in cosine.

    Args:
        feat: Snippet embeddings of P pairs, (P, 2, T, D).
        cas: Their logits, (P, 2, T, C).
        mask: Valid snippets, bool, (P, 2, T).
        margin: Of the hinge.

    Returns:
        (P, C), not negative, for every class, whether or not the two share it.
    """
    valid = mask[..., None]
    feat = feat.masked_fill(~valid, 0)
    weight = cas.masked_fill(~valid, float('-inf')).softmax(dim=2)
    rest = (1 - weight) / (mask.sum(dim=2) - 1).clamp(min=1)[..., None, None]
    high = torch.einsum('pvtd,pvtc->pvdc', feat, weight)
    low = torch.einsum('pvtd,pvtc->pvdc', feat, rest)
    # The cosine's own eps keeps a zero vector (a video of one snippet leaves nothing for L) from giving NaN.
    agree = F.cosine_similarity(high[:, 0], high[:, 1], dim=1)
    first_against_rest = F.cosine_similarity(high[:, 0], low[:, 1], dim=1)
    second_against_rest = F.cosine_similarity(high[:, 1], low[:, 0], dim=1)
    return 0.5 * (F.relu(first_against_rest - agree + margin) + F.relu(second_against_rest - agree + margin))


@MODELS.register_module()
class CoActivityLoss(BaseLoss):
    """See :func:`co_activity_hinge`; on the suppressed sequence, averaged over the classes that each pair shares.

    The pairs are samples 2i and 2i + 1, i < ``num_pairs``, of the global batch: with several processes of equal batch
    size B, process r holds the global samples rB to (r + 1) B - 1. The number of shared classes is summed over the
    processes, so that the mean of their gradients is that of one big batch. Pairs that the batch is too short for are
    left out, and without any shared class the loss is 0 (the published code: NaN).

    Args:
        num_pairs: Pairs at the start of the global batch.
        margin: Of the hinge.
        loss_weight: What the term is multiplied by.
    """

    def __init__(self, *, num_pairs: int = 3, margin: float = 0.5, loss_weight: float = 1.0) -> None:
        super().__init__(loss_weight=loss_weight)
        self.num_pairs = num_pairs
        self.margin = margin

    def compute(self, output: LocalizerOutput, labels: Tensor) -> Tensor:
        """See :class:`BaseLoss`.

        Raises:
            UserError: If the batch of each of several processes is odd, which would tear a pair apart.
        """
        pairs = self._local_pairs(len(labels))

        def paired(values: Tensor) -> Tensor:
            return values[: 2 * pairs].unflatten(0, (pairs, 2))

        cas = suppress(output.cas, output.attn)[..., : output.num_classes]
        hinge = co_activity_hinge(paired(output.feat), paired(cas), paired(output.mask), margin=self.margin)
        shared = paired(labels).prod(dim=1)
        return (hinge * shared).sum() / shared_count(shared.sum().detach())

    def _local_pairs(self, batch_size: int) -> int:
        """Return how many of the global batch's pairs lie in this process's block."""
        if dist.get_world_size() > 1 and batch_size % 2:
            raise UserError(
                f'CoActivityLoss: with several processes the batch size of each must be even, found {batch_size}; '
                'change train_dataloader.batch_size'
            )
        before = dist.get_rank() * batch_size // 2
        return min(max(self.num_pairs - before, 0), batch_size // 2)
