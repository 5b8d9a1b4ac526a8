"""What decoders, guidance and visualizers know of a base model."""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(kw_only=True)
class LocalizerOutput:
    """The output of any base model, for a padded batch.

    Args:
        feat: Snippet embedding, (B, T, Db).
        attn: Class-agnostic actionness in [0, 1], (B, T, 1); never made from labels.
        cas: Class activation sequence, logits, (B, T, C + 1) with the background last, or (B, T, C).
        has_background: Whether the last channel of ``cas`` is the background.
        mask: Valid snippets, bool, (B, T). Values at invalid snippets carry no meaning.
        video_scores: How likely each class occurs in each video, (B, C), where that is known from elsewhere: a decoder
            then uses it in place of the score that it would make of the output. None: it makes its own.
        extras: What the model's own losses need (attention of each modality, evidence, ...).
    """

    feat: Tensor
    attn: Tensor
    cas: Tensor
    has_background: bool
    mask: Tensor
    video_scores: Tensor | None = None
    extras: dict[str, Tensor] = field(default_factory=dict)

    @property
    def num_classes(self) -> int:
        """C, the number of action classes, without the background."""
        return self.cas.shape[-1] - int(self.has_background)

    @property
    def lengths(self) -> Tensor:
        """Number of valid snippets of each video, int64, (B,)."""
        return self.mask.sum(dim=1)
