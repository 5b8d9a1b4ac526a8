"""Image encoders of the package transformers, frame by frame: CLIP, SigLIP and others of their form."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmwtal.features.backbones.base import BaseFeatureBackbone, every
from mmwtal.features.backbones.pretrained import Pretrained
from mmwtal.registry import FEATURE_BACKBONES
from mmwtal.utils.errors import UserError


@FEATURE_BACKBONES.register_module()
class TransformersImage(BaseFeatureBackbone):
    """The mean over a clip's frames of each frame's vector.

    Of a model of images and texts (CLIP, SigLIP) it is the vector in the space that both share, after the projection
    and not normalised, to which those of :class:`~mmwtal.text_encoders.clip_text.CLIPTextEncoder` with the same
    ``model`` compare; its text encoder is left out. Of a model of images alone (DINOv2, ViT) it is the pooled output.

    Args:
        model: A folder with model and processor, or a name on the hub, e.g. ``openai/clip-vit-base-patch32``.
        revision: Branch, tag or commit on the hub; None for its main branch.
        pretrained: Whether the model has its weights; else random ones, for trying.
        seed: Seed of random weights.
        interval: One of how many frames it sees, the middle one. Neighbouring frames are much alike: with 4 the cost
            is a quarter.
        batch_size: Pictures that it sees at once, which bounds the memory whatever a clip's length.

    Raises:
        UserError: If transformers is not installed, the model is no image encoder, cannot be loaded, or a setting is
            out of range.
    """

    def __init__(
        self,
        *,
        model: str | Path,
        revision: str | None = None,
        pretrained: bool = True,
        seed: int = 0,
        interval: int = 1,
        batch_size: int = 256,
    ) -> None:
        name = type(self).__name__
        for setting, value in (('interval', interval), ('batch_size', batch_size)):
            if value < 1:
                raise UserError(f'{setting} of {name} must be above 0, found {value}')
        source = Pretrained(owner=name, model=model, revision=revision)
        network, digest = source.load(source.transformers.AutoModel, pretrained=pretrained, seed=seed)
        preprocessing = source.preprocessing('AutoImageProcessor')
        settings = {'model': source.model, 'interval': interval}
        super().__init__(
            width=_width(source, network, preprocessing.crop),
            channels=3,
            frames=None,
            # Up to the frame that stands for the first interval.
            least_frames=(interval - 1) // 2 + 1,
            preprocessing=preprocessing,
            weights=digest,
            settings=settings if pretrained else {**settings, 'seed': seed},
        )
        self.interval = interval
        self.batch_size = batch_size
        self.network = network
        if hasattr(network, 'text_model'):
            del network.text_model
        self.eval()

    def forward(self, clips: Tensor) -> Tensor:
        """Return the mean of the vectors of the frames; see :class:`BaseFeatureBackbone`."""
        frames = every(clips, self.interval).transpose(1, 2)
        parts = frames.flatten(0, 1).split(self.batch_size)
        vectors = torch.cat([_vectors(self.network, part) for part in parts])
        return vectors.unflatten(0, frames.shape[:2]).mean(dim=1)


def _vectors(network: Any, pictures: Tensor) -> Tensor:
    """Return a vector a picture, (B, D), of pictures (B, C, H, W)."""
    if hasattr(network, 'get_image_features'):
        output = network.get_image_features(pixel_values=pictures)
    else:
        output = network(pixel_values=pictures)
    # Before version 5 of transformers the projected vectors came by themselves.
    return output if isinstance(output, Tensor) else output.pooler_output


@torch.no_grad()
def _width(source: Pretrained, network: Any, crop: int) -> int:
    """Return the length of a vector, by trying.

    Raises:
        UserError: If the model does not make one of a picture.
    """
    try:
        return _vectors(network, torch.zeros(1, 3, crop, crop)).shape[-1]
    except (AttributeError, TypeError, ValueError, RuntimeError, AssertionError) as error:
        reason = str(error).strip().split('\n')[0]
        raise UserError(
            f'{source.source}, the model of {source.owner}, is {type(network).__name__}, which makes no vector of a '
            f'picture alone ({reason:.200}): give an image encoder'
        ) from error
