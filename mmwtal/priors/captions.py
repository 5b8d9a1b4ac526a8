"""Human captions of videos, ActivityNet Captions (Krishna et al., ICCV 2017), as complete semantics.

The captions' time spans order the sentences and are then forgotten: they say when things happen, and training may know
only that they do.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmwtal.formats.annotations import AnnotationSet
from mmwtal.formats.findings import shown
from mmwtal.offline.ledger import cut
from mmwtal.priors.lemmas import lemmas_of
from mmwtal.priors.schema import PriorRecord, parse_text
from mmwtal.priors.sentences import as_sentence, distinct
from mmwtal.priors.store import PriorStore
from mmwtal.priors.texts_file import ImportedTexts, import_records
from mmwtal.utils.errors import UserError
from mmwtal.utils.json_file import JsonObject, finite_numbers, json_type, read_json_object
from mmwtal.utils.words import content_words, split_words, words_of_name

_WHAT = 'file of captions'
# Identifiers of ActivityNet Captions have it, those of ActivityNet have not.
_PREFIX = 'v_'


@dataclass(frozen=True, kw_only=True)
class CaptionCounts:
    """What became of the captioned videos.

    Args:
        videos: Training videos whose captions are used.
        elsewhere: Captioned videos that are no training videos of the annotations.
        several_labels: Training videos left out, as a caption of the whole video is about none of its labels alone.
        no_label: Training videos left out, as they have no label.
        without_captions: Training videos that no file describes.
        out_of_order: Videos whose sentences were put in the order of time.
    """

    videos: int
    elsewhere: int
    several_labels: int
    no_label: int
    without_captions: int
    out_of_order: int


def read_captions(
    paths: Sequence[Path], *, annotations: AnnotationSet, source: str
) -> tuple[list[PriorRecord], CaptionCounts]:
    """Read ``{video_id: {"timestamps": [[start, end], ...], "sentences": [...]}}``.

    A video's sentences, by when they begin, are its complete semantics; it has no key semantics. Key words are those
    that have a lemma in common with the class name: people do not say which words carry an action.

    Args:
        paths: The files. Ids may begin with ``v_``.
        annotations: The videos; captions of others than its training videos are not used.
        source: What the records name as their source.

    Returns:
        A record for each training video with one label, and what became of the others.

    Raises:
        UserError: If a file cannot be read, with all that is wrong with it; if a video is in two files, or no training
            video in any.
    """
    training = {video.video_id: video.labels for video in annotations.in_subset('training')}
    captions: dict[str, list[str]] = {}
    elsewhere = out_of_order = 0
    for path in paths:
        content = read_json_object(path, what=_WHAT)
        problems: list[str] = []
        for name, value in content.items():
            video = _known(name, training)
            entry = _entry(value)
            if isinstance(entry, str):
                problems.append(f'{shown(name)}: {entry}')
            elif video is None:
                elsewhere += 1
            elif video in captions:
                problems.append(f'{shown(name)}: has captions in another file too; name one of them')
            else:
                starts, sentences = entry
                order = sorted(range(len(starts)), key=lambda n: starts[n])
                out_of_order += order != list(range(len(order)))
                captions[video] = [sentences[n] for n in order]
        if problems:
            raise UserError(
                '\n  '.join([f'{_WHAT} {path}: {len(problems)} problems, nothing was written', *cut(problems)])
            )
    if not captions:
        raise UserError(
            f'{_WHAT} {", ".join(map(str, paths))}: none of {elsewhere} videos is a training video of '
            f'{annotations.path}: name the captions of its videos, or its own annotations'
        )
    records = [
        _record(video, training[video][0], sentences, source)
        for video, sentences in captions.items()
        if len(training[video]) == 1
    ]
    counts = CaptionCounts(
        videos=len(records),
        elsewhere=elsewhere,
        several_labels=sum(len(training[video]) > 1 for video in captions),
        no_label=sum(not training[video] for video in captions),
        without_captions=len(training.keys() - captions.keys()),
        out_of_order=out_of_order,
    )
    return records, counts


def import_captions(
    paths: Sequence[Path],
    store: PriorStore,
    *,
    annotations: AnnotationSet,
    source: str = 'captions',
    overwrite: bool = False,
) -> tuple[ImportedTexts, CaptionCounts]:
    """Write captions into a prior store; an import that was interrupted is completed.

    Args:
        paths: The files; see :func:`read_captions`.
        store: The store.
        annotations: The videos.
        source: What the records name as their source.
        overwrite: Replace a store of another job.

    Raises:
        UserError: If anything is wrong with a file, then nothing is written; or if the store holds other texts.
    """
    records, counts = read_captions(paths, annotations=annotations, source=source)
    # The annotations decide which captions become whose: another annotation file makes another store.
    content = hashlib.sha256()
    for path in (*paths, annotations.path):
        content.update(hashlib.sha256(path.read_bytes()).digest())
    job = {'kind': 'captions', 'source': source, 'sha256': content.hexdigest()}
    done = import_records(records, store, job=job, annotations=annotations, overwrite=overwrite)
    return done, counts


def _known(name: str, training: Mapping[str, Any]) -> str | None:
    """Return the id that a captioned video has in the annotations."""
    names = (name, name.removeprefix(_PREFIX), _PREFIX + name)
    return next((one for one in names if one in training), None)


def _entry(value: object) -> tuple[list[float], list[str]] | str:
    """Return when the sentences of a video begin, and what they say; or what is wrong with the entry."""
    if not isinstance(value, JsonObject):
        return f'expected {{"timestamps": [...], "sentences": [...]}}, found {json_type(value)}'
    times, texts = value.get('timestamps'), value.get('sentences')
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        return '"sentences" must be a list of strings, not empty'
    spans = finite_numbers(times, (2,)) if isinstance(times, list) else None
    if spans is None or len(spans) != len(texts):
        return f'"timestamps" must be {len(texts)} times [start, end] in seconds, one for each sentence'
    sentences = [as_sentence(text) for text in texts]
    there = [n for n, sentence in enumerate(sentences) if sentence]
    if not there:
        return 'no sentence has a word'
    _, faults = parse_text({'complete': ' '.join(sentences)})
    return faults[0] if faults else ([float(spans[n, 0]) for n in there], [sentences[n] for n in there])


def _record(video: str, label: str, sentences: Sequence[str], source: str) -> PriorRecord:
    complete = ' '.join(distinct(sentences))
    words = list(dict.fromkeys(word.lower() for word in content_words(split_words(complete))))
    of_class = frozenset(lemmas_of(content_words(split_words(words_of_name(label)))))
    key_words = [word for word, lemma in zip(words, lemmas_of(words), strict=True) if lemma in of_class]
    text, _ = parse_text({'complete': complete, 'key_words': key_words})
    return PriorRecord(video=video, label=label, text=text, source=source)
