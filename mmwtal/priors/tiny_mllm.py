"""A multimodal language model of a million random weights, to try the whole path without any real one.

What it answers keeps to the schema and means nothing. Configuration, model and processors are of the family's own
classes, so loading, placing frames in the prompt, writing under a grammar and decoding run as for billions of weights,
on one core and in about a second.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from mmwtal.priors.tiny_tokenizer import chat_template, tiny_tokenizer
from mmwtal.utils.compat import usable_torchvision
from mmwtal.utils.errors import UserError
from mmwtal.utils.extras import require

Family = Literal['qwen3_vl', 'qwen2_5_vl', 'llava_onevision', 'internvl', 'smolvlm']

_WIDTH = 128
_HEADS = 4
_CONTEXT = 8192
_PICTURE = 64


def write_tiny_mllm(out: Path, *, family: str = 'qwen3_vl', seed: int = 0) -> None:
    """Write a model folder that ``AutoModelForImageTextToText`` and ``AutoProcessor`` load.

    Args:
        out: The folder; it must not exist, or be empty.
        family: Whose architecture it has; one of :data:`Family`.
        seed: Seed of its weights.

    Raises:
        UserError: If the family is unknown, the folder has files or transformers is not installed.
    """
    if family not in get_args(Family):
        raise UserError(f'a tiny model can be of the families {", ".join(get_args(Family))}, found {family!r}')
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f'{out} is there already and no empty folder: name a new one')
    usable_torchvision()
    require('tokenizers', 'priors')
    transformers = require('transformers', 'priors')
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, processor = _FAMILIES[family](transformers)
    ends = processor.tokenizer.eos_token_id
    model.generation_config.update(eos_token_id=ends, pad_token_id=processor.tokenizer.pad_token_id)
    out.mkdir(parents=True, exist_ok=True)
    # A bar for one small file.
    bars = transformers.utils.logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    model.save_pretrained(out)
    if shown:
        bars.enable_progress_bar()
    processor.save_pretrained(out)


def _text_config(tokenizer: Any, **more: Any) -> dict[str, Any]:
    return {
        'vocab_size': len(tokenizer),
        'hidden_size': _WIDTH,
        'intermediate_size': 2 * _WIDTH,
        'num_hidden_layers': 2,
        'num_attention_heads': _HEADS,
        'num_key_value_heads': 2,
        'head_dim': _WIDTH // _HEADS,
        'max_position_embeddings': _CONTEXT,
        'bos_token_id': None,
        'eos_token_id': tokenizer.eos_token_id,
        'pad_token_id': tokenizer.pad_token_id,
        **more,
    }


def _qwen3_vl(transformers: Any) -> tuple[Any, Any]:
    tokenizer, ids = _qwen_tokenizer(transformers)
    rope = {'rope_type': 'default', 'rope_theta': 1e4, 'mrope_section': [6, 5, 5], 'mrope_interleaved': True}
    vision = {
        'depth': 2,
        'hidden_size': _WIDTH,
        'intermediate_size': _WIDTH,
        'num_heads': _HEADS,
        'out_hidden_size': _WIDTH,
        'patch_size': 16,
        'spatial_merge_size': 2,
        'temporal_patch_size': 2,
        'num_position_embeddings': 64,
        'deepstack_visual_indexes': [0],
    }
    config = transformers.Qwen3VLConfig(
        text_config=_text_config(tokenizer, rope_parameters=rope), vision_config=vision, tie_word_embeddings=True, **ids
    )
    size = {'shortest_edge': 32 * 32, 'longest_edge': _PICTURE * _PICTURE}
    processor = transformers.Qwen3VLProcessor(
        image_processor=transformers.Qwen2VLImageProcessor(patch_size=16, size=size),
        video_processor=transformers.Qwen3VLVideoProcessor(
            patch_size=16, size={**size, 'longest_edge': 16 * _PICTURE * _PICTURE}, cap_pixels_per_frame=True
        ),
        tokenizer=tokenizer,
        # Its processor puts the marks around each frame of a video, behind the frame's time.
        chat_template=chat_template(_QWEN_IMAGE, '<|video_pad|>'),
    )
    return transformers.Qwen3VLForConditionalGeneration(config), processor


def _qwen2_5_vl(transformers: Any) -> tuple[Any, Any]:
    tokenizer, ids = _qwen_tokenizer(transformers)
    rope = {'rope_type': 'default', 'rope_theta': 1e4, 'mrope_section': [6, 5, 5]}
    text = _text_config(tokenizer, rope_parameters=rope)
    text.pop('head_dim')
    vision = {
        'depth': 2,
        'hidden_size': _WIDTH,
        'intermediate_size': _WIDTH,
        'num_heads': _HEADS,
        'out_hidden_size': _WIDTH,
        'patch_size': 14,
        'spatial_merge_size': 2,
        'temporal_patch_size': 2,
        'window_size': 56,
        'fullatt_block_indexes': [1],
        'tokens_per_second': 2,
    }
    config = transformers.Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True, **ids)
    size = {'shortest_edge': 28 * 28, 'longest_edge': 56 * 56}
    processor = transformers.Qwen2_5_VLProcessor(
        image_processor=transformers.Qwen2VLImageProcessor(size=size),
        video_processor=transformers.Qwen2VLVideoProcessor(size=size, cap_pixels_per_frame=True),
        tokenizer=tokenizer,
        chat_template=chat_template(_QWEN_IMAGE, '<|vision_start|><|video_pad|><|vision_end|>'),
    )
    return transformers.Qwen2_5_VLForConditionalGeneration(config), processor


_QWEN_IMAGE = '<|vision_start|><|image_pad|><|vision_end|>'


def _qwen_tokenizer(transformers: Any) -> tuple[Any, dict[str, int]]:
    special = {
        'image_token': '<|image_pad|>',
        'video_token': '<|video_pad|>',
        'vision_start_token': '<|vision_start|>',
        'vision_end_token': '<|vision_end|>',
    }
    tokenizer = tiny_tokenizer(transformers, context=_CONTEXT, **special)
    return tokenizer, {f'{name}_id': tokenizer.convert_tokens_to_ids(token) for name, token in special.items()}


def _llava_onevision(transformers: Any) -> tuple[Any, Any]:
    tokenizer = tiny_tokenizer(transformers, context=_CONTEXT, image_token='<image>', video_token='<video>')
    side = _PICTURE // 2
    text = _text_config(tokenizer)
    text.pop('head_dim')
    vision = {
        'model_type': 'siglip_vision_model',
        'hidden_size': _WIDTH,
        'intermediate_size': _WIDTH,
        'num_hidden_layers': 2,
        'num_attention_heads': _HEADS,
        'image_size': side,
        'patch_size': 8,
        'vision_use_head': False,
    }
    pinpoints = [[side, side]]
    config = transformers.LlavaOnevisionConfig(
        text_config={'model_type': 'qwen2', **text},
        vision_config=vision,
        image_token_index=tokenizer.convert_tokens_to_ids('<image>'),
        video_token_index=tokenizer.convert_tokens_to_ids('<video>'),
        image_grid_pinpoints=pinpoints,
    )
    size = {'height': side, 'width': side}
    processor = transformers.LlavaOnevisionProcessor(
        image_processor=transformers.LlavaOnevisionImageProcessor(size=size, image_grid_pinpoints=pinpoints),
        video_processor=transformers.LlavaOnevisionVideoProcessor(size=size),
        tokenizer=tokenizer,
        num_image_tokens=(side // 8) ** 2,
        vision_feature_select_strategy='full',
        chat_template=chat_template('<image>', '<video>'),
    )
    return transformers.LlavaOnevisionForConditionalGeneration(config), processor


def _internvl(transformers: Any) -> tuple[Any, Any]:
    special = {
        'start_image_token': '<img>',
        'end_image_token': '</img>',
        'context_image_token': '<IMG_CONTEXT>',
        'video_token': '<video>',
    }
    tokenizer = tiny_tokenizer(transformers, context=_CONTEXT, **special)
    side = _PICTURE // 2
    text = _text_config(tokenizer)
    text.pop('head_dim')
    vision = {
        'hidden_size': _WIDTH,
        'intermediate_size': _WIDTH,
        'num_hidden_layers': 2,
        'num_attention_heads': _HEADS,
        'image_size': [side, side],
        'patch_size': [8, 8],
    }
    config = transformers.InternVLConfig(
        text_config={'model_type': 'qwen2', **text},
        vision_config=vision,
        image_token_id=tokenizer.convert_tokens_to_ids('<IMG_CONTEXT>'),
        image_seq_length=4,
    )
    size = {'height': side, 'width': side}
    processor = transformers.InternVLProcessor(
        image_processor=transformers.GotOcr2ImageProcessor(size=size, max_patches=1),
        video_processor=transformers.InternVLVideoProcessor(size=size),
        tokenizer=tokenizer,
        image_seq_length=4,
        chat_template=chat_template('<IMG_CONTEXT>', '<video>'),
    )
    return transformers.InternVLForConditionalGeneration(config), processor


def _smolvlm(transformers: Any) -> tuple[Any, Any]:
    require('num2words', 'priors')
    tokenizer = tiny_tokenizer(
        transformers,
        context=_CONTEXT,
        fake_image_token='<fake_token_around_image>',
        image_token='<image>',
        video_token='<video>',
        global_image_token='<global-img>',
        end_of_utterance_token='<end_of_utterance>',
    )
    side = _PICTURE // 2
    text = _text_config(tokenizer)
    vision = {
        'hidden_size': _WIDTH,
        'intermediate_size': _WIDTH,
        'num_hidden_layers': 2,
        'num_attention_heads': _HEADS,
        'image_size': side,
        'patch_size': 8,
    }
    config = transformers.SmolVLMConfig(
        text_config={'model_type': 'llama', **text},
        vision_config=vision,
        image_token_id=tokenizer.convert_tokens_to_ids('<image>'),
        scale_factor=2,
        pad_token_id=tokenizer.pad_token_id,
    )
    size = {'longest_edge': side}
    processor = transformers.SmolVLMProcessor(
        image_processor=transformers.SmolVLMImageProcessor(size=size, max_image_size=size, do_image_splitting=False),
        video_processor=transformers.SmolVLMVideoProcessor(size=size, max_image_size=size),
        tokenizer=tokenizer,
        image_seq_len=4,
        chat_template=chat_template('<image>', '<video>'),
    )
    return transformers.SmolVLMForConditionalGeneration(config), processor


_FAMILIES: Mapping[str, Callable[[Any], tuple[Any, Any]]] = {
    'qwen3_vl': _qwen3_vl,
    'qwen2_5_vl': _qwen2_5_vl,
    'llava_onevision': _llava_onevision,
    'internvl': _internvl,
    'smolvlm': _smolvlm,
}
