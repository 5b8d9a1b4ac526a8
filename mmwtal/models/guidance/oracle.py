"""What a base model would reach if its attention were taught by the truth: an instrument, not a method [ours]."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmwtal.formats.annotations import read_annotations
from mmwtal.models.losses.attention_match import attention_match_loss
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput, WTALDataSample
from mmwtal.utils.errors import UserError


@MODELS.register_module()
class GroundTruthOracle(nn.Module):
    """L = w MSE(base.attn, 1 inside the actions of the training video, 0 outside).

    THIS IS NO WEAKLY-SUPERVISED TRAINING: it reads the segments of the training videos, by itself, from the annotation
    file; datasets never give them. It measures a ceiling, how much a perfect attention could add to a base model, with
    which the lift of a guidance is compared. What it trains must not be reported as a result.

    Args:
        data_root: The data root.
        ann_file: The annotation file, relative to it.
        loss_weight: w; 3, as :class:`BaseTeaching` has it.

    Raises:
        UserError: If the annotation file cannot be read or states no segment of a training video.
    """

    def __init__(
        self,
        *,
        data_root: str | Path,
        ann_file: str | Path = 'annotations.json',
        loss_weight: float = 3.0,
    ) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        path = Path(data_root).expanduser() / ann_file
        videos = read_annotations(path).videos.values()
        self._segments = {
            video.video_id: video.segments
            for video in videos
            if video.subset == 'training' and video.segments is not None
        }
        if not any(len(segments) for segments in self._segments.values()):
            raise UserError(f'{path} states no segment of a training video, which GroundTruthOracle needs')
        print_log(
            f'GroundTruthOracle: the attention is taught by the SEGMENTS of {len(self._segments)} training videos. '
            'This measures a ceiling and is no weakly-supervised training: do not report it as a result',
            logger='current',
            level=logging.WARNING,
        )

    def forward(
        self, inputs: Tensor, output: LocalizerOutput, data_samples: Sequence[WTALDataSample]
    ) -> dict[str, Tensor]:
        """Return the weighted loss term.

        Args:
            inputs: Snippet features, (B, T, D); not looked at.
            output: The base's output for them.
            data_samples: ``video_id`` and ``timebase`` of B videos, ``positions`` where snippets were drawn.
        """
        target = output.attn.new_zeros(output.mask.shape)
        for row, (sample, mask) in enumerate(zip(data_samples, output.mask, strict=True)):
            length = int(mask.sum())
            target[row, :length] = torch.from_numpy(self._inside(sample, length)).to(target)
        known = [sample.video_id in self._segments for sample in data_samples]
        present = torch.tensor(known, device=target.device)
        loss = attention_match_loss(output.attn[..., 0], target, output.mask, present)
        return {'loss_oracle': self.loss_weight * loss}

    def _inside(self, sample: WTALDataSample, length: int) -> np.ndarray:
        """Return whether the middle of each snippet lies in a segment, bool, (length,)."""
        positions = sample.get('positions', np.arange(length) + 0.5)
        if len(positions) != length:
            raise UserError(
                f'video {sample.video_id}: the model saw {length} snippets, its sample states the positions of '
                f'{len(positions)}; let no transform after SampleSnippets change the number of snippets'
            )
        seconds = sample.timebase.to_seconds(positions)[:, None]
        segments = self._segments.get(sample.video_id, np.zeros((0, 2)))
        return ((seconds >= segments[:, 0]) & (seconds < segments[:, 1])).any(axis=1)
