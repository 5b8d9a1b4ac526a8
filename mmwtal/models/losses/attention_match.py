"""One attention learns from another that is held fixed."""

from typing import Literal

from torch import Tensor

from mmwtal.models.layers import temporal_mean, temporal_ranks
from mmwtal.models.losses.base import full_precision
from mmwtal.models.losses.present import mean_of_present

Match = Literal['level', 'shape', 'rank']


@full_precision
def attention_match_loss(
    taught: Tensor, teacher: Tensor, mask: Tensor, present: Tensor, *, match: Match = 'level', confident: bool = False
) -> Tensor:
    """Mean squared difference between an attention and its teacher, which gets no gradient.

    Args:
        taught: Attention in [0, 1], (B, T).
        teacher: Attention in [0, 1], (B, T).
        mask: Valid snippets, bool, (B, T).
        present: Which videos have a teacher, bool, (B,).
        match: What of the teacher counts. 'level': its values [the paper's MSE]. 'shape': its values moved and scaled
            to the mean and the standard deviation over time that the taught attention has. 'rank': its order alone,
            the target being the taught attention's own values in that order. The two leave level and spread of the
            taught attention as they are [ours].
        confident: Weigh each snippet by abs(2 teacher - 1), so that an undecided teacher teaches nothing [ours].

    Returns:
        Mean over each video's snippets, then over the present videos: a scalar; 0, with a graph, where none is.
    """
    taught = taught.masked_fill(~mask, 0)
    teacher = teacher.detach().masked_fill(~mask, 0)
    squared = (taught - matched_target(taught.detach(), teacher, mask, match=match)) ** 2
    if confident:
        squared = squared * (2 * teacher - 1).abs()
    return mean_of_present(temporal_mean(squared[..., None], mask)[:, 0], present)


def matched_target(taught: Tensor, teacher: Tensor, mask: Tensor, *, match: Match) -> Tensor:
    """Return what an attention is drawn to, (B, T); see :func:`attention_match_loss`.

    Args:
        taught: (B, T), without a graph.
        teacher: (B, T), without a graph.
        mask: Valid snippets, bool, (B, T).
        match: What of the teacher counts.
    """
    if match == 'level':
        return teacher
    if match == 'rank':
        ascending = taught.masked_fill(~mask, float('inf')).sort(dim=1).values
        return ascending.gather(1, temporal_ranks(teacher, mask)).masked_fill(~mask, 0)
    own_mean, own_spread = _mean_and_spread(taught, mask)
    mean, spread = _mean_and_spread(teacher, mask)
    # A constant teacher has no shape: every snippet is drawn to the mean.
    return ((teacher - mean) * (own_spread / spread.clamp(min=1e-6)) + own_mean).clamp(0, 1)


def _mean_and_spread(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    mean = temporal_mean(values[..., None], mask)[:, 0, None]
    variance = temporal_mean(((values - mean) ** 2)[..., None], mask)[:, 0, None]
    return mean, variance.sqrt()
