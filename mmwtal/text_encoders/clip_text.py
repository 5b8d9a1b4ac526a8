"""The text side of CLIP, whose vectors lie in the space of its image vectors."""

from typing import Any

import torch
from torch import Tensor

from mmwtal.registry import TEXT_ENCODERS
from mmwtal.text_encoders.transformer import TransformerEncoder


@TEXT_ENCODERS.register_module()
class CLIPTextEncoder(TransformerEncoder):
    """CLIP's text vectors after its projection, in the space that text and images share (Radford et al., ICML 2021).

    A text's vector is the projected state of its end token, not normalised; a word's is the mean of the states of its
    subwords under the same projection. CLIP takes 77 tokens; see
    :class:`~mmwtal.text_encoders.transformer.TransformerEncoder` for longer texts and for the arguments. ``model`` is,
    for instance, ``openai/clip-vit-base-patch32``.
    """

    def load(self, transformers: Any, source: str, **options: Any) -> torch.nn.Module:
        """Load the model; see :class:`TransformerEncoder`."""
        return transformers.CLIPTextModelWithProjection.from_pretrained(source, **options)

    def run(self, model: Any, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Run the model; see :class:`TransformerEncoder`."""
        output = model(**inputs)
        return output.text_embeds, model.text_projection(output.last_hidden_state)
