"""The report on a prior store: figures as data, and as text for a person who must decide whether to train with it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mmwtal.formats.findings import shown
from mmwtal.utils.tables import Table

# Of lists that may be as long as the store.
_LISTED = 10
# Signs of a text that are shown.
_LONGEST = 400


@dataclass(frozen=True, kw_only=True)
class ClassCoverage:
    """What there is of a class.

    Args:
        label: The class.
        pairs: Training videos that have it; records of it where no annotations are known.
        key: How many of them have key semantics.
        complete: How many have complete semantics.
        states: Records by state.
        missing: Pairs without a record.
    """

    label: str
    pairs: int
    key: int
    complete: int
    states: Mapping[str, int]
    missing: int


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Words of texts.

    Args:
        count: Number of texts.
        least: Words of the shortest.
        median: Words of the one in the middle.
        mean: Words on average.
        most: Words of the longest.
    """

    count: int
    least: int
    median: float
    mean: float
    most: int


@dataclass(frozen=True, kw_only=True)
class RepeatedSentence:
    """A sentence that stands in the texts of many videos of a class."""

    label: str
    sentence: str
    videos: int
    share: float


@dataclass(frozen=True, kw_only=True)
class BadRow:
    """A record that should be looked at.

    Args:
        video: The video's id.
        label: The class.
        why: What is wrong with it, the worst first.
        text: Its text.
    """

    video: str
    label: str
    why: tuple[str, ...]
    text: str


@dataclass(frozen=True, kw_only=True)
class StoreReport:
    """What is in a prior store.

    Args:
        records: Number of records.
        pairs: Pairs of a training video and one of its labels; None where no annotations are known.
        with_key: How many of them have key semantics.
        with_complete: How many of them have complete semantics.
        strangers: Records of no such pair.
        states: Records by state.
        sources: Records that are ``ok`` by source.
        reasons: Why records are not ``ok``, or a part is missing, by number.
        classes: Coverage by class.
        key_lengths: Words of key phrases.
        complete_lengths: Words of descriptions.
        vocabulary: Different words of all descriptions, whatever their case.
        key_words: Number of key words.
        absent_key_words: How many of them do not occur in their description.
        dropped_key_words: How many more were left out before the record was written, as they did not occur.
        repeated: Sentences that stand in too many videos of a class.
        naming_others: Records whose text names another class than those of its video, by class that is named.
        hallucinated: Videos in which the model saw a class that they are not labelled with, by class.
        faulty: Number of records with something to look at.
        worst: The worst of them.
    """

    records: int
    pairs: int | None
    with_key: int
    with_complete: int
    strangers: int
    states: Mapping[str, int]
    sources: Mapping[str, int]
    reasons: Mapping[str, int]
    classes: tuple[ClassCoverage, ...]
    key_lengths: Lengths | None
    complete_lengths: Lengths | None
    vocabulary: int
    key_words: int
    absent_key_words: int
    dropped_key_words: int
    repeated: tuple[RepeatedSentence, ...]
    naming_others: Mapping[str, int]
    hallucinated: Mapping[str, int]
    faulty: int
    worst: tuple[BadRow, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON can hold it."""
        return asdict(self)


def format_report(report: StoreReport) -> str:
    """Return the report as text.

    Args:
        report: What :func:`~mmwtal.priors.store_check.check_store` found.
    """
    states = ', '.join(f'{count} {state}' for state, count in report.states.items() if count)
    head = [f'{report.records} records{f": {states}" if states else ""}']
    if report.sources:
        head.append('from ' + ', '.join(f'{shown(source)} ({count})' for source, count in report.sources.items()))
    if report.pairs is not None:
        head.append(
            f'{report.pairs} pairs of a training video and its class: {_share(report.with_key, report.pairs)} have key '
            f'semantics, {_share(report.with_complete, report.pairs)} complete semantics'
        )
        if report.strangers:
            head.append(f'{report.strangers} records are of no such pair and are not used')
    parts = ['\n'.join(head), *_tables(report)]
    counted = (
        ('why something is missing', report.reasons),
        ('texts that name another class, by that class', report.naming_others),
        ('seen by the model in videos that are not labelled so, videos', report.hallucinated),
    )
    parts += [_listing(title, [f'{count:6d}  {name}' for name, count in found.items()]) for title, found in counted]
    again = [f'{shown(one.label)}, {one.videos} videos ({one.share:.0%}): {one.sentence}' for one in report.repeated]
    parts.append(_listing('sentences in over 5 % of the videos of a class', again))
    parts.append('\n'.join(_worst(report)))
    return '\n\n'.join(filter(None, parts))


def _tables(report: StoreReport) -> list[str]:
    rows = [
        [name, str(found.count), str(found.least), f'{found.median:g}', f'{found.mean:.1f}', str(found.most)]
        for name, found in (('key phrase', report.key_lengths), ('description', report.complete_lengths))
        if found is not None
    ]
    tables = []
    if rows:
        heads = ['text', 'number', 'least', 'median', 'mean', 'most']
        words = [Table(title='words of a text', heads=heads, rows=rows).text()]
        words.append(f'{report.vocabulary} different words in all descriptions')
        if report.key_words:
            words.append(f'{report.absent_key_words} of {report.key_words} key words do not occur in their description')
        if report.dropped_key_words:
            words.append(f'{report.dropped_key_words} more were left out for that reason before they were written')
        tables.append('\n'.join(words))
    if report.classes:
        heads = ['class', 'videos', 'key', 'complete', 'failed', 'refused', 'quarantined', 'missing']
        rows = [
            [
                shown(one.label),
                *(str(count) for count in (one.pairs, one.key, one.complete)),
                *(str(one.states.get(state, 0)) for state in ('failed', 'refused', 'quarantined')),
                str(one.missing),
            ]
            for one in report.classes
        ]
        tables.append(Table(title='coverage', heads=heads, rows=rows).text())
    return tables


def _worst(report: StoreReport) -> list[str]:
    if not report.faulty:
        return []
    lines = [f'the worst {len(report.worst)} of {report.faulty} records with something to look at']
    for row in report.worst:
        lines.append(f'  {shown(row.video)}, {shown(row.label)}: {"; ".join(row.why)}')
        lines.append(f'    {row.text if len(row.text) <= _LONGEST else row.text[:_LONGEST] + " ..."}')
    return lines


def _listing(title: str, entries: list[str]) -> str:
    if not entries:
        return ''
    more = [f'  ... and {len(entries) - _LISTED} more'] if len(entries) > _LISTED else []
    return '\n'.join([f'{title} ({len(entries)})', *(f'  {entry}' for entry in entries[:_LISTED]), *more])


def _share(count: int, whole: int) -> str:
    return f'{count} ({count / whole:.1%})' if whole else str(count)
