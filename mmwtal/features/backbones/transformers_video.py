"""Video encoders of the package transformers: VideoMAE, V-JEPA 2, TimeSformer, ViViT and others of their form."""

import inspect
from pathlib import Path
from typing import Any, Literal, get_args

from torch import Tensor

from mmwtal.features.backbones.base import BaseFeatureBackbone, every
from mmwtal.features.backbones.pretrained import Pretrained
from mmwtal.registry import FEATURE_BACKBONES
from mmwtal.utils.errors import UserError

Pooling = Literal['mean', 'first']

# How models call their clips, (N, T, C, H, W).
_INPUTS = ('pixel_values_videos', 'pixel_values')
# How their configurations call the frames of a clip: where positions are learned for so many, and where any will do.
_FIXED, _FREE = 'num_frames', 'frames_per_clip'
_CLASSIFIER = 'ForVideoClassification'


@FEATURE_BACKBONES.register_module()
class TransformersVideo(BaseFeatureBackbone):
    """The last hidden states of a video encoder of transformers, pooled.

    Of a classifier (``...ForVideoClassification``) the encoder is taken, and the normalisation between it and the
    linear layer where the pooled states go through one, as in a fine-tuned VideoMAE. The predictor of V-JEPA 2 is not
    run. What is done to frames is what the model's processor says.

    Args:
        model: A folder with model and processor, or a name on the hub, e.g. ``facebook/vjepa2-vitl-fpc64-256``.
        revision: Branch, tag or commit on the hub; None for its main branch.
        pretrained: Whether the model has its weights; else random ones, for trying.
        seed: Seed of random weights.
        clip_len: Frames that the network sees at once; None for what its configuration says. Only encoders whose
            positions are not learned (V-JEPA 2) take another number.
        interval: One of how many frames it sees, the middle one; a clip has ``clip_len * interval`` frames.
        pooling: ``mean`` of all tokens; ``first``, the class token of encoders that have one (TimeSformer, ViViT).

    Raises:
        UserError: If transformers is not installed, the model is no video encoder, cannot be loaded, or a setting does
            not fit it.
    """

    def __init__(
        self,
        *,
        model: str | Path,
        revision: str | None = None,
        pretrained: bool = True,
        seed: int = 0,
        clip_len: int | None = None,
        interval: int = 1,
        pooling: Pooling = 'mean',
    ) -> None:
        name = type(self).__name__
        if pooling not in get_args(Pooling):
            raise UserError(f'pooling of {name} must be one of {", ".join(get_args(Pooling))}, found {pooling!r}')
        if interval < 1:
            raise UserError(f'interval of {name} must be above 0, found {interval}')
        source = Pretrained(owner=name, model=model, revision=revision)
        clip_len = _clip_len(source, clip_len)
        classifier = any(str(kind).endswith(_CLASSIFIER) for kind in source.config.architectures or ())
        factories = source.transformers
        factory = factories.AutoModelForVideoClassification if classifier else factories.AutoModel
        network, digest = source.load(factory, pretrained=pretrained, seed=seed)
        settings = {'model': source.model, 'clip_len': clip_len, 'interval': interval, 'pooling': pooling}
        super().__init__(
            width=source.config.hidden_size,
            channels=3,
            frames=clip_len * interval,
            preprocessing=source.preprocessing('AutoVideoProcessor', 'AutoImageProcessor'),
            weights=digest,
            settings=settings if pretrained else {**settings, 'seed': seed},
        )
        self.interval = interval
        self.pooling = pooling
        self.encoder = network.base_model if classifier else network
        self.norm = getattr(network, 'fc_norm', None) if classifier else None
        self._input, self._options = _signature(source, self.encoder)
        self.eval()

    def forward(self, clips: Tensor) -> Tensor:
        """Return the pooled tokens of the encoder; see :class:`BaseFeatureBackbone`."""
        frames = every(clips, self.interval).transpose(1, 2)
        tokens = self.encoder(**{self._input: frames}, **self._options).last_hidden_state
        pooled = tokens[:, 0] if self.pooling == 'first' else tokens.mean(dim=1)
        return pooled if self.norm is None else self.norm(pooled)


def _clip_len(source: Pretrained, clip_len: int | None) -> int:
    """Return how many frames the network sees.

    Raises:
        UserError: If it cannot see so many, or its configuration says nothing.
    """
    fixed, free = (getattr(source.config, name, None) for name in (_FIXED, _FREE))
    stated = fixed or free
    if stated is None:
        raise UserError(
            f'{source.source}, the model of {source.owner}, is no video encoder: its configuration has neither '
            f'{_FIXED} nor {_FREE}'
        )
    clip_len = stated if clip_len is None else clip_len
    if fixed is not None and clip_len != fixed:
        raise UserError(
            f'{source.source} takes {fixed} frames, found clip_len={clip_len} of {source.owner}: leave clip_len out, '
            'and set interval for longer clips'
        )
    tube = getattr(source.config, 'tubelet_size', 1)
    tube = tube[0] if isinstance(tube, list | tuple) else tube
    if clip_len < 1 or clip_len % tube:
        raise UserError(
            f'{source.source} takes its frames by {tube}, found clip_len={clip_len} of {source.owner}: set a multiple'
        )
    return clip_len


def _signature(source: Pretrained, encoder: Any) -> tuple[str, dict[str, Any]]:
    """Return how an encoder calls its clips, and what else it is told.

    Raises:
        UserError: If it takes no clips, or other things too.
    """
    parameters = inspect.signature(encoder.forward).parameters
    name = next((name for name in _INPUTS if name in parameters), None)
    if name is None or 'input_ids' in parameters:
        raise UserError(
            f'{source.source}, the model of {source.owner}, is {type(encoder).__name__}, which takes '
            f'{", ".join(list(parameters)[:4])}, ...: give an encoder of video alone'
        )
    return name, {'skip_predictor': True} if 'skip_predictor' in parameters else {}
