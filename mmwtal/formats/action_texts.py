"""Localized actions as text files that other programs read: CSV, and WebVTT, which browsers show beside a video."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mmwtal.version import __version__

CSV_HEADER = ('video', 'start', 'end', 'label', 'score')


@dataclass(frozen=True, kw_only=True)
class Action:
    """An action in a video.

    Args:
        label: Its class.
        start: Seconds.
        end: Seconds.
        score: How sure the model is; the higher the surer, on a scale of the model's own.
    """

    label: str
    start: float
    end: float
    score: float

    def to_json(self) -> dict[str, object]:
        """Return it as an entry of an ActivityNet result file."""
        return {'label': self.label, 'segment': [self.start, self.end], 'score': self.score}


def to_csv(videos: Mapping[str, Iterable[Action]]) -> str:
    """Return actions as CSV with a header, those of a video by descending score; seconds with three decimals."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(CSV_HEADER)
    for video, actions in videos.items():
        for one in sorted(actions, key=lambda action: -action.score):
            writer.writerow((video, f'{one.start:.3f}', f'{one.end:.3f}', one.label, f'{one.score:.6g}'))
    return text.getvalue()


def to_webvtt(actions: Iterable[Action]) -> str:
    """Return actions as WebVTT, a cue each, in the order of their starts.

    Source: W3C, "WebVTT: The Web Video Text Tracks Format", section 4.
    """
    blocks = [f'WEBVTT\n\nNOTE made by mmwtal {__version__}: label and score of each action\n']
    cues = sorted(actions, key=lambda action: (action.start, action.end, -action.score))
    for number, one in enumerate(cues, start=1):
        begin = round(1000 * one.start)
        # A cue must end after it has begun.
        end = max(round(1000 * one.end), begin + 1)
        text = _cue_text(f'{one.label} ({one.score:.3g})')
        blocks.append(f'{number}\n{_time_stamp(begin)} --> {_time_stamp(end)}\n{text}\n')
    return '\n'.join(blocks)


def distinct_actions(actions: Sequence[Action], *, overlap: float = 0.5, share: float = 1 / 3) -> list[Action]:
    """Return those of a model's many proposals that a viewer is to see: the strongest, none twice.

    Args:
        actions: Those of one video.
        overlap: One is left out if a stronger one of its class covers more than this part of the shorter of the two.
        share: One is left out if its score is below this part of the best of the video.

    Returns:
        By descending score.
    """
    ordered = sorted(actions, key=lambda action: -action.score)
    least = share * max(ordered[0].score, 0.0) if ordered else 0.0
    kept: list[Action] = []
    for one in ordered:
        if one.score >= least and not any(_covered(one, other) > overlap for other in kept if other.label == one.label):
            kept.append(one)
    return kept


def _covered(one: Action, other: Action) -> float:
    """Return which part of the shorter of two actions the other one covers."""
    shared = min(one.end, other.end) - max(one.start, other.start)
    shorter = min(one.end - one.start, other.end - other.start)
    return shared / shorter if shorter > 0 else float(shared >= 0)


def _time_stamp(milliseconds: int) -> str:
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f'{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milliseconds:03}'


def _cue_text(text: str) -> str:
    """Escape what starts a tag or an entity, and what ends a cue: an arrow, and lines without a sign."""
    escaped = text.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')
    return ' '.join(escaped.split())
