"""A multimodal language model of a million random weights, to try the whole path without any real one.

What it answers keeps to the schema and means nothing. Configuration, processors, tokenizer and chat template are of the
family's own classes, so loading, placing frames in the prompt, writing under a grammar and decoding run as for a model
of billions of weights, on one core and in about a second.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from mmwtal.utils.compat import usable_torchvision
from mmwtal.utils.errors import UserError
from mmwtal.utils.extras import require

Family = Literal['qwen3_vl', 'qwen2_5_vl', 'llava_onevision', 'internvl', 'smolvlm']

# Texts like those that are asked for, so that a word, or a few, is one token and a long reply takes few steps.
_SUBJECTS = (
    'The athlete',
    'A player',
    'The man',
    'The woman',
    'One person',
    'A gymnast',
    'The child',
    'Another runner',
)
_ACTIONS = (
    *('runs along the track', 'jumps over the bar', 'throws the discus', 'lifts the weight', 'swings the club'),
    *('hits the ball', 'kicks the ball into the goal', 'lands on the mat', 'turns around twice', 'bends both knees'),
    *(
        'raises both arms',
        'stands still on the platform',
        'holds the pole',
        'walks back to the line',
        'catches the rope',
    ),
    *('dives into the water', 'pushes off from the ground', 'leans forward', 'spins in the circle', 'lets go of it'),
)
_ENDINGS = ('.', ' and stops.', ' on the field.', ' near the camera.', ' again.', ' in the gym.', '!')
_LIKE = (
    '{"',
    '": "',
    '", "',
    '": [',
    '": true, "',
    '": false, "',
    '"}',
    '"]}',
    '"], "',
    '"}]}',
    '": {"',
    '": 1',
    '": null',
)
_VOCABULARY = 1536
_WIDTH = 128
_HEADS = 4
_CONTEXT = 8192
_PICTURE = 64

_END, _TURN, _TURN_ENDS = '<|endoftext|>', '<|im_start|>', '<|im_end|>'


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
    if out.is_dir() and any(out.iterdir()):
        raise UserError(f'{out} has files already: name a new folder')
    usable_torchvision()
    require('tokenizers', 'priors')
    transformers = require('transformers', 'priors')
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, processor = _FAMILIES[family](transformers)
    ends = processor.tokenizer.convert_tokens_to_ids(_TURN_ENDS)
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


def _tokenizer(transformers: Any, **special: str) -> Any:
    """Return a tokenizer of whole words, in which the named special tokens are attributes too."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokens = [_END, _TURN, _TURN_ENDS, *special.values()]
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trained.decoder = decoders.ByteLevel()
    texts = [f'{who} {what}{end}' for who in _SUBJECTS for what in _ACTIONS for end in _ENDINGS]
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY - len(tokens),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=16,
        show_progress=False,
    )
    trained.train_from_iterator([*texts, *_LIKE * 100], trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=trained,
        eos_token=_TURN_ENDS,
        pad_token=_END,
        extra_special_tokens=special | {'turn_token': _TURN},
        model_max_length=_CONTEXT,
    )


def _template(image: str, video: str) -> str:
    """Return a chat template that writes every part of a message in its order."""
    return (
        "{%- for message in messages %}{{ '<|im_start|>' + message.role + '\\n' }}"
        '{%- if message.content is string %}{{ message.content }}{%- else %}{%- for part in message.content %}'
        "{%- if part.type == 'image' %}" + image + "{%- elif part.type == 'video' %}" + video + '{%- else %}'
        "{{ part.text }}{%- endif %}{%- endfor %}{%- endif %}{{ '<|im_end|>\\n' }}{%- endfor %}"
        "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{%- endif %}"
    )


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
        chat_template=_template(_QWEN_IMAGE, '<|video_pad|>'),
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
        chat_template=_template(_QWEN_IMAGE, '<|vision_start|><|video_pad|><|vision_end|>'),
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
    tokenizer = _tokenizer(transformers, **special)
    return tokenizer, {f'{name}_id': tokenizer.convert_tokens_to_ids(token) for name, token in special.items()}


def _llava_onevision(transformers: Any) -> tuple[Any, Any]:
    tokenizer = _tokenizer(transformers, image_token='<image>', video_token='<video>')
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
        chat_template=_template('<image>', '<video>'),
    )
    return transformers.LlavaOnevisionForConditionalGeneration(config), processor


def _internvl(transformers: Any) -> tuple[Any, Any]:
    special = {
        'start_image_token': '<img>',
        'end_image_token': '</img>',
        'context_image_token': '<IMG_CONTEXT>',
        'video_token': '<video>',
    }
    tokenizer = _tokenizer(transformers, **special)
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
        chat_template=_template('<IMG_CONTEXT>', '<video>'),
    )
    return transformers.InternVLForConditionalGeneration(config), processor


def _smolvlm(transformers: Any) -> tuple[Any, Any]:
    require('num2words', 'priors')
    tokenizer = _tokenizer(
        transformers,
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
        chat_template=_template('<image>', '<video>'),
    )
    return transformers.SmolVLMForConditionalGeneration(config), processor


_FAMILIES: Mapping[str, Callable[[Any], tuple[Any, Any]]] = {
    'qwen3_vl': _qwen3_vl,
    'qwen2_5_vl': _qwen2_5_vl,
    'llava_onevision': _llava_onevision,
    'internvl': _internvl,
    'smolvlm': _smolvlm,
}
