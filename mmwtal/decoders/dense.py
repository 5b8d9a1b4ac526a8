"""Proposals from many thresholds on finely interpolated sequences: what the decoding of BaS-Net and UM shares."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmwtal.decoders.base import BaseDecoder, Proposals
from mmwtal.decoders.grouping import group_runs
from mmwtal.decoders.interpolation import interpolate
from mmwtal.decoders.outer_inner import contrast_of_runs
from mmwtal.decoders.pooling import check_ratios, video_scores
from mmwtal.registry import DECODERS, build_module
from mmwtal.structures import LocalizerOutput, Timebase


class Gate(NamedTuple):
    """A sequence that proposals are cut out of, and the one that they are scored on.

    Fields: ``values``, of each class or one for all, (B, T, C) or (B, T, 1); ``thresholds``, (K,); ``activation``,
    (B, T, C), or None: the values themselves, 0 where they are below the threshold at hand.
    """

    values: Tensor
    thresholds: np.ndarray
    activation: Tensor | None = None


class Candidates(NamedTuple):
    """Proposals before suppression.

    Fields: ``segments``, first point and the one after the last, int, (N, 2); ``contrast``, (N,); ``places``, place of
    the class among those kept, int, (N,).
    """

    segments: np.ndarray
    contrast: np.ndarray
    places: np.ndarray


class DenseDecoder(BaseDecoder):
    """Runs above each of many thresholds, class by class, on sequences interpolated between the snippets.

    A proposal's score is its outer-inner contrast, over the interpolated points, plus ``gamma`` times the video's score
    of the class; then proposals of a class suppress each other, in seconds. Where the output comes with
    ``video_scores`` from elsewhere, these are the video's scores, both for keeping classes and in the proposals'
    scores. Memory grows with thresholds times kept classes times points.

    Args:
        class_threshold: Score from which on a class is taken to occur in the video.
        topk_ratio: Snippets of a video for each snippet that its score averages.
        upsampling: Points a snippet.
        min_points: Runs of fewer points are dropped.
        gamma: Weight of the video's score.
        outer_margin: Width of each outer margin, in lengths of the proposal.
        nms: The suppression or its config; its lengths are in seconds.
        skip_lone_first_point: Leave out, for each class, a threshold at which only the first point fires. This is a
            slip of the published code (it asks whether any index is non-zero), kept so that published numbers
            reproduce.

    Raises:
        UserError: If ``topk_ratio`` or ``upsampling`` is below 1.
    """

    def __init__(
        self,
        *,
        class_threshold: float,
        topk_ratio: float,
        upsampling: int,
        min_points: int,
        gamma: float,
        outer_margin: float,
        nms: Any,
        skip_lone_first_point: bool,
    ) -> None:
        check_ratios(self, topk_ratio=topk_ratio, upsampling=upsampling)
        self.class_threshold = class_threshold
        self.topk_ratio = topk_ratio
        self.upsampling = upsampling
        self.min_points = min_points
        self.gamma = gamma
        self.outer_margin = outer_margin
        self.nms = build_module(nms, DECODERS)
        self.skip_lone_first_point = skip_lone_first_point

    @abstractmethod
    def score_logits(self, output: LocalizerOutput) -> Tensor:
        """Return the logits whose softmax, pooled over time, is the video's score, (B, T, C'), C' as in ``cas``."""

    @abstractmethod
    def gates(self, output: LocalizerOutput) -> list[Gate]:
        """Return the sequences to threshold; what they hold in the padding carries no meaning."""

    @abstractmethod
    def keep_classes(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the classes kept and what they add to their proposals' scores, before ``gamma``, (L,) each.

        Args:
            scores: The video's scores, (C,).
        """

    @torch.no_grad()
    def propose(self, output: LocalizerOutput, timebases: Sequence[Timebase]) -> list[Proposals]:
        """See :class:`BaseDecoder`."""
        mask = output.mask.cpu()
        if output.video_scores is None:
            logits = on_cpu(self.score_logits(output))
            scores = video_scores(logits, mask, ratio=self.topk_ratio, has_background=output.has_background)
        else:
            scores = on_cpu(output.video_scores)
        gates = self.gates(output)
        found = []
        for video, (valid, timebase) in enumerate(zip(mask.numpy(), timebases, strict=True)):
            labels, added = self.keep_classes(scores[video].numpy())
            cut = [self._cut(gate, video, valid, labels) for gate in gates] if labels.size else []
            found.append(self._suppress(cut, labels, added, timebase))
        return found

    def _cut(self, gate: Gate, video: int, valid: np.ndarray, labels: np.ndarray) -> Candidates:
        """Cut the runs of one video out of a gate at all thresholds and for all L classes at once."""
        values = self._points(gate.values, video, valid, labels)
        above = values >= gate.thresholds[:, None, None]
        active = (above & (values > 0)).reshape(-1, values.shape[1])
        if self.skip_lone_first_point:
            active[~active[:, 1:].any(axis=1)] = False
        rows, segments = group_runs(active)
        long = segments[:, 1] - segments[:, 0] >= self.min_points
        rows, segments = rows[long], segments[long]
        places = rows % len(labels)
        if gate.activation is None:
            cut_off = np.where(above, values, 0.0).reshape(active.shape)
            contrast = contrast_of_runs(cut_off, rows, segments, margin=self.outer_margin)
        else:
            activation = self._points(gate.activation, video, valid, labels)
            contrast = contrast_of_runs(activation, places, segments, margin=self.outer_margin)
        return Candidates(segments, contrast, places)

    def _points(self, values: Tensor, video: int, valid: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the interpolated sequences (L, points) of one video's classes; all are alike where one is for all."""
        own = values[video].numpy()[valid].T
        if len(own) == 1:
            return np.repeat(interpolate(own, self.upsampling), len(labels), axis=0)
        return interpolate(own[labels], self.upsampling)

    def _suppress(
        self, candidates: Sequence[Candidates], labels: np.ndarray, added: np.ndarray, timebase: Timebase
    ) -> Proposals:
        """Score the candidates of all gates and suppress them class by class."""
        points = np.concatenate([np.empty((0, 2)), *(each.segments for each in candidates)])
        places = np.concatenate([np.empty(0, dtype=np.int64), *(each.places for each in candidates)])
        contrast = np.concatenate([np.empty(0), *(each.contrast for each in candidates)])
        scores = contrast + self.gamma * added[places]
        # A time grid's offset changes no overlap, and clipping to the video comes after the suppression, as published.
        # Overlaps that equal the threshold are common (at 0.64 s a snippet, all numbers are fractions of 75), hence one
        # factor as in the published arithmetic: rounding decides them.
        seconds = points * (timebase.seconds_per_snippet / self.upsampling)
        kept = [np.empty(0, dtype=np.int64)]
        kept_scores = [np.empty(0)]
        for place in range(len(labels)):
            own = np.flatnonzero(places == place)
            suppressed = self.nms(seconds[own], scores[own][None])
            kept.append(own[suppressed.indices])
            kept_scores.append(suppressed.scores)
        chosen = np.concatenate(kept)
        return Proposals(points[chosen] / self.upsampling, np.concatenate(kept_scores), labels[places[chosen]])


def on_cpu(values: Tensor) -> Tensor:
    """Copy to the CPU, half precision as float32, in which the published code normalises and thresholds."""
    values = values.detach().cpu()
    return values.to(torch.promote_types(values.dtype, torch.float32))


def min_max(values: Tensor, mask: Tensor) -> Tensor:
    """Bring each channel's highest and lowest value over a video's own snippets to 1 and 0.

    As published, both count as 0 where they are negative, so that negative values stay negative; a channel without any
    range is moved by its minimum and not scaled.

    Args:
        values: (B, T, C).
        mask: Valid snippets, bool, (B, T).

    Returns:
        (B, T, C).
    """
    padding = ~mask[..., None]
    highest = values.masked_fill(padding, float('-inf')).amax(dim=1, keepdim=True).relu()
    lowest = values.masked_fill(padding, float('inf')).amin(dim=1, keepdim=True).relu()
    return rescale(values, lowest, highest)


def rescale(values: Tensor, lowest: Tensor, highest: Tensor) -> Tensor:
    """Map ``lowest`` to 0 and ``highest`` to 1, each (B, 1, C); where they do not differ, only move by ``lowest``."""
    extent = highest - lowest
    return (values - lowest) / torch.where(extent > 0, extent, 1)
