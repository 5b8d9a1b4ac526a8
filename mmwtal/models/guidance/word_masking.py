"""Which words of a description the reconstructor has to complete."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from mmwtal.models.guidance.draws import uniform_draws
from mmwtal.registry import MODELS
from mmwtal.structures.text_batch import TextBatch
from mmwtal.utils.errors import UserError

# TextBatch.word_weights of a word that carries the action.
_ACTION_WEIGHT = 2


@MODELS.register_module()
class WordMasking(nn.Module):
    """Draws the words that are replaced, without replacement, anew from (seed, iteration, video id).

    n = max(1, floor(ratio * L)) of a description's L words, or as many as there are candidates. A description without a
    candidate (stop words alone) has all its words as candidates.

    Args:
        candidates: 'content': every content word alike [ours, what a prototype found to work]. 'weighted': content
            words by their weights, 2 for those that carry the action, 1 for others [the weights are ours; VLC weighs
            nouns and verbs by a tagger]. 'action': those that carry the action alone. 'uniform': any word.
        ratio: Of the words to replace; 1 with 'content' replaces all content words, 1 / 3 is [VLC, CNM/CPL].
        vlc_compat: Repeat a slip of the released code of TSM/VLC: n = floor(ratio * L), which can be 0.

    Raises:
        UserError: If the ratio is not in (0, 1].
    """

    def __init__(
        self,
        *,
        candidates: Literal['content', 'weighted', 'action', 'uniform'] = 'content',
        ratio: float = 1.0,
        vlc_compat: bool = False,
    ) -> None:
        super().__init__()
        if not 0 < ratio <= 1:
            raise UserError(f'WordMasking.ratio must be above 0 and at most 1, found {ratio}')
        self.candidates = candidates
        self.ratio = ratio
        self.least = 0 if vlc_compat else 1

    def forward(self, texts: TextBatch, video_ids: Sequence[str], *, seed: int, iteration: int) -> Tensor:
        """Return which words are replaced, bool, (B, L)."""
        weights = self._weights(texts)
        wanted = (texts.word_mask.sum(dim=1) * self.ratio + 1e-6).floor().clamp(min=self.least)
        draws = uniform_draws(video_ids, weights.shape[1], seed=seed, iteration=iteration).to(weights.device)
        # The n largest of log(u) / w are a draw without replacement with probability proportional to w (Efraimidis and
        # Spirakis, Information Processing Letters 97, 2006).
        order = torch.where(weights > 0, draws.log() / weights.clamp(min=1e-9), -torch.inf)
        ranks = order.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        return (ranks < wanted[:, None]) & (weights > 0)

    def _weights(self, texts: TextBatch) -> Tensor:
        given = texts.word_weights.double() * texts.word_mask
        weights = {
            'content': (given > 0).double(),
            'weighted': given,
            'action': (given >= _ACTION_WEIGHT).double(),
            'uniform': texts.word_mask.double(),
        }[self.candidates]
        none = weights.sum(dim=1, keepdim=True) == 0
        return torch.where(none, texts.word_mask.double(), weights)
