"""What the base model learns from the pair of attentions."""

from typing import Literal

import torch
from torch import Tensor, nn

from mmwtal.models.losses.attention_match import Match, attention_match_loss
from mmwtal.registry import MODELS
from mmwtal.utils.errors import UserError

Target = Literal['key', 'complete', 'mean', 'max', 'min', 'constant']


@MODELS.register_module()
class BaseTeaching(nn.Module):
    """L_b = w_b MSE(base.attn, sg(a*)) [ours].

    Args:
        target: a*: the 'key' or the 'complete' attention, their 'mean' (default), 'max' or 'min'; 'constant', the
            control that shows what a mere level of the attention does. Where a video has one of the two only, a* is it.
        loss_weight: w_b; 3 is what a prototype found to work, 1 is taken literally.
        value: The level of 'constant'; 0.7 in a prototype.
        match: What of the target counts; see :func:`attention_match_loss`.
        confident: Weigh snippets by how decided the target is [ours].
        start: Iterations before the base is taught [ours].
    """

    def __init__(
        self,
        *,
        target: Target = 'mean',
        loss_weight: float = 3.0,
        value: float | None = None,
        match: Match = 'level',
        confident: bool = False,
        start: int = 0,
    ) -> None:
        super().__init__()
        if (target == 'constant') != (value is not None) or not 0 <= (value or 0) <= 1:
            raise UserError(
                f"BaseTeaching: expected a value in [0, 1] with target='constant', and none with any other; found "
                f'target={target!r}, value={value}'
            )
        self.target = target
        self.loss_weight = loss_weight
        self.value = value
        self.match = match
        self.confident = confident
        self.start = start

    @property
    def needs(self) -> frozenset[str]:
        """Which attentions there must be: 'key', 'complete'."""
        needed = {'key': {'key'}, 'complete': {'complete'}, 'constant': set[str]()}
        return frozenset(needed.get(self.target, {'key', 'complete'}))

    def forward(
        self,
        base: Tensor,
        key: Tensor | None,
        complete: Tensor | None,
        mask: Tensor,
        described: Tensor,
        *,
        iteration: int,
    ) -> Tensor:
        """Return the weighted loss, which only the base's attention gets a gradient of.

        Args:
            base: The base's attention, (B, T).
            key: a_key, (B, T).
            complete: a_complete, (B, T).
            mask: Valid snippets, bool, (B, T).
            described: Which videos have a description, hence a complete attention, bool, (B,).
            iteration: Number of finished iterations.
        """
        target, present = self._target(base, key, complete, described)
        loss = attention_match_loss(base, target, mask, present, match=self.match, confident=self.confident)
        return (self.loss_weight if iteration >= self.start else 0.0) * loss

    def _target(
        self, base: Tensor, key: Tensor | None, complete: Tensor | None, described: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return a* and which videos have one."""
        everywhere = torch.ones_like(described)
        if self.value is not None:
            return torch.full_like(base, self.value), everywhere
        if complete is None or self.target == 'key':
            return _given(key), everywhere
        if key is None or self.target == 'complete':
            return complete, described
        both = {'mean': (key + complete) / 2, 'max': torch.maximum(key, complete), 'min': torch.minimum(key, complete)}
        return torch.where(described[:, None], both[self.target], key), everywhere


def _given(attn: Tensor | None) -> Tensor:
    if attn is None:
        raise UserError('BaseTeaching: there is no attention to learn from; see BaseTeaching.needs')
    return attn
