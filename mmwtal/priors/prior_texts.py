"""The texts of training videos as the vectors that guidance learns from: all encoding lies before training."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from mmwtal.formats.annotations import read_annotations
from mmwtal.formats.class_names import choose_classes
from mmwtal.formats.findings import shown
from mmwtal.offline.manifest import MANIFEST_NAME
from mmwtal.priors.controls import Control, exchange_texts
from mmwtal.priors.embed import VectorCache
from mmwtal.priors.encoded import EncodedTexts, encode_class_words, encode_texts
from mmwtal.priors.sources import (
    DEFAULT_TEMPLATE,
    PairText,
    assemble,
    check_sources,
    coverage,
    join_templates,
    read_class_texts,
    template_text,
)
from mmwtal.priors.store import STORE_NAME, PriorStore
from mmwtal.priors.worded import WordedText, to_words
from mmwtal.registry import GUIDANCE_TEXTS, TEXT_ENCODERS, build_module
from mmwtal.structures.text_batch import TextBatch
from mmwtal.utils.errors import UserError
from mmwtal.utils.scatter import scatter


@GUIDANCE_TEXTS.register_module()
class PriorTexts:
    """Key and complete semantics of the training videos, for guidance.

    Annotations, store and vectors are read once, here; an encoder runs for texts only that no earlier run has encoded.
    Test videos and segments are not looked at. Relative paths refer to the data root.

    Args:
        data_root: The data root.
        encoder: A text encoder, or its config without ``root``.
        store: The prior store, a folder that ``tools/priors.py`` writes.
        sources: Where texts are taken from, the first that has one: ``video``, the store; ``class``, the class
            descriptions; ``template``. A class of a video of which none says anything has the class bank's key
            semantics and no description.
        class_texts: JSON file of class descriptions, for the source ``class``; see
            :func:`~mmwtal.priors.sources.read_class_texts`.
        template: A sentence with ``{}`` for the class.
        joint_template: Name all classes of a video in one sentence of the template, where it describes them [TSM/VLC].
        min_coverage: Least share of the pairs of a training video and one of its classes that must have a text of their
            own, from another source than a template that stands in.
        classes: Class names in the order of the labels, by default those of the dataset with this ``data_root``.
        subset: The subset that is trained on.
        ann_file: The annotation file.
        cache: The folder of cached vectors.
        max_words: Words of a description that are kept.
        control: For experiments only: wrong texts or vectors, see :func:`~mmwtal.priors.controls.exchange_texts` and
            :func:`~mmwtal.priors.controls.random_vectors`.
        control_seed: Seed of the control.
        wrong_share: Share of wrong words of ``control='wrong_words'``.
        vlc_compat: Repeat a slip of the released code of TSM/VLC: no spaces in a joint template, "diveandhigh jump".

    Raises:
        UserError: If a setting, the annotations, the store or a text is faulty, the encoder cannot run, or fewer texts
            than ``min_coverage`` are there.
    """

    def __init__(
        self,
        *,
        data_root: str | Path,
        encoder: Any,
        store: str | Path = STORE_NAME,
        sources: Sequence[str] = ('video', 'template'),
        class_texts: str | Path | None = None,
        template: str = DEFAULT_TEMPLATE,
        joint_template: bool = False,
        min_coverage: float = 0.0,
        classes: Sequence[str] | None = None,
        subset: str = 'training',
        ann_file: str | Path = 'annotations.json',
        cache: str | Path = 'priors/vectors',
        max_words: int = 100,
        control: Control = 'none',
        control_seed: int = 0,
        wrong_share: float = 0.3,
        vlc_compat: bool = False,
    ) -> None:
        if control not in get_args(Control):
            raise UserError(f'control of PriorTexts must be one of {get_args(Control)}, found {control!r}')
        for name, value in (('min_coverage', min_coverage), ('wrong_share', wrong_share)):
            if not 0 <= value <= 1:
                raise UserError(f'{name} of PriorTexts must be in [0, 1], found {value!r}')
        if max_words < 1 or control_seed < 0:
            raise UserError(
                f'PriorTexts: expected max_words above 0 and no negative control_seed, found {max_words} and '
                f'{control_seed}'
            )
        self._root = Path(data_root).expanduser()
        sources = check_sources(sources)
        names, labels_of = _training_labels(self._root / ann_file, classes, subset)
        templates = {name: template_text(template, name) for name in names}
        described = self._class_texts(class_texts, sources, names)
        records = PriorStore(self._store(store)).read() if 'video' in sources else {}
        pairs = [(video, label) for video, labels in labels_of.items() for label in labels]
        texts = assemble(pairs, sources=sources, records=records, class_texts=described, templates=templates)
        self._check_coverage(texts, sources, min_coverage)
        texts = join_templates(texts, template, joint=joint_template, vlc_compat=vlc_compat)
        worded = exchange_texts(
            [to_words(text, max_words) for text in texts],
            [label for _, label in pairs],
            control=control,
            seed=control_seed,
            wrong_share=wrong_share,
        )
        self._names = names
        self._vectors: dict[str, Any] = dict(
            encoder=build_module(encoder, TEXT_ENCODERS, root=self._root),
            cache=VectorCache(self._root / cache),
            random_seed=control_seed if control == 'random_vectors' else None,
        )
        self._texts = encode_texts(worded, phrases_of_class=[templates[name].key for name in names], **self._vectors)
        self._index(labels_of, names, worded)
        print_log(
            f'{self.vocabulary_size - 1} different words in {sum(bool(text.words) for text in worded)} descriptions, '
            f'{sum(text.cut for text in worded)} of them cut to {max_words} words',
            logger='current',
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> 'PriorTexts':
        # Never changed after construction, and large: copies of a model, as averaged weights have one, share it.
        return self

    @property
    def vocabulary_size(self) -> int:
        """V, at least 2; 0 stands for no word."""
        return self._texts.vocabulary_size

    @property
    def width(self) -> int:
        """D, the width of all vectors."""
        return self.class_bank.shape[1]

    def class_words(self, number: int) -> Tensor:
        """Return vectors of the first content words of each class's name, (C, number, D); fewer are repeated."""
        return encode_class_words(self._names, number, **self._vectors)

    def batch(self, video_ids: Sequence[str], labels: Tensor, *, seed: int, iteration: int) -> TextBatch:
        """Return the texts of a batch, on the CPU.

        Args:
            video_ids: B training videos.
            labels: Multi-hot, (B, C). A label for which the annotations have no text counts as any other class.
            seed: With ``iteration`` and the video's id it decides which label's description is drawn.
            iteration: Number of finished iterations.

        Raises:
            UserError: If a video is none of the training videos, or the labels are of another number of classes.
        """
        rows = self._rows_of(video_ids)
        present = labels.cpu() > 0
        if present.shape != (len(rows), len(self.class_bank)):
            raise UserError(
                f'texts are of {len(self.class_bank)} classes and {len(rows)} videos, the labels are of shape '
                f'{tuple(present.shape)}: give PriorTexts the classes of the dataset'
            )
        key = self.class_bank.expand(len(rows), -1, -1).clone()
        key_rows = self._key_row[rows]
        own = (present & (key_rows >= 0)).nonzero(as_tuple=True)
        key[own] = self._texts.keys[key_rows[own]]
        descriptions = self._description_row[rows]
        candidates = present & (descriptions >= 0)
        chosen = self._draw(candidates, rows, seed, iteration)
        described = candidates.any(dim=1)
        lengths = torch.where(described, self._texts.lengths[chosen_row := _at(descriptions, chosen)], 0)
        longest = max(1, int(lengths.max())) if len(rows) else 1
        mask = torch.arange(longest) < lengths[:, None]
        words = self._texts.vectors[self._texts.rows[chosen_row, :longest]].float()
        return TextBatch(
            key=key,
            class_bank=self.class_bank,
            words=words.masked_fill_(~mask[..., None], 0.0),
            word_ids=self._texts.ids[chosen_row, :longest].masked_fill(~mask, 0),
            word_weights=self._texts.weights[chosen_row, :longest].masked_fill(~mask, 0.0),
            word_mask=mask,
            described=described,
            described_class=chosen,
            vocabulary_size=self.vocabulary_size,
        )

    def _store(self, store: str | Path) -> Path:
        folder = self._root / Path(store).expanduser()
        if not (folder / MANIFEST_NAME).exists():
            raise UserError(
                f'there is no prior store at {folder}: write it with tools/priors.py import TEXTS.json --data-root '
                f"{self._root}, or leave 'video' out of sources of PriorTexts"
            )
        return folder

    def _class_texts(self, path: str | Path | None, sources: tuple[str, ...], classes: Sequence[str]) -> Mapping:
        if ('class' in sources) != (path is not None):
            raise UserError(
                f"PriorTexts: class_texts and 'class' among sources go together, found class_texts={path!r} and "
                f'sources={sources}'
            )
        return {} if path is None else read_class_texts(self._root / Path(path).expanduser(), classes)

    def _check_coverage(self, texts: Sequence[PairText], sources: tuple[str, ...], least: float) -> None:
        share, counts = coverage(texts, sources)
        print_log(counts, logger='current')
        if share < least:
            lacking = next(
                text for text in texts if {text.key_source, text.complete_source} & ({None, 'template'} - {sources[0]})
            )
            raise UserError(
                f'{counts}; that is {share:.1%}, expected at least min_coverage={least:.1%}; video '
                f'{shown(lacking.video)} lacks texts for {shown(lacking.label)}, for one: add texts with '
                'tools/priors.py, or lower min_coverage of PriorTexts'
            )

    def _index(self, labels_of: dict[str, list[str]], classes: Sequence[str], texts: Sequence[WordedText]) -> None:
        """Number videos, and the pairs of videos and classes that have key semantics or a description."""
        self._row = {video: row for row, video in enumerate(labels_of)}
        digests = [hashlib.sha256(video.encode(errors='surrogatepass')).digest()[:8] for video in labels_of]
        self._hashes = np.frombuffer(b''.join(digests), dtype='<u8')
        class_of = {name: number for number, name in enumerate(classes)}
        videos = [row for row, labels in enumerate(labels_of.values()) for _ in labels]
        columns = [class_of[label] for labels in labels_of.values() for label in labels]
        pairs = torch.full((len(labels_of), len(classes)), -1, dtype=torch.int64)
        pairs[videos, columns] = torch.arange(len(texts))
        has_key = torch.tensor([bool(text.phrases) for text in texts] + [False])
        has_words = torch.tensor([bool(text.words) for text in texts] + [False])
        # The last entry, which -1 leads to, is for the classes that a video does not have.
        self._key_row = torch.where(has_key[pairs], pairs, -1)
        self._description_row = torch.where(has_words[pairs], pairs, -1)
        self.class_bank = _mean_by_class(torch.tensor(columns), has_key[:-1], self._texts)

    def _rows_of(self, video_ids: Sequence[str]) -> Tensor:
        try:
            return torch.tensor([self._row[video] for video in video_ids], dtype=torch.int64)
        except KeyError as error:
            raise UserError(
                f'video {error.args[0]!r} is none of the {len(self._row)} training videos whose texts were read from '
                f'{self._root}: give PriorTexts the data_root and the subset of the training dataset'
            ) from None

    def _draw(self, candidates: Tensor, rows: Tensor, seed: int, iteration: int) -> Tensor:
        """Return one of each video's candidates, (B, C), chosen by a hash of seed, iteration and video id."""
        moment = scatter(np.array([seed % 2**64], dtype=np.uint64)) + np.array([iteration % 2**64], dtype=np.uint64)
        drawn = scatter(self._hashes[rows.numpy()] ^ scatter(moment))
        counts = candidates.sum(dim=1)
        nth = torch.from_numpy((drawn % counts.clamp(min=1).numpy().astype(np.uint64)).astype(np.int64))
        return (candidates & (candidates.cumsum(dim=1) == nth[:, None] + 1)).int().argmax(dim=1)


