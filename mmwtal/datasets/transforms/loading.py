"""Reading snippet features."""

from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmwtal.formats.feature_files import FeatureFileError, map_features
from mmwtal.registry import TRANSFORMS
from mmwtal.utils.errors import UserError


@TRANSFORMS.register_module()
class LoadSnippetFeatures(BaseTransform):
    """Map the feature file of a video into memory; only what a later transform takes is read.

    Reads ``feature_path``, ``num_snippets`` and ``feature_width``; adds ``feature``, (T, D) float16 or float32.
    Replaces each of ``streams``, path and width, by its features in the same way.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the features to a record.

        Raises:
            UserError: If the file cannot be read, or is not the one that was checked when the dataset was loaded.
        """
        video_id, num_snippets = results['video_id'], results['num_snippets']
        results['feature'] = _mapped(video_id, results['feature_path'], (num_snippets, results['feature_width']))
        if 'streams' in results:
            results['stream_paths'] = {name: path for name, (path, _) in results['streams'].items()}
            results['streams'] = {
                name: _mapped(video_id, path, (num_snippets, width))
                for name, (path, width) in results['streams'].items()
            }
        return results


def _mapped(video_id: str, path: str, expected: tuple[int, int]) -> np.ndarray:
    try:
        feature = map_features(Path(path))
    except FeatureFileError as error:
        raise UserError(f'video {video_id}: features {error}') from None
    if feature.shape != expected:
        raise UserError(
            f'video {video_id}: features {path} have the shape {feature.shape}, but had {expected} when the dataset '
            'was loaded; start again after extraction has ended'
        )
    return feature
