"""What every head takes and gives."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from mmwtal.models.backbones.base import BackboneOutput
from mmwtal.registry import MODELS, build_module
from mmwtal.structures import LocalizerOutput
from mmwtal.utils.errors import UserError


class BaseHead(nn.Module, ABC):
    """From a backbone's features to the localizer's output, and from that to the losses of the base model.

    Args:
        losses: The loss terms by name, each a module ``(output, labels) -> scalar`` or its config. A name must
            contain ``loss``, because only such terms are summed for the update. None leaves out a term of a base
            config.

    Raises:
        UserError: If a name does not contain ``loss``.
    """

    def __init__(self, *, losses: Mapping[str, Any]) -> None:
        super().__init__()
        for name in losses:
            if 'loss' not in name:
                raise UserError(
                    f'{type(self).__name__}: the loss term {name!r} must have "loss" in its name, else it would not '
                    f'be added to the total; call it "loss_{name}"'
                )
        self.losses = nn.ModuleDict(
            {name: build_module(loss, MODELS) for name, loss in losses.items() if loss is not None}
        )

    @abstractmethod
    def forward(self, features: BackboneOutput, mask: Tensor) -> LocalizerOutput:
        """Classify the snippets of a padded batch.

        Args:
            features: What the backbone gave.
            mask: Valid snippets, bool, (B, T).

        Returns:
            The localizer's output.
        """

    def loss(self, output: LocalizerOutput, labels: Tensor) -> dict[str, Tensor]:
        """Return the weighted loss terms by name, each a scalar.

        Args:
            output: The localizer's output.
            labels: Multi-hot labels of the videos, float, (B, C).
        """
        return {name: loss(output, labels) for name, loss in self.losses.items()}
