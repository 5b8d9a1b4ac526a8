"""Random numbers that belong to a video and an iteration, whatever else is in the batch and however it is split."""

import functools
import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmwtal.utils.scatter import scatter


@functools.cache
def _name_hash(video_id: str) -> int:
    name = video_id.encode()
    return zlib.crc32(name) << 32 | zlib.adler32(name)


def uniform_draws(video_ids: Sequence[str], count: int, *, seed: int, iteration: int) -> Tensor:
    """Draw numbers from (0, 1), a pure function of the video's id, the seed and the iteration.

    The first ``count`` numbers of a video do not depend on how many are drawn. No generator is touched, and all videos
    are drawn at once.

    Args:
        video_ids: B ids.
        count: Numbers for each video, L.
        seed: Of the run.
        iteration: Number of finished iterations.

    Returns:
        float64, (B, L).
    """
    key = scatter(scatter(np.array([seed], dtype=np.uint64)) ^ np.uint64(iteration))
    videos = scatter(np.array([_name_hash(video_id) for video_id in video_ids], dtype=np.uint64) ^ key)
    bits = scatter(videos[:, None] ^ scatter(np.arange(count, dtype=np.uint64))[None])
    return torch.from_numpy(((bits >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53)
