"""The frame of the registered losses, and the precision that they are computed in."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from mmwtal.structures import LocalizerOutput
from mmwtal.utils.errors import UserError


def full_precision(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make a loss compute in float32 or better, also under autocast.

    Sums over time and logarithms of softmaxes lose too much in half precision. Autocast is off inside, and tensors in
    half precision are cast to float32; float64 stays float64.
    """

    def cast(value: Any) -> Any:
        half = isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16)
        return value.float() if half else value

    @wraps(function)
    def wrapper(first: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        with torch.autocast(device_type=first.device.type, enabled=False):
            return function(cast(first), *map(cast, args), **{name: cast(value) for name, value in kwargs.items()})

    return wrapper


class BaseLoss(nn.Module, ABC):
    """A loss term of a base model: ``(output, labels) -> weighted scalar``.

    Args:
        loss_weight: What the term is multiplied by.
    """

    def __init__(self, *, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, output: LocalizerOutput, labels: Tensor) -> Tensor:
        """Return the weighted term.

        Args:
            output: The localizer's output for B videos.
            labels: Multi-hot labels, float, (B, C); a row of zeros is a video without any of the classes.

        Returns:
            A scalar with a graph.

        Raises:
            UserError: If the term is not a scalar: mmengine would add up its mean, and hide the mistake.
        """
        term = self.compute(output, labels)
        if not isinstance(term, Tensor) or term.ndim:
            found = f'a tensor of shape {tuple(term.shape)}' if isinstance(term, Tensor) else repr(term)
            raise UserError(
                f'{type(self).__name__}.compute: expected a scalar, a tensor of shape (), found {found}; take the mean '
                'over the videos'
            )
        return self.loss_weight * term

    @abstractmethod
    def compute(self, output: LocalizerOutput, labels: Tensor) -> Tensor:
        """Return the term before weighting, a scalar; arguments as in :meth:`forward`."""
