"""The tokenizer and the chat template of tiny models."""

from typing import Any

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

_END, _TURN, _TURN_ENDS = '<|endoftext|>', '<|im_start|>', '<|im_end|>'


def tiny_tokenizer(transformers: Any, *, context: int, **special: str) -> Any:
    """Return a tokenizer of whole words, or a few together.

    Args:
        transformers: The package.
        context: How many tokens the model takes.
        **special: Special tokens by the names of the tokenizer's attributes that hold them.
    """
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
        model_max_length=context,
    )


def chat_template(image: str, video: str) -> str:
    """Return a template that writes every part of a message in its order.

    Args:
        image: What stands for a picture.
        video: What stands for a video.
    """
    return (
        "{%- for message in messages %}{{ '<|im_start|>' + message.role + '\\n' }}"
        '{%- if message.content is string %}{{ message.content }}{%- else %}{%- for part in message.content %}'
        "{%- if part.type == 'image' %}" + image + "{%- elif part.type == 'video' %}" + video + '{%- else %}'
        "{{ part.text }}{%- endif %}{%- endfor %}{%- endif %}{{ '<|im_end|>\\n' }}{%- endfor %}"
        "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{%- endif %}"
    )
