"""The usual localizer: a backbone and a head."""

from typing import Any

from torch import Tensor

from mmwtal.models.localizers.base import BaseLocalizer, build_sized
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput


@MODELS.register_module()
class WTALLocalizer(BaseLocalizer):
    """Snippet features -> backbone -> head -> losses or segments.

    Each part is a module or its config; a config need not repeat ``num_classes`` and ``in_channels``, which it gets
    where its constructor takes them (the head: the width of the backbone's embedding).

    Args:
        num_classes: C, without the background.
        in_channels: Width of the snippet features.
        backbone: Gives the embedding and the attention.
        head: Gives the class activation sequence and the losses.
        decoder: See :class:`BaseLocalizer`.
        guidance: See :class:`BaseLocalizer`; it also gets ``feat_channels``, the width of the backbone's embedding.
        data_preprocessor: See :class:`BaseLocalizer`.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        backbone: Any,
        head: Any,
        decoder: Any = None,
        guidance: Any = None,
        data_preprocessor: Any = None,
    ) -> None:
        super().__init__(
            num_classes=num_classes,
            in_channels=in_channels,
            decoder=decoder,
            data_preprocessor=data_preprocessor,
        )
        self.backbone = build_sized(backbone, MODELS, num_classes=num_classes, in_channels=in_channels)
        self.head = build_sized(head, MODELS, num_classes=num_classes, in_channels=self.backbone.out_channels)
        # After the base, whose initial weights are then those that it has without guidance.
        self.guidance = build_sized(
            guidance,
            MODELS,
            num_classes=num_classes,
            in_channels=in_channels,
            feat_channels=self.backbone.out_channels,
        )

    def localize(self, inputs: Tensor, mask: Tensor) -> LocalizerOutput:
        """See :class:`BaseLocalizer`."""
        return self.head(self.backbone(inputs, mask), mask)

    def base_loss(self, output: LocalizerOutput, labels: Tensor) -> dict[str, Tensor]:
        """See :class:`BaseLocalizer`."""
        return self.head.loss(output, labels)
