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

    Attributes:
        out_channels: Db, the width of the embedding; the head takes it as its default ``in_channels``.
    """

    out_channels: int

    @abstractmethod
    def forward(self, inputs: Tensor, mask: Tensor) -> BackboneOutput:
        """Embed a padded batch.

        Args:
            inputs: Snippet features, (B, T, D). What lies in the padding must not change the result.
            mask: Valid snippets, bool, (B, T).

        Returns:
            The features; values in the padding carry no meaning.
        """
