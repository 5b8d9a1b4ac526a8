"""What the encoders built on the package transformers share: loading, windows of long texts, words from subwords."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from mmengine.device import get_device
from mmengine.logging import print_log
from torch import Tensor

from mmwtal.text_encoders.base import BaseTextEncoder, fingerprint_of
from mmwtal.utils.compat import usable_torchvision
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import content_digest
from mmwtal.utils.words import split_words

# Tokens at once where a model states no limit, as T5 with its relative positions.
_WITHOUT_POSITIONS = 512
# What a model folder holds that vectors depend on.
_OF_MODEL = ('.json', '.txt', '.model', '.safetensors')


class TransformerEncoder(BaseTextEncoder):
    """A frozen text model of transformers, in evaluation mode and float32.

    A word's vector is the mean of the vectors of its subwords, found by their places in the text. A text that is longer
    than the model takes is cut at word boundaries into windows that fit, each encoded on its own; a phrase of several
    windows is their mean. A word of which the tokenizer leaves nothing gets its window's own vector; their number is
    logged.

    Args:
        model: A folder with the model and its tokenizer, relative to ``root``, or a name on the Hugging Face hub.
            Weights are read from safetensors files only.
        root: The folder that a relative ``model`` refers to.
        revision: Branch, tag or commit on the hub. The cache of vectors knows a model by its name and this: state a
            commit where the model may change.
        batch_size: Texts encoded at a time.
        device: ``auto`` for the accelerator where there is one, or a device of torch.

    Raises:
        UserError: If a setting is out of range.
    """

    contextual: ClassVar[bool] = True

    def __init__(
        self,
        *,
        model: str | Path,
        root: str | Path = '.',
        revision: str = 'main',
        batch_size: int = 32,
        device: str = 'auto',
    ) -> None:
        if batch_size < 1:
            raise UserError(f'batch_size of {type(self).__name__} must be above 0, found {batch_size}')
        local = Path(root).expanduser() / Path(model).expanduser()
        self.folder = local if local.is_dir() else None
        if self.folder is None and str(model).startswith(('/', '.', '~')):
            raise UserError(f'text model {local} of {type(self).__name__} is no folder: correct model')
        self.model = str(model)
        self.revision = revision
        self.batch_size = batch_size
        self.device = get_device() if device == 'auto' else device

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that vectors depend on, besides the model."""
        return {}

    @property
    def fingerprint(self) -> str:
        """A hash of a folder's files, or of a name on the hub and the revision; and of the settings."""
        if self.folder is None:
            return fingerprint_of(type(self).__name__, model=self.model, revision=self.revision, **self.settings)
        files = sorted(path for path in self.folder.iterdir() if path.suffix in _OF_MODEL)
        content = {path.name: content_digest(path) for path in files}
        return fingerprint_of(type(self).__name__, content=content, **self.settings)

    def encode(self, phrases: Sequence[str], sentences: Sequence[Sequence[str]]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Run the model; see :class:`BaseTextEncoder`.

        Raises:
            UserError: If transformers is not installed or the model cannot be loaded.
        """
        tokenizer, model = self._loaded()
        texts = [*(split_words(phrase) for phrase in phrases), *sentences]
        windows = [(number, part) for number, words in enumerate(texts) for part in self._windows(tokenizer, words)]
        pooled: list[list[np.ndarray]] = [[] for _ in texts]
        of_words: list[list[np.ndarray]] = [[] for _ in texts]
        lost = 0
        # Texts of like length together: less padding.
        order = sorted(range(len(windows)), key=lambda place: len(windows[place][1]))
        done: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for first in range(0, len(order), self.batch_size):
            places = order[first : first + self.batch_size]
            outputs, without = self._encode_windows(tokenizer, model, [windows[place][1] for place in places])
            done.update(zip(places, outputs, strict=True))
            lost += without
        for place, (number, _) in enumerate(windows):
            pooled[number].append(done[place][0])
            of_words[number].append(done[place][1])
        if lost:
            print_log(
                f'{type(self).__name__}: the tokenizer leaves nothing of {lost} words, which get the vector of their '
                'text',
                logger='current',
            )
        count = len(phrases)
        means = [np.mean(parts, axis=0) for parts in pooled[:count]]
        rows = [np.concatenate(parts) for parts in of_words[count:]]
        width = done[0][0].shape[0] if done else 0
        return np.array(means, np.float32).reshape(count, width), rows

    @abstractmethod
    def load(self, transformers: Any, source: str, **options: Any) -> torch.nn.Module:
        """Return the model, given the package transformers, the folder or name, and the options of from_pretrained."""

    @abstractmethod
    def run(self, model: Any, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the vector of each text, (N, D), and of each of its tokens, (N, S, D)."""

    def _loaded(self) -> tuple[Any, Any]:
        usable_torchvision()
        try:
            import transformers
        except ImportError as error:
            raise UserError(
                f'{type(self).__name__} needs transformers to make vectors of texts ({error}): '
                'pip install "mmwtal[text]"; training from cached vectors does not need it'
            ) from None
        source = str(self.folder or self.model)
        options = {} if self.folder else {'revision': self.revision}
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(source, **options)
            model = self.load(transformers, source, use_safetensors=True, dtype=torch.float32, **options)
        except (OSError, ValueError, KeyError, ImportError) as error:
            reason = str(error).strip().split('\n')[0]
            raise UserError(f'text model {source} of {type(self).__name__} cannot be loaded: {reason:.300}') from error
        if not tokenizer.is_fast:
            raise UserError(f'text model {source} has no fast tokenizer, which tells where in the text a token lies')
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
        tokenizer.padding_side = 'right'
        tokenizer.model_max_length = min(tokenizer.model_max_length, _positions(model))
        model.requires_grad_(False)
        return tokenizer, model.eval().to(self.device)

    def _limit(self, tokenizer: Any) -> int:
        """Return how many tokens of a text fit, besides the special ones."""
        return max(1, tokenizer.model_max_length - tokenizer.num_special_tokens_to_add())

    def _windows(self, tokenizer: Any, words: Sequence[str]) -> Iterator[list[str]]:
        """Yield a text's words in groups of which each fits into the model."""
        with _quiet(tokenizer):
            encoded = tokenizer(' '.join(words), add_special_tokens=False, return_offsets_mapping=True)
        counts = np.bincount(_words_of_tokens(words, encoded['offset_mapping'])[1], minlength=len(words))
        group: list[str] = []
        used, limit = 0, self._limit(tokenizer)
        for word, count in zip(words, counts.tolist(), strict=True):
            if group and used + count > limit:
                yield group
                group, used = [], 0
            group.append(word)
            used += count
        yield group

    def _encode_windows(
        self, tokenizer: Any, model: Any, windows: list[list[str]]
    ) -> tuple[list[tuple[np.ndarray, np.ndarray]], int]:
        """Return each window's own vector and those of its words, and the number of words without a token."""
        encoded = tokenizer(
            [' '.join(words) for words in windows],
            padding=True,
            truncation=True,
            max_length=self._limit(tokenizer) + tokenizer.num_special_tokens_to_add(),
            return_offsets_mapping=True,
            return_tensors='pt',
        )
        inputs = {name: encoded[name].to(self.device) for name in ('input_ids', 'attention_mask')}
        with torch.no_grad():
            pooled, tokens = (values.float().cpu().numpy() for values in self.run(model, inputs))
        outputs, lost = [], 0
        for words, whole, rows, offsets in zip(windows, pooled, tokens, encoded['offset_mapping'], strict=True):
            places, owners = _words_of_tokens(words, offsets.tolist())
            counts = np.bincount(owners, minlength=len(words))[:, None]
            sums = np.zeros((len(words), rows.shape[1]), np.float32)
            np.add.at(sums, owners, rows[places])
            outputs.append((whole, np.where(counts > 0, sums / np.maximum(counts, 1), whole)))
            lost += int((counts == 0).sum())
        return outputs, lost


def _positions(model: Any) -> int:
    """Return how many tokens a model takes, special ones included."""
    stated = getattr(model.config, 'max_position_embeddings', None) or _WITHOUT_POSITIONS
    for module in model.modules():
        if (
            isinstance(module, torch.nn.Embedding)
            and module.num_embeddings == stated
            and module.padding_idx is not None
        ):
            # RoBERTa counts positions from behind the padding's.
            return stated - module.padding_idx - 1
    return stated


def _words_of_tokens(words: Sequence[str], offsets: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the tokens that lie in words, not special ones, and for each the word in which it ends."""
    ends = np.cumsum([len(word) + 1 for word in words]) - 1
    spans = np.array(offsets, dtype=np.int64).reshape(-1, 2)
    places = np.flatnonzero(spans[:, 1] > spans[:, 0])
    owners = np.searchsorted(ends, spans[places, 1])
    return places, np.minimum(owners, len(words) - 1)


@contextmanager
def _quiet(tokenizer: Any) -> Iterator[None]:
    """Keep a tokenizer from warning of a text that is longer than its model takes: it will be cut."""
    limit, tokenizer.model_max_length = tokenizer.model_max_length, 10**9
    try:
        yield
    finally:
        tokenizer.model_max_length = limit
