"""Recognizers of mmaction2 by config and checkpoint: their own backbones' outputs pooled, faults of both files."""

import json
from importlib.util import find_spec

import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmwtal.features.backbones.mmaction_recognizer import MMActionRecognizer
from mmwtal.registry import FEATURE_BACKBONES
from mmwtal.utils.errors import UserError

if find_spec('mmaction') is None:
    pytest.skip('mmaction2 is not installed (extra: features)', allow_module_level=True)

BACKBONES = {
    'slowonly': (32, dict(
        type='ResNet3dSlowOnly', depth=18, base_channels=4, lateral=False, conv1_kernel=(1, 7, 7), conv1_stride_t=1,
        pool1_stride_t=1, inflate=(0, 0, 1, 1), norm_eval=False, pretrained='https://example.org/never_fetched.pth',
    )),
    'i3d': (32, dict(
        type='ResNet3d', depth=18, base_channels=4, conv1_kernel=(5, 7, 7), conv1_stride_t=1, pool1_stride_t=2,
        conv_cfg=dict(type='Conv3d'), norm_eval=False, inflate=(1, 1, 1, 1), pretrained2d=True,
        pretrained='torchvision://resnet18',
    )),
    'videomae': (24, dict(
        type='VisionTransformer', img_size=32, patch_size=16, embed_dims=24, depth=2, num_heads=2, mlp_ratio=2,
        num_frames=4, norm_cfg=dict(type='LN', eps=1e-6),
    )),
    'mvit': (32, dict(
        type='MViT', arch=dict(embed_dims=16, num_layers=2, num_heads=1, downscale_indices=[1]), out_scales=1,
        spatial_size=32, temporal_size=4,
    )),
    'uniformerv2': (24, dict(
        type='UniFormerV2', input_resolution=32, patch_size=16, width=24, layers=2, heads=2, t_size=4, n_dim=24,
        n_layers=1, n_head=2, return_list=[1], clip_pretrained=False, mlp_dropout=[0.5],
    )),
}  # fmt: skip
CONFIG = """
model = dict(
    type='Recognizer3D',
    backbone={backbone!r},
    cls_head=dict(type='I3DHead', in_channels={width}, num_classes=3),
    data_preprocessor=dict(
        type='ActionDataPreprocessor', mean=[120.0, 110.0, 100.0], std=[60.0, 55.0, 50.0], format_shape='NCTHW'))
val_pipeline = [
    dict(type='DecordInit'),
    dict(type='SampleFrames', clip_len=4, frame_interval=2, num_clips=1, test_mode=True),
    dict(type='DecordDecode'),
    dict(type='Resize', scale=(-1, 40)),
    dict(type='CenterCrop', crop_size=32),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs')]
test_pipeline = [dict(type='SampleFrames', clip_len=9, frame_interval=9), dict(type='ThreeCrop', crop_size=99)]
val_dataloader = dict(dataset=dict(type='VideoDataset', pipeline=val_pipeline))
"""


def write_config(folder, name='slowonly', *changes):
    width, backbone = BACKBONES[name]
    text = CONFIG.format(backbone=backbone, width=width)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / f'{name}.py'
    path.write_text(text)
    return path


def clips(frames=8, channels=3):
    return torch.randn(2, channels, frames, 32, 32, generator=torch.Generator().manual_seed(0))


def run(module, inputs):
    with torch.inference_mode():
        return module(inputs)


@pytest.mark.parametrize('name', BACKBONES)
def test_a_recognizer_gives_what_its_own_classifier_takes(tmp_path, name):
    config = write_config(tmp_path, name)
    backbone = FEATURE_BACKBONES.build({'type': 'MMActionRecognizer', 'config': str(config)})
    width = BACKBONES[name][0]
    assert (backbone.width, backbone.channels, backbone.frames, backbone.training) == (width, 3, 8, False)
    assert (backbone.preprocessing.short_side, backbone.preprocessing.crop) == (40, 32)
    features = run(backbone, clips())
    output = run(backbone.network, clips()[:, :, ::2])
    if name in ('slowonly', 'i3d'):
        expected = output.mean(dim=(2, 3, 4))
    else:
        expected = output[-1][1] if name == 'mvit' else output
    assert features.shape == (2, width)
    assert features.std() > 0
    torch.testing.assert_close(features, expected)


