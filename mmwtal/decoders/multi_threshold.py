"""Proposals from many thresholds on the attention, scored by outer-inner contrast (the CO2-Net family)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmwtal.decoders.base import BaseDecoder, Proposals
from mmwtal.decoders.grouping import group_runs
from mmwtal.decoders.nms import SoftNMS
from mmwtal.decoders.outer_inner import outer_inner_contrast
from mmwtal.decoders.pooling import likely_classes, video_scores
from mmwtal.registry import DECODERS, build_module
from mmwtal.structures import LocalizerOutput, Timebase


@DECODERS.register_module()
class MultiThresholdDecoder(BaseDecoder):
    """CO2-Net's decoding, as its published inference code does it.

    The video's score of a class is the softmax over all channels of the top-k mean of E = S A, with S the class
    activation sequence and A the attention. Classes that reach ``class_threshold`` are kept, else the best one. Runs of
    snippets with A above each threshold are the proposals, the same ones for every kept class. A proposal's score is
    its outer-inner contrast on E plus ``gamma`` times the video's score; then proposals of a class suppress each other.
    Where the output comes with ``video_scores`` from elsewhere, these are the video's scores: both for keeping classes
    and in the proposals' scores.

    Args:
        class_threshold: Score from which on a class is taken to occur in the video.
        attn_thresholds: First and last threshold on the attention and their number, evenly spaced.
        topk_ratio: Snippets of a video for each snippet that its score averages.
        gamma: Weight of the video's score.
        outer_margin: Width of each outer margin, in lengths of the proposal.
        nms: The suppression or its config; Gaussian soft-NMS with sigma 0.3 and the published length convention
            (``length_offset=1``) by default.
        skip_lone_first_snippet: Leave out a threshold at which only the video's first snippet fires. This is a slip of
            the published code (it asks whether any index is non-zero), kept so that published numbers reproduce; with
            it, a video of a single snippet has no proposals.
    """

    def __init__(
        self,
        *,
        class_threshold: float = 0.2,
        attn_thresholds: tuple[float, float, int] = (0.1, 0.9, 10),
        topk_ratio: float = 10,
        gamma: float = 0.2,
        outer_margin: float = 0.25,
        nms: Any = None,
        skip_lone_first_snippet: bool = True,
    ) -> None:
        first, last, number = attn_thresholds
        self.class_threshold = class_threshold
        self.attn_thresholds = np.linspace(first, last, number)
        self.topk_ratio = topk_ratio
        self.gamma = gamma
        self.outer_margin = outer_margin
        self.nms = SoftNMS(length_offset=1.0) if nms is None else build_module(nms, DECODERS)
        self.skip_lone_first_snippet = skip_lone_first_snippet

    def propose(self, output: LocalizerOutput, timebases: Sequence[Timebase]) -> list[Proposals]:
        """See :class:`BaseDecoder`; all is done in snippets, as published."""
        attn, cas, mask = (_on_cpu(values) for values in (output.attn, output.cas, output.mask))
        activation = attn * cas
        if output.video_scores is None:
            scores = video_scores(activation, mask, ratio=self.topk_ratio, has_background=output.has_background).numpy()
        else:
            scores = _on_cpu(output.video_scores).numpy()
        # Selected by numpy: torch would wake its threads for each of these small arrays.
        columns = zip(activation.numpy(), attn[..., 0].numpy(), mask.numpy(), scores, strict=True)
        return [self._propose_video(e[valid], a[valid], score) for e, a, valid, score in columns]

    def _propose_video(self, activation: np.ndarray, attn: np.ndarray, video_score: np.ndarray) -> Proposals:
        """Decode one video: ``activation`` (T, C or C + 1), ``attn`` (T,), ``video_score`` (C,)."""
        labels = likely_classes(video_score, threshold=self.class_threshold)
        active = attn > self.attn_thresholds[:, None]
        if self.skip_lone_first_snippet:
            active = active[active[:, 1:].any(axis=1)]
        _, segments = group_runs(active)
        contrast = outer_inner_contrast(activation[:, labels], segments, margin=self.outer_margin)
        found = self.nms(segments, (contrast + self.gamma * video_score[labels]).T)
        return Proposals(segments[found.indices], found.scores, labels[found.classes])


def _on_cpu(values: Tensor) -> Tensor:
    """Copy to the CPU, numbers in float64: running sums over a long video need it, and numpy lacks bfloat16."""
    values = values.detach().cpu()
    return values if values.dtype == torch.bool else values.double()
