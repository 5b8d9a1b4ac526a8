"""Reading texts that were made elsewhere: one JSON file by video and label, checked as a whole."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmwtal.formats.annotations import AnnotationSet, video_id_problem
from mmwtal.formats.class_names import choose_classes
from mmwtal.formats.findings import shown
from mmwtal.offline.ledger import cut
from mmwtal.priors.schema import PriorRecord, absent_key_words, parse_text
from mmwtal.priors.store import PriorStore
from mmwtal.utils.errors import UserError
from mmwtal.utils.json_file import JsonObject, json_type, read_json_object
from mmwtal.utils.names import did_you_mean

WHAT = 'texts file'
WRITER = 'import'


@dataclass(frozen=True, kw_only=True)
class ImportedTexts:
    """What an import wrote.

    Args:
        written: Number of records that were added.
        kept: Number of those that an earlier, interrupted import had written.
        pairs: Pairs of a training video and one of its labels, where annotations are known.
        described: How many of these have a text.
        key_words: Number of key words.
        absent_key_words: How many of them do not occur in their description, so that they weigh nothing.
    """

    written: int
    kept: int
    pairs: int | None
    described: int | None
    key_words: int
    absent_key_words: int


def read_texts(path: Path, *, source: str, annotations: AnnotationSet | None = None) -> list[PriorRecord]:
    """Read ``{video_id: {label: {"key": [...], "complete": "...", "key_words": [...]}}}``.

    Args:
        path: The file.
        source: What the records name as their source.
        annotations: Where given, videos and labels must be those of its videos.

    Returns:
        A record for each video and label, in the order of the file.

    Raises:
        UserError: If the file cannot be read or holds no text, or with all that is wrong with any of its texts.
    """
    content = read_json_object(path, what=WHAT)
    problems: list[str] = []
    records = []
    classes = () if annotations is None else choose_classes(annotations)
    for video, by_label in content.items():
        problem = video_id_problem(video)
        if problem:
            problems.append(f'{shown(video)}: {problem}')
        elif annotations is not None and video not in annotations.videos:
            problems.append(
                f'{shown(video)}: no such video in {annotations.path}{did_you_mean(video, _few(annotations))}'
            )
        if not isinstance(by_label, JsonObject):
            problems.append(f'{shown(video)}: expected an object of texts by label, found {json_type(by_label)}')
            continue
        problems += [
            f'{shown(video)}: the label {shown(label)} is given more than once' for label in by_label.duplicates
        ]
        for label, value in by_label.items():
            text, faults = parse_text(value)
            faults += _label_problems(video, label, classes, annotations)
            problems += [f'{shown(video)}, {shown(label)}: {fault}' for fault in faults]
            if not faults:
                records.append(PriorRecord(video=video, label=label, text=text, source=source))
    if problems:
        raise UserError('\n  '.join([f'{WHAT} {path}: {len(problems)} problems, nothing was written', *cut(problems)]))
    if not records:
        raise UserError(f'{WHAT} {path} holds no text: expected {{video_id: {{label: {{"key": [...], ...}}}}}}')
    return records


def import_texts(
    path: Path, store: PriorStore, *, source: str, annotations: AnnotationSet | None = None, overwrite: bool = False
) -> ImportedTexts:
    """Write the texts of a file into a prior store; an import that was interrupted is completed.

    Args:
        path: The file; see :func:`read_texts`.
        store: The store.
        source: What the records name as their source.
        annotations: What videos and labels are checked against.
        overwrite: Replace a store of another job.

    Raises:
        UserError: If anything is wrong with the file, then nothing is written; or if the store holds other texts.
    """
    records = read_texts(path, source=source, annotations=annotations)
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    job = {'kind': 'import', 'source': source, 'sha256': content}
    return import_records(records, store, job=job, annotations=annotations, overwrite=overwrite)


def import_records(
    records: Sequence[PriorRecord],
    store: PriorStore,
    *,
    job: Mapping[str, Any],
    annotations: AnnotationSet | None,
    overwrite: bool,
) -> ImportedTexts:
    """Write records into a prior store; an import that was interrupted is completed.

    Args:
        records: The records.
        store: The store.
        job: What they depend on.
        annotations: The videos and labels whose texts are counted.
        overwrite: Replace a store of another job.

    Raises:
        UserError: If the store holds other texts.
    """
    if overwrite:
        store.clear()
    store.begin(job)
    written = write_records(store, records)
    described = {(record.video, record.label) for record in records}
    pairs = (
        None
        if annotations is None
        else [(video.video_id, label) for video in annotations.in_subset('training') for label in video.labels]
    )
    return ImportedTexts(
        written=written,
        kept=len(records) - written,
        key_words=sum(len(record.text.key_words) for record in records),
        absent_key_words=sum(len(absent_key_words(record.text.complete, record.text.key_words)) for record in records),
        pairs=None if pairs is None else len(pairs),
        described=None if pairs is None else sum(pair in described for pair in pairs),
    )


def write_records(store: PriorStore, records: Sequence[PriorRecord]) -> int:
    """Add those records to a store that it lacks; return their number."""
    with store.writer(WRITER) as writer:
        there = store.read()
        missing = [record for record in records if (record.video, record.label) not in there]
        for record in missing:
            # All of them reach the disk when the writer is closed; one more try writes what a crash has lost.
            writer.append(record, sync=False)
    return len(missing)


def _label_problems(video: str, label: str, classes: tuple[str, ...], annotations: AnnotationSet | None) -> list[str]:
    if not label.strip() or not label.isprintable():
        return ['a label needs visible characters only']
    if annotations is None or video not in annotations.videos:
        return []
    if label not in classes:
        return [f'no such class in {annotations.path}{did_you_mean(label, classes)}']
    own = annotations.videos[video].labels
    return [] if label in own else [f'the video does not have this label, it has {", ".join(own) or "none"}']


def _few(annotations: AnnotationSet) -> Mapping[str, object]:
    """Return the videos among which a misspelt one is looked for: not thousands for each of thousands."""
    return annotations.videos if len(annotations.videos) <= 1000 else {}
