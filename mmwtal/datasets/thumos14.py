"""THUMOS14: 20 classes of sports, 200 videos for training and 212 for testing."""

from collections.abc import Mapping
from typing import ClassVar

from mmwtal.datasets.wtal_dataset import WTALDataset
from mmwtal.formats.thumos14 import CLASSES
from mmwtal.registry import DATASETS


@DATASETS.register_module()
class Thumos14Dataset(WTALDataset):
    """THUMOS14 with the defaults of the released I3D features: 25 frames a second, 16 frames a snippet.

    Source: Idrees et al., "The THUMOS challenge on action recognition for videos in the wild", CVIU 2017; the class
    order is that of the annotation arrays which weakly-supervised methods release (W-TALC, CO2-Net and successors).

    The arguments are those of :class:`WTALDataset`.
    """

    METAINFO: ClassVar[dict] = {'classes': CLASSES}
    DEFAULT_TIMEBASE: ClassVar[Mapping[str, float]] = {'fps': 25.0, 'stride': 16.0}
    # 30 of the 6,365 released instances start after the video has ended. Published results count them as ground truth.
    KNOWN_OUTSIDE: ClassVar[frozenset[str]] = frozenset(
        {
            'video_test_0000270',
            'video_test_0000814',
            'video_test_0001081',
            'video_validation_0000364',
            'video_validation_0000856',
        }
    )
