"""What a check finds in a data set, and the one report in which all of it is shown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """The kinds of findings, in the order of the report: a heading and, for a fault, how it is mended.

    A kind without a remedy is a note: worth knowing, but the video can be used as it is.
    """

    BAD_ID = ('video id that cannot be a file name', 'rename the video')
    DUPLICATE = ('duplicate id', 'give each video one entry')
    SUBSET = ('missing or unknown subset', 'use training, validation or test')
    MALFORMED = ('malformed entry', 'correct the entry')
    UNKNOWN_LABEL = ('unknown label', 'correct the label, or add it to the classes')
    REVERSED = ('reversed segment', 'write segments as [start, end] in seconds')
    OUTSIDE = ('segment outside the video', 'correct the segment or the duration, both in seconds')
    MISSING = ('missing feature file', 'extract the features or remove the video from the annotations')
    EMPTY = ('empty feature file', 'extract the features again')
    UNREADABLE = ('unreadable feature file', 'write it with numpy.save(path, array) of a float32 array')
    SHAPE = ('wrong shape', 'store a two-dimensional array (T, D)')
    TRANSPOSED = ('(D, T) instead of (T, D)', 'store the transposed array: a row is a snippet')
    WIDTH = ('wrong width', 'extract all features with one model, or correct the stated width')
    DTYPE = ('wrong dtype', 'store array.astype(numpy.float32)')
    TIMEBASE = ('no usable time grid', 'state fps, stride and window as positive numbers in features.json')
    LENGTH = ('length that contradicts features.json', 'extract the features again or correct features.json')
    STREAM_LENGTH = (
        'feature stream with another number of snippets than the features',
        'average or repeat its rows, so that both have one for each snippet (docs/custom_data.md)',
    )
    VALUES = ('NaN or Inf in the features', 'extract the features again')

    PAST_END = ('segment that runs past the end of the video', '')
    ZERO_LENGTH = ('segment of zero length', '')
    SPAN = ('features that span more or less time than the duration says', '')

    @property
    def heading(self) -> str:
        """What the report calls it."""
        return self.value[0]

    @property
    def remedy(self) -> str:
        """How it is mended; empty for a note."""
        return self.value[1]

    @property
    def is_fault(self) -> bool:
        """Whether the video cannot be used."""
        return bool(self.remedy)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong with, or worth knowing of, one video.

    Args:
        kind: What it is.
        video_id: The video.
        detail: What was expected and what was found.
    """

    kind: Kind
    video_id: str
    detail: str


def shown(name: str) -> str:
    """Return an id or label as a message shows it: escaped where it holds what a terminal cannot print."""
    return name if name.isprintable() and name else repr(name)


def faults(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that keep a video from being used."""
    return [finding for finding in findings if finding.kind.is_fault]


def render(findings: Sequence[Finding], *, limit: int | None) -> str:
    """Return the findings as text, grouped by kind.

    Args:
        findings: Faults and notes.
        limit: Lines shown of each kind; the rest is counted. None shows all.
    """
    lines = []
    for kind in Kind:
        group = [finding for finding in findings if finding.kind is kind]
        if not group:
            continue
        lines.append(f'{kind.heading} ({len(group)}){": " + kind.remedy if kind.remedy else ""}')
        lines += [f'  {shown(finding.video_id)}: {finding.detail}' for finding in group[:limit]]
        if limit is not None and len(group) > limit:
            lines.append(f'  ... and {len(group) - limit} more')
    return '\n'.join(lines)
