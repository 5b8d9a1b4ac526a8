"""Folders of tiny random models of transformers, as save_pretrained writes them."""

from pathlib import Path

import torch

from mmwtal.utils.compat import usable_torchvision

LAYERS = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2)
NORMAL = dict(image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.3, 0.4])
SQUARE = dict(size={'shortest_edge': 36}, crop_size={'height': 32, 'width': 32}, **NORMAL)


def library():
    """Import transformers, which takes seconds, when a test needs it."""
    usable_torchvision()
    import transformers

    # Its own logs tell of what other classes make of the same files.
    transformers.utils.logging.set_verbosity_error()
    return transformers


def write(folder: Path, model, processor) -> Path:
    with torch.no_grad():
        for parameter in model.parameters():
            # The libraries' own start makes tiny models that answer nothing but zeros.
            parameter.normal_(0.0, 0.2, generator=torch.Generator().manual_seed(parameter.numel()))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def videomae(folder: Path, *, kind: str = 'VideoMAEModel', mean_pooling: bool = False) -> Path:
    transformers = library()
    config = transformers.VideoMAEConfig(
        image_size=32, patch_size=16, num_frames=4, use_mean_pooling=mean_pooling, **LAYERS
    )
    return write(folder, getattr(transformers, kind)(config), transformers.VideoMAEImageProcessor(**SQUARE))


def vjepa2(folder: Path) -> Path:
    transformers = library()
    config = transformers.VJEPA2Config(
        crop_size=32,
        patch_size=16,
        frames_per_clip=8,
        hidden_size=24,
        num_attention_heads=2,
        num_hidden_layers=2,
        pred_hidden_size=24,
        pred_num_attention_heads=2,
        pred_num_hidden_layers=1,
    )
    return write(folder, transformers.VJEPA2Model(config), transformers.VJEPA2VideoProcessor(**SQUARE))


def timesformer(folder: Path) -> Path:
    transformers = library()
    config = transformers.TimesformerConfig(image_size=32, patch_size=16, num_frames=4, **LAYERS)
    return write(folder, transformers.TimesformerModel(config), transformers.VideoMAEImageProcessor(**SQUARE))


def clip(folder: Path) -> Path:
    transformers = library()
    config = transformers.CLIPConfig(
        vision_config=dict(image_size=32, patch_size=16, projection_dim=12, **LAYERS),
        text_config=dict(vocab_size=64, eos_token_id=63, max_position_embeddings=16, **LAYERS),
        projection_dim=12,
    )
    return write(folder, transformers.CLIPModel(config), transformers.CLIPImageProcessor(**SQUARE))


def siglip(folder: Path) -> Path:
    transformers = library()
    config = transformers.SiglipConfig(
        vision_config=dict(image_size=32, patch_size=16, **LAYERS),
        text_config=dict(vocab_size=64, max_position_embeddings=16, **LAYERS),
    )
    processor = transformers.SiglipImageProcessor(size={'height': 32, 'width': 32})
    return write(folder, transformers.SiglipModel(config), processor)


def vit(folder: Path) -> Path:
    transformers = library()
    config = transformers.ViTConfig(image_size=32, patch_size=16, **LAYERS)
    processor = transformers.ViTImageProcessor(size={'height': 32, 'width': 32})
    return write(folder, transformers.ViTModel(config), processor)
