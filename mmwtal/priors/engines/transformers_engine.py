"""A multimodal model of transformers on this machine, in a process of its own."""

import hashlib
import json
import os
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, get_args

from mmwtal.offline.job import EngineDown
from mmwtal.offline.pool import WorkerPool
from mmwtal.priors.engines.base import BaseEngine, Reply, Request
from mmwtal.priors.engines.loaded_model import LoadedModel, ModelSettings
from mmwtal.priors.engines.media import Media
from mmwtal.registry import MLLM_ENGINES
from mmwtal.utils.errors import UserError
from mmwtal.utils.extras import require
from mmwtal.utils.files import content_digest

# What a model folder holds that replies depend on.
_OF_MODEL = ('.json', '.jinja', '.txt', '.model', '.safetensors')
_OF_PROCESSOR = ('images_kwargs', 'videos_kwargs')


@MLLM_ENGINES.register_module()
class Transformers(BaseEngine):
    """Whatever ``AutoModelForImageTextToText`` loads: Qwen3-VL, Qwen2.5-VL, LLaVA-OneVision, InternVL, SmolVLM, others.

    Weights are read from safetensors files only, and no code of a model's folder is run. If the model's process dies,
    the next request starts another.

    Args:
        model: A folder or a name on the Hugging Face hub.
        revision: Branch, tag or commit on the hub. The records name it: state a commit where the model may change.
        device: ``auto`` for the accelerator where there is one, or a device of torch.
        dtype: ``auto`` for that of the weights, or a type of torch such as ``bfloat16``.
        attention: What transformers calls ``attn_implementation``, such as ``flash_attention_2``; None for its choice.
        media: ``video`` shows the frames as one video, with their time stamps where the family's processor writes any:
            Qwen3-VL and SmolVLM as text, Qwen2.5-VL by its positions. ``frames`` shows each as a picture behind its
            time, for all other families.
        processor_options: More arguments of the model's processor, for pictures (``images_kwargs``) or videos
            (``videos_kwargs``), such as ``{'images_kwargs': {'crop_to_patches': False}}`` for InternVL.
        concurrency: Processes, each with the model.
        timeout: Seconds that a reply may take.

    Raises:
        UserError: If a setting is out of range, or ``model`` is a path without a folder.
    """

    def __init__(
        self,
        *,
        model: str | Path,
        revision: str = 'main',
        device: str = 'auto',
        dtype: str = 'auto',
        attention: str | None = None,
        media: Media = 'video',
        processor_options: Mapping[str, Mapping[str, Any]] | None = None,
        concurrency: int = 1,
        timeout: float = 600.0,
    ) -> None:
        if media not in get_args(Media):
            raise UserError(f'media of Transformers must be one of {get_args(Media)}, found {media!r}')
        if concurrency < 1 or timeout <= 0:
            raise UserError(
                f'Transformers takes concurrency >= 1 and timeout above 0, found {concurrency} and {timeout}'
            )
        wrong = [key for key in processor_options or {} if key not in _OF_PROCESSOR]
        if wrong:
            raise UserError(f'processor_options of Transformers takes {_OF_PROCESSOR}, found {wrong[0]!r}')
        folder = Path(model).expanduser()
        self._folder = folder if folder.is_dir() else None
        if self._folder is None and str(model).startswith(('/', '.', '~')):
            raise UserError(f'model {model} of Transformers is no folder: correct it, or give a name on the hub')
        self.name = str(model) if self._folder is None else folder.resolve().name
        self.concurrency = concurrency
        self._settings = ModelSettings(
            model=str(self._folder or model),
            revision=None if self._folder else revision,
            device=device,
            dtype=dtype,
            attention=attention,
            media=media,
            processor_options=dict(processor_options or {}),
        )
        self._timeout = timeout
        self._pool: WorkerPool | None = None

    @property
    def identity(self) -> Mapping[str, Any]:
        """The model and its revision, or what a folder holds, and how videos are shown."""
        return {
            'engine': 'Transformers',
            'model': self.name,
            'revision': self._revision,
            'dtype': self._settings.dtype,
            'media': self._settings.media,
            'processor_options': self._settings.processor_options,
        }

    @cached_property
    def _revision(self) -> str | None:
        if self._folder is None:
            return self._settings.revision
        files = sorted(path for path in self._folder.iterdir() if path.suffix in _OF_MODEL)
        try:
            content = {path.name: content_digest(path) for path in files}
        except OSError as error:
            raise UserError(f'model {self._folder} cannot be read: {error}') from error
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    async def open(self) -> None:
        """Load the model; see :class:`BaseEngine`."""
        # Said before a process is started for it.
        for module in ('transformers', 'xgrammar'):
            require(module, 'priors')
        self._pool = WorkerPool(
            _answer,
            size=self.concurrency,
            setup=partial(LoadedModel, self._settings),
            timeout=self._timeout,
            name=f'model {self.name}',
        )
        await self._pool.start()

    async def close(self) -> None:
        """End the model's process."""
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    async def healthy(self) -> bool:
        """Say whether the model can be loaded again where its process died."""
        if self._pool is None:
            return False
        try:
            await self._pool.start()
        except EngineDown:
            return False
        return True

    async def ask(self, request: Request) -> Reply:
        """Answer a request; see :class:`BaseEngine`."""
        if self._pool is None:
            raise EngineDown(f'{self.name} was not opened')
        return await self._pool.call(request)


def _answer(model: LoadedModel, request: Request) -> Reply:
    import torch

    try:
        return model.answer(request)
    except torch.AcceleratorError:
        # The device is of no more use to this process; the next one starts with a fresh one.
        os._exit(1)
