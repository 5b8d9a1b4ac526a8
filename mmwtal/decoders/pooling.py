"""Pooling over time to the level of the video: what training and decoding have in common."""

import numpy as np
import torch
from torch import Tensor

from mmwtal.utils.errors import UserError


def check_ratios(user: object, **ratios: float) -> None:
    """Refuse a ratio below 1, which would ask for more snippets than a video has.

    Args:
        user: Whose options they are, to name its class.
        ratios: The options by name.

    Raises:
        UserError: If one of them is below 1 or NaN.
    """
    for name, value in ratios.items():
        if not value >= 1:
            raise UserError(f'{type(user).__name__}: expected {name} of at least 1, found {value}')


def topk_counts(mask: Tensor, *, ratio: float) -> Tensor:
    """Return k = max(1, floor(T_b / ratio)) of each video's own T_b snippets, int64, (B,).

    Args:
        mask: Valid snippets, bool, (B, T).
        ratio: Snippets of a video for each of the k.
    """
    lengths = mask.sum(dim=1)
    return torch.div(lengths.double(), ratio, rounding_mode='floor').long().clamp(min=1)


def topk_mean(values: Tensor, mask: Tensor, *, ratio: float) -> Tensor:
    """Average, for each channel by itself, the highest k of each video's own snippets (see :func:`topk_counts`).

    Args:
        values: (B, T, C).
        mask: Valid snippets, bool, (B, T); at least one a video.
        ratio: Snippets of a video for each snippet that is averaged.

    Returns:
        (B, C).
    """
    k = topk_counts(mask, ratio=ratio)
    top = values.masked_fill(~mask[..., None], float('-inf')).topk(int(k.max()), dim=1).values
    beyond = torch.arange(top.shape[1], device=top.device) >= k[:, None]
    return top.masked_fill(beyond[..., None], 0).sum(dim=1) / k[:, None]


def video_scores(activation: Tensor, mask: Tensor, *, ratio: float, has_background: bool) -> Tensor:
    """Return how likely each class occurs in each video: the softmax of the top-k mean, background dropped.

    Args:
        activation: Logits, (B, T, C + 1) with the background last, or (B, T, C).
        mask: Valid snippets, bool, (B, T).
        ratio: See :func:`topk_mean`.
        has_background: Whether the last channel is the background.

    Returns:
        (B, C), in [0, 1].
    """
    scores = topk_mean(activation, mask, ratio=ratio).softmax(dim=-1)
    return scores[:, :-1] if has_background else scores


def likely_classes(scores: np.ndarray, *, threshold: float) -> np.ndarray:
    """Return the classes of a video whose score (C,) reaches a threshold, or else the best one, int64."""
    labels = np.flatnonzero(scores >= threshold)
    return labels if labels.size else np.array([scores.argmax()])
