"""The backbones of mmaction2's video recognizers: SlowOnly, I3D-ResNet, VideoMAE, MViT, UniFormerV2 and others."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from mmwtal.features.backbones.base import RANDOM, BaseFeatureBackbone, Preprocessing, every
from mmwtal.features.backbones.weights import load_state, read_state, warn_of_random_weights
from mmwtal.registry import FEATURE_BACKBONES
from mmwtal.utils.compat import importable_mmaction, usable_torchvision
from mmwtal.utils.config.origin import load_config
from mmwtal.utils.errors import UserError

_PREFIX = 'backbone.'
_REMEDY = 'give the checkpoint that belongs to the config'
# mmaction2's tools clip the flow to this many pixels before they write it as pictures.
_FLOW_BOUND = 20.0
# Where a config says how it tests: the validation's one clip and centre crop first.
_PIPELINES = ('val_pipeline', 'test_pipeline')
_LOADERS = ('val_dataloader', 'test_dataloader')
# What a backbone whose positions are learned calls the number of its frames.
_PLACES = ('num_frames', 't_size')
_CROPS = ('CenterCrop', 'ThreeCrop', 'TenCrop')


@FEATURE_BACKBONES.register_module()
class MMActionRecognizer(BaseFeatureBackbone):
    """The backbone of a recognizer of mmaction2 that takes clips (``format_shape='NCTHW'``), its output pooled.

    A map of features is averaged over space and time; of a transformer the class token is taken where it gives one,
    as its own classifier does. Mean and deviation come from the config's ``data_preprocessor``, the sizes and the
    frames of a clip from its validation or test pipeline. Nothing is downloaded.

    Args:
        config: mmaction2's config file.
        weights: The checkpoint; None for random ones.
        seed: Seed of random weights.
        clip_len: Frames that the network sees at once; None for the config's.
        interval: One of how many frames it sees, the middle one; None for the config's. A clip has
            ``clip_len * interval`` frames.
        short_side: What the shorter side of a picture is resized to; None for the config's.
        crop: Side of the square that is seen; None for the config's.

    Raises:
        UserError: If mmaction2 is not installed, or the config, the weights or a setting cannot be used.
    """

    def __init__(
        self,
        *,
        config: str | Path,
        weights: str | Path | None = None,
        seed: int = 0,
        clip_len: int | None = None,
        interval: int | None = None,
        short_side: int | None = None,
        crop: int | None = None,
    ) -> None:
        usable_torchvision()
        importable_mmaction()
        cfg = load_config(config)[0]
        recognizer = _Recognizer(path=str(config), cfg=cfg)
        given = {'clip_len': clip_len, 'interval': interval, 'short_side': short_side, 'crop': crop}
        sizes = {name: recognizer.size(name) if value is None else value for name, value in given.items()}
        for name, value in sizes.items():
            if value < 1:
                raise UserError(f'{name} of MMActionRecognizer must be above 0, found {value}')
        recognizer.check_frames(sizes['clip_len'])
        state, digest = (None, RANDOM) if weights is None else read_state(Path(weights), remedy=_REMEDY)
        settings = {
            'model': recognizer.backbone.to_dict(),
            'clip_len': sizes['clip_len'],
            'interval': sizes['interval'],
        }
        super().__init__(
            width=recognizer.width,
            channels=recognizer.channels,
            frames=sizes['clip_len'] * sizes['interval'],
            preprocessing=recognizer.preprocessing(short_side=sizes['short_side'], crop=sizes['crop']),
            weights=digest,
            settings=settings if state is not None else {**settings, 'seed': seed},
        )
        self.interval = sizes['interval']
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = recognizer.build()
        if state is None or weights is None:
            warn_of_random_weights('MMActionRecognizer', seed)
        else:
            own = {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}
            load_state(self.network, own, path=Path(weights), remedy=_REMEDY)
        self.eval()

    def forward(self, clips: Tensor) -> Tensor:
        """Return the pooled output of the backbone; see :class:`BaseFeatureBackbone`.

        Raises:
            UserError: If the backbone gives something else than one map, one row of tokens or one vector.
        """
        features = _pooled(self.network(every(clips, self.interval)))
        if features is None or features.shape[1:] != (self.width,):
            found = 'several outputs' if features is None else f'vectors of {tuple(features.shape[1:])}'
            raise UserError(
                f'{type(self.network).__name__} of MMActionRecognizer gives {found}, while its classifier takes '
                f'{self.width} channels: only backbones with one output are supported, choose its last stage'
            )
        return features


def _pooled(output: Any) -> Tensor | None:
    """Return a vector a clip, (N, D); None for what has several maps."""
    if isinstance(output, Sequence):
        if len(output) == 1:
            return _pooled(output[0])
        # MViT: the map, and the class token, or None where it has none.
        if len(output) == 2 and (output[1] is None or output[1].ndim == 2):
            return _pooled(output[0]) if output[1] is None else output[1]
        return None
    return output if output.ndim == 2 else output.mean(dim=tuple(range(2, output.ndim)))


class _Recognizer:
    """What a config of mmaction2 says of its recognizer.

    Args:
        path: The file, for messages.
        cfg: Its content.

    Raises:
        UserError: If it is no recognizer of clips.
    """

    def __init__(self, *, path: str, cfg: Mapping[str, Any]) -> None:
        self.path = path
        self._cfg = cfg
        model = cfg.get('model') or {}
        if not isinstance(model, Mapping) or not isinstance(model.get('backbone'), Mapping):
            raise UserError(f'config {path} has no model with a backbone: give the config of a recognizer of mmaction2')
        self.backbone: Any = model['backbone']
        self._data: Mapping[str, Any] = model.get('data_preprocessor') or {}
        shape = self._data.get('format_shape', 'NCHW')
        if shape != 'NCTHW' or self._data.get('to_rgb'):
            raise UserError(
                f'the data_preprocessor of config {path} has format_shape={shape!r} and '
                f'to_rgb={self._data.get("to_rgb", False)}: only recognizers of clips are supported, NCTHW, in RGB'
            )
        width = (model.get('cls_head') or {}).get('in_channels')
        if not isinstance(width, int):
            raise UserError(f'config {path} has no model.cls_head.in_channels, the width of the features: add it')
        self.width = width
        self.channels = int(self.backbone.get('in_channels', 3))

    def check_frames(self, clip_len: int) -> None:
        """Check that the backbone, if it has places for so many frames only, has as many as a clip.

        Raises:
            UserError: If it has not.
        """
        for name in _PLACES:
            places = self.backbone.get(name)
            if places is not None and places != clip_len:
                raise UserError(
                    f'the backbone of config {self.path} has {name}={places}, places for as many frames, found '
                    f'clip_len={clip_len} of MMActionRecognizer: set it to {places}'
                )

    def build(self) -> nn.Module:
        """Build the backbone, with random weights."""
        from mmaction.registry import MODELS

        try:
            with DefaultScope.overwrite_default_scope('mmaction'):
                return MODELS.build(self.backbone)
        except (AssertionError, AttributeError, ImportError, LookupError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error).strip().split('\n')[0]
            raise UserError(f'mmaction2 cannot build the backbone of config {self.path}: {reason:.300}') from error

    def preprocessing(self, *, short_side: int, crop: int) -> Preprocessing:
        """Return what is done to frames before."""
        mean, std = (self._data.get(name) for name in ('mean', 'std'))
        return Preprocessing(
            short_side=short_side,
            crop=crop,
            scale='0-255',
            mean=tuple(map(float, mean)) if mean is not None else None,
            std=tuple(map(float, std)) if std is not None else None,
            flow_bound=_FLOW_BOUND if self.channels == 2 else None,
        )

    def size(self, name: str) -> int:
        """Return ``clip_len``, ``interval``, ``short_side`` or ``crop`` as the config tests.

        Raises:
            UserError: If the config does not say it.
        """
        for steps in self._pipelines():
            for step in steps:
                found = _size_of(step, name)
                if found is not None:
                    return found
        raise UserError(
            f'config {self.path} has no validation or test pipeline that says {name}: set {name} of MMActionRecognizer'
        )

    def _pipelines(self) -> Iterator[Sequence[Mapping[str, Any]]]:
        for name in _LOADERS:
            dataset = (self._cfg.get(name) or {}).get('dataset') or {}
            if dataset.get('pipeline'):
                yield dataset['pipeline']
        for name in _PIPELINES:
            if self._cfg.get(name):
                yield self._cfg[name]


def _size_of(step: Mapping[str, Any], name: str) -> int | None:
    """Return what a step of a pipeline says of a size; None if it says nothing of it."""
    kind = step.get('type', '')
    value: Any = None
    match name:
        case 'clip_len' if kind in ('SampleFrames', 'DenseSampleFrames', 'UniformSample'):
            value = step.get('clip_len')
        case 'interval' if kind in ('SampleFrames', 'DenseSampleFrames'):
            value = step.get('frame_interval', 1)
        case 'short_side' if kind == 'Resize' and step.get('keep_ratio', True):
            scale = step.get('scale')
            # (-1, s): the shorter side; (l, s): at most these.
            value = min((side for side in scale if side > 0), default=None) if isinstance(scale, Sequence) else None
        case 'crop' if kind in _CROPS:
            value = step.get('crop_size')
    return value if isinstance(value, int) else None
