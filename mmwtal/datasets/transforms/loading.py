"""Reading snippet features."""

from pathlib import Path
from typing import Any

from mmcv.transforms import BaseTransform

from mmwtal.formats.feature_files import FeatureFileError, map_features
from mmwtal.registry import TRANSFORMS
from mmwtal.utils.errors import UserError


@TRANSFORMS.register_module()
class LoadSnippetFeatures(BaseTransform):
    """Map the feature file of a video into memory; only what a later transform takes is read.

    Reads ``feature_path``, ``num_snippets`` and ``feature_width``; adds ``feature``, (T, D) float16 or float32.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the features to a record.

        Raises:
            UserError: If the file cannot be read, or is not the one that was checked when the dataset was loaded.
        """
        path, expected = results['feature_path'], (results['num_snippets'], results['feature_width'])
        try:
            feature = map_features(Path(path))
        except FeatureFileError as error:
            raise UserError(f'video {results["video_id"]}: features {error}') from None
        if feature.shape != expected:
            raise UserError(
                f'video {results["video_id"]}: features {path} have the shape {feature.shape}, but had {expected} when '
                'the dataset was loaded; start again after extraction has ended'
            )
        results['feature'] = feature
        return results
