"""What every decoder takes and gives."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from mmengine.structures import InstanceData

from mmwtal.structures import LocalizerOutput, Timebase


class Proposals(NamedTuple):
    """Proposals of one video on the grid of its snippets.

    Fields: ``segments``, boundaries (a segment of the snippets s to e - 1 has s and e), (N, 2); ``scores``, (N,);
    ``labels``, class indices, (N,).
    """

    segments: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


class BaseDecoder(ABC):
    """From a localizer's output to segments in seconds. It knows nothing of the model, and needs no labels."""

    @abstractmethod
    def propose(self, output: LocalizerOutput, timebases: Sequence[Timebase]) -> list[Proposals]:
        """Return the proposals of each video, in the order in which they shall be listed.

        Where ``output.video_scores`` is set, by a test that brings scores from elsewhere, they take the place of the
        score of the video that the method would make of the output.

        Args:
            output: The localizer's output as the model made it: its tensors may be on a GPU, and in bfloat16, which
                numpy does not know.
            timebases: The time grid of each video, for what the method does in seconds.
        """

    def decode(self, output: LocalizerOutput, timebase: Timebase | Sequence[Timebase]) -> list[InstanceData]:
        """Decode a padded batch.

        Args:
            output: The localizer's output, on any device.
            timebase: The time grid of all videos, or one for each.

        Returns:
            For each video ``segments`` (N, 2) float64 in seconds, ``scores`` (N,) float64 and ``labels`` (N,) int64, on
            the CPU. Proposals that lie wholly beyond the video's end (padding by the feature extractor) are dropped.

        Raises:
            ValueError: If the number of timebases is not that of the videos.
        """
        videos = len(output.mask)
        timebases = [timebase] * videos if isinstance(timebase, Timebase) else list(timebase)
        if len(timebases) != videos:
            raise ValueError(f'decode: expected one timebase for each of {videos} videos, found {len(timebases)}')
        return [
            _in_seconds(found, grid) for found, grid in zip(self.propose(output, timebases), timebases, strict=True)
        ]


def _in_seconds(proposals: Proposals, timebase: Timebase) -> InstanceData:
    segments = timebase.to_seconds(proposals.segments).reshape(-1, 2)
    kept = segments[:, 1] > segments[:, 0]
    return InstanceData(
        segments=torch.from_numpy(segments[kept]),
        scores=torch.from_numpy(proposals.scores[kept].astype(np.float64)),
        labels=torch.from_numpy(proposals.labels[kept].astype(np.int64)),
    )
