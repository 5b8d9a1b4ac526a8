"""From a record to the sample that the model gets."""

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import InstanceData

from mmwtal.registry import TRANSFORMS
from mmwtal.structures import WTALDataSample
from mmwtal.utils.errors import UserError


@TRANSFORMS.register_module()
class PackWTALInputs(BaseTransform):
    """Turn a record into ``inputs``, float32 (T, D), and ``data_samples``, a :class:`WTALDataSample`.

    The data sample has ``video_id``, ``labels`` (multi-hot float32 (C,)), ``timebase`` and, where snippets were
    drawn, ``positions`` (float64 (T,)). If the record has segments, it has ``gt_instances`` with ``segments`` (float64
    (N, 2), seconds) and ``labels`` (int64 (N,)); if the record has scores of the video from elsewhere, ``video_scores``
    (float64 (C,)); if it has ``streams``, each under its name (float32 (T, W)).
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack a record.

        Raises:
            UserError: If the features hold NaN or Inf.
        """
        feature = _packed(results['feature'], results['video_id'], results['feature_path'])
        labels = torch.zeros(results['num_classes'])
        labels[torch.from_numpy(results['label_ids'])] = 1
        sample = WTALDataSample(video_id=results['video_id'], labels=labels, timebase=results['timebase'])
        if 'positions' in results:
            sample.positions = results['positions']
        if 'segments' in results:
            sample.gt_instances = InstanceData(
                segments=torch.from_numpy(results['segments']), labels=torch.from_numpy(results['segment_label_ids'])
            )
        if 'video_scores' in results:
            sample.video_scores = torch.from_numpy(results['video_scores'])
        for name, values in results.get('streams', {}).items():
            setattr(sample, name, _packed(values, results['video_id'], results['stream_paths'][name]))
        return {'inputs': feature, 'data_samples': sample}


def _packed(values: np.ndarray, video_id: str, path: str) -> torch.Tensor:
    # A memory map is read here; what is already an array of its own is not copied again.
    feature = np.require(values, np.float32, ['C', 'W', 'E'])
    _check_values(feature, video_id, path)
    return torch.from_numpy(feature)


def _check_values(feature: np.ndarray, video_id: str, path: str) -> None:
    # A sum over finite values is almost always finite and one over a NaN or Inf never is: this looks at each value
    # in a quarter of the time that a test of all values takes, which is left to the rare case.
    with np.errstate(over='ignore', invalid='ignore'):
        finite = np.isfinite(feature.sum())
    if not finite and not np.isfinite(feature).all():
        raise UserError(f'video {video_id}: features {path} hold NaN or Inf; extract them again')
