"""The texts of the training videos, put together from a prior store, class descriptions and a template."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from mmwtal.formats.findings import shown
from mmwtal.offline.ledger import cut
from mmwtal.priors.schema import PriorRecord, PriorText, parse_text
from mmwtal.utils.errors import UserError
from mmwtal.utils.json_file import read_json_object
from mmwtal.utils.names import did_you_mean
from mmwtal.utils.words import content_words, split_words, words_of_name

Source = Literal['video', 'class', 'template']
DEFAULT_TEMPLATE = 'a video of a person doing {}'


@dataclass(frozen=True, kw_only=True)
class PairText:
    """The text of a class that a training video has.

    Args:
        video: The video's id.
        label: The class.
        text: What is said.
        key_source: Where its key semantics come from: the source of a record of the store, ``class`` or ``template``;
            None if nothing is said.
        complete_source: Where its complete semantics come from.
    """

    video: str
    label: str
    text: PriorText
    key_source: str | None
    complete_source: str | None


def check_sources(sources: Sequence[str]) -> tuple[str, ...]:
    """Return the sources of texts, checked.

    Raises:
        UserError: If there are none, or one is unknown or given twice.
    """
    if not sources or len(set(sources)) < len(sources) or not set(sources) <= set(get_args(Source)):
        raise UserError(f'sources of PriorTexts must be some of {get_args(Source)}, in order, found {tuple(sources)}')
    return tuple(sources)


def template_text(template: str, label: str) -> PriorText:
    """Return the text of a class that a template makes: the sentence is its key and its complete semantics.

    Args:
        template: A sentence with ``{}`` where the class's words go.
        label: The class.

    Raises:
        UserError: If the template has no ``{}``, or several.
    """
    if template.count('{}') != 1 or not split_words(template.replace('{}', '')):
        raise UserError(f'template of PriorTexts must be a sentence with one {{}} for the class, found {template!r}')
    name = words_of_name(label)
    sentence = template.replace('{}', name)
    return PriorText(key=(sentence,), complete=sentence, key_words=tuple(content_words(split_words(name))))


def read_class_texts(path: Path, classes: Sequence[str]) -> dict[str, PriorText]:
    """Read class descriptions: ``{label: {"key": [...], "complete": "...", "key_words": [...]}}``.

    Args:
        path: A JSON file; it may describe more classes than are asked for, and fewer.
        classes: The classes.

    Raises:
        UserError: If the file cannot be read or describes none of the classes; all faults are in one message.
    """
    content = read_json_object(path, what='class descriptions')
    problems, texts = [], {}
    for label, value in content.items():
        text, faults = parse_text(value)
        problems += [f'{shown(label)}: {fault}' for fault in faults]
        texts[label] = text
    if problems:
        raise UserError('\n  '.join([f'class descriptions {path}: {len(problems)} problems', *cut(problems)]))
    if not any(label in texts for label in classes):
        first = next(iter(texts), '')
        raise UserError(
            f'class descriptions {path} describe none of the {len(classes)} classes; they begin with {shown(first)}'
            f'{did_you_mean(first, classes)}'
        )
    return texts


def assemble(
    pairs: Sequence[tuple[str, str]],
    *,
    sources: Sequence[str],
    records: Mapping[tuple[str, str], PriorRecord],
    class_texts: Mapping[str, PriorText],
    templates: Mapping[str, PriorText],
) -> list[PairText]:
    """Give each pair of a video and a class key and complete semantics, each from the first source that has them.

    Args:
        pairs: Videos and labels.
        sources: Which sources are asked, in order.
        records: The records of the store by video and label; only those that are ``ok`` count.
        class_texts: The class descriptions by label.
        templates: What the template makes of each label.
    """
    found = []
    for video, label in pairs:
        record = records.get((video, label))
        offers: dict[str, tuple[str, PriorText]] = {}
        if record is not None and record.state == 'ok':
            offers['video'] = (record.source, record.text)
        if label in class_texts:
            offers['class'] = ('class', class_texts[label])
        offers['template'] = ('template', templates[label])
        in_order = [offers[source] for source in sources if source in offers]
        key = next(((name, text) for name, text in in_order if text.key), None)
        complete = next(((name, text) for name, text in in_order if text.complete), None)
        text = PriorText(
            key=key[1].key if key else (),
            complete=complete[1].complete if complete else '',
            key_words=complete[1].key_words if complete else (),
        )
        names = (key[0] if key else None, complete[0] if complete else None)
        found.append(PairText(video=video, label=label, text=text, key_source=names[0], complete_source=names[1]))
    return found


def join_templates(
    texts: Sequence[PairText], template: str, *, joint: bool, vlc_compat: bool = False
) -> list[PairText]:
    """Let a description that the template makes name all classes of its video that have none of their own.

    Args:
        texts: The texts of pairs of a video and a class, those of a video in the order of its labels.
        template: The template.
        joint: Whether to do so at all.
        vlc_compat: Join the names without spaces, as the released code of TSM/VLC does: "high jumpandlong jump".

    Raises:
        UserError: If names that are not joined are to be joined without spaces.
    """
    if vlc_compat and not joint:
        raise UserError(
            'PriorTexts: vlc_compat acts on joint sentences alone; set joint_template=True, or leave it out'
        )
    labels: dict[str, list[str]] = {}
    for one in texts:
        if joint and one.complete_source == 'template':
            labels.setdefault(one.video, []).append(words_of_name(one.label))
    comma, last = (',', 'and') if vlc_compat else (', ', ' and ')
    joined = []
    for one in texts:
        names = labels.get(one.video, [])
        if len(names) > 1 and one.complete_source == 'template':
            sentence = template.replace('{}', comma.join(names[:-1]) + last + names[-1])
            key_words = tuple(content_words(split_words(' '.join(names))))
            one = replace(one, text=replace(one.text, complete=sentence, key_words=key_words))
        joined.append(one)
    return joined


def coverage(texts: Sequence[PairText], sources: Sequence[str]) -> tuple[float, str]:
    """Return how many of the pairs have a text of their own, and say where the texts come from.

    Args:
        texts: The texts of all pairs.
        sources: Which sources were asked: the template counts as covered only where it is the first.

    Returns:
        The smaller of the shares for key and complete semantics, and a sentence for the log.
    """
    shares, counts = [], []
    for part in ('key', 'complete'):
        of_part = Counter(getattr(one, f'{part}_source') or 'none' for one in texts)
        missed = of_part['none'] + (of_part['template'] if sources[0] != 'template' else 0)
        shares.append(1 - missed / len(texts) if texts else 0.0)
        counts.append(f'{part} semantics {", ".join(f"{count} from {name}" for name, count in of_part.most_common())}')
    return min(shares), f'texts of {len(texts)} pairs of a training video and a class: {"; ".join(counts)}'
