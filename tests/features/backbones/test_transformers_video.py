"""Video encoders of transformers: their own tokens pooled, their own preprocessing, models that are none."""

import json
import shutil
from importlib.util import find_spec

import pytest
import torch

from mmwtal.features.backbones.transformers_video import TransformersVideo
from mmwtal.registry import FEATURE_BACKBONES
from mmwtal.utils.errors import UserError

if find_spec('transformers') is None:
    pytest.skip('transformers is not installed (extra: features)', allow_module_level=True)

from . import tiny_models


@pytest.fixture(scope='module')
def transformers():
    return tiny_models.library()


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp('video_encoders')
    return {
        'videomae': tiny_models.videomae(root / 'videomae'),
        'vjepa2': tiny_models.vjepa2(root / 'vjepa2'),
        'timesformer': tiny_models.timesformer(root / 'timesformer'),
        'clip': tiny_models.clip(root / 'clip'),
    }


def pictures(frames, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (2, frames, 32, 32, 3), dtype=torch.uint8, generator=generator)


def run(backbone, frames):
    with torch.inference_mode():
        return backbone(backbone.preprocessing(frames))


def test_videomae_gives_the_mean_of_its_tokens_for_what_its_processor_makes_of_frames(folders, transformers):
    backbone = FEATURE_BACKBONES.build({'type': 'TransformersVideo', 'model': folders['videomae'], 'interval': 4})
    assert (backbone.width, backbone.channels, backbone.frames, backbone.training) == (16, 3, 16, False)
    assert (backbone.preprocessing.short_side, backbone.preprocessing.crop) == (36, 32)
    frames = pictures(16)
    processor = transformers.VideoMAEImageProcessor.from_pretrained(folders['videomae'])
    model = transformers.VideoMAEModel.from_pretrained(folders['videomae']).eval()
    seen = [list(clip[[1, 5, 9, 13]].numpy()) for clip in frames]
    inputs = processor(
        seen, do_resize=False, do_center_crop=False, return_tensors='pt', input_data_format='channels_last'
    )
    with torch.inference_mode():
        expected = model(**inputs).last_hidden_state.mean(dim=1)
    assert expected.std() > 0.1
    torch.testing.assert_close(run(backbone, frames), expected, rtol=1e-4, atol=1e-5)


