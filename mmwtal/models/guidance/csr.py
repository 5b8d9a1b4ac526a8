"""Complete Semantic Reconstruction: what a video's description needs of the video is the course of its action."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mmwtal.models.guidance.mask_generators import MadeMask
from mmwtal.models.guidance.streams import FeatureStream, GuidanceBatch
from mmwtal.models.localizers.base import build_sized
from mmwtal.models.losses.present import mean_of_present
from mmwtal.models.losses.progress import training_seed
from mmwtal.registry import MODELS, build_module
from mmwtal.structures.text_batch import TextBatch
from mmwtal.utils.errors import UserError


@dataclass(kw_only=True)
class CompleteResult:
    """What the reconstruction gives.

    Args:
        attn: a_complete, (B, T), zero in the padding.
        described: Which videos have a description, bool, (B,): what the attention of others says was never asked for.
        terms: Weighted loss terms by name.
        diagnostics: Mean N of each mask, without a graph, by name.
    """

    attn: Tensor
    described: Tensor
    terms: dict[str, Tensor]
    diagnostics: dict[str, Tensor]


@MODELS.register_module()
class CompleteSemanticReconstruction(nn.Module):
    """a_complete, the mask that a generator makes, and the two losses that train it and the reconstructor.

    L_rec trains the reconstructor alone, with the mask held fixed; L_ctr trains the mask generator alone, through a
    reconstructor whose parameters are held fixed. Without that separation the reconstructor cheats by making negatives
    worse [CNM/CPL]. Videos without a description add nothing.

    Args:
        in_channels: Width of the base's features.
        text_channels: Width of the word vectors.
        vocabulary_size: V.
        feat_channels: Width of the base's embedding.
        mask_generator: An :class:`AttentionMask`, a :class:`CrossModalMask`, a :class:`LightMask`, a
            :class:`GaussianMask` or its config.
        reconstructor: A :class:`TextReconstructor` or its config.
        masking: A :class:`WordMasking` or its config.
        loss: A :class:`CSRLoss` or its config.
        stream: The features that the reconstructor sees; see :class:`FeatureStream`. 'filtered': those that the mask
            generator filtered, through which L_ctr trains it as well [TSM/VLC].
        stream_channels: Width of a stream of another name.
        diagnostics_interval: N(1 - a), to be logged, is computed every so many iterations of a Runner where it is no
            negative, in which case it is there anyway; 0: never. Such an iteration of CO2-Net takes 3 % longer [ours].
        seed: Of the masked words, where no Runner tells its own.

    Raises:
        UserError: If the stream is 'filtered' and the mask generator filters nothing, or ``diagnostics_interval`` is
            negative.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        text_channels: int,
        vocabulary_size: int,
        feat_channels: int | None = None,
        mask_generator: Any,
        reconstructor: Any,
        masking: Any,
        loss: Any,
        stream: str = 'inputs',
        stream_channels: int | None = None,
        diagnostics_interval: int = 10,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if diagnostics_interval < 0:
            raise UserError(
                'CompleteSemanticReconstruction: expected a diagnostics_interval of 0 or more iterations, found '
                f'{diagnostics_interval}'
            )
        self.diagnostics_interval = diagnostics_interval
        self.mask_generator = build_sized(mask_generator, MODELS, in_channels=in_channels, feat_channels=feat_channels)
        self.filtered = stream == 'filtered'
        if self.filtered and not self.mask_generator.filters:
            raise UserError(
                "CompleteSemanticReconstruction: the stream 'filtered' needs a mask generator that filters features, "
                f'which {type(self.mask_generator).__name__} does not; take CrossModalMask, or another stream'
            )
        self.stream = (
            self.mask_generator.stream
            if self.filtered
            else FeatureStream(
                stream, in_channels=in_channels, feat_channels=feat_channels, stream_channels=stream_channels
            )
        )
        self.reconstructor = build_module(
            reconstructor,
            MODELS,
            in_channels=self.stream.width,
            text_channels=text_channels,
            vocabulary_size=vocabulary_size,
        )
        self.masking = build_module(masking, MODELS)
        self.loss = build_module(loss, MODELS)
        self.seed = seed

    def forward(self, batch: GuidanceBatch) -> CompleteResult:
        """Return a_complete, ``loss_complete_rec``, ``loss_complete_ctr``, the generator's own terms, and each N."""
        texts = batch.text()
        made: MadeMask = self.mask_generator(batch)
        features = made.features if self.filtered else self.stream(batch)
        assert features is not None  # the constructor has refused a generator that filters nothing
        moment = training_seed(default=self.seed)
        replaced = self.masking(texts, batch.video_ids, **moment._asdict())
        whole = batch.mask.to(made.attn.dtype)
        tokens = self.reconstructor.embed(features.detach(), batch.mask)

        masks = [made.attn.detach(), whole]
        memory: Tensor | None
        learning, memory = self._complete(texts, replaced, tokens, torch.stack(masks), batch.mask)
        masks = [made.attn, 1 - made.attn] if self.loss.needs_inverse else [made.attn]
        if self.filtered:  # the mask generator has a part in all that is compared, the whole video too
            masks.append(whole)
            tokens, memory = self.reconstructor.embed(features, batch.mask, frozen=True), None
        else:
            tokens, memory = tokens.detach(), memory.detach()
        judging, _ = self._complete(texts, replaced, tokens, torch.stack(masks), batch.mask, memory=memory, frozen=True)
        negative = judging[-1] if self.filtered else learning[1].detach()
        inverse = judging[1] if self.loss.needs_inverse else None
        described = texts.described
        terms = {
            'loss_complete_rec': self.loss.reconstruction(learning[0], learning[1], described),
            'loss_complete_ctr': self.loss.contrast(judging[0], negative, inverse, described),
            **made.terms,
        }
        if inverse is None and self._looks(moment.iteration):
            # Last, so that what it draws for its dropout changes nothing else; the same in every process.
            with torch.no_grad():
                inverse = self._complete(texts, replaced, tokens, 1 - made.attn[None], batch.mask, memory=memory)[0][0]
        seen = {'nll_complete': learning[0], 'nll_whole': learning[1], 'nll_inverse': inverse}
        diagnostics = {
            name: mean_of_present(value.detach(), described) for name, value in seen.items() if value is not None
        }
        return CompleteResult(attn=made.attn, described=described, terms=terms, diagnostics=diagnostics)

    def _looks(self, iteration: int) -> bool:
        """Tell whether N(1 - a) is to be logged: in the iterations after which a logger of that interval writes."""
        return self.diagnostics_interval > 0 and (iteration + 1) % self.diagnostics_interval == 0

    def _complete(
        self,
        texts: TextBatch,
        replaced: Tensor,
        tokens: Tensor,
        weights: Tensor,
        mask: Tensor,
        *,
        memory: Tensor | None = None,
        frozen: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Return N of M masks, (M, B), and the encoded video.

        Args:
            texts: Texts of B videos.
            replaced: Which words are not seen, bool, (B, L).
            tokens: Video tokens, (B, T, width).
            weights: M masks, (M, B, T).
            mask: Valid snippets, bool, (B, T).
            memory: The encoded video of an earlier call, taken where the masks do not change it.
            frozen: Hold the reconstructor fixed.
        """
        if self.reconstructor.weighted == 'both':
            every, repeated = mask.repeat(len(weights), 1), tokens.repeat(len(weights), 1, 1)
            memory = self.reconstructor.encode(repeated, every, weights.flatten(0, 1), frozen=frozen)
        elif memory is None:
            memory = self.reconstructor.encode(tokens, mask, None, frozen=frozen)
        key = texts.key[torch.arange(len(mask), device=mask.device), texts.described_class]
        logits = self.reconstructor.decode(texts.words, replaced, memory, mask, weights, key=key, frozen=frozen)
        return self.loss.nll(logits, texts.word_ids, texts.word_mask, replaced), memory
