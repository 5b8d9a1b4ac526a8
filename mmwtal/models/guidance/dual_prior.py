"""Dual-prior guidance, reconstructed after MLLM4WTAL.

Paper: "Weakly Supervised Temporal Action Localization via Dual-Prior Collaborative Learning Guided by Multimodal Large
Language Models", CVPR 2025, arXiv:2411.08466. Its authors' code is not public, and no result here is theirs: what the
paper does not state comes from relatives whose code is public, or is our own choice, and is an option. Sources in
docstrings: [paper]; [TSM/VLC] "Boosting Weakly-Supervised Temporal Action Localization with Text Information", CVPR
2023, arXiv:2305.00607; [CNM/CPL] the weakly-supervised grounding methods from which its completion comes; [ours]. No
code was taken from any of them.
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from mmwtal.models.guidance.base_teaching import BaseTeaching
from mmwtal.models.guidance.csr import CompleteResult
from mmwtal.models.guidance.ksm import KeyResult
from mmwtal.models.guidance.streams import FeatureStream, GuidanceBatch
from mmwtal.models.layers import evaluating, temporal_mean
from mmwtal.models.localizers.base import build_sized
from mmwtal.models.losses.progress import training_seed
from mmwtal.registry import GUIDANCE_TEXTS, MODELS, build_module
from mmwtal.structures import LocalizerOutput, WTALDataSample
from mmwtal.structures.text_batch import TextBatch
from mmwtal.utils.errors import UserError


@MODELS.register_module()
class DualPriorGuidance(nn.Module):
    """Loss terms that teach a base model, known by its ``LocalizerOutput`` alone, what texts say of its videos.

    Key Semantic Matching alone tends to be too narrow, Complete Semantic Reconstruction alone too wide; they may teach
    each other, and the base learns from the pair [paper]. Each loss reaches its own parameters only, so that one
    optimiser and one backward pass do, and every parameter is in each iteration's graph.

    Args:
        num_classes: C, without the background.
        in_channels: Width of the snippet features.
        feat_channels: Width of the base's embedding; a part that works on it needs it.
        texts: :class:`PriorTexts` or its config; None where no part needs texts. Its ``batch`` gives a
            :class:`TextBatch`.
        ksm: :class:`KeySemanticMatching` or its config; None leaves the key semantics out.
        csr: :class:`CompleteSemanticReconstruction` or its config; None leaves the complete semantics out.
        distillation: :class:`InteractiveDistillation` or its config; used where there are both, None for none.
        teaching: :class:`BaseTeaching` or its config; None leaves the base to the suppressed loss of ``ksm`` alone.
        fuse_key: Weight, at test, of the attention that the matching head gives with the class bank in place of a
            video's own phrases; the base's attention has the rest. It needs the guidance's weights and the stored text
            vectors, but no language model. It cost .5 to 3.5 points in a prototype; 0, the default, tests the base as
            it is [ours].
        seed: Of the draws, where no Runner tells its own.

    Raises:
        UserError: If parts are missing that others need.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        feat_channels: int | None = None,
        texts: Any = None,
        ksm: Any = None,
        csr: Any = None,
        distillation: Any = None,
        teaching: Any = None,
        fuse_key: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.fuse_key = fuse_key
        self.seed = seed
        self.texts = build_module(texts, GUIDANCE_TEXTS)
        if self.texts is None and csr is not None:
            raise UserError('DualPriorGuidance: csr needs the descriptions of videos, and there are none; set texts')
        text_channels = None if self.texts is None else self.texts.width
        self.ksm = build_sized(
            ksm, MODELS, in_channels=in_channels, feat_channels=feat_channels, text_channels=text_channels
        )
        self.csr = build_sized(
            csr,
            MODELS,
            in_channels=in_channels,
            feat_channels=feat_channels,
            text_channels=text_channels,
            vocabulary_size=None if self.texts is None else self.texts.vocabulary_size,
        )
        both = self.ksm is not None and self.csr is not None
        self.distillation = build_module(distillation, MODELS) if both else None
        self.teaching = build_module(teaching, MODELS)
        self._check()

    def forward(
        self, inputs: Tensor, output: LocalizerOutput, data_samples: Sequence[WTALDataSample]
    ) -> dict[str, Tensor]:
        """Return weighted loss terms, whose names contain ``loss``, and diagnostics.

        Args:
            inputs: Snippet features, (B, T, D).
            output: The base's output for them.
            data_samples: ``video_id`` and ``labels`` of B videos.
        """
        batch = self._batch(inputs, output, data_samples)
        iteration = training_seed(default=self.seed).iteration
        key: KeyResult | None = self.ksm(batch) if self.ksm is not None else None
        complete: CompleteResult | None = self.csr(batch) if self.csr is not None else None
        terms = {**(key.terms if key else {}), **(complete.terms if complete else {})}
        described = complete.described if complete else batch.mask.new_zeros(len(batch.mask))
        if key and complete and self.distillation is not None:
            terms |= self.distillation(key.attn, complete.attn, batch.mask, described, iteration=iteration)
        if self.teaching is not None:
            terms['loss_base_teaching'] = self.teaching(
                batch.base_attn,
                key.attn if key else None,
                complete.attn if complete else None,
                batch.mask,
                described,
                iteration=iteration,
            )
        diagnostics = _attention_levels(batch, key, complete)
        return {**terms, **(complete.diagnostics if complete else {}), **diagnostics}

    @torch.no_grad()
    def attentions(
        self, inputs: Tensor, output: LocalizerOutput, data_samples: Sequence[WTALDataSample]
    ) -> dict[str, Tensor]:
        """Return the attentions of training videos, to be looked at: without losses, dropout or a graph.

        Args:
            inputs: Snippet features, (B, T, D).
            output: The base's output for them.
            data_samples: ``video_id`` and ``labels`` of B videos.

        Returns:
            'base' and, where there is that part, 'key' and 'complete', (B, T) each, zero in the padding.
        """
        batch = self._batch(inputs, output, data_samples)
        given = {'base': batch.base_attn}
        with evaluating(self):
            given |= {'key': self.ksm.attend(batch)} if self.ksm is not None else {}
            given |= {'complete': self.csr.mask_generator(batch).attn} if self.csr is not None else {}
        return given

    @property
    def named_streams(self) -> dict[str, int]:
        """Width of each stream of features that data samples must bring along for a part, by name."""
        streams = [getattr(part, 'stream', None) for part in self.modules()]
        return {one.name: one.width for one in streams if isinstance(one, FeatureStream) and one.named}

    def fuse(self, inputs: Tensor, output: LocalizerOutput) -> LocalizerOutput:
        """Return the output to be decoded; see ``fuse_key``. Nothing is computed for a weight of 0.

        Args:
            inputs: Snippet features, (B, T, D).
            output: The base's output for them.
        """
        if self.fuse_key == 0:
            return output
        clean = inputs.masked_fill(~output.mask[..., None], 0)
        attn = self.ksm.attention_of_bank(clean, output, self.texts.class_bank.to(inputs))
        return replace(output, attn=(1 - self.fuse_key) * output.attn + self.fuse_key * attn[..., None])

    def _batch(self, inputs: Tensor, output: LocalizerOutput, data_samples: Sequence[WTALDataSample]) -> GuidanceBatch:
        labels = torch.stack([sample.labels.float() for sample in data_samples])
        video_ids = [sample.video_id for sample in data_samples]
        texts = None
        if self.texts is not None:
            draw = training_seed(default=self.seed)
            texts = _for_model(self.texts.batch(video_ids, labels.cpu(), **draw._asdict()), inputs)
        return GuidanceBatch(
            inputs=inputs.detach().masked_fill(~output.mask[..., None], 0),
            output=output,
            labels=labels.to(inputs),
            video_ids=video_ids,
            data_samples=data_samples,
            texts=texts,
        )

    def _check(self) -> None:
        """Refuse parts that cannot work together."""
        fusable = self.ksm is not None and self.ksm.mode == 'head' and self.ksm.stream.name in ('inputs', 'feat')
        if not 0 <= self.fuse_key <= 1 or (self.fuse_key > 0 and not fusable):
            raise UserError(
                "DualPriorGuidance: fuse_key must be in [0, 1], and above 0 needs ksm in the mode 'head' on the stream "
                f"'inputs' or 'feat'; found {self.fuse_key}"
            )
        given = {name for name, part in (('key', self.ksm), ('complete', self.csr)) if part is not None}
        if isinstance(self.teaching, BaseTeaching):
            # Where one of the two is left out, a mean of both is the other one.
            missing = self.teaching.needs - given if len(self.teaching.needs) < 2 or not given else frozenset()
            if missing:
                raise UserError(
                    f'DualPriorGuidance: teaching has the target {self.teaching.target!r} and needs the attention '
                    f'{" and ".join(sorted(missing))}, which is not there; set ksm or csr, or another target'
                )
            if self.ksm is not None and self.ksm.mode == 'shared' and 'key' in self.teaching.needs:
                raise UserError(
                    "DualPriorGuidance: in the mode 'shared' of ksm the key attention is the base's own, and the "
                    f'base cannot learn from itself; teaching has the target {self.teaching.target!r}: set '
                    "teaching=None (the distillation teaches the base) or teaching.target='complete'"
                )


