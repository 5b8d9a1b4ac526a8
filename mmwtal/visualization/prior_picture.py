"""One picture of what a model was shown of a video and of what it said, for a person to judge."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from mmwtal.formats.findings import shown
from mmwtal.priors.lemmas import lemmas_of
from mmwtal.priors.schema import PriorRecord
from mmwtal.utils.words import split_words
from mmwtal.visualization.page import Page
from mmwtal.visualization.text_flow import Style

_COLOURS = ('#1f5fa8', '#b3461a', '#2c7a3d', '#7b3fa0', '#a0286a', '#00707a', '#6b5b00', '#5a5a5a')
_TITLE = Style(size=15, bold=True)
_TEXT = Style(size=10.5)
_KEY_WORD = Style(size=10.5, bold=True, colour='#7a3e00', background='#ffe7a3')
_NAME = Style(size=10.5, bold=True, colour='#666666')
_NOTE = Style(size=9, colour='#666666')
_FAULT = Style(size=10.5, bold=True, colour='#b00020')
_INDENT = 12.0


def draw_prior(
    path: Path,
    *,
    video: str,
    duration: float,
    times: Sequence[float],
    frames: Sequence[np.ndarray],
    records: Sequence[PriorRecord],
    asked: Sequence[float] | None = None,
) -> None:
    """Draw the frames of a video with their times, a time line with the spans that were named, and its records.

    Words of a description that are key words of it, in any inflection, are marked.

    Args:
        path: The PNG file, 1200 pixels wide; it appears when it is complete.
        video: The video's id.
        duration: Its seconds.
        times: Seconds of the frames.
        frames: Pictures, RGB, (H, W, 3), uint8, at least one.
        records: What is said of the video, a label each.
        asked: Seconds of all frames that were asked about, where these are some of them.

    Raises:
        ValueError: If there is no frame, not one for each time, or no duration.
    """
    if not duration > 0:
        raise ValueError(f'{video}: a video of {duration:g} s')
    if not frames or len(frames) != len(times):
        raise ValueError(f'expected a frame for each time and at least one, found {len(frames)} for {len(times)} times')
    colours = [_COLOURS[number % len(_COLOURS)] for number in range(len(records))]
    page = Page()
    page.text(_styled(shown(video), _TITLE))
    asked = times if asked is None else asked
    number = str(len(frames)) if len(frames) == len(asked) else f'{len(frames)} of {len(asked)}'
    noun = 'frame' if len(asked) == 1 else 'frames'
    labels = ', '.join(shown(record.label) for record in records) or 'no record'
    page.text(_styled(f'{duration:.1f} s, {number} {noun} shown; {labels}', _NOTE))
    page.frames(frames, times, before=6)
    spans = [
        (shown(record.label), colour, found)
        for record, colour in zip(records, colours, strict=True)
        if (found := _spans(record))
    ]
    page.bars(duration, asked, spans, before=6)
    for record, colour in zip(records, colours, strict=True):
        _add_record(page, record, Style(size=13, bold=True, colour=colour))
    for context in dict.fromkeys(str(record.details.get('context', '')) for record in records):
        page.text([*_styled('Context' if context else '', _NAME), *_styled(context, _TEXT)], before=10)
    page.save(path)


def _add_record(page: Page, record: PriorRecord, heading: Style) -> None:
    asked = '' if record.state == 'ok' else record.state
    page.text(
        [
            *_styled(shown(record.label), heading),
            *_styled(asked, _FAULT),
            *_styled(f'by {shown(record.source)}', _NOTE),
        ],
        before=10,
    )
    if record.reason:
        page.text(_styled(record.reason, _FAULT), indent=_INDENT)
    for phrase in record.text.key:
        page.text([*_styled('Key', _NAME), *_styled(phrase, _TEXT)], indent=_INDENT)
    if record.text.complete:
        marked = _marked(record.text.complete, record.text.key_words)
        page.text([*_styled('Complete', _NAME), *marked], indent=_INDENT, before=2)
    for part, reason in record.faults.items():
        page.text([*_styled(f'No {part}:', _FAULT), *_styled(reason, _TEXT)], indent=_INDENT)
    if notes := ', '.join(_notes(record)):
        page.text(_styled(notes, _NOTE), indent=_INDENT)


def _notes(record: PriorRecord) -> Iterator[str]:
    if record.details.get('visible') is False:
        yield 'the model does not see this action'
    if occurrences := record.details.get('occurrences'):
        yield f'occurs {occurrences} {"time" if occurrences == 1 else "times"}'
    for start, end in _spans(record):
        yield f'{start:.1f} to {end:.1f} s'
    for part in ('key', 'complete'):
        question = record.details.get(part)
        reasked = question.get('reasked') if isinstance(question, Mapping) else None
        for again in reasked if isinstance(reasked, list) else ():
            yield f'{part} asked again: {again}'


def _spans(record: PriorRecord) -> list[tuple[float, float]]:
    """Return the spans of a record that are pairs of numbers: its details may come from anywhere."""
    found = record.details.get('spans')
    pairs = [span for span in found if isinstance(span, list) and len(span) == 2] if isinstance(found, list) else []
    return [(start, end) for start, end in pairs if isinstance(start, int | float) and isinstance(end, int | float)]


def _styled(text: str, style: Style) -> list[tuple[str, Style]]:
    return [(word, style) for word in text.split()]


def _marked(text: str, key_words: Sequence[str]) -> list[tuple[str, Style]]:
    """Return the words of a description, with those in another style that are, or are part of, its key words."""
    pieces = text.split()
    words = [(number, word) for number, piece in enumerate(pieces) for word in split_words(piece)]
    lemmas = lemmas_of(word for _, word in words)
    marked: set[int] = set()
    for key_word in key_words:
        sought = lemmas_of(split_words(key_word))
        for first in range(len(lemmas) - len(sought) + 1):
            if sought and lemmas[first : first + len(sought)] == sought:
                marked.update(number for number, _ in words[first : first + len(sought)])
    return [(piece, _KEY_WORD if number in marked else _TEXT) for number, piece in enumerate(pieces)]