def test_normalisation_is_that_of_mmaction(tmp_path):
    from mmaction.registry import MODELS

    frames = torch.randint(0, 256, (1, 8, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    settings = dict(mean=[120.0, 110.0, 100.0], std=[60.0, 55.0, 50.0], format_shape='NCTHW')
    theirs = MODELS.build(dict(type='mmaction.ActionDataPreprocessor', **settings))
    inputs = frames.permute(0, 4, 1, 2, 3)
    expected = theirs(dict(inputs=[inputs], data_samples=None))['inputs'].view(inputs.shape)
    found = MMActionRecognizer(config=write_config(tmp_path)).preprocessing(frames)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_checkpoint_of_mmengine_loads_without_its_classifier(tmp_path):
    config = write_config(tmp_path)
    trained = MMActionRecognizer(config=config, seed=1)
    state = {f'backbone.{name}': value for name, value in trained.network.state_dict().items()}
    hub = {'log_scalars': {'loss': HistoryBuffer([1.0], [1])}}
    path = tmp_path / 'slowonly.pth'
    torch.save({'state_dict': {**state, 'cls_head.fc_cls.weight': torch.zeros(3, 32)}, 'message_hub': hub}, path)
    loaded = MMActionRecognizer(config=config, weights=path)
    assert torch.equal(run(loaded, clips()), run(trained, clips()))
    assert not torch.equal(run(loaded, clips()), run(MMActionRecognizer(config=config), clips()))
    assert len(loaded.identity['weights']) == 64
    assert json.loads(json.dumps(loaded.identity)) == loaded.identity
    del state['backbone.conv1.bn.weight']
    torch.save({'state_dict': state}, path)
    with pytest.raises(UserError, match=r'slowonly.pth does not fit.*1 missing \(conv1.bn.weight\).*to the config'):
        MMActionRecognizer(config=config, weights=path)


def test_arguments_go_before_the_config(tmp_path):
    config = write_config(tmp_path)
    backbone = MMActionRecognizer(config=config, clip_len=8, interval=1, short_side=36, crop=24)
    assert (backbone.frames, backbone.preprocessing.short_side, backbone.preprocessing.crop) == (8, 36, 24)
    assert run(backbone, clips()).shape == (2, 32)


def test_a_recognizer_of_flow(tmp_path):
    two = (
        ("'base_channels': 4", "'in_channels': 2, 'base_channels': 4"),
        ('mean=[120.0, 110.0, 100.0]', 'mean=[128, 128]'),
    )
    config = write_config(tmp_path, 'slowonly', *two, ('std=[60.0, 55.0, 50.0]', 'std=[128, 128]'))
    backbone = MMActionRecognizer(config=config)
    assert (backbone.channels, backbone.preprocessing.flow_bound) == (2, 20)
    assert run(backbone, clips(channels=2)).shape == (2, 32)


@pytest.mark.parametrize(
    ('name', 'changes', 'settings', 'message'),
    [
        (
            'slowonly',
            [("format_shape='NCTHW'", "format_shape='NCHW'")],
            {},
            "format_shape='NCHW'.*recognizers of clips",
        ),
        ('slowonly', [("format_shape='NCTHW'", "format_shape='NCTHW', to_rgb=True")], {}, 'to_rgb=True'),
        ('slowonly', [('in_channels=32, ', '')], {}, 'no model.cls_head.in_channels'),
        ('slowonly', [('in_channels=32, ', 'in_channels=64, ')], {}, r'gives vectors of \(32,\), .* takes 64 channels'),
        ('slowonly', [("'depth': 18", "'depth': 19")], {}, 'cannot build the backbone of config .*19'),
        ('slowonly', [('ResNet3dSlowOnly', 'ResNet3dSlowerOnly')], {}, 'cannot build the backbone.*ResNet3dSlowerOnly'),
        ('slowonly', [('    backbone=', '    bone=')], {}, 'has no model with a backbone'),
        ('slowonly', [('SampleFrames', 'OwnFrames')], {}, 'says clip_len: set clip_len of MMActionRecognizer'),
        ('slowonly', [('SampleFrames', 'UniformSample')], {}, 'says interval: set interval of MMActionRecognizer'),
        ('slowonly', [], dict(interval=0), 'interval of MMActionRecognizer must be above 0, found 0'),
        ('slowonly', [], dict(weights='absent.pth'), 'no checkpoint file absent.pth; give the checkpoint that belongs'),
        ('videomae', [], dict(clip_len=8), 'num_frames=4, .* found clip_len=8'),
        (
            'slowonly',
            [("'base_channels': 4", "'base_channels': 4, 'out_indices': (2, 3)")],
            {},
            'gives several outputs',
        ),
    ],
)
def test_configs_and_settings_that_do_not_fit(tmp_path, name, changes, settings, message):
    config = write_config(tmp_path, name, *changes)
    with pytest.raises(UserError, match=message):
        run(MMActionRecognizer(config=config, **settings), clips())


def test_a_config_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r'config .*absent.py cannot be read'):
        MMActionRecognizer(config=tmp_path / 'absent.py')
    path = tmp_path / 'wrong.py'
    path.write_text('model = dict(\n')
    with pytest.raises(UserError, match=r'wrong.py:1: syntax error'):
        MMActionRecognizer(config=path)
