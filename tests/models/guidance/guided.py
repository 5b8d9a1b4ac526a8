"""Made-up texts and small guided models that the tests of the guidance share."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmwtal.models.guidance.draws import uniform_draws
from mmwtal.models.guidance.streams import GuidanceBatch
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput, WTALDataSample
from mmwtal.structures.text_batch import TextBatch

C, D, FEAT, TEXT, V = 3, 6, 5, 4, 11


class MadeUpTexts:
    """A stand-in for ``PriorTexts``: videos ``v...`` have a description, a function of the id, ``u...`` have none."""

    width, vocabulary_size = TEXT, V

    def __init__(self, *, num_classes: int = C) -> None:
        self.class_bank = torch.randn(num_classes, TEXT, generator=torch.Generator().manual_seed(5))
        self.table = torch.randn(V, TEXT, generator=torch.Generator().manual_seed(6)).index_fill(0, torch.tensor(0), 0)

    def batch(self, video_ids: Sequence[str], labels: Tensor, *, seed: int, iteration: int) -> TextBatch:
        lengths = [0 if name.startswith('u') else 3 + len(name) * 7 % 5 for name in video_ids]
        longest = max(lengths)
        drawn = uniform_draws(video_ids, longest, seed=1, iteration=0)
        mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
        ids = (1 + (drawn * (V - 1)).long()).masked_fill(~mask, 0)
        key = self.class_bank + 0.1 * uniform_draws(video_ids, TEXT, seed=2, iteration=0).float()[:, None]
        return TextBatch(
            key=torch.where((labels > 0)[..., None], key, self.class_bank),
            class_bank=self.class_bank,
            words=self.table[ids],
            word_ids=ids,
            word_weights=(ids % 3).float() * mask,
            word_mask=mask,
            described=mask.any(dim=1),
            described_class=labels.argmax(dim=1),
            vocabulary_size=V,
        )


def reconstructor(**changes: Any) -> dict[str, Any]:
    small = {'hidden_channels': 8, 'num_heads': 2, 'encoder_layers': 1, 'decoder_layers': 2, **changes}
    return {'type': 'TextReconstructor', **small}


def csr_config(**changes: Any) -> dict[str, Any]:
    return {
        'type': 'CompleteSemanticReconstruction',
        'mask_generator': {'type': 'AttentionMask', 'hidden_channels': 4},
        'reconstructor': reconstructor(),
        'masking': {'type': 'WordMasking'},
        'loss': {'type': 'CSRLoss'},
        **changes,
    }


def ksm_config(**changes: Any) -> dict[str, Any]:
    return {
        'type': 'KeySemanticMatching',
        'hidden_channels': 4,
        'embed_channels': 4,
        'loss': {'type': 'KSMLoss'},
        'suppression': {'type': 'TopKMILLoss', 'topk_ratio': 7, 'suppressed': True, 'loss_weight': 0.3},
        **changes,
    }


def ancestor_config(*, vlc_compat: bool = False) -> dict[str, Any]:
    """What of a guidance's config makes it that of TSM + VLC, with the slips of its released code or without."""
    return {
        'ksm': ksm_config(mode='shared', loss=None, suppression=None),
        'teaching': None,
        'csr': csr_config(
            stream='filtered',
            mask_generator={
                'type': 'CrossModalMask',
                'code_channels': 4,
                'hidden_channels': 4,
                'vlc_compat': vlc_compat,
            },
            reconstructor=reconstructor(
                weighted='both',
                causal_video=True,
                norm='after',
                expansion=2,
                normalise=False,
                channel_dropout=0.0,
                noise=0.0,
                dropout=0.0,
                input_dropout=0.1,
                vlc_compat=vlc_compat,
            ),
            masking={'type': 'WordMasking', 'candidates': 'weighted', 'ratio': 1 / 3, 'vlc_compat': vlc_compat},
            loss={'type': 'CSRLoss', 'words': 'all', 'negatives': 'both', 'whole_margin': 0.1},
        ),
    }


def guidance_config(**changes: Any) -> dict[str, Any]:
    return {
        'type': 'DualPriorGuidance',
        'texts': MadeUpTexts(),
        'ksm': ksm_config(),
        'csr': csr_config(),
        'distillation': {'type': 'InteractiveDistillation', 'mode': 'mutual'},
        'teaching': {'type': 'BaseTeaching'},
        **changes,
    }


def build_guidance(seed: int = 0, **changes: Any) -> nn.Module:
    """Build a guidance from a seed, in evaluation mode, none of whose biases is 0, which would hide a leak."""
    torch.manual_seed(seed)
    guidance = MODELS.build({'num_classes': C, 'in_channels': D, 'feat_channels': FEAT, **guidance_config(**changes)})
    with torch.no_grad():
        for parameter in guidance.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return guidance.eval()


def samples(labels: Tensor, ids: Sequence[str] | None = None) -> list[WTALDataSample]:
    ids = [f'v{"x" * index}' for index in range(len(labels))] if ids is None else ids
    return [WTALDataSample(video_id=name, labels=row) for name, row in zip(ids, labels, strict=True)]


def made_output(
    lengths: Sequence[int], *, fill: float = 0.0, more: int = 0, background: bool = True, classes: int = C
) -> tuple[Tensor, LocalizerOutput]:
    """Return features and a base's output, leaves of the graph, with a number in the padding."""
    longest = max(lengths) + more
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]

    def values(width: int, seed: int) -> Tensor:
        made = torch.full((len(lengths), longest, width), fill)
        for number, length in enumerate(lengths):
            generator = torch.Generator().manual_seed(1000 * seed + number)
            made[number, :length] = torch.randn(length, width, generator=generator)
        return made

    output = LocalizerOutput(
        feat=values(FEAT, 1).requires_grad_(),
        attn=values(1, 2).sigmoid().requires_grad_(),
        cas=values(classes + int(background), 3).requires_grad_(),
        has_background=background,
        mask=mask,
    )
    return values(D, 0).requires_grad_(), output


LENGTHS = (9, 3, 1, 14)
LABELS = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]]).float()
IDS = ('vaa', 'v', 'vxxxx', 'unlabelled')


def made_batch(**changes: Any) -> GuidanceBatch:
    inputs, output = made_output(LENGTHS)
    fields = {
        'inputs': inputs.detach(),
        'output': output,
        'labels': LABELS,
        'video_ids': IDS,
        'data_samples': samples(LABELS, IDS),
        'texts': MadeUpTexts().batch(IDS, LABELS, seed=0, iteration=0),
    }
    return GuidanceBatch(**{**fields, **changes})
