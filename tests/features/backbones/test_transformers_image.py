"""Image encoders of transformers, frame by frame: projected vectors, their mean, models that are none."""

from importlib.util import find_spec

import pytest
import torch

from mmwtal.features.backbones.transformers_image import TransformersImage
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
    root = tmp_path_factory.mktemp('image_encoders')
    makers = {name: getattr(tiny_models, name) for name in ('clip', 'siglip', 'vit', 'videomae')}
    return {name: make(root / name) for name, make in makers.items()}


def clips(frames, seed=0):
    return torch.randn(2, 3, frames, 32, 32, generator=torch.Generator().manual_seed(seed))


def run(backbone, inputs):
    with torch.inference_mode():
        return backbone(inputs)


def test_clip_gives_the_mean_of_the_projected_vectors_of_its_frames(folders, transformers):
    backbone = FEATURE_BACKBONES.build({'type': 'TransformersImage', 'model': folders['clip']})
    assert (backbone.width, backbone.channels, backbone.frames, backbone.training) == (12, 3, None, False)
    assert (backbone.preprocessing.short_side, backbone.preprocessing.interpolation) == (36, 'bicubic')
    assert backbone.preprocessing.mean == pytest.approx((0.4, 0.5, 0.6))
    model = transformers.CLIPVisionModelWithProjection.from_pretrained(folders['clip']).eval()
    inputs = clips(5)
    with torch.inference_mode():
        frames = [model(pixel_values=inputs[:, :, number]).image_embeds for number in range(5)]
    expected = torch.stack(frames).mean(dim=0)
    assert expected.std() > 0.1
    torch.testing.assert_close(run(backbone, inputs), expected, rtol=1e-4, atol=1e-5)
    assert not any(name.startswith('network.text_model') for name in backbone.state_dict())


def test_its_vectors_lie_in_the_space_of_the_texts(folders, transformers):
    backbone = TransformersImage(model=folders['clip'])
    model = transformers.CLIPModel.from_pretrained(folders['clip']).eval()
    inputs = clips(1)
    with torch.inference_mode():
        output = model(input_ids=torch.tensor([[3, 7, 63]]), pixel_values=inputs[:, :, 0])
        vectors = torch.nn.functional.normalize(backbone(inputs), dim=-1)
        similarity = model.logit_scale.exp() * vectors @ output.text_embeds.T
    torch.testing.assert_close(similarity, output.logits_per_image, rtol=1e-4, atol=1e-4)


def test_siglip_sees_the_whole_picture_as_a_square(folders, transformers):
    backbone = TransformersImage(model=folders['siglip'])
    assert (backbone.width, backbone.preprocessing.short_side, backbone.preprocessing.crop) == (16, None, 32)
    model = transformers.SiglipModel.from_pretrained(folders['siglip']).eval()
    inputs = clips(3)
    with torch.inference_mode():
        frames = [model.vision_model(pixel_values=inputs[:, :, number]).pooler_output for number in range(3)]
    torch.testing.assert_close(run(backbone, inputs), torch.stack(frames).mean(dim=0), rtol=1e-4, atol=1e-5)


def test_a_model_of_images_alone_gives_its_pooled_output(folders, transformers):
    backbone = TransformersImage(model=folders['vit'])
    model = transformers.ViTModel.from_pretrained(folders['vit']).eval()
    inputs = clips(1)
    with torch.inference_mode():
        expected = model(pixel_values=inputs[:, :, 0]).pooler_output
    torch.testing.assert_close(run(backbone, inputs), expected, rtol=1e-4, atol=1e-5)


def test_parts_of_a_batch_change_nothing_and_the_interval_leaves_frames_out(folders):
    whole = TransformersImage(model=folders['clip'])
    inputs = clips(7)
    torch.testing.assert_close(run(TransformersImage(model=folders['clip'], batch_size=3), inputs), run(whole, inputs))
    sparse = TransformersImage(model=folders['clip'], interval=3)
    torch.testing.assert_close(run(sparse, inputs), run(whole, inputs[:, :, [1, 4]]))
    sparse.check_window(2)
    with pytest.raises(UserError, match='2 frames and more, found window=1'):
        sparse.check_window(1)
    assert run(sparse, clips(2)).shape == (2, 12)
    assert sparse.identity != whole.identity


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(model='clip', interval=0), 'interval of TransformersImage must be above 0, found 0'),
        (dict(model='clip', batch_size=0), 'batch_size of TransformersImage must be above 0'),
        (dict(model='videomae'), 'is VideoMAEModel, which makes no vector of a picture alone'),
    ],
)
def test_settings_that_do_not_fit(folders, settings, message):
    with pytest.raises(UserError, match=message):
        TransformersImage(**{**settings, 'model': folders[settings['model']]})


def test_a_processor_without_a_size_is_refused(folders, tmp_path, transformers):
    folder = tiny_models.clip(tmp_path / 'loose')
    transformers.CLIPImageProcessor(do_resize=False, do_center_crop=False).save_pretrained(folder)
    with pytest.raises(UserError, match=r"makes no squares of one size of pictures: \{'do_resize': False"):
        TransformersImage(model=folder)


def test_processors_with_an_offset_are_the_same_sum(transformers):
    from mmwtal.features.backbones.pretrained import Pretrained

    source = object.__new__(Pretrained)
    values = transformers.VivitImageProcessor(image_mean=[0.1, 0.2, 0.3], image_std=[0.5, 0.6, 0.7]).to_dict()
    frames = torch.randint(0, 256, (1, 2, 4, 4, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = (frames / 127.5 - 1 - torch.tensor([0.1, 0.2, 0.3])) / torch.tensor([0.5, 0.6, 0.7])
    found = source._declared(values)(frames)
    torch.testing.assert_close(found.permute(0, 2, 3, 4, 1), expected, rtol=1e-5, atol=1e-5)
