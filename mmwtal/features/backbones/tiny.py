"""A small network of random weights, to try extraction on a CPU."""

import torch
from torch import Tensor, nn

from mmwtal.features.backbones.base import RANDOM, BaseFeatureBackbone
from mmwtal.features.backbones.preprocessing import Preprocessing
from mmwtal.registry import FEATURE_BACKBONES


@FEATURE_BACKBONES.register_module()
class TinyRandom(BaseFeatureBackbone):
    """Two convolutions over time and space of random weights, and means over a coarse grid of the picture.

    Its features tell colours, edges and how they change in time; nothing in them is learned.

    Args:
        width: D.
        channels: 3 for pictures, 2 for optical flow.
        side: Pixels of the square that it sees.
        seed: Of the weights.
    """

    def __init__(self, *, width: int = 64, channels: int = 3, side: int = 32, seed: int = 0) -> None:
        flow_bound = 20.0 if channels == 2 else None
        super().__init__(
            width=width,
            channels=channels,
            frames=None,
            preprocessing=Preprocessing(crop=side, short_side=side + side // 8, flow_bound=flow_bound),
            weights=RANDOM,
            settings={'width': width, 'seed': seed},
        )
        # Its own generator: building it leaves the global one as it is.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layers = nn.Sequential(
                nn.Conv3d(channels, 16, (3, 5, 5), stride=(1, 4, 4), padding=(1, 2, 2)),
                nn.ReLU(),
                nn.Conv3d(16, 32, 3, stride=2, padding=1),
                nn.ReLU(),
                nn.AdaptiveAvgPool3d((1, 2, 2)),
                nn.Flatten(),
                nn.Linear(128, width),
            )
        self.eval()

    def forward(self, clips: Tensor) -> Tensor:
        """See :class:`BaseFeatureBackbone`."""
        return self.layers(clips)
