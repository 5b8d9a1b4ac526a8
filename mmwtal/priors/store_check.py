"""The check of a prior store: coverage, lengths, sentences said again and again, what is wrong with single records."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median

from mmwtal.formats.annotations import AnnotationSet
from mmwtal.priors.class_mentions import ClassMentions
from mmwtal.priors.report import BadRow, ClassCoverage, Lengths, RepeatedSentence, StoreReport
from mmwtal.priors.schema import PriorRecord, absent_key_words
from mmwtal.priors.status import by_number, reasons_of, sources_of, states_of
from mmwtal.priors.wording import says_only_the_name, wording_problem
from mmwtal.utils.words import is_mark, split_words, words_of_name

Pair = tuple[str, str]

#: A sentence in more than this share of a class's videos, and in so many at least, says nothing of any of them.
REPEATED_SHARE, REPEATED_VIDEOS = 0.05, 3
# Words of a description that say little, and that training cuts off by default.
_FEW_WORDS, _MANY_WORDS = 8, 100

_SENTENCE_END = re.compile(r'(?<=[.!?])\s+')


def check_store(
    records: Mapping[Pair, PriorRecord],
    *,
    annotations: AnnotationSet | None = None,
    classes: Sequence[str] = (),
    worst: int = 10,
) -> StoreReport:
    """Report on the records of a store.

    Args:
        records: The records by video and label, as :meth:`~mmwtal.priors.store.PriorStore.read` returns them.
        annotations: Where given, coverage is counted over the labels of its training videos.
        classes: The classes of the data set; those of the records if not given.
        worst: How many of the worst records are named.
    """
    labels = None if annotations is None else {one.video_id: one.labels for one in annotations.in_subset('training')}
    pairs = [*records] if labels is None else [(video, label) for video, own in labels.items() for label in own]
    there = [records[pair] for pair in pairs if pair in records]
    usable = [record for record in records.values() if record.state == 'ok']
    repeated = _repeated(usable)
    mentions = ClassMentions(dict.fromkeys([*classes, *(label for _, label in pairs)]))
    own = labels if labels is not None else _labels(records)
    others = {(one.video, one.label): _others(one, mentions, own.get(one.video, ())) for one in usable}
    rows = [_row(one, others[one.video, one.label], repeated) for one in usable]
    bad = sorted((row for row in rows if row[0]), key=lambda row: (-row[0], row[1].video, row[1].label))
    phrases = [_count_words(phrase) for one in usable for phrase in one.text.key]
    descriptions = [_count_words(one.text.complete) for one in usable if one.text.complete]
    return StoreReport(
        records=len(records),
        pairs=None if labels is None else len(pairs),
        with_key=sum(bool(one.text.key) for one in there),
        with_complete=sum(bool(one.text.complete) for one in there),
        strangers=len(records) - len(there),
        states=states_of(records.values()),
        sources=sources_of(records.values()),
        reasons=reasons_of(records.values()),
        classes=_coverage(pairs, records),
        key_lengths=_lengths(phrases),
        complete_lengths=_lengths(descriptions),
        vocabulary=len({word for one in usable for word in _words(one.text.complete)}),
        key_words=sum(len(one.text.key_words) for one in usable),
        absent_key_words=sum(len(absent_key_words(one.text.complete, one.text.key_words)) for one in usable),
        dropped_key_words=sum(len(_listed(one, 'dropped_key_words')) for one in usable),
        repeated=tuple(sorted(repeated.values(), key=lambda one: (-one.share, one.label, one.sentence))),
        naming_others=by_number(label for found in others.values() for label in found),
        hallucinated=_hallucinated(records.values()),
        faulty=len(bad),
        worst=tuple(row for _, row in bad[:worst]),
    )


def _labels(records: Iterable[Pair]) -> Mapping[str, Sequence[str]]:
    found = defaultdict(list)
    for video, label in records:
        found[video].append(label)
    return found


def _coverage(pairs: Iterable[Pair], records: Mapping[Pair, PriorRecord]) -> tuple[ClassCoverage, ...]:
    by_label: dict[str, list[PriorRecord | None]] = defaultdict(list)
    for pair in pairs:
        by_label[pair[1]].append(records.get(pair))
    return tuple(
        ClassCoverage(
            label=label,
            pairs=len(found),
            key=sum(one is not None and bool(one.text.key) for one in found),
            complete=sum(one is not None and bool(one.text.complete) for one in found),
            states=by_number(one.state for one in found if one is not None),
            missing=found.count(None),
        )
        for label, found in sorted(by_label.items())
    )


def _repeated(usable: Iterable[PriorRecord]) -> dict[tuple[str, str], RepeatedSentence]:
    """Return the sentences that stand in too many videos of a class, by class and words."""
    videos: Counter[str] = Counter()
    seen: Counter[tuple[str, str]] = Counter()
    spelt: dict[tuple[str, str], str] = {}
    for record in usable:
        videos[record.label] += 1
        of_video = {' '.join(_words(one)): one for one in _sentences(record)}
        for words, sentence in of_video.items():
            seen[record.label, words] += 1
            spelt.setdefault((record.label, words), sentence)
    return {
        (label, words): RepeatedSentence(
            label=label, sentence=spelt[label, words], videos=count, share=count / videos[label]
        )
        for (label, words), count in seen.items()
        if count >= REPEATED_VIDEOS and count > REPEATED_SHARE * videos[label]
    }


def _row(
    record: PriorRecord, others: Sequence[str], repeated: Mapping[tuple[str, str], RepeatedSentence]
) -> tuple[float, BadRow]:
    """Return how bad a record is, 0 for one without fault, and why."""
    text, sentences = record.text, _sentences(record)
    faults: list[tuple[float, str]] = [(4, f'names "{words_of_name(other)}"') for other in others]
    for sentence in sentences:
        if problem := wording_problem(sentence):
            faults.append((3, problem.split(':')[0]))
        if again := repeated.get((record.label, ' '.join(_words(sentence)))):
            faults.append((1, f'"{sentence}" is said of {again.videos} videos of its class'))
    faults += [(2, f'"{phrase}" is the name only') for phrase in text.key if says_only_the_name(phrase, record.label)]
    count = _count_words(text.complete)
    if text.complete and not _FEW_WORDS <= count <= _MANY_WORDS:
        faults.append((1, f'{count} words'))
    if absent := absent_key_words(text.complete, text.key_words):
        faults.append((len(absent) / len(text.key_words), f'key words that do not occur: {", ".join(absent)}'))
    faults += [(1, f'no {part} semantics: {reason}') for part, reason in record.faults.items()]
    # A reason counts once, however many sentences give it: a long text is no worse than a short one.
    weights = {reason: weight for weight, reason in faults}
    why = tuple(sorted(weights, key=lambda reason: (-weights[reason], reason)))
    shown = ' | '.join([*text.key, *([text.complete] if text.complete else [])])
    return sum(weights.values()), BadRow(video=record.video, label=record.label, why=why, text=shown)


def _others(record: PriorRecord, mentions: ClassMentions, own: Sequence[str]) -> list[str]:
    return mentions.others_in(' '.join((*record.text.key, record.text.complete)), {*own, record.label})


def _hallucinated(records: Iterable[PriorRecord]) -> dict[str, int]:
    """Count the videos in which the model saw a class that they are not labelled with; all their records say so."""
    seen = {(record.video, label) for record in records for label in _listed(record, 'hallucinated')}
    return by_number(label for _, label in seen)


def _sentences(record: PriorRecord) -> list[str]:
    return [*record.text.key, *filter(None, _SENTENCE_END.split(record.text.complete))]


def _listed(record: PriorRecord, name: str) -> Sequence[str]:
    """Return a list of texts among the details, which may hold anything."""
    found = record.details.get(name)
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _words(text: str) -> list[str]:
    return [word.lower() for word in split_words(text) if not is_mark(word)]


def _count_words(text: str) -> int:
    return len(_words(text))


def _lengths(counts: Sequence[int]) -> Lengths | None:
    if not counts:
        return None
    return Lengths(
        count=len(counts), least=min(counts), median=float(median(counts)), mean=fmean(counts), most=max(counts)
    )
