"""What inference gives for a video."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from mmwtal.apis.inference_inputs import InferenceInput
from mmwtal.formats.action_texts import Action
from mmwtal.formats.feature_files import FeatureFileError
from mmwtal.structures import LocalizerOutput, WTALDataSample
from mmwtal.utils.errors import UserError
from mmwtal.video.container import VideoError

#: What may be wrong with one video and is not with the next.
FAILURES = (UserError, VideoError, FeatureFileError, OSError, MemoryError, torch.OutOfMemoryError)


@dataclass(frozen=True, kw_only=True, eq=False)
class Localized:
    """What was found in a video.

    Args:
        source: The video.
        sample: Its sample with ``pred_instances``: ``segments`` (N, 2) in seconds, ``scores`` (N,), ``labels`` (N,).
        actions: The same by names, N.
        duration: Seconds.
        times: Where the middles of the snippets are, seconds, float64 (T,).
        attention: Class-agnostic attention in [0, 1], float32 (T,).
        cas: Class activation sequence, logits, without the background, float32 (T, C).
        classes: Names of the classes, C.
    """

    source: InferenceInput
    sample: WTALDataSample
    actions: list[Action]
    duration: float
    times: np.ndarray
    attention: np.ndarray
    cas: np.ndarray
    classes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A video in which nothing could be looked for.

    Args:
        source: The video.
        reason: Why not, in a line.
    """

    source: InferenceInput
    reason: str

    @classmethod
    def because(cls, error: Exception, source: InferenceInput) -> Self:
        """Return the failure of a video that an error stands for."""
        return cls(source=source, reason=' '.join(str(error).split()) or type(error).__name__)


def localized(
    source: InferenceInput, sample: WTALDataSample, output: LocalizerOutput, row: int, *, classes: tuple[str, ...]
) -> Localized:
    """Return what was found in one video of a batch.

    Args:
        source: The video.
        sample: Its sample with ``pred_instances``.
        output: The model's output for the batch.
        row: Which of the batch it is.
        classes: Names of the classes, C.

    Raises:
        UserError: If a score is not finite.
    """
    found = sample.pred_instances
    if not found.scores.isfinite().all():
        raise UserError('the model gives scores that are not finite: is its checkpoint sound?')
    length = int(output.lengths[row])
    middles = sample.positions if 'positions' in sample else np.arange(length) + 0.5
    rows = zip(found.segments.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
    return Localized(
        source=source,
        sample=sample,
        actions=[
            Action(label=classes[label], start=start, end=end, score=score) for (start, end), score, label in rows
        ],
        duration=sample.timebase.duration or float(sample.timebase.to_seconds(length)),
        times=sample.timebase.to_seconds(middles),
        attention=output.attn[row, :length, 0].float().cpu().numpy(),
        cas=output.cas[row, :length, : output.num_classes].float().cpu().numpy(),
        classes=classes,
    )
