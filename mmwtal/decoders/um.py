"""UM's decoding: thresholds on the class activation sequence fused with the magnitude, and on the magnitude."""

from typing import Any

import numpy as np
from torch import Tensor

from mmwtal.decoders.dense import DenseDecoder, Gate, min_max, on_cpu, rescale
from mmwtal.decoders.nms import HardNMS
from mmwtal.decoders.pooling import check_ratios, likely_classes, topk_mean
from mmwtal.registry import DECODERS
from mmwtal.structures import LocalizerOutput


@DECODERS.register_module()
class UMDecoder(DenseDecoder):
    """UM's decoding, as its published inference code does it; see :class:`DenseDecoder`.

    The video's score of a class is the softmax over all channels of the top-k mean of the class activation sequence;
    classes that reach ``class_threshold`` are kept, else the best one. The magnitude is scaled so that the mean of its
    lowest values becomes 0 and that of its highest 1, cut off beyond both; times the snippets' class probabilities and
    brought to [0, 1] it is the fused sequence. Runs of the fused sequence are scored on what the threshold leaves of
    it, runs of the magnitude on the whole fused sequence.

    The magnitude is read from the attention, which for UM is the magnitude up to a factor that the scaling takes out:
    so any model can be decoded, its attention in the magnitude's place.

    Args:
        class_threshold: Score from which on a class is taken to occur in the video.
        cas_thresholds: First threshold on the fused sequence, the end that is no longer one, and the step.
        magnitude_thresholds: Likewise on the magnitude.
        topk_ratio: Snippets of a video for each snippet that its score averages, and for each one of the highest
            magnitudes.
        background_ratio: Snippets of a video for each one of the lowest magnitudes.
        upsampling: Points a snippet.
        min_points: Runs of fewer points are dropped.
        gamma: Weight of the video's score.
        outer_margin: Width of each outer margin, in lengths of the proposal.
        nms: The suppression or its config, its lengths in seconds; hard, tIoU 0.6 and the published length convention
            (``length_offset=1``, one second) by default.
        skip_lone_first_point: See :class:`DenseDecoder`; without effect unless ``min_points`` is 1.

    Raises:
        UserError: If a ratio or ``upsampling`` is below 1.
    """

    def __init__(
        self,
        *,
        class_threshold: float = 0.2,
        cas_thresholds: tuple[float, float, float] = (0.0, 0.25, 0.025),
        magnitude_thresholds: tuple[float, float, float] = (0.4, 0.625, 0.025),
        topk_ratio: float = 9,
        background_ratio: float = 4,
        upsampling: int = 24,
        min_points: int = 2,
        gamma: float = 0.2,
        outer_margin: float = 0.25,
        nms: Any = None,
        skip_lone_first_point: bool = True,
    ) -> None:
        super().__init__(
            class_threshold=class_threshold,
            topk_ratio=topk_ratio,
            upsampling=upsampling,
            min_points=min_points,
            gamma=gamma,
            outer_margin=outer_margin,
            nms=HardNMS(tiou_threshold=0.6, length_offset=1.0) if nms is None else nms,
            skip_lone_first_point=skip_lone_first_point,
        )
        self.cas_thresholds = np.arange(*cas_thresholds)
        self.magnitude_thresholds = np.arange(*magnitude_thresholds)
        check_ratios(self, background_ratio=background_ratio)
        self.background_ratio = background_ratio

    def score_logits(self, output: LocalizerOutput) -> Tensor:
        """See :class:`DenseDecoder`."""
        return output.cas

    def gates(self, output: LocalizerOutput) -> list[Gate]:
        """See :class:`DenseDecoder`."""
        attn, cas, mask = on_cpu(output.attn), on_cpu(output.cas), output.mask.cpu()
        highest = topk_mean(attn, mask, ratio=self.topk_ratio)[:, None]
        lowest = -topk_mean(-attn, mask, ratio=self.background_ratio)[:, None]
        magnitude = rescale(attn, lowest, highest).clamp(0, 1)
        probabilities = cas.softmax(dim=-1)[..., : output.num_classes]
        fused = min_max(probabilities * magnitude, mask).clamp(0, 1)
        return [Gate(fused, self.cas_thresholds), Gate(magnitude, self.magnitude_thresholds, activation=fused)]

    def keep_classes(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`DenseDecoder`."""
        labels = likely_classes(scores, threshold=self.class_threshold)
        return labels, scores[labels]