def test_a_fine_tuned_videomae_gives_what_its_classifier_takes(tmp_path, transformers):
    folder = tiny_models.videomae(tmp_path / 'tuned', kind='VideoMAEForVideoClassification', mean_pooling=True)
    backbone = TransformersVideo(model=folder)
    model = transformers.VideoMAEForVideoClassification.from_pretrained(folder).eval()
    taken = []
    model.classifier.register_forward_pre_hook(lambda _, inputs: taken.append(inputs[0]))
    clips = torch.randn(2, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        model(clips.transpose(1, 2))
        found = backbone(clips)
    torch.testing.assert_close(found, taken[0], rtol=1e-4, atol=1e-5)


def test_vjepa2_takes_other_numbers_of_frames_and_runs_no_predictor(folders, monkeypatch):
    backbone = TransformersVideo(model=folders['vjepa2'], clip_len=4, interval=2)
    assert (backbone.width, backbone.frames) == (24, 8)
    monkeypatch.setattr(backbone.encoder.predictor, 'forward', lambda *_, **__: pytest.fail('the predictor was run'))
    clips = torch.randn(1, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = backbone.encoder.get_vision_features(clips[:, :, ::2].transpose(1, 2)).mean(dim=1)
        torch.testing.assert_close(backbone(clips), expected)
    assert TransformersVideo(model=folders['vjepa2']).frames == 8


def test_the_first_token_on_request(folders):
    first, mean = (TransformersVideo(model=folders['timesformer'], pooling=pooling) for pooling in ('first', 'mean'))
    clips = torch.randn(1, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        tokens = first.encoder(clips.transpose(1, 2)).last_hidden_state
        torch.testing.assert_close(first(clips), tokens[:, 0])
        torch.testing.assert_close(mean(clips), tokens.mean(dim=1))
    assert first.identity != mean.identity


def test_half_precision(folders):
    backbone = TransformersVideo(model=folders['videomae'])
    clips = backbone.preprocessing(pictures(4))
    with torch.inference_mode():
        exact = backbone(clips)
        rough = backbone.to(torch.bfloat16)(clips.to(torch.bfloat16))
    assert rough.dtype == torch.bfloat16
    assert torch.nn.functional.cosine_similarity(exact, rough.float()).min() > 0.99


def test_random_weights_on_request_and_an_identity_that_knows_them(folders, tmp_path):
    real = TransformersVideo(model=folders['videomae'])
    moved = TransformersVideo(model=shutil.copytree(folders['videomae'], tmp_path / 'elsewhere'))
    one, same, other = (TransformersVideo(model=folders['videomae'], pretrained=False, seed=s) for s in (0, 0, 1))
    assert real.identity['weights'] == moved.identity['weights'] != 'random'
    assert one.identity == same.identity != other.identity
    assert one.identity['weights'] == 'random'
    assert torch.equal(run(one, pictures(4)), run(same, pictures(4)))
    assert not torch.equal(run(one, pictures(4)), run(other, pictures(4)))
    assert json.loads(json.dumps(real.identity)) == real.identity


@pytest.mark.parametrize('pretrained', [True, False])
def test_weights_are_in_single_precision_whatever_the_folder_says(folders, tmp_path, pretrained):
    folder = shutil.copytree(folders['videomae'], tmp_path / 'half')
    config = json.loads((folder / 'config.json').read_text())
    (folder / 'config.json').write_text(json.dumps({**config, 'dtype': 'bfloat16'}))
    backbone = TransformersVideo(model=folder, pretrained=pretrained)
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(model='videomae', clip_len=8), 'takes 4 frames, found clip_len=8 .* set interval'),
        (dict(model='vjepa2', clip_len=3), 'takes its frames by 2, found clip_len=3'),
        (dict(model='vjepa2', clip_len=0), 'found clip_len=0'),
        (dict(model='videomae', interval=0), 'interval of TransformersVideo must be above 0'),
        (dict(model='videomae', pooling='last'), "pooling .* one of mean, first, found 'last'"),
        (dict(model='clip'), 'is no video encoder'),
    ],
)
def test_settings_that_do_not_fit(folders, settings, message):
    with pytest.raises(UserError, match=message):
        TransformersVideo(**{**settings, 'model': folders[settings['model']]})


def test_folders_that_are_no_model(folders, tmp_path):
    with pytest.raises(UserError, match=r'absent of TransformersVideo is no folder'):
        TransformersVideo(model=tmp_path / 'absent')
    empty = tmp_path / 'empty'
    empty.mkdir()
    with pytest.raises(UserError, match=r'configuration of .*empty, the model of TransformersVideo, cannot be read'):
        TransformersVideo(model=empty)
    without = shutil.copytree(folders['videomae'], tmp_path / 'without', ignore=shutil.ignore_patterns('*.safetensors'))
    with pytest.raises(UserError, match=r'model of .*without, .* cannot be read'):
        TransformersVideo(model=without)
    blind = shutil.copytree(folders['videomae'], tmp_path / 'blind', ignore=shutil.ignore_patterns('*processor*'))
    with pytest.raises(UserError, match=r'processor of .*blind, .* cannot be read'):
        TransformersVideo(model=blind)
    broken = shutil.copytree(folders['videomae'], tmp_path / 'broken')
    (broken / 'model.safetensors').write_bytes(b'not weights')
    with pytest.raises(UserError, match=r'model of .*broken, .* cannot be read'):
        TransformersVideo(model=broken)


def test_weights_that_lack_tensors(folders, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(folders['videomae'], tmp_path / 'short')
    tensors = load_file(folder / 'model.safetensors')
    bias = tensors.pop('layernorm.bias')
    save_file(tensors, folder / 'model.safetensors', metadata={'format': 'pt'})
    message = r'short lack 1 tensors of VideoMAEModel, or have them in another shape, such as layernorm.bias'
    with pytest.raises(UserError, match=message):
        TransformersVideo(model=folder)
    save_file({**tensors, 'layernorm.bias': bias[:5]}, folder / 'model.safetensors', metadata={'format': 'pt'})
    with pytest.raises(UserError, match=message):
        TransformersVideo(model=folder)


def test_without_transformers_the_extra_is_named(folders, monkeypatch):
    def absent(name):
        raise ImportError(name=name)

    monkeypatch.setattr('mmwtal.utils.extras.import_module', absent)
    with pytest.raises(UserError, match=r'pip install "mmwtal\[features\]"'):
        TransformersVideo(model=folders['videomae'])
