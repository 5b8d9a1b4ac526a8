"""Any text model of transformers."""

from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from mmwtal.registry import TEXT_ENCODERS
from mmwtal.text_encoders.transformer import TransformerEncoder
from mmwtal.utils.errors import UserError

Pooling = Literal['mean', 'cls']


@TEXT_ENCODERS.register_module()
class HFTextEncoder(TransformerEncoder):
    """The last hidden states of a text model of transformers; of an encoder-decoder, those of its encoder.

    See :class:`~mmwtal.text_encoders.transformer.TransformerEncoder` for words and long texts.

    Args:
        model: A folder or a name on the hub, e.g. ``sentence-transformers/all-MiniLM-L6-v2``.
        pooling: The vector of a text: ``mean`` of all its tokens, special ones included, as sentence encoders are
            trained (Reimers and Gurevych, EMNLP 2019); ``cls``, its first token.
        root: See :class:`TransformerEncoder`.
        revision: See :class:`TransformerEncoder`.
        batch_size: See :class:`TransformerEncoder`.
        device: See :class:`TransformerEncoder`.

    Raises:
        UserError: If a setting is out of range.
    """

    def __init__(
        self,
        *,
        model: str | Path,
        pooling: Pooling = 'mean',
        root: str | Path = '.',
        revision: str = 'main',
        batch_size: int = 32,
        device: str = 'auto',
    ) -> None:
        super().__init__(model=model, root=root, revision=revision, batch_size=batch_size, device=device)
        if pooling not in get_args(Pooling):
            raise UserError(f'pooling of HFTextEncoder must be one of {get_args(Pooling)}, found {pooling!r}')
        self.pooling = pooling

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that vectors depend on, besides the model."""
        return {'pooling': self.pooling}

    def load(self, transformers: Any, source: str, **options: Any) -> torch.nn.Module:
        """Load the model; see :class:`TransformerEncoder`.

        Raises:
            UserError: If it is of text and images.
        """
        model = transformers.AutoModel.from_pretrained(source, **options)
        if hasattr(model.config, 'text_config') and hasattr(model.config, 'vision_config'):
            raise UserError(f'{source} is a model of text and images: use CLIPTextEncoder')
        return model.get_encoder() if model.config.is_encoder_decoder else model

    def run(self, model: Any, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Run the model; see :class:`TransformerEncoder`."""
        hidden = model(**inputs).last_hidden_state
        if self.pooling == 'cls':
            return hidden[:, 0], hidden
        mask = inputs['attention_mask'][..., None].to(hidden.dtype)
        return (hidden * mask).sum(dim=1) / mask.sum(dim=1), hidden
