"""A multimodal model of transformers in this process: what it is asked with, how it is bound, when it is too much."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from mmwtal.priors.engines.base import Clip, Reply, Request, RequestFailed, RequestTooLarge
from mmwtal.priors.engines.media import Media, time_stamp
from mmwtal.priors.engines.structured import Grammars
from mmwtal.utils.compat import usable_torchvision
from mmwtal.utils.errors import UserError
from mmwtal.utils.extras import require

# Time stamps are given to processors in these parts of a second, as the numbers of frames at this rate: exact for every
# video, of variable rate too.
_CLOCK = 1000
# What torch says, besides its own exception, where memory does not suffice.
_OUT_OF_MEMORY = ("can't allocate memory", 'not enough memory', 'out of memory', 'ALLOC_FAILED')


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """How a model is loaded and shown a video; see :class:`~mmwtal.priors.engines.transformers_engine.Transformers`."""

    model: str
    revision: str | None
    device: str
    dtype: str
    attention: str | None
    media: Media
    processor_options: Mapping[str, Any] = field(default_factory=dict)


class LoadedModel:
    """A model in memory.

    Args:
        settings: Which one, and how it is shown a video.

    Raises:
        UserError: If it cannot be loaded, is not multimodal, or a package is not installed.
    """

    def __init__(self, settings: ModelSettings) -> None:
        from mmengine.device import get_device

        require('xgrammar', 'priors')
        usable_torchvision()
        self._settings = settings
        device = get_device() if settings.device == 'auto' else settings.device
        self._processor, model = _load(settings)
        try:
            self._model = model.requires_grad_(False).eval().to(device)
        except (RuntimeError, AssertionError, MemoryError) as error:
            reason = str(error).strip().split('\n')[0] or 'MemoryError'
            raise UserError(
                f'{settings.model} cannot be put on {device}: {reason:.300}; name another device, or a smaller model '
                'or dtype'
            ) from error
        text = model.config.get_text_config()
        self._context = getattr(text, 'max_position_embeddings', None)
        tokenizer = self._processor.tokenizer
        self._ends = _ends(model, tokenizer)
        self._grammars = Grammars(tokenizer=tokenizer, size=text.vocab_size, ends=self._ends)

    def answer(self, request: Request) -> Reply:
        """Answer a request; the likeliest reply, or one that its seed draws.

        Raises:
            RequestTooLarge: If it exceeds the context, before the model runs, or the memory.
            RequestFailed: If the processor or the model cannot take it.
            UserError: If its schema cannot be used.
            torch.AcceleratorError: If the device is of no more use to this process.
        """
        grammar = self._grammars.compiled(request.schema)
        with _faults_of_request():
            try:
                inputs = self._inputs(request)
            except (ValueError, TypeError, IndexError, KeyError, OSError) as error:
                raise RequestFailed(f'{self._settings.model} cannot take the request: {error!s:.300}') from error
            length = inputs['input_ids'].shape[1]
            if self._context is not None and length + request.max_tokens > self._context:
                raise RequestTooLarge(
                    f'{length} tokens of the question and up to {request.max_tokens} of the reply exceed the context '
                    f'of {self._settings.model}, {self._context} tokens'
                )
            written = self._write(inputs, grammar, request)
        return Reply(
            text=self._processor.tokenizer.decode(written, skip_special_tokens=True),
            # The grammar admits an end where the reply may end, and nowhere else.
            complete=bool(written) and written[-1] in self._ends,
            prompt_tokens=length,
            reply_tokens=len(written),
        )

    def _write(self, inputs: Any, grammar: Any, request: Request) -> list[int]:
        import torch
        from xgrammar.contrib.hf import LogitsProcessor

        sampling: dict[str, Any] = {'do_sample': False, 'temperature': None, 'top_p': None, 'top_k': None}
        if request.temperature > 0:
            sampling = {'do_sample': True, 'temperature': request.temperature}
            torch.manual_seed(request.seed)
        with torch.inference_mode():
            tokens = self._model.generate(
                **inputs.to(self._model.device, dtype=self._model.dtype),
                **sampling,
                max_new_tokens=request.max_tokens,
                eos_token_id=self._ends,
                logits_processor=[LogitsProcessor(grammar)],
            )
        return tokens[0, inputs['input_ids'].shape[1] :].tolist()

    def _inputs(self, request: Request) -> Any:
        media: dict[str, Any] = {}
        shown: list[dict[str, str]] = []
        if request.clip is not None and request.clip.frames:
            frames = request.clip.frames
            if self._settings.media == 'video':
                # Families that take two frames together refuse a video of one.
                frames = frames * 2 if len(frames) == 1 else frames
                video = np.stack([_picture(frame.jpeg) for frame in frames])
                shown = [{'type': 'video'}]
                media = {
                    'videos': [video],
                    'video_metadata': [_metadata(request.clip, [frame.time for frame in frames], video)],
                    # Without this, and the metadata, transformers takes the frames for a video of 24 frames a second.
                    'do_sample_frames': False,
                }
            else:
                for frame in frames:
                    shown += [{'type': 'text', 'text': time_stamp(frame.time)}, {'type': 'image'}]
                media = {'images': [_picture(frame.jpeg) for frame in frames]}
        messages = [{'role': 'user', 'content': [*shown, {'type': 'text', 'text': request.prompt}]}]
        if request.system:
            messages.insert(0, {'role': 'system', 'content': [{'type': 'text', 'text': request.system}]})
        text = self._processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        first = self._processor.tokenizer.bos_token
        if first and text.startswith(first):
            # The template wrote the token that the tokenizer would put before it.
            media['add_special_tokens'] = False
        return self._processor(text=[text], return_tensors='pt', **media, **self._settings.processor_options)


def _picture(jpeg: bytes) -> np.ndarray:
    """Return a picture, uint8, (H, W, 3), red first.

    Raises:
        ValueError: If it is none.
    """
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    if picture is None:
        raise ValueError('a frame is no JPEG')
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _metadata(clip: Clip, times: Sequence[float], video: np.ndarray) -> Any:
    from transformers.video_utils import VideoMetadata

    return VideoMetadata(
        # The stretch, not the video: Qwen2.5-VL takes the frames' distance in time from it.
        total_num_frames=max(1, round((clip.end - clip.start) * _CLOCK)),
        fps=_CLOCK,
        width=video.shape[2],
        height=video.shape[1],
        duration=clip.duration,
        frames_indices=[round(time * _CLOCK) for time in times],
    )


def _load(settings: ModelSettings) -> tuple[Any, Any]:
    transformers = require('transformers', 'priors')
    from safetensors import SafetensorError

    # Its bars would run through the line of progress of the job.
    transformers.utils.logging.disable_progress_bar()

    options: dict[str, Any] = {'trust_remote_code': False}
    if settings.revision is not None:
        options['revision'] = settings.revision
    weights = {'dtype': settings.dtype, 'use_safetensors': True, 'output_loading_info': True}
    if settings.attention is not None:
        weights['attn_implementation'] = settings.attention
    # A folder that is no model fails in many ways, deep inside.
    faults = (OSError, ValueError, LookupError, TypeError, AttributeError, ImportError, RuntimeError, SafetensorError)
    try:
        processor = transformers.AutoProcessor.from_pretrained(settings.model, **options)
        model, info = transformers.AutoModelForImageTextToText.from_pretrained(settings.model, **options, **weights)
    except faults as error:
        reason = str(error).strip().split('\n')[0]
        raise UserError(
            f'{settings.model} cannot be loaded as a multimodal model of transformers with safetensors weights: '
            f'{reason:.300}; check the name or folder, and that the installed transformers knows it'
        ) from error
    if not hasattr(processor, 'tokenizer') or not hasattr(processor, 'image_processor'):
        raise UserError(f'{settings.model} has no processor of images and text: it is no multimodal model')
    if info['missing_keys']:
        raise UserError(
            f'the weights of {settings.model} lack {len(info["missing_keys"])} tensors of its model, such as '
            f'{min(info["missing_keys"])}: copy them again'
        )
    return processor, model


def _ends(model: Any, tokenizer: Any) -> list[int]:
    stated = model.generation_config.eos_token_id
    ends = stated if isinstance(stated, list) else [stated]
    return sorted({end for end in (*ends, tokenizer.eos_token_id) if end is not None})


@contextmanager
def _faults_of_request() -> Iterator[None]:
    """Turn a lack of memory into RequestTooLarge, with all of it given back, and other faults into RequestFailed."""
    import torch

    try:
        yield
        return
    except (torch.OutOfMemoryError, MemoryError) as error:
        reason = str(error)
    except torch.AcceleratorError:
        raise
    except RuntimeError as error:
        if not any(sign in str(error) for sign in _OUT_OF_MEMORY):
            raise RequestFailed(f'the model failed: {error!s:.300}') from error
        reason = str(error)
    # Outside of the except clauses, whose exceptions hold the frames that hold the tensors.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    raise RequestTooLarge(f'the memory does not suffice: {reason.strip() or "MemoryError":.200}')
