"""One picture of the actions in a video along its time: what is known, what models find, and what they see."""

from pathlib import Path

from mmwtal.formats.findings import shown
from mmwtal.visualization.page import Page
from mmwtal.visualization.text_flow import Style
from mmwtal.visualization.timeline_data import Timeline
from mmwtal.visualization.timeline_layout import TimelineLayout

_TITLE = Style(size=15, bold=True)
_NOTE = Style(size=9, colour='#666666')


def draw_timeline(path: Path, timeline: Timeline) -> None:
    """Draw a time line.

    Below the thumbnails and the time, each class has a row for each source: bars of what is known, and for a model
    bars as high as their scores are beside the best of this model in the video, the scores of the strongest above
    them; then the curves of the class. The curves of all classes come last.

    Args:
        path: The PNG file, 1200 pixels wide; it appears when it is complete.
        timeline: What is shown.
    """
    timeline_page(timeline).save(path)


def timeline_page(timeline: Timeline) -> Page:
    """Return the page of a time line; see :func:`draw_timeline`."""
    page = Page()
    page.text([(word, _TITLE) for word in shown(timeline.video).split()])
    for words in (timeline.note, _what_is_missing(timeline)):
        page.text([(word, _NOTE) for word in words.split()])
    layout = TimelineLayout(timeline)
    page.drawing(layout.height, layout.draw, before=8)
    return page


def _what_is_missing(timeline: Timeline) -> str:
    if not any(row.actions for row in timeline.rows):
        return 'no action'
    others = timeline.left_out
    if not others:
        return ''
    named = ', '.join(map(shown, others[:4])) + (', ...' if len(others) > 4 else '')
    return f'{len(others)} {"class" if len(others) == 1 else "classes"} of low scores not shown: {named}'
