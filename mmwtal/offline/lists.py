"""Lists of videos for a person: how many there are, and the first of them."""

from collections.abc import Sequence

from mmwtal.formats.findings import shown

_SHOWN = 10


def counted_lines(what: str, lines: Sequence[str]) -> list[str]:
    """Return how many lines of a kind there are, and the first of them; nothing where there are none."""
    more = [f'  ... and {len(lines) - _SHOWN} more'] if len(lines) > _SHOWN else []
    return [f'{len(lines)} {what}:', *(f'  {line}' for line in lines[:_SHOWN]), *more] if lines else []


def alike(videos: Sequence[str]) -> str:
    """Return videos of the same content in a line, of many the first: pages for removed videos may be thousands."""
    more = [f'{len(videos) - _SHOWN} more'] if len(videos) > _SHOWN else []
    return ' = '.join([*map(shown, videos[:_SHOWN]), *more])
