"""The frame of every text encoder, and what identifies the files that it reads."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np


class BaseTextEncoder(ABC):
    """A frozen encoder of phrases and of the words of sentences, run before training only.

    The constructor takes ``root``, the folder that relative paths refer to, and reads nothing heavy: that is left to
    :meth:`encode`, so that an encoder whose vectors are all cached costs nothing.
    """

    #: Whether the vector of a word depends on the words around it.
    contextual: ClassVar[bool]

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """What identifies the encoder, its weights and its settings: equal fingerprints give equal vectors."""

    @abstractmethod
    def encode(self, phrases: Sequence[str], sentences: Sequence[Sequence[str]]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Encode phrases and the words of sentences.

        Args:
            phrases: N texts.
            sentences: The words of each of M texts, as :func:`~mmwtal.utils.words.split_words` gives them.

        Returns:
            A vector a phrase, float32, (N, D), and for each sentence a vector a word, float32, (L, D).

        Raises:
            UserError: If the encoder cannot be loaded.
        """


def fingerprint_of(kind: str, **facts: Any) -> str:
    """Return a hash of a kind of encoder and of what its vectors depend on."""
    return hashlib.sha256(json.dumps([kind, facts], sort_keys=True).encode()).hexdigest()
