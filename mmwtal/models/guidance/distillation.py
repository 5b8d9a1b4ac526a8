"""Interactive distillation: the two attentions of the guidance learn from each other."""

from typing import Literal

from torch import Tensor, nn

from mmwtal.models.losses.attention_match import Match, attention_match_loss
from mmwtal.registry import MODELS
from mmwtal.utils.errors import UserError

Mode = Literal['none', 'forward', 'backward', 'mutual', 'alternate']


@MODELS.register_module()
class InteractiveDistillation(nn.Module):
    """L_k<-c = w MSE(a_key, sg(a_complete)) and L_c<-k = w MSE(a_complete, sg(a_key)).

    Both terms are there in every iteration, one that rests with weight 0, so that all processes have the same.

    Args:
        mode: 'none', which a prototype found best with 'forward'; 'forward': complete teaches key; 'backward': key
            teaches complete; 'mutual': both at once [TSM/VLC]; 'alternate': forward in odd phases, backward in even
            ones [notes on the paper].
        period: Iterations of a phase [ours].
        start: Iterations before the first phase [ours].
        key_weight: w of L_k<-c [TSM/VLC: 1.5 on THUMOS14, 0.25 on ActivityNet].
        complete_weight: w of L_c<-k [as ``key_weight``].
        match: What of the teacher counts: 'level' [paper: MSE], 'shape' or 'rank' [ours]; see
            :func:`attention_match_loss`.
        confident: Weigh snippets by how decided the teacher is [ours].

    Raises:
        UserError: If the period is below 1 or the start below 0.
    """

    def __init__(
        self,
        *,
        mode: Mode = 'none',
        period: int = 100,
        start: int = 0,
        key_weight: float = 1.5,
        complete_weight: float = 1.5,
        match: Match = 'level',
        confident: bool = False,
    ) -> None:
        super().__init__()
        if period < 1 or start < 0:
            raise UserError(
                'InteractiveDistillation: expected a period of at least 1 and a start of at least 0 iterations, found '
                f'period={period}, start={start}'
            )
        self.mode = mode
        self.period = period
        self.start = start
        self.key_weight = key_weight
        self.complete_weight = complete_weight
        self.match = match
        self.confident = confident

    def weights(self, iteration: int) -> tuple[float, float]:
        """Return the weights of L_k<-c and L_c<-k after ``iteration`` finished iterations."""
        if iteration < self.start:
            return 0.0, 0.0
        odd = (iteration - self.start) // self.period % 2 == 0  # phases are counted from one
        forward = self.mode in ('forward', 'mutual') or (self.mode == 'alternate' and odd)
        backward = self.mode in ('backward', 'mutual') or (self.mode == 'alternate' and not odd)
        return self.key_weight * forward, self.complete_weight * backward

    def forward(
        self, key: Tensor, complete: Tensor, mask: Tensor, described: Tensor, *, iteration: int
    ) -> dict[str, Tensor]:
        """Return the weighted terms ``loss_key_from_complete`` and ``loss_complete_from_key``.

        Args:
            key: a_key, (B, T).
            complete: a_complete, (B, T).
            mask: Valid snippets, bool, (B, T).
            described: Which videos have a description, bool, (B,); others are left out.
            iteration: Number of finished iterations.
        """
        key_weight, complete_weight = self.weights(iteration)

        def lesson(taught: Tensor, teacher: Tensor) -> Tensor:
            return attention_match_loss(taught, teacher, mask, described, match=self.match, confident=self.confident)

        return {
            'loss_key_from_complete': key_weight * lesson(key, complete),
            'loss_complete_from_key': complete_weight * lesson(complete, key),
        }
