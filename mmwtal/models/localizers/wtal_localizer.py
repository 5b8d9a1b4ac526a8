"""The usual localizer: a backbone and a head."""

from typing import Any

from torch import Tensor

from mmwtal.models.localizers.base import BaseLocalizer, build_sized
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput
from mmwtal.utils.errors import UserError


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
            Its ``texts`` are given to a head that has a method ``take_texts``.
        data_preprocessor: See :class:`BaseLocalizer`.

    Raises:
        UserError: If the backbone does not state its width, ``out_channels``.
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
        if not hasattr(self.backbone, 'out_channels'):
            raise UserError(
                f'{type(self.backbone).__name__} sets no out_channels, the width of its embedding, which a head gets '
                'as its in_channels; set self.out_channels in its __init__'
            )
        self.head = build_sized(head, MODELS, num_classes=num_classes, in_channels=self.backbone.out_channels)
        # After the base, whose initial weights are then those that it has without guidance.
        self.guidance = build_sized(
            guidance,
            MODELS,
            num_classes=num_classes,
            in_channels=in_channels,
            feat_channels=self.backbone.out_channels,
        )
        texts = getattr(self.guidance, 'texts', None)
        if texts is not None and hasattr(self.head, 'take_texts'):
            self.head.take_texts(texts)

    def localize(self, inputs: Tensor, mask: Tensor) -> LocalizerOutput:
        """See :class:`BaseLocalizer`.

        Raises:
            UserError: If what the head returns has not the shapes of a :class:`LocalizerOutput`.
        """
        output = self.head(self.backbone(inputs, mask), mask)
        _check_output(output, mask, self.num_classes, type(self.head).__name__)
        return output

    def base_loss(self, output: LocalizerOutput, labels: Tensor) -> dict[str, Tensor]:
        """See :class:`BaseLocalizer`."""
        return self.head.loss(output, labels)


def _check_output(output: Any, mask: Tensor, num_classes: int, head: str) -> None:
    """Check the shapes of an output: a wrong one would be found, if at all, in a far corner of a loss or decoder."""
    if not isinstance(output, LocalizerOutput):
        raise UserError(f'{head}: expected a LocalizerOutput, found {type(output).__name__}')
    frame = tuple(mask.shape)
    channels = 'C + 1' if output.has_background else 'C'
    shapes: tuple[tuple[str, str, tuple[int | None, ...]], ...] = (
        ('feat', '(B, T, Db)', (*frame, None)),
        ('attn', '(B, T, 1)', (*frame, 1)),
        ('cas', f'(B, T, {channels})', (*frame, num_classes + bool(output.has_background))),
        ('mask', '(B, T)', frame),
    )
    for field, words, expected in shapes:
        value = getattr(output, field)
        found = tuple(value.shape) if isinstance(value, Tensor) else None
        if not _fits(found, expected):
            sizes = ', '.join('any' if size is None else str(size) for size in expected)
            hint = ''
            if field == 'attn' and value is None:
                hint = '; where the backbone has no attention, the head makes one'
            elif field == 'cas':
                hint = f'; C is {num_classes}, has_background is {output.has_background}'
            raise UserError(
                f'{head}: {field} of its LocalizerOutput has the wrong shape: expected {words} = ({sizes}), found '
                f'{value if found is None else found}{hint}'
            )


def _fits(found: tuple[int, ...] | None, expected: tuple[int | None, ...]) -> bool:
    """Tell whether a shape is the expected one, of which None may be any size."""
    if found is None or len(found) != len(expected):
        return False
    return all(size in (None, other) for size, other in zip(expected, found, strict=True))