def _for_model(texts: TextBatch, inputs: Tensor) -> TextBatch:
    """Move texts to the device of the inputs, vectors to their precision, and give them at least one word."""
    changes: dict[str, Any] = {}
    for field in fields(texts):
        value = getattr(texts, field.name)
        if isinstance(value, Tensor):
            dtype = inputs.dtype if value.is_floating_point() else value.dtype
            changes[field.name] = value.to(inputs.device, dtype, non_blocking=True)
    if texts.word_mask.shape[1] == 0:  # no video of the batch has a description
        for name in ('words', 'word_ids', 'word_weights', 'word_mask'):
            value = changes[name]
            changes[name] = value.new_zeros(len(value), 1, *value.shape[2:])
    return replace(texts, **changes)


@torch.no_grad()
def _attention_levels(
    batch: GuidanceBatch, key: KeyResult | None, complete: CompleteResult | None
) -> dict[str, Tensor]:
    """Return the mean over time of each attention, its standard deviation over time as spread, and their agreement.

    The agreement is the correlation over time of the key and the complete attention, averaged over all videos; 0 for a
    video where one of the two is constant.
    """
    given = {'base': batch.base_attn}
    given |= {'key': key.attn} if key is not None else {}
    given |= {'complete': complete.attn} if complete is not None else {}
    levels: dict[str, Tensor] = {}
    scaled: dict[str, Tensor] = {}
    for name, attn in given.items():
        wide = attn.to(torch.promote_types(attn.dtype, torch.float32))[..., None]
        mean = temporal_mean(wide, batch.mask)
        spread = temporal_mean((wide - mean[:, None]) ** 2, batch.mask).sqrt()
        levels[f'attn_{name}'] = mean.mean()
        levels[f'attn_{name}_spread'] = spread.mean()
        scaled[name] = (wide - mean[:, None]) / spread.clamp(min=1e-6)[:, None]
    if key is not None and complete is not None:
        levels['attn_agreement'] = temporal_mean(scaled['key'] * scaled['complete'], batch.mask).mean()
    return levels
