"""One video, as it travels from the dataset through the model to the metric."""

from typing import Any

import numpy as np
from mmengine.structures import BaseDataElement, InstanceData
from torch import Tensor

from mmwtal.structures.timebase import Timebase


def _field(name: str, dtype: type, doc: str) -> Any:
    """Return a property that refuses values of other types; mmengine keeps its value under a private name."""
    private = f'_{name}'

    def get(self: BaseDataElement) -> Any:
        return getattr(self, private)

    def assign(self: BaseDataElement, value: Any) -> None:
        self.set_field(value, private, dtype=dtype)

    def delete(self: BaseDataElement) -> None:
        delattr(self, private)

    return property(get, assign, delete, doc)


class WTALDataSample(BaseDataElement):
    """One video: what is known of it and what was predicted for it. ``WTALDataSample(video_id=..., labels=...)``."""

    video_id = _field('video_id', str, "str: the video's id.")
    labels = _field('labels', Tensor, 'Tensor: multi-hot classes of the video, (C,); all zero for a negative video.')
    timebase = _field('timebase', Timebase, 'Timebase: the time grid of the features that the model saw.')
    positions = _field(
        'positions',
        np.ndarray,
        'ndarray: where on ``timebase`` the middle of each snippet that the model saw lies, float64 (T,), for '
        '``timebase.to_seconds``. Only where snippets were drawn; elsewhere it is i + 1/2.',
    )
    video_scores = _field(
        'video_scores', Tensor, 'Tensor: scores of the classes in this video from elsewhere, (C,); only where given.'
    )
    gt_instances = _field(
        'gt_instances',
        InstanceData,
        'InstanceData: ``segments`` (N, 2) in seconds and ``labels`` (N,). Only samples of validation and test have '
        'it; training never sees segments.',
    )
    pred_instances = _field(
        'pred_instances',
        InstanceData,
        'InstanceData: ``segments`` (N, 2) in seconds, ``scores`` (N,) and ``labels`` (N,).',
    )
