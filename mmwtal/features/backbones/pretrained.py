"""Vision models of the package transformers: loading, what their processors say of frames, what identifies them."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log

from mmwtal.features.backbones.base import RANDOM, Preprocessing
from mmwtal.features.backbones.preprocessing import Interpolation
from mmwtal.features.backbones.weights import tensors_sha256, warn_of_random_weights
from mmwtal.utils.compat import usable_torchvision
from mmwtal.utils.errors import UserError
from mmwtal.utils.extras import require

_EXTRA = 'features'
# The numbers by which PIL, and with it the files, call the ways to resize.
_INTERPOLATIONS: dict[int, Interpolation] = {0: 'nearest', 1: 'lanczos', 2: 'bilinear', 3: 'bicubic'}
_BYTE = 255.0
# A folder that is no model fails in many ways, deep inside.
_FAULTS = (OSError, ValueError, LookupError, TypeError, AttributeError, ImportError, RuntimeError)


class Pretrained:
    """A model folder or a name on the Hugging Face hub; weights are read from safetensors files only.

    Args:
        owner: The backbone that uses it, for messages.
        model: A folder with the model and its processor, or a name on the hub.
        revision: Branch, tag or commit on the hub; None for its main branch.

    Raises:
        UserError: If the folder is absent, transformers is not installed or the configuration cannot be read.
    """

    def __init__(self, *, owner: str, model: str | Path, revision: str | None = None) -> None:
        path = Path(model).expanduser()
        is_path = str(model).startswith(('/', '.', '~'))
        if is_path and not path.is_dir():
            raise UserError(f'model {path} of {owner} is no folder: correct model')
        usable_torchvision()
        self.transformers: Any = require('transformers', _EXTRA)
        self.owner = owner
        self.model = str(model)
        self.source = str(path) if path.is_dir() else str(model)
        self._options: dict[str, Any] = {'trust_remote_code': False}
        if revision is not None and not path.is_dir():
            self._options['revision'] = revision
        self.config = self._read(self.transformers.AutoConfig, 'configuration')

    def _read(self, factory: Any, what: str, **options: Any) -> Any:
        from safetensors import SafetensorError

        try:
            return factory.from_pretrained(self.source, **self._options, **options)
        except (*_FAULTS, SafetensorError) as error:
            reason = str(error).strip().split('\n')[0]
            raise UserError(
                f'{what} of {self.source}, the model of {self.owner}, cannot be read: {reason:.300}; check the name or '
                'folder, and that the installed transformers knows it'
            ) from error

    def load(self, factory: Any, *, pretrained: bool, seed: int) -> tuple[Any, str]:
        """Load the model, in float32.

        Args:
            factory: A class with ``from_pretrained`` and ``from_config``, such as ``AutoModel``.
            pretrained: Whether it gets its weights, else random ones.
            seed: Seed of random weights.

        Returns:
            The model and the hash of its tensors, or :data:`RANDOM`.

        Raises:
            UserError: If it cannot be loaded or its weights lack some of its tensors.
        """
        if not pretrained:
            warn_of_random_weights(self.owner, seed, remedy='set pretrained=True')
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                return factory.from_config(self.config, dtype=torch.float32), RANDOM
        with self._quiet():
            # Reported by us, as the missing ones are.
            options = {'ignore_mismatched_sizes': True, 'output_loading_info': True}
            model, info = self._read(factory, 'model', use_safetensors=True, dtype=torch.float32, **options)
        absent = {*info['missing_keys'], *(entry[0] for entry in info['mismatched_keys'])}
        if absent:
            raise UserError(
                f'the weights of {self.source} lack {len(absent)} tensors of {type(model).__name__}, or have them in '
                f'another shape, such as {min(absent)}: copy model and configuration again'
            )
        if info['unexpected_keys']:
            print_log(
                f'{self.owner}: {type(model).__name__} has no place for {len(info["unexpected_keys"])} tensors of '
                f'{self.source}, such as {min(info["unexpected_keys"])}',
                logger='current',
                level=logging.INFO,
            )
        return model, tensors_sha256(model)

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Keep transformers from bars and tables, which would run through the line of progress of an extraction."""
        logs = self.transformers.utils.logging
        shown, verbosity = logs.is_progress_bar_enabled(), logs.get_verbosity()
        logs.disable_progress_bar()
        logs.set_verbosity_error()
        try:
            yield
        finally:
            logs.set_verbosity(verbosity)
            if shown:
                logs.enable_progress_bar()

    def preprocessing(self, *kinds: str) -> Preprocessing:
        """Return what the processor does to frames.

        Args:
            *kinds: Names of the factories that may read it, such as ``AutoImageProcessor``, the first that can.

        Raises:
            UserError: If there is no processor, or it does what no backbone declares.
        """
        for kind in kinds:
            try:
                values = self._read(getattr(self.transformers, kind), 'processor').to_dict()
                break
            except UserError:
                if kind == kinds[-1]:
                    raise
        return self._declared(values)

    def _declared(self, values: Mapping[str, Any]) -> Preprocessing:
        crop = _side(values.get('crop_size')) if values.get('do_center_crop') else None
        size = values.get('size') or {}
        short_side = size.get('shortest_edge')
        if short_side is None and values.get('do_resize'):
            # The whole picture becomes the square.
            crop = _side(size)
        crop = crop or short_side
        interpolation = _INTERPOLATIONS.get(int(values.get('resample') or 0))
        if not values.get('do_resize') or crop is None or interpolation is None:
            shown = {name: values.get(name) for name in ('do_resize', 'size', 'crop_size', 'resample')}
            raise UserError(
                f'the processor of {self.source}, the model of {self.owner}, makes no squares of one size of pictures: '
                f'{shown}'
            )
        factor = float(values.get('rescale_factor') or 1 / _BYTE) if values.get('do_rescale') else 1.0
        offset = 1.0 if values.get('offset') else 0.0
        normal = bool(values.get('do_normalize'))
        mean = _three(values['image_mean']) if normal else (0.0,) * 3
        std = _three(values['image_std']) if normal else (1.0,) * 3
        # (x factor - offset - mean) / std, of x / 255 in place of x.
        unit = factor * _BYTE
        return Preprocessing(
            crop=crop,
            short_side=short_side,
            interpolation=interpolation,
            scale='0-1',
            mean=tuple((value + offset) / unit for value in mean),
            std=tuple(value / unit for value in std),
        )


def _side(size: Any) -> int | None:
    """Return the side of a square that a processor states; None for another form."""
    if isinstance(size, Mapping) and size.get('height') == size.get('width'):
        return size.get('height')
    return size if isinstance(size, int) else None


def _three(values: Any) -> tuple[float, ...]:
    """Return a value a channel of what a processor states, one number or three."""
    return tuple(map(float, values)) if isinstance(values, list | tuple) else (float(values),) * 3
