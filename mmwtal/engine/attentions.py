"""Looking at the attentions of a localizer, and of its guidance where it has one, without changing its training."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmwtal.datasets.transforms.sampling import SampleSnippets
from mmwtal.datasets.wtal_dataset import WTALDataset
from mmwtal.models.layers import evaluating
from mmwtal.models.localizers.base import BaseLocalizer
from mmwtal.structures import LocalizerOutput


@torch.no_grad()
def look_at(
    model: BaseLocalizer, sample: dict[str, Any], *, with_guidance: bool = True
) -> tuple[LocalizerOutput, dict[str, Tensor]]:
    """Return a video's output and attentions, without dropout.

    Args:
        model: The localizer; it keeps its mode, and no random number is drawn.
        sample: ``inputs`` (T, D) and ``data_samples``, as a dataset gives them.
        with_guidance: Ask the guidance too, if it has a method ``attentions``; it knows training videos only.

    Returns:
        The output for a batch of one video; 'base' and the attentions of the guidance by name, (T,) each.
    """
    data = model.data_preprocessor({'inputs': [sample['inputs']], 'data_samples': [sample['data_samples']]})
    attend = getattr(model.guidance, 'attentions', None) if with_guidance else None
    with evaluating(model):
        output = model(**data, mode='tensor')
        attentions = {'base': output.attn[..., 0]}
        if attend is not None:
            attentions |= attend(data['inputs'], output, data['data_samples'])
    return output, {name: attn[0].float() for name, attn in attentions.items()}


def sampled_by(dataset: WTALDataset, sampling: Sequence[SampleSnippets]) -> WTALDataset:
    """Return a view of a dataset whose snippets are chosen by other transforms; by none: all of them are taken."""
    changed: list[Any] = []
    for transform in dataset.pipeline.transforms:
        changed += sampling if isinstance(transform, SampleSnippets) else [transform]
    view = copy.copy(dataset)
    view.pipeline = copy.copy(dataset.pipeline)
    view.pipeline.transforms = changed
    return view
