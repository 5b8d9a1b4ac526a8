"""What backbones want done to frames: sizes, ranges, channels."""

import numpy as np
import pytest
import torch

from mmwtal.features.backbones.base import BaseFeatureBackbone, Preprocessing
from mmwtal.utils.errors import UserError

PICTURES = torch.randint(0, 256, (2, 3, 4, 5, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(('scale', 'low', 'high'), [('unit', -1, 1), ('0-1', 0, 1), ('0-255', 0, 255)])
@pytest.mark.parametrize('frames', [PICTURES, PICTURES.float(), PICTURES.numpy()], ids=['bytes', 'floats', 'numpy'])
def test_pictures_are_scaled_and_their_axes_moved(scale, low, high, frames):
    out = Preprocessing(crop=4, short_side=4, scale=scale)(frames)
    assert out.shape == (2, 3, 3, 4, 5)
    assert out.dtype == torch.float32
    assert out.is_contiguous()
    expected = PICTURES.float() / 255 * (high - low) + low
    torch.testing.assert_close(out.permute(0, 2, 3, 4, 1), expected, rtol=1e-5, atol=1e-5)


def test_normalisation_is_by_channel_after_the_scale():
    mean, std = (0.1, 0.2, 0.3), (0.5, 1.0, 2.0)
    out = Preprocessing(crop=4, short_side=4, scale='0-1', mean=mean, std=std)(PICTURES)
    expected = (PICTURES.float() / 255 - torch.tensor(mean)) / torch.tensor(std)
    torch.testing.assert_close(out.permute(0, 2, 3, 4, 1), expected, rtol=1e-5, atol=1e-6)


def test_the_frames_given_are_left_as_they_were():
    floats = torch.rand(1, 2, 4, 4, 3).permute(0, 4, 1, 2, 3).contiguous().permute(0, 2, 3, 4, 1)
    before = floats.clone()
    Preprocessing(crop=4, short_side=4, mean=(1.0, 1.0, 1.0))(floats)
    Preprocessing(crop=4, short_side=4, flow_bound=0.5)(floats)
    assert torch.equal(floats, before)


def test_flow_is_clipped_in_pixels_and_bytes_stand_for_the_same_range():
    preprocessing = Preprocessing(crop=1, short_side=1, flow_bound=20)
    flow = torch.tensor([-35.0, -20, -10, 0, 5, 20, 21, 400]).view(1, 2, 2, 1, 2)
    out = preprocessing(flow).permute(0, 2, 3, 4, 1).flatten()
    torch.testing.assert_close(out, torch.tensor([-1.0, -1, -0.5, 0, 0.25, 1, 1, 1]))
    coded = torch.tensor([0, 255, 51, 204], dtype=torch.uint8).view(1, 1, 2, 1, 2)
    out = preprocessing(coded).permute(0, 2, 3, 4, 1).flatten()
    torch.testing.assert_close(out, torch.tensor([-1.0, 1, -0.6, 0.6]))


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'crop': 0, 'short_side': 4}, 'crop .* above 0, found 0'),
        ({'crop': 8, 'short_side': 4}, 'short_side 4 .* below its crop, 8'),
        ({'crop': 4, 'short_side': 4, 'scale': '0-2'}, "scale .* found '0-2'"),
        ({'crop': 4, 'short_side': 4, 'interpolation': 'cubic'}, "interpolation .* found 'cubic'"),
        ({'crop': 4, 'short_side': 4, 'flow_bound': 0.0}, 'flow_bound .* found 0.0'),
        ({'crop': 4, 'short_side': 4, 'flow_bound': float('nan')}, 'flow_bound'),
        ({'crop': 4, 'short_side': 4, 'std': (1.0, 0.0)}, 'std .* above 0'),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(UserError, match=message):
        Preprocessing(**settings)


def test_frames_of_another_shape():
    preprocessing = Preprocessing(crop=4, short_side=4, mean=(0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match=r'\(N, T, H, W, C\), found \(3, 4, 5, 3\)'):
        preprocessing(np.zeros((3, 4, 5, 3), np.uint8))
    with pytest.raises(ValueError, match='mean of the preprocessing has 3 channels, the frames have 2'):
        preprocessing(torch.zeros(1, 3, 4, 5, 2))


class Mean(BaseFeatureBackbone):
    def __init__(self, *, frames):
        super().__init__(
            width=3,
            channels=3,
            frames=frames,
            preprocessing=Preprocessing(crop=4, short_side=4),
            weights='abc',
            settings={'frames': frames},
        )

    def forward(self, clips):
        return clips.mean(dim=(2, 3, 4))


def test_a_backbone_of_ones_own_states_what_it_takes_and_what_identifies_it():
    backbone = Mean(frames=16)
    backbone.check_window(16)
    with pytest.raises(UserError, match='Mean takes clips of 16 frames, found window=8'):
        backbone.check_window(8)
    identity = backbone.identity
    assert (identity['type'], identity['frames'], identity['weights']) == ('Mean', 16, 'abc')
    assert identity['preprocessing']['short_side'] == 4
    assert Mean(frames=None).identity != identity
    assert backbone(backbone.preprocessing(PICTURES)).shape == (2, 3)
