"""BaS-Net's decoding: thresholds on the class activation sequence of the suppressed features."""

from typing import Any, Literal, get_args

import numpy as np
from torch import Tensor

from mmwtal.decoders.dense import DenseDecoder, Gate, min_max, on_cpu
from mmwtal.decoders.nms import HardNMS
from mmwtal.registry import DECODERS
from mmwtal.structures import LocalizerOutput
from mmwtal.utils.errors import UserError

SequenceName = Literal['cas_supp', 'cas']


@DECODERS.register_module()
class BaSNetDecoder(DenseDecoder):
    """BaS-Net's decoding, as its published inference code does it; see :class:`DenseDecoder`.

    The video's score of a class is the softmax over all channels of the top-k mean of the sequence. Classes that reach
    ``class_threshold`` are kept; a video without any has no proposals. The sequence of a class is brought to [0, 1] by
    its own extremes and cut at each threshold, and a proposal is scored on what the cut leaves of it.

    Args:
        sequence: 'cas_supp', the sequence of the suppressed features as published, or 'cas', which every model gives.
        class_threshold: Score from which on a class is taken to occur in the video.
        cas_thresholds: First threshold on the sequence, the end that is no longer one, and the step.
        topk_ratio: Snippets of a video for each snippet that its score averages.
        upsampling: Points a snippet.
        min_points: Runs of fewer points are dropped.
        gamma: Weight of the video's score.
        outer_margin: Width of each outer margin, in lengths of the proposal.
        nms: The suppression or its config, its lengths in seconds; hard, tIoU 0.7 and the published length convention
            (``length_offset=1``, one second) by default.
        binary_scores: Take 1 for the video's score of a kept class, as the published code does: it overwrites the
            scores by what the threshold says of them before it uses them.
        skip_lone_first_point: See :class:`DenseDecoder`.
        skip_lone_first_class: Give no proposals for a video whose only kept class is number 0, where there are others.
            This is a slip of the published code (it asks whether any class number is non-zero), kept so that published
            numbers reproduce.

    Raises:
        UserError: If ``sequence`` is neither, or ``topk_ratio`` or ``upsampling`` is below 1.
    """

    def __init__(
        self,
        *,
        sequence: SequenceName = 'cas_supp',
        class_threshold: float = 0.25,
        cas_thresholds: tuple[float, float, float] = (0.0, 0.25, 0.025),
        topk_ratio: float = 8,
        upsampling: int = 24,
        min_points: int = 1,
        gamma: float = 0.2,
        outer_margin: float = 0.25,
        nms: Any = None,
        binary_scores: bool = True,
        skip_lone_first_point: bool = True,
        skip_lone_first_class: bool = True,
    ) -> None:
        if sequence not in get_args(SequenceName):
            raise UserError(f"BaSNetDecoder: sequence must be 'cas_supp' or 'cas', found {sequence!r}")
        super().__init__(
            class_threshold=class_threshold,
            topk_ratio=topk_ratio,
            upsampling=upsampling,
            min_points=min_points,
            gamma=gamma,
            outer_margin=outer_margin,
            nms=HardNMS(tiou_threshold=0.7, length_offset=1.0) if nms is None else nms,
            skip_lone_first_point=skip_lone_first_point,
        )
        self.sequence: SequenceName = sequence
        self.cas_thresholds = np.arange(*cas_thresholds)
        self.binary_scores = binary_scores
        self.skip_lone_first_class = skip_lone_first_class

    def score_logits(self, output: LocalizerOutput) -> Tensor:
        """See :class:`DenseDecoder`.

        Raises:
            UserError: If the model gives no suppressed sequence and it is the one to decode.
        """
        if self.sequence == 'cas':
            return output.cas
        if 'cas_supp' not in output.extras:
            raise UserError(
                "BaSNetDecoder needs extras['cas_supp'], the sequence of suppressed features, which BaSNetBackbone "
                "with LinearHead gives and this model does not; set decoder.sequence='cas' to decode its plain one"
            )
        return output.extras['cas_supp']

    def gates(self, output: LocalizerOutput) -> list[Gate]:
        """See :class:`DenseDecoder`."""
        logits = on_cpu(self.score_logits(output))[..., : output.num_classes]
        return [Gate(min_max(logits, output.mask.cpu()), self.cas_thresholds)]

    def keep_classes(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`DenseDecoder`."""
        labels = np.flatnonzero(scores >= self.class_threshold)
        if self.skip_lone_first_class and len(scores) > 1 and not labels.any():
            labels = labels[:0]
        return labels, np.ones(len(labels)) if self.binary_scores else scores[labels]
