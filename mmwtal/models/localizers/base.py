"""The frame of every localizer: the three modes, decoding, and guidance while training."""

import inspect
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.model import BaseModel
from mmengine.registry import Registry
from torch import Tensor

from mmwtal.registry import DECODERS, MODELS, build_module
from mmwtal.structures import LocalizerOutput, WTALDataSample
from mmwtal.utils.errors import UserError


def build_sized(module: Any, registry: Registry, **sizes: int | None) -> Any:
    """Build a config as :func:`build_module` does, with those of ``sizes`` as defaults that its constructor names."""
    if not isinstance(module, dict):
        return module
    kind = module.get('type')
    constructor = registry.get(kind) if isinstance(kind, str) else kind
    named = inspect.signature(constructor).parameters if callable(constructor) else {}
    return build_module(module, registry, **{name: size for name, size in sizes.items() if name in named})


class NonFiniteLossError(ArithmeticError):
    """A loss is NaN or infinite; the weights have not been updated with it."""


class BaseLocalizer(BaseModel):
    """A model that localizes actions in videos from their snippet features.

    Args:
        num_classes: C, without the background.
        in_channels: Width of the snippet features.
        decoder: Turns the output into segments, or its config; only ``mode='predict'`` needs it.
        guidance: Called as ``guidance(inputs, output, data_samples)`` in ``mode='loss'`` only; returns more loss terms
            and diagnostics by name. A module or its config. One with a method ``fuse(inputs, output)`` may change the
            output that is decoded, which is off by default.
        data_preprocessor: Makes a padded batch; :class:`WTALDataPreprocessor` by default.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        decoder: Any = None,
        guidance: Any = None,
        data_preprocessor: Any = None,
    ) -> None:
        super().__init__(data_preprocessor=build_module(data_preprocessor or {'type': 'WTALDataPreprocessor'}, MODELS))
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.decoder = build_module(decoder, DECODERS)
        self.guidance = build_sized(guidance, MODELS, num_classes=num_classes, in_channels=in_channels)

    @abstractmethod
    def localize(self, inputs: Tensor, mask: Tensor) -> LocalizerOutput:
        """Return the output for a batch (B, T, D) with its valid snippets (B, T)."""

    @abstractmethod
    def base_loss(self, output: LocalizerOutput, labels: Tensor) -> dict[str, Tensor]:
        """Return the base model's weighted loss terms for multi-hot labels, float, (B, C)."""

    def forward(
        self,
        inputs: Tensor,
        data_samples: Sequence[WTALDataSample] | None = None,
        mask: Tensor | None = None,
        mode: str = 'tensor',
    ) -> LocalizerOutput | dict[str, Tensor] | list[WTALDataSample]:
        """Run the model.

        Args:
            inputs: Snippet features, (B, T, D).
            data_samples: One sample a video: ``labels`` for 'loss', ``timebase`` for 'predict'.
            mask: Valid snippets, bool, (B, T), a video's own before its padding; all by default.
            mode: 'tensor', 'loss' or 'predict'.

        Returns:
            The :class:`LocalizerOutput`; or the weighted loss terms (their names contain ``loss``) and diagnostics by
            name; or the data samples with ``pred_instances``.

        Raises:
            UserError: If the inputs or the data samples do not suit the model.
        """
        self._check_inputs(inputs, data_samples)
        if mask is None:
            mask = inputs.new_ones(inputs.shape[:2], dtype=torch.bool)
        if mode == 'tensor':
            return self.localize(inputs, mask)
        if mode == 'loss':
            return self._loss(inputs, data_samples, mask)
        if mode == 'predict':
            return self.predict(inputs, data_samples, mask)[1]
        raise ValueError(f"mode must be 'tensor', 'loss' or 'predict', found {mode!r}")

    def predict(
        self, inputs: Tensor, data_samples: Sequence[WTALDataSample] | None, mask: Tensor
    ) -> tuple[LocalizerOutput, list[WTALDataSample]]:
        """Return the output for a batch, and its data samples with ``pred_instances``; ``mode='predict'`` gives these.

        Raises:
            UserError: If there is no decoder, or not a data sample with a timebase for each video.
        """
        if self.decoder is None:
            raise UserError('the model has no decoder, so that it cannot predict segments; set model.decoder')
        if data_samples is None:
            raise UserError('to predict segments in seconds, give one data sample with a timebase for each video')
        for sample in data_samples:
            if 'timebase' not in sample:
                raise UserError(
                    f'video {sample.get("video_id")!r} has no timebase, so that its snippets have no seconds; state '
                    'fps and stride in features.json, or set timebase of the dataset or the data sample'
                )
        output = self.localize(inputs, mask)
        if hasattr(self.guidance, 'fuse'):
            output = self.guidance.fuse(inputs, output)
        output.video_scores = self._external_scores(data_samples)
        instances = self.decoder.decode(output, [sample.timebase for sample in data_samples])
        for sample, predicted in zip(data_samples, instances, strict=True):
            sample.pred_instances = predicted
        return output, list(data_samples)

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum the terms whose names contain ``loss``; see mmengine's ``BaseModel``.

        Returns:
            This process's sum, to be differentiated, and each term for the log, as the mean over all processes.

        Raises:
            NonFiniteLossError: If a term is not finite in this process or any other: all of them stop together.
        """
        total, log_vars = super().parse_losses(losses)
        means = torch.stack([value.detach().float() for value in log_vars.values()])
        all_reduce(means, op='mean')
        log_vars = dict(zip(log_vars, means, strict=True))
        # A mean over processes is finite only if each of them is: one reduction serves the log and the check.
        if not means.isfinite().all():
            bad = ', '.join(f'{name} = {value.item()}' for name, value in log_vars.items() if not value.isfinite())
            raise NonFiniteLossError(f'the loss is not finite: {bad}')
        return total, log_vars

    def _loss(self, inputs: Tensor, data_samples: Sequence[WTALDataSample] | None, mask: Tensor) -> dict[str, Tensor]:
        labels = self._labels(data_samples).to(inputs.device)
        output = self.localize(inputs, mask)
        terms = self.base_loss(output, labels)
        if self.guidance is None:
            return terms
        added = self.guidance(inputs, output, data_samples)
        clash = sorted(terms.keys() & added.keys())
        if clash:
            raise UserError(f'the head and the guidance both have the terms {clash}; rename those of the head')
        return {**terms, **added}

    def _external_scores(self, data_samples: Sequence[WTALDataSample]) -> Tensor | None:
        """Return the scores of the videos that the samples bring along, (B, C); None where they bring none."""
        given = [sample for sample in data_samples if 'video_scores' in sample]
        if not given:
            return None
        for sample in data_samples:
            found = tuple(sample.video_scores.shape) if 'video_scores' in sample else 'none'
            if found != (self.num_classes,):
                raise UserError(
                    f'video {sample.get("video_id")!r}: expected video_scores of shape ({self.num_classes},), one for '
                    f'each class, as other samples bring scores from elsewhere; found {found}'
                )
        return torch.stack([sample.video_scores for sample in given])

    def _labels(self, data_samples: Sequence[WTALDataSample] | None) -> Tensor:
        if data_samples is None:
            raise UserError("mode='loss' needs one data sample with labels for each video")
        for sample in data_samples:
            found = tuple(sample.labels.shape) if 'labels' in sample else 'no labels'
            if found != (self.num_classes,):
                raise UserError(
                    f'video {sample.get("video_id")!r}: expected multi-hot labels of shape ({self.num_classes},) for '
                    f'num_classes={self.num_classes}, found {found}; set model.num_classes to the number of classes '
                    'of the dataset'
                )
        return torch.stack([sample.labels.float() for sample in data_samples])

    def _check_inputs(self, inputs: Tensor, data_samples: Sequence[WTALDataSample] | None) -> None:
        if inputs.ndim != 3 or inputs.shape[-1] != self.in_channels:
            raise UserError(
                f'expected snippet features of shape (B, T, {self.in_channels}), found {tuple(inputs.shape)}; use '
                f'features with {self.in_channels} channels or set model.in_channels to their width'
            )
        if data_samples is not None and len(data_samples) != len(inputs):
            raise UserError(f'expected one data sample for each of {len(inputs)} videos, found {len(data_samples)}')
