"""What every backbone takes and gives."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from torch import Tensor, nn


@dataclass(kw_only=True)
class BackboneOutput:
    """Features of a padded batch.

    Args:
        feat: Snippet embedding, (B, T, Db).
        attn: Class-agnostic actionness in [0, 1], (B, T, 1), or None where the backbone has no attention.
        extras: What losses and heads of the same method need; goes on into the localizer's output.
    """

    feat: Tensor
    attn: Tensor | None = None
    extras: dict[str, Tensor] = field(default_factory=dict)


class BaseBackbone(nn.Module, ABC):
    """From snippet features to an embedding and, where the method has one, an attention.

    A backbone that treats modalities apart has a constructor argument ``modalities``, their widths; one without it
    takes features of any number of modalities as they are.

    Attributes:
        out_channels: Db, the width of the embedding; the head takes it as its default ``in_channels``.
        modalities: The widths in use, in the order of the channels; None where the features are not taken apart.
    """

    out_channels: int
    modalities: tuple[int, ...] | None = None

    @abstractmethod
    def forward(self, inputs: Tensor, mask: Tensor) -> BackboneOutput:
        """Embed a padded batch.

        Args:
            inputs: Snippet features, (B, T, D). What lies in the padding must not change the result.
            mask: Valid snippets, bool, (B, T).

        Returns:
            The features; values in the padding carry no meaning.
        """
