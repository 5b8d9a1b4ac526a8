"""What a part of the guidance sees of a batch: the base's features, its embedding, or another stream of features."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmwtal.structures import LocalizerOutput, WTALDataSample
from mmwtal.structures.text_batch import TextBatch
from mmwtal.utils.errors import UserError


@dataclass(kw_only=True)
class GuidanceBatch:
    """All that guidance knows of a batch of B videos.

    Args:
        inputs: Snippet features, (B, T, D), zero in the padding.
        output: The base model's output.
        labels: Multi-hot labels, float, (B, C).
        video_ids: B ids.
        data_samples: B samples, with further streams of features under their names.
        texts: The videos' texts; None where no part needs any.
    """

    inputs: Tensor
    output: LocalizerOutput
    labels: Tensor
    video_ids: Sequence[str]
    data_samples: Sequence[WTALDataSample]
    texts: TextBatch | None

    @property
    def mask(self) -> Tensor:
        """Valid snippets, bool, (B, T)."""
        return self.output.mask

    @property
    def base_attn(self) -> Tensor:
        """The base model's attention, (B, T), zero in the padding."""
        return self.output.attn[..., 0].masked_fill(~self.mask, 0)

    def text(self) -> TextBatch:
        """Return the texts of parts that cannot do without."""
        if self.texts is None:
            raise UserError('this guidance needs texts, and has none; set guidance.texts')
        return self.texts


class FeatureStream:
    """Chooses the features that a part of the guidance works on.

    Args:
        name: 'inputs', the features that the base gets; 'feat', the base's embedding, which gets no gradient; any other
            name is that of a stream of features that the data samples bring along [ours].
        in_channels: Width of the base's features.
        feat_channels: Width of the base's embedding, if known.
        stream_channels: Width of a stream of another name.

    Raises:
        UserError: If the width of the stream is not known, or stated for one whose width is.
    """

    def __init__(
        self, name: str, *, in_channels: int, feat_channels: int | None, stream_channels: int | None = None
    ) -> None:
        self.named = name not in ('inputs', 'feat')
        width = stream_channels if self.named else {'inputs': in_channels, 'feat': feat_channels}[name]
        if width is None or (stream_channels is not None and not self.named):
            raise UserError(
                f'the stream {name!r} of the guidance: expected '
                + ('stream_channels, the width of its features' if self.named else 'its width from the base model')
                + f', found stream_channels={stream_channels}, feat_channels={feat_channels}; a named stream needs '
                "stream_channels, 'inputs' and 'feat' must not have it, and 'feat' needs feat_channels"
            )
        self.name = name
        self.width = width

    def __call__(self, batch: GuidanceBatch) -> Tensor:
        """Return the features, (B, T, width), without a graph and zero in the padding.

        Raises:
            UserError: If a sample does not bring the stream, or in another shape.
        """
        if self.name == 'inputs':
            return batch.inputs
        features = batch.output.feat if self.name == 'feat' else self._named(batch)
        return features.detach().masked_fill(~batch.mask[..., None], 0)

    def _named(self, batch: GuidanceBatch) -> Tensor:
        lengths = batch.mask.sum(dim=1).tolist()
        for sample, length in zip(batch.data_samples, lengths, strict=True):
            found = tuple(sample.get(self.name).shape) if self.name in sample else 'nothing'
            if found != (length, self.width):
                raise UserError(
                    f'video {sample.get("video_id")!r}: expected the feature stream {self.name!r} of shape '
                    f'({length}, {self.width}) in its data sample, found {found}; set '
                    f"streams=dict({self.name}='features-{self.name}') of the training dataset, and stream_channels to "
                    'its width'
                )
        values = pad_sequence([sample.get(self.name) for sample in batch.data_samples], batch_first=True)
        padding = batch.inputs.shape[1] - values.shape[1]
        return torch.nn.functional.pad(values, (0, 0, 0, padding)).to(batch.inputs)
