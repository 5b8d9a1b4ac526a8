"""The texts of a batch of training videos, as vectors: all that guidance knows of a language model."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(kw_only=True)
class TextBatch:
    """Key and complete semantics of B videos, for C classes, in the space of a frozen text encoder of width D.

    The complete description is that of one of the video's labels, drawn anew for each iteration.

    Args:
        key: Vectors of the key semantics, (B, C, D): a class that the video has is represented by the video's own
            phrases, any other by the class bank.
        class_bank: The mean of the key semantics over the training videos of each class, (C, D).
        words: Vectors of the description's words in order, (B, L, D), zero where ``word_mask`` is not set.
        word_ids: Their numbers in the vocabulary, int64, (B, L); 0 where ``word_mask`` is not set.
        word_weights: How much a word is worth masking, (B, L): 2 for one that carries the action, 1 for other content
            words, 0 for stop words, punctuation and padding.
        word_mask: Which words there are, bool, (B, L). A video without a description has none.
        described: Which videos have a description, bool, (B,).
        described_class: Of which of the video's classes it is, int64, (B,); any class where there is none.
        vocabulary_size: V; ``word_ids`` are below it.
    """

    key: Tensor
    class_bank: Tensor
    words: Tensor
    word_ids: Tensor
    word_weights: Tensor
    word_mask: Tensor
    described: Tensor
    described_class: Tensor
    vocabulary_size: int