def _training_labels(
    path: Path, classes: Sequence[str] | None, subset: str
) -> tuple[tuple[str, ...], dict[str, list[str]]]:
    """Return the class names, and the training videos with those of their labels that are among them."""
    annotations = read_annotations(path)
    names = choose_classes(annotations, None if classes is None else list(classes))
    known = frozenset(names)
    videos = [video for video in annotations.videos.values() if video.subset == subset]
    labels_of = {video.video_id: [label for label in video.labels if label in known] for video in videos}
    if not any(labels_of.values()):
        raise UserError(
            f'{path} has no video of the subset {subset!r} with a label among the {len(names)} classes, found subsets '
            f'{annotations.subset_counts()}: set subset of PriorTexts to that of the training dataset'
        )
    return names, labels_of


def _mean_by_class(classes: Tensor, has_key: Tensor, texts: EncodedTexts) -> Tensor:
    """Return the mean of the key semantics by class, (C, D); the template's where no video has any."""
    classes = classes[has_key]
    sums = torch.zeros_like(texts.classes).index_add_(0, classes, texts.keys[has_key])
    counts = torch.bincount(classes, minlength=len(sums))[:, None]
    return torch.where(counts > 0, sums / counts.clamp(min=1), texts.classes)


def _at(table: Tensor, columns: Tensor) -> Tensor:
    """Return one entry of each row."""
    return table.gather(1, columns[:, None])[:, 0]
