"""Background suppression: the class activation sequence scaled down where the attention is low."""

from torch import Tensor

from mmwtal.models.losses.base import full_precision


@full_precision
def suppress(cas: Tensor, attn: Tensor) -> Tensor:
    """Move each snippet's logits towards their minimum where the attention is low: S' = A (S - min_c S) + min_c S.

    Scaling the distance to the minimum, not the logits, keeps negative logits from growing (CO2-Net, ACM MM 2021).

    Args:
        cas: Logits S, (B, T, C') with or without the background.
        attn: Attention A in [0, 1], (B, T, 1).

    Returns:
        S', (B, T, C').
    """
    lowest = cas.amin(dim=-1, keepdim=True)
    return attn * (cas - lowest) + lowest
