"""Key Semantic Matching: snippets are compared with phrases on the moment that makes an action what it is."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mmwtal.models.guidance.matching_heads import MatchingHead, SharedSpaceHead
from mmwtal.models.guidance.streams import FeatureStream, GuidanceBatch
from mmwtal.models.layers import temporal_mean
from mmwtal.registry import MODELS, build_module
from mmwtal.structures import LocalizerOutput
from mmwtal.utils.errors import UserError


@dataclass(kw_only=True)
class KeyResult:
    """What the matching gives.

    Args:
        attn: a_key, (B, T), zero in the padding.
        terms: Weighted loss terms by name.
    """

    attn: Tensor
    terms: dict[str, Tensor]


@MODELS.register_module()
class KeySemanticMatching(nn.Module):
    """a_key, the attention that the key phrases of a video's own classes give, and the losses that train it.

    Its head learns from ``loss`` and ``suppression``, and from the attention that it is taught; its features and texts
    get no gradient. A video without any class has an a_key of 0.

    Args:
        in_channels: Width of the base's features.
        text_channels: Width of the text vectors.
        feat_channels: Width of the base's embedding.
        mode: 'head': a_key is the maximum over the video's classes of the sigmoid of s. 'shared': a_key is the base's
            attention [TSM/VLC], and there is a head only where ``loss`` trains one.
        stream: The features to match: 'inputs' [paper], 'feat', or a stream aligned with text, by its name in the data
            samples [ours; CLIP frame features as in Ju et al., PVLR].
        stream_channels: Width of a stream of another name.
        matching: How snippets and texts become comparable. 'learned': both are projected into a space that is learned
            from the labels [paper]; vectors that mean nothing may do there as well. For a stream in the space of the
            texts, of their width: 'direct': as they are, with scale and bias learned, as CLIP compares them;
            'adapted': with a residual adapter of the snippets, which starts as 'direct'. See
            :class:`SharedSpaceHead` [ours, after Ju et al. and CLIP-Adapter].
        centred: Subtract from each snippet the mean of its video, and from each text the mean of the class bank. It
            removes the offset between the two modalities (Liang et al., Mind the Gap, NeurIPS 2022), and with it what
            all of a video looks like [ours].
        hidden_channels: Width of the convolutions [TSM/VLC: 512].
        embed_channels: Width that video and text are compared in; only of the matching 'learned'.
        dropout: Probability.
        scale: Start of the scale [ours: 10].
        bias: Start of the bias [ours]. It hardly trains, so that the start decides: -4 is what a prototype found to
            work, 0 is taken literally.
        loss: L_match, a :class:`KSMLoss` or its config; None leaves it out, which only the mode 'shared' can.
        suppression: A loss of the base's class activation sequence suppressed by a_key, such as ``TopKMILLoss`` with
            ``suppressed=True`` [TSM/VLC's form, with a_key in place of the base's attention: ours]; its weight is w_s,
            0.3 in a prototype and 1 taken literally. None: none.
        suppression_trains: Whom ``suppression`` trains: 'both', as a suppressed sequence does in the CO2-Net family,
            the 'base' (a_key held fixed), or the 'key' attention (the sequence held fixed) [ours].

    Raises:
        UserError: If the mode 'head' has no loss, or stream and texts of a shared space differ in width.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        text_channels: int | None = None,
        feat_channels: int | None = None,
        mode: Literal['head', 'shared'] = 'head',
        stream: str = 'inputs',
        stream_channels: int | None = None,
        matching: Literal['learned', 'adapted', 'direct'] = 'learned',
        centred: bool = False,
        hidden_channels: int = 512,
        embed_channels: int = 512,
        dropout: float = 0.5,
        scale: float = 10.0,
        bias: float = -4.0,
        loss: Any = None,
        suppression: Any = None,
        suppression_trains: Literal['both', 'base', 'key'] = 'both',
    ) -> None:
        super().__init__()
        if mode == 'head' and loss is None:
            raise UserError(
                "KeySemanticMatching: the mode 'head' needs a loss to train its head, found None; set "
                "loss=dict(type='KSMLoss'), or mode='shared' for the base's own attention"
            )
        self.mode = mode
        self.suppression_trains = suppression_trains
        self.centred = centred
        self.loss = build_module(loss, MODELS)
        self.suppression = build_module(suppression, MODELS)
        self.stream = FeatureStream(
            stream, in_channels=in_channels, feat_channels=feat_channels, stream_channels=stream_channels
        )
        self.head: MatchingHead | SharedSpaceHead | None = None
        if self.loss is not None:
            if text_channels is None:
                raise UserError('KeySemanticMatching: its head needs texts, and there are none; set guidance.texts')
            start: dict[str, Any] = {'scale': scale, 'bias': bias, 'background': self.loss.needs_background}
            sizes = {'hidden_channels': hidden_channels, 'dropout': dropout, **start}
            if matching == 'learned':
                self.head = MatchingHead(
                    in_channels=self.stream.width, text_channels=text_channels, embed_channels=embed_channels, **sizes
                )
            elif self.stream.width == text_channels:
                self.head = SharedSpaceHead(channels=text_channels, adapter=matching == 'adapted', **sizes)
            else:
                raise UserError(
                    f'KeySemanticMatching: matching={matching!r} compares features and texts in one space, expected '
                    f'features of the width of the text vectors, {text_channels}, found {self.stream.width} of the '
                    f"stream {stream!r}; use the text encoder that the stream was made with, or matching='learned'"
                )

    @property
    def needs_texts(self) -> bool:
        """Whether a batch must have texts."""
        return self.head is not None

    def forward(self, batch: GuidanceBatch) -> KeyResult:
        """Return a_key and the weighted terms ``loss_key_match`` and ``loss_key_suppression``."""
        terms: dict[str, Tensor] = {}
        attn = batch.base_attn
        if self.head is not None:
            logits = self._logits(batch)
            terms['loss_key_match'] = self.loss(logits, batch.labels, batch.mask)
            if self.mode == 'head':
                attn = key_attention(logits[..., : batch.labels.shape[1]], batch.labels, batch.mask)
        if self.suppression is not None:
            terms['loss_key_suppression'] = self._suppressed(batch, attn)
        return KeyResult(attn=attn, terms=terms)

    def attend(self, batch: GuidanceBatch) -> Tensor:
        """Return a_key alone, (B, T)."""
        if self.head is None or self.mode == 'shared':
            return batch.base_attn
        logits = self._logits(batch)
        return key_attention(logits[..., : batch.labels.shape[1]], batch.labels, batch.mask)

    def attention_of_bank(self, inputs: Tensor, output: LocalizerOutput, class_bank: Tensor) -> Tensor:
        """Return the attention without knowing the classes of a video: the maximum over all, (B, T).

        Args:
            inputs: Snippet features, (B, T, D), zero in the padding.
            output: The base's output for them.
            class_bank: Text vectors of the classes, (C, text_channels).
        """
        features = output.feat if self.stream.name == 'feat' else inputs
        features = features.masked_fill(~output.mask[..., None], 0)
        key = class_bank.expand(len(inputs), -1, -1)
        logits = self._match(features, output.mask, key, class_bank)[..., : len(class_bank)]
        return key_attention(logits, torch.ones_like(logits[:, 0]), output.mask)

    def _logits(self, batch: GuidanceBatch) -> Tensor:
        texts = batch.text()
        return self._match(self.stream(batch), batch.mask, texts.key, texts.class_bank)

    def _match(self, values: Tensor, mask: Tensor, key: Tensor, class_bank: Tensor) -> Tensor:
        """Return the head's s for features that are zero in the padding."""
        assert self.head is not None  # the guidance has refused what has none
        if self.centred:
            values = (values - temporal_mean(values, mask)[:, None]).masked_fill(~mask[..., None], 0)
            key = key - class_bank.mean(dim=0)
        return self.head(values, mask, key)

    def _suppressed(self, batch: GuidanceBatch, attn: Tensor) -> Tensor:
        cas = batch.output.cas.masked_fill(~batch.mask[..., None], 0)
        if self.suppression_trains == 'key':
            cas = cas.detach()
        if self.suppression_trains == 'base':
            attn = attn.detach()
        return self.suppression(replace(batch.output, cas=cas, attn=attn[..., None]), batch.labels)


def key_attention(logits: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Return a_key: the maximum over a video's own classes of sigmoid(s), (B, T); 0 where it has none.

    Args:
        logits: s, (B, T, C).
        labels: Multi-hot labels, (B, C).
        mask: Valid snippets, bool, (B, T).
    """
    others = (labels == 0)[:, None] | ~mask[..., None]
    return logits.sigmoid().masked_fill(others, 0).amax(dim=-1)
