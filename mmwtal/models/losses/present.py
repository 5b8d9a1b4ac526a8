"""Means over what of a batch counts, where several processes have a part of the batch each."""

from mmengine import dist
from torch import Tensor


def shared_count(count: Tensor) -> Tensor:
    """Return what a sum over one process's part is divided by, so that all processes agree with one big batch.

    Args:
        count: How many terms the process's sum has, of any shape; a tensor of its own, without a graph.

    Returns:
        The mean of the counts over the processes, as DDP averages the gradients over them; 1 where all are 0.
    """
    dist.all_reduce(count, op='sum')
    count = count / dist.get_world_size()
    return count.masked_fill(count == 0, 1)


def mean_of_present(values: Tensor, present: Tensor) -> Tensor:
    """Average over the videos that are present; 0, with a graph, where none is.

    The number of videos is that of all processes, see :func:`shared_count`.

    Args:
        values: One value a video, (B,); those of absent videos may be anything, NaN too.
        present: Which videos count, bool, (B,).

    Returns:
        A scalar.
    """
    return values.masked_fill(~present, 0).sum() / shared_count(present.sum().to(values.dtype))
