"""Putting together what was said of overlapping windows of one video."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mmwtal.priors.answers import Action, LocatedAction, Span
from mmwtal.priors.sentences import distinct


@dataclass(frozen=True, kw_only=True)
class MergedAction:
    """What was seen of an action in a whole video.

    Args:
        motions: The distinct sentences on its motion.
        occurrences: How often it occurs. Without spans one that lies in the overlap of two windows is counted twice.
        verbs: Its verbs, without repetition.
        objects: Its objects, without repetition.
        spans: When it occurs, (start, end) in seconds, in order; None where that was not asked.
    """

    motions: tuple[str, ...]
    occurrences: int
    verbs: tuple[str, ...]
    objects: tuple[str, ...]
    spans: tuple[tuple[float, float], ...] | None


def merge_actions(actions: Sequence[Action]) -> MergedAction:
    """Merge what was said of an action in windows.

    Args:
        actions: One for each window in which it was seen, in the order of time.
    """
    located = [one for one in actions if isinstance(one, LocatedAction)]
    spans = merge_spans([one.spans for one in located]) if located else None
    counted_twice = sum(len(one.spans) for one in located) - len(spans or ())
    return MergedAction(
        motions=distinct(one.motion for one in actions),
        occurrences=sum(one.occurrences for one in actions) - counted_twice,
        verbs=distinct(verb for one in actions for verb in one.verbs),
        objects=distinct(thing for one in actions for thing in one.objects),
        spans=spans,
    )


def merge_spans(windows: Iterable[Sequence[Span]]) -> tuple[tuple[float, float], ...]:
    """Unite those spans that share time, as one and the same occurrence seen in two windows does.

    Args:
        windows: The spans of each window.

    Returns:
        Start and end of each, in the order of time; no two share time.
    """
    united: list[tuple[float, float]] = []
    for start, end in sorted((span.start, span.end) for spans in windows for span in spans):
        if united and start < united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], end))
        else:
            united.append((start, end))
    return tuple(united)


def evenly_chosen(count: int, most: int) -> list[int]:
    """Return the numbers of at most ``most`` of ``count`` things, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return [0] if most == 1 else [round(n * (count - 1) / (most - 1)) for n in range(most)]
