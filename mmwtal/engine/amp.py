"""Automatic mixed precision in bfloat16, on a CPU as on a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.runner.amp import autocast
from torch.nn import Module

from mmwtal.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """An OptimWrapper whose forward pass runs under bfloat16 autocast.

    bfloat16 has float32's range and needs no loss scaling, so one wrapper serves both devices; mmengine's
    ``AmpOptimWrapper`` asserts a GPU.

    Args:
        **kwargs: Arguments of :class:`mmengine.optim.OptimWrapper`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    @contextmanager
    def optim_context(self, model: Module) -> Iterator[None]:
        """Run the enclosed forward pass under autocast."""
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield
