"""ActivityNet 1.2 (100 classes) and 1.3 (200 classes): everyday activities, a few long instances a video.

Source: Caba Heilbron, Escorcia, Ghanem, Niebles, "ActivityNet: A Large-Scale Video Benchmark for Human Activity
Understanding", CVPR 2015. Everybody trains on the subset ``training`` and reports results on ``validation``, since the
instances of the test videos were never released.
"""

from collections.abc import Mapping
from typing import ClassVar

from mmwtal.datasets.activitynet_classes import CLASSES_12, CLASSES_13
from mmwtal.datasets.wtal_dataset import WTALDataset
from mmwtal.registry import DATASETS


class ActivityNetDataset(WTALDataset):
    """What the two versions share: the time grid of the I3D features that W-TALC released for version 1.2.

    The published evaluation of W-TALC and its successors converts times with 25 frames a second and 16 frames a
    snippet, so this is the grid that their results rest on. How the features were extracted is not documented, and
    features from elsewhere differ: a ``features.json`` beside them takes precedence.

    The arguments are those of :class:`WTALDataset`.
    """

    DEFAULT_TIMEBASE: ClassVar[Mapping[str, float]] = {'fps': 25.0, 'stride': 16.0}


@DATASETS.register_module()
class ActivityNet12Dataset(ActivityNetDataset):
    """ActivityNet 1.2: 4,819 training and 2,383 validation videos of 100 classes; see :class:`ActivityNetDataset`."""

    METAINFO: ClassVar[dict] = {'classes': CLASSES_12}


@DATASETS.register_module()
class ActivityNet13Dataset(ActivityNetDataset):
    """ActivityNet 1.3: 10,024 training, 4,926 validation, 5,044 test videos of 200 classes.

    See :class:`ActivityNetDataset`; the same time grid is assumed where the features come without one.
    """

    METAINFO: ClassVar[dict] = {'classes': CLASSES_13}
