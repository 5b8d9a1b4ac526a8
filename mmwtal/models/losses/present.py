"""Means over those videos of a batch that have something to be compared."""

from mmengine import dist
from torch import Tensor


def mean_of_present(values: Tensor, present: Tensor) -> Tensor:
    """Average over the videos that are present; 0, with a graph, where none is.

    The number of videos is summed over the processes, so that the mean of their gradients is that of one big batch.

    Args:
        values: One value a video, (B,); those of absent videos may be anything, NaN too.
        present: Which videos count, bool, (B,).

    Returns:
        A scalar.
    """
    count = present.sum().to(values.dtype)
    dist.all_reduce(count, op='sum')
    # DDP averages gradients over the processes, hence the count is averaged, too.
    count = count / dist.get_world_size()
    return values.masked_fill(~present, 0).sum() / count.masked_fill(count == 0, 1)
