"""DDG-Net: discriminability-driven graph network.

Paper: Tang, Fan, Luo, Zhang, Zhang, Yang, "DDG-Net: Discriminability-Driven Graph Network for Weakly-supervised
Temporal Action Localization", ICCV 2023, arXiv:2307.16415.
Source repository: https://github.com/XiaojunTang22/ICCV2023-DDGNet (MIT; written anew from the paper and from the facts
of the published behaviour, no code taken).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmwtal.models.backbones.base import BackboneOutput, BaseBackbone
from mmwtal.models.backbones.co2net import TemporalAttention, modality_widths
from mmwtal.models.layers import LEAKY_SLOPE, TemporalAveragePool, initialise_convolutions, masked
from mmwtal.models.losses.base import full_precision
from mmwtal.registry import MODELS
from mmwtal.utils.errors import UserError


@dataclass(frozen=True, kw_only=True)
class SnippetKinds:
    """What the attentions of two modalities say of each snippet; a snippet of the padding is of no kind.

    Args:
        action: Both find an action, bool, (B, T).
        background: Neither does, bool, (B, T).
        ambiguous: Any other snippet of the video, bool, (B, T).
    """

    action: Tensor
    background: Tensor
    ambiguous: Tensor

    def edges(self) -> Tensor:
        """Return which snippets (last axis) each snippet may learn from, bool, (B, T, T).

        Action learns from action, background from background. An ambiguous snippet learns from both and from itself,
        and nothing learns from it.
        """
        discriminative = self.action | self.background
        own = torch.eye(self.action.shape[1], dtype=torch.bool, device=self.action.device)
        return (
            (self.action[:, :, None] & self.action[:, None])
            | (self.background[:, :, None] & self.background[:, None])
            | (self.ambiguous[:, :, None] & (discriminative[:, None] | own))
        )


@full_precision
def similarity_graph(
    first: Tensor, second: Tensor, edges: Tensor, lengths: Tensor, *, threshold: float, neighbour_ratio: int
) -> Tensor:
    """Weigh the snippets that each snippet learns from (the paper's section 3.3).

    The similarity of two snippets is the mean of their cosines in the two modalities. What is below the threshold is
    cut, then all but each snippet's k = max(1, floor(T_b / neighbour_ratio)) most similar ones (itself, usually, among
    them), then what is no edge; the rest is divided by its sum.

    The published code has k = 0 below ``neighbour_ratio`` snippets, which leaves no snippet even itself and only halves
    the features of so short a video; here each keeps itself. Snippets exactly as similar as the k-th are kept as well,
    so that copies of one snippet do not depend on their order; the published code takes any k.

    Args:
        first: Features of one modality, zero in the padding, (B, T, D1).
        second: Those of the other, (B, T, D2).
        edges: Which snippets (last axis) each snippet may learn from, bool, (B, T, T).
        lengths: Snippets T_b of each video, (B,).
        threshold: Least similarity, in [0, 1].
        neighbour_ratio: Snippets of a video for each that is kept.

    Returns:
        Weights (B, T, T), rows of which add up to 1, or 0 where nothing is left (a snippet whose features are zero).
    """
    similarity = (_cosines(first) + _cosines(second)) / 2
    similarity = similarity.masked_fill(similarity < threshold, 0)
    k = (lengths // neighbour_ratio).clamp(min=1)
    top = similarity.topk(int(k.max()), dim=-1).values
    least = top.gather(-1, (k - 1)[:, None, None].expand(-1, top.shape[1], 1))
    return F.normalize(similarity.masked_fill((similarity < least) | ~edges, 0), p=1, dim=-1)


def _cosines(values: Tensor) -> Tensor:
    unit = F.normalize(values, dim=-1)
    return unit @ unit.transpose(1, 2)


class SnippetConv(nn.Conv1d):
    """A temporal convolution of kernel 1 for snippets that were picked out of their videos.

    Args:
        channels: Width of a snippet, before and after.
    """

    def __init__(self, *, channels: int) -> None:
        super().__init__(channels, channels, 1)

    def forward(self, snippets: Tensor) -> Tensor:
        """Return (N, C) of ``snippets`` (N, C)."""
        return F.linear(snippets, self.weight[..., 0], self.bias)


class DiscriminativeGraph(nn.Module):
    """Two graph convolutions of one modality, with weights for action and others for background.

    Args:
        channels: Width of the modality.
    """

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.action = nn.ModuleList(SnippetConv(channels=channels) for _ in range(2))
        self.background = nn.ModuleList(SnippetConv(channels=channels) for _ in range(2))
        self.activation = nn.LeakyReLU(LEAKY_SLOPE)

    def forward(self, values: Tensor, graph: Tensor, kinds: SnippetKinds) -> tuple[Tensor, Tensor]:
        """Spread what the snippets have in common.

        Args:
            values: Features of the modality, (B, T, D).
            graph: See :func:`similarity_graph`, (B, T, T).
            kinds: Of the snippets.

        Returns:
            The weighted average of what each snippet learns from, and its graph convolution, (B, T, D) each. An
            ambiguous snippet averages the convolved features of the others and its own plain ones.
        """
        average = graph @ values
        # A row of the graph adds up to 1, so that averaging before a layer or after it gives the same, bias included,
        # save for rows without any weight, where the published order of the two gives 0.
        linked = graph.sum(dim=-1) > 0
        action, background = ((kind & linked).flatten().nonzero()[:, 0] for kind in (kinds.action, kinds.background))
        hidden = average
        for depth, (action_layer, background_layer) in enumerate(zip(self.action, self.background, strict=True)):
            # Each snippet passes through the layer of its own kind only.
            hidden = (hidden if depth == 0 else graph @ hidden).flatten(0, 1)
            rows = [
                action_layer(hidden.index_select(0, action)),
                background_layer(hidden.index_select(0, background)),
            ]
            convolved = self.activation(torch.cat(rows))
            hidden = convolved.new_zeros(hidden.shape).index_copy(0, torch.cat([action, background]), convolved)
            hidden = hidden.unflatten(0, values.shape[:2])
        ambiguous = kinds.ambiguous[..., None]
        return average, torch.where(ambiguous, graph @ torch.where(ambiguous, values, hidden), hidden)


@MODELS.register_module()
class DDGNetBackbone(BaseBackbone):
    """DDG-Net's graph network over the snippets of a video, and CO2-Net's fusion of the two modalities.

    A first attention of each modality tells action, background and ambiguous snippets; it decides but does not learn
    from it. Each modality x becomes ``residual_weight`` x + (1 - ``residual_weight``) (average + convolution) / 2 over
    the graph, and the same attentions are computed again from that.

    ``extras`` holds

    - ``attn_modalities``: the attentions of the two modalities, (B, T, 2), in the order of the channels; ``attn`` is
      their mean,
    - ``initial_attn``: the mean of the first attentions, without a gradient, (B, T, 1),
    - ``action_snippets`` and ``background_snippets``: the kinds, bool, (B, T),
    - ``graph_gap``: the Euclidean distance between average and convolution of each modality, (B, T, 2).

    Time and memory grow with the square of the snippets of the longest video.

    Args:
        in_channels: Width of the snippet features, both modalities together.
        modalities: Widths of the two modalities, RGB before flow; halves by default.
        attention_channels: Hidden width of the attentions.
        dropout: Probability within the attentions.
        fusion_dropout: Probability after the fusion.
        action_threshold: A snippet is an action if both first attentions are at least this.
        background_threshold: A snippet is background if both are below this.
        similarity_threshold: Least similarity of two snippets that learn from each other, in [0, 1].
        neighbour_ratio: Snippets of a video for each that a snippet may learn from; see :func:`similarity_graph`.
        residual_weight: Share of a snippet's own features in the result, in [0, 1]; the inverse of the published
            option ``weight``.
        pool_kernel: Snippets over which the resulting attentions are averaged, odd; 1 leaves them as they are. The
            published code pools on ActivityNet only, the class activation sequence too: set the head's to the same.

    Raises:
        UserError: If the widths of the modalities do not add up to ``in_channels``, the background's threshold is above
            that of actions, a value is out of its range, or the kernel is not odd.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        modalities: tuple[int, int] | None = None,
        attention_channels: int = 512,
        dropout: float = 0.5,
        fusion_dropout: float = 0.7,
        action_threshold: float = 0.5,
        background_threshold: float = 0.5,
        similarity_threshold: float = 0.8,
        neighbour_ratio: int = 10,
        residual_weight: float = 0.5,
        pool_kernel: int = 1,
    ) -> None:
        super().__init__()
        self.modalities = modality_widths(in_channels, modalities, backbone=type(self).__name__)
        _check_options(action_threshold, background_threshold, similarity_threshold, neighbour_ratio, residual_weight)
        self.action_threshold = action_threshold
        self.background_threshold = background_threshold
        self.similarity_threshold = similarity_threshold
        self.neighbour_ratio = neighbour_ratio
        self.residual_weight = residual_weight
        self.attentions = nn.ModuleList(
            TemporalAttention(in_channels=width, hidden_channels=attention_channels, dropout=dropout)
            for width in self.modalities
        )
        self.graphs = nn.ModuleList(DiscriminativeGraph(channels=width) for width in self.modalities)
        self.fusion = nn.Conv1d(in_channels, in_channels, 1)
        self.activation = nn.LeakyReLU(LEAKY_SLOPE)
        self.fusion_dropout = nn.Dropout(fusion_dropout)
        self.pool = TemporalAveragePool(kernel=pool_kernel)
        self.out_channels = in_channels
        initialise_convolutions(self)

    def forward(self, inputs: Tensor, mask: Tensor) -> BackboneOutput:
        """See :class:`BaseBackbone`."""
        values = inputs.masked_fill(~mask[..., None], 0)
        # Detached rather than under no_grad: within autocast that would leave casts of the weights without gradients in
        # its cache for the second pass.
        initial = self._attend(values, mask).detach()
        kinds = self._kinds(initial, mask)
        parts = values.split(self.modalities, dim=-1)
        graph = similarity_graph(
            *parts,
            kinds.edges(),
            mask.sum(dim=1),
            threshold=self.similarity_threshold,
            neighbour_ratio=self.neighbour_ratio,
        )
        refined, gaps = [], []
        for part, convolution in zip(parts, self.graphs, strict=True):
            average, convolved = convolution(part, graph, kinds)
            learned = (average + convolved) / 2
            refined.append(self.residual_weight * part + (1 - self.residual_weight) * learned)
            gaps.append(_distance(average, convolved))
        values = torch.cat(refined, dim=-1)
        attn_modalities = self.pool(self._attend(values, mask), mask).transpose(1, 2)
        fused = masked(self.fusion(values.transpose(1, 2)), mask)
        return BackboneOutput(
            feat=self.fusion_dropout(self.activation(fused)).transpose(1, 2),
            attn=attn_modalities.mean(dim=-1, keepdim=True),
            extras={
                'attn_modalities': attn_modalities,
                'initial_attn': initial.mean(dim=1)[..., None],
                'action_snippets': kinds.action,
                'background_snippets': kinds.background,
                'graph_gap': torch.stack(gaps, dim=-1),
            },
        )

    def _attend(self, values: Tensor, mask: Tensor) -> Tensor:
        """Return the attentions (B, 2, T) of both modalities of ``values`` (B, T, D)."""
        parts = values.transpose(1, 2).split(self.modalities, dim=1)
        return torch.cat([attention(part, mask) for attention, part in zip(self.attentions, parts, strict=True)], dim=1)

    def _kinds(self, attns: Tensor, mask: Tensor) -> SnippetKinds:
        action = mask & (attns >= self.action_threshold).all(dim=1)
        background = mask & (attns < self.background_threshold).all(dim=1)
        return SnippetKinds(action=action, background=background, ambiguous=mask & ~action & ~background)


@full_precision
def _distance(first: Tensor, second: Tensor) -> Tensor:
    """Return the Euclidean distance of each snippet's features, (B, T); its gradient at 0 is 0."""
    return torch.linalg.vector_norm(first - second, dim=-1)


def _check_options(
    action_threshold: float,
    background_threshold: float,
    similarity_threshold: float,
    neighbour_ratio: int,
    residual_weight: float,
) -> None:
    if background_threshold > action_threshold:
        raise UserError(
            f'DDGNetBackbone: expected background_threshold <= action_threshold, else a snippet could be both, found '
            f'{background_threshold} and {action_threshold}; lower backbone.background_threshold'
        )
    if not 0 <= similarity_threshold <= 1:
        raise UserError(f'DDGNetBackbone: expected similarity_threshold in [0, 1], found {similarity_threshold}')
    if neighbour_ratio < 1:
        raise UserError(f'DDGNetBackbone: expected neighbour_ratio of at least 1, found {neighbour_ratio}')
    if not 0 <= residual_weight <= 1:
        raise UserError(f'DDGNetBackbone: expected residual_weight in [0, 1], found {residual_weight}')
