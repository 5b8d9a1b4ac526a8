"""From the videos of a batch, each of its own length, to one padded tensor and its mask."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmwtal.registry import MODELS
from mmwtal.utils.errors import UserError


@MODELS.register_module()
class WTALDataPreprocessor(BaseDataPreprocessor):
    """Pads the videos of a batch with zeros to the longest one and moves them to the model's device."""

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return the model's arguments.

        Args:
            data: ``inputs``, a list of B features (T_i, D), or one tensor (B, T, D); ``data_samples``, a list of B
                samples, or None; with a tensor, perhaps ``mask``, bool, (B, T).
            training: Not used: training and testing prepare their batches alike.

        Returns:
            ``inputs`` (B, T, D) float32, ``mask`` (B, T) bool and ``data_samples``, on the model's device.

        Raises:
            UserError: If a video has no snippets, is not (T, D), or differs in width from the batch's first one.
        """
        inputs, samples = data['inputs'], data.get('data_samples')
        if isinstance(inputs, Tensor):
            if inputs.ndim != 3:
                raise UserError(
                    f'a batch given as one tensor must have the shape (B, T, D), found {tuple(inputs.shape)}; '
                    'for a single video of (T, D) give a list of one'
                )
            mask = data.get('mask')
            if mask is None:
                mask = inputs.new_ones(inputs.shape[:2], dtype=torch.bool)
        else:
            _check_videos(inputs, samples)
            lengths = torch.tensor([len(video) for video in inputs])
            mask = torch.arange(int(lengths.max())) < lengths[:, None]
            inputs = pad_sequence(list(inputs), batch_first=True)
        return self.cast_data({'inputs': inputs.float(), 'mask': mask, 'data_samples': samples})


def _check_videos(videos: Sequence[Tensor], samples: Sequence[Any] | None) -> None:
    for index, video in enumerate(videos):
        if video.ndim != 2 or len(video) == 0:
            expected = 'at least one snippet, as (T, D)'
        elif video.shape[1] != videos[0].shape[1]:
            expected = f'{videos[0].shape[1]} channels, as {_name(samples, 0)} of the same batch has'
        else:
            continue
        raise UserError(
            f'{_name(samples, index)}: expected features of {expected}, found the shape {tuple(video.shape)}; '
            'extract its features again like the others'
        )


def _name(samples: Sequence[Any] | None, index: int) -> str:
    video_id = None if samples is None else samples[index].get('video_id')
    return f'video number {index} of the batch' if video_id is None else f'video {video_id!r}'
