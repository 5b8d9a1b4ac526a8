"""One video, as it travels from the dataset through the model to the metric."""

from mmengine.structures import BaseDataElement, InstanceData
from torch import Tensor

from mmwtal.structures.timebase import Timebase


class WTALDataSample(BaseDataElement):
    """One video: what is known of it and what was predicted for it.

    Fields:
        video_id (str): The video's id.
        labels (Tensor): Multi-hot classes that occur in the video, (C,); all zero for a negative video.
        timebase (Timebase): The time grid of the features that the model saw.
        gt_instances (InstanceData): ``segments`` (N, 2) in seconds and ``labels`` (N,). Only samples of
            validation and test have it; training never sees segments.
        pred_instances (InstanceData): ``segments`` (N, 2) in seconds, ``scores`` (N,) and ``labels`` (N,).
    """

    def _set_typed(self, name: str, value: object, dtype: type) -> None:
        self.set_field(value, f'_{name}', dtype=dtype)

    @property
    def video_id(self) -> str:
        return self._video_id

    @video_id.setter
    def video_id(self, value: str) -> None:
        self._set_typed('video_id', value, str)

    @video_id.deleter
    def video_id(self) -> None:
        del self._video_id

    @property
    def labels(self) -> Tensor:
        return self._labels

    @labels.setter
    def labels(self, value: Tensor) -> None:
        self._set_typed('labels', value, Tensor)

    @labels.deleter
    def labels(self) -> None:
        del self._labels

    @property
    def timebase(self) -> Timebase:
        return self._timebase

    @timebase.setter
    def timebase(self, value: Timebase) -> None:
        self._set_typed('timebase', value, Timebase)

    @timebase.deleter
    def timebase(self) -> None:
        del self._timebase

    @property
    def gt_instances(self) -> InstanceData:
        return self._gt_instances

    @gt_instances.setter
    def gt_instances(self, value: InstanceData) -> None:
        self._set_typed('gt_instances', value, InstanceData)

    @gt_instances.deleter
    def gt_instances(self) -> None:
        del self._gt_instances

    @property
    def pred_instances(self) -> InstanceData:
        return self._pred_instances

    @pred_instances.setter
    def pred_instances(self, value: InstanceData) -> None:
        self._set_typed('pred_instances', value, InstanceData)

    @pred_instances.deleter
    def pred_instances(self) -> None:
        del self._pred_instances
