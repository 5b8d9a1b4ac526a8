"""Complete semantic reconstruction: how well masked descriptions are completed from what an attention lets through.

N(m) is the negative log-likelihood of a description's words given the video weighted by m. The reconstructor learns
from N(a) + N(1), the mask generator from comparisons of N(a) with the N of negatives (CNM, CPL, TSM/VLC).
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmwtal.models.losses.base import full_precision
from mmwtal.models.losses.present import mean_of_present
from mmwtal.registry import MODELS

Negatives = Literal['none', 'whole', 'inverse', 'both']


@full_precision
def words_nll(logits: Tensor, word_ids: Tensor, counted: Tensor, *, label_smoothing: float) -> Tensor:
    """Return N: the label-smoothed negative log-likelihood of each video's words, averaged over those that count.

    Args:
        logits: (..., L, V).
        word_ids: The words to be predicted, int64, (..., L).
        counted: Which words count, bool, (..., L).
        label_smoothing: Share of the target that is spread over the vocabulary.

    Returns:
        (...); 0, with a graph, where no word counts.
    """
    each = F.cross_entropy(
        logits.flatten(0, -2), word_ids.flatten(), reduction='none', label_smoothing=label_smoothing
    ).view(word_ids.shape)
    return each.masked_fill(~counted, 0).sum(dim=-1) / counted.sum(dim=-1).clamp(min=1)


@full_precision
def contrast_loss(positive: Tensor, negative: Tensor, described: Tensor, *, margin: float) -> Tensor:
    """Mean over the videos of relu(N(a) - N(negative) + margin); the negative is held fixed where it has no graph.

    Args:
        positive: N(a), (B,).
        negative: N of a negative mask, (B,).
        described: Which videos have a description, bool, (B,).
        margin: Of the hinge.
    """
    return mean_of_present(F.relu(positive - negative + margin), described)


@MODELS.register_module()
class CSRLoss(nn.Module):
    """The two losses of the reconstruction, each for parameters of its own.

    Args:
        words: Over which words N is averaged: 'masked' [ours, what a prototype found to work] or 'all' [CNM/CPL].
        label_smoothing: Share of the target that is spread over the vocabulary [CNM/CPL: 0.1].
        negatives: What N(a) is compared with: 'whole' video, N(1); 'inverse', N(1 - a); 'both' [TSM/VLC]; 'none': the
            mask generator lowers N(a) itself [ours]. With the inverse an attention saturated in a prototype.
        whole_margin: Of the hinge against the whole video; 0.1 [TSM/VLC], 0.5 is what a prototype found to work.
        inverse_margin: Of the hinge against the inverse [TSM/VLC: 0.15].
        reconstruction_weight: Of L_rec.
        contrast_weight: Of L_ctr.
    """

    def __init__(
        self,
        *,
        words: Literal['masked', 'all'] = 'masked',
        label_smoothing: float = 0.1,
        negatives: Negatives = 'whole',
        whole_margin: float = 0.5,
        inverse_margin: float = 0.15,
        reconstruction_weight: float = 1.0,
        contrast_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.words = words
        self.label_smoothing = label_smoothing
        self.negatives = negatives
        self.whole_margin = whole_margin
        self.inverse_margin = inverse_margin
        self.reconstruction_weight = reconstruction_weight
        self.contrast_weight = contrast_weight

    @property
    def needs_inverse(self) -> bool:
        """Whether :meth:`contrast` compares with the inverse."""
        return self.negatives in ('inverse', 'both')

    def nll(self, logits: Tensor, word_ids: Tensor, word_mask: Tensor, replaced: Tensor) -> Tensor:
        """Return N of each video, (M, B), for M masks.

        Args:
            logits: (M, B, L, V).
            word_ids: int64, (B, L).
            word_mask: Which words there are, bool, (B, L).
            replaced: Which words the reconstructor did not see, bool, (B, L).
        """
        counted = (word_mask & replaced if self.words == 'masked' else word_mask).expand(logits.shape[:-1])
        return words_nll(logits, word_ids.expand(counted.shape), counted, label_smoothing=self.label_smoothing)

    def reconstruction(self, complete: Tensor, whole: Tensor, described: Tensor) -> Tensor:
        """Return the weighted L_rec = N(a) + N(1), averaged over the described videos.

        Args:
            complete: N(a), (B,), with a held fixed.
            whole: N(1), (B,).
            described: bool, (B,).
        """
        return self.reconstruction_weight * mean_of_present(complete + whole, described)

    def contrast(self, complete: Tensor, whole: Tensor, inverse: Tensor | None, described: Tensor) -> Tensor:
        """Return the weighted L_ctr = relu(N(a) - N(1) + margin) + relu(N(a) - N(1 - a) + margin).

        Args:
            complete: N(a), (B,), with the reconstructor held fixed.
            whole: N(1), (B,), with the reconstructor held fixed; it has a graph only where the mask generator also
                filters the features.
            inverse: N(1 - a), (B,), likewise; needed where :attr:`needs_inverse`.
            described: bool, (B,).
        """
        if self.negatives == 'none':
            return self.contrast_weight * mean_of_present(complete, described)
        total = torch.zeros_like(complete[:1].sum())
        if self.negatives in ('whole', 'both'):
            total = total + contrast_loss(complete, whole, described, margin=self.whole_margin)
        if inverse is not None and self.needs_inverse:
            total = total + contrast_loss(complete, inverse, described, margin=self.inverse_margin)
        return self.contrast_weight * total
