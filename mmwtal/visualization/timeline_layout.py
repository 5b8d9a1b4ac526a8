"""Where everything of a time line is, and drawing it there."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np

from mmwtal.formats.action_texts import Action, distinct_actions
from mmwtal.formats.findings import shown
from mmwtal.visualization.page import INNER
from mmwtal.visualization.sheet import Sheet
from mmwtal.visualization.text_flow import DPI, Style, text_width
from mmwtal.visualization.time_axis import clock, time_ticks
from mmwtal.visualization.timeline_data import Timeline, TimelineCurve, TimelineRow

_COLOURS = ('#1f5fa8', '#b3461a', '#2c7a3d', '#7b3fa0', '#a0286a', '#00707a', '#6b5b00', '#5a5a5a')
# Scores that are written at most in a row.
_MOST_SCORES = 12
_NAME = Style(size=8, colour='#444444')
_RANGE = Style(size=6.5, colour='#888888')
_SCORE = Style(size=6.5)
_TICK = Style(size=8, colour='#666666')
_LINE, _GRID, _NEUTRAL = '#bbbbbb', '#ececec', '#444444'

# Points. Bars of what is known are as high as a line of text; those of models leave room for their scores above.
_GUTTER, _AXIS, _HEADING = 110.0, 16.0, 15.0
_KNOWN, _FOUND, _CURVE, _SCORE_ROOM, _BETWEEN = 10.0, 30.0, 24.0, 9.0, 3.0
_THUMBNAIL = 72.0


class TimelineLayout:
    """Where everything of a time line is, found before anything is drawn: a page has to know the height.

    Args:
        timeline: What is shown.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        names = [*(row.name for row in timeline.rows), *(curve.name for curve in timeline.curves)]
        widths = [text_width(shown(name), _NAME) for name in names]
        widths += [text_width(_range(curve), _RANGE) for curve in timeline.curves]
        self._gutter = min(_GUTTER, max(widths, default=0.0) + 8)
        self._width = INNER - self._gutter
        self._thumbnails = _fitted(timeline.thumbnails, self._width)
        strip = len(self._thumbnails[0]) * 72 / DPI + 4 if self._thumbnails else 0.0
        self._axis = strip
        top = strip + _AXIS
        # Top, and what is there.
        self._headings: list[tuple[float, str]] = []
        self._bars: list[tuple[float, TimelineRow, str]] = []
        self._curves: list[tuple[float, TimelineCurve]] = []
        for label in timeline.classes:
            self._headings.append((top, label))
            top += _HEADING
            for row in timeline.rows:
                self._bars.append((top, row, label))
                top += (_KNOWN if row.known else _FOUND) + _BETWEEN
            top = self._place_curves(top, label)
            top += 2 * _BETWEEN
        self.height = self._place_curves(top, None)

    def _place_curves(self, top: float, label: str | None) -> float:
        for curve in self._timeline.curves:
            if curve.label == label:
                self._curves.append((top, curve))
                top += _CURVE + _BETWEEN
        return top

    def draw(self, sheet: Sheet) -> None:
        """Draw all of it."""
        for number, picture in enumerate(self._thumbnails):
            cell = self._width / len(self._thumbnails)
            space = (cell - picture.shape[1] * 72 / DPI) / 2
            sheet.image(picture, self._gutter + number * cell + space, 0)
        self._draw_axis(sheet)
        colours = {label: _COLOURS[number] for number, label in enumerate(self._timeline.classes)}
        for top, label in self._headings:
            style = Style(size=9.5, bold=True, colour=colours[label])
            sheet.write(_shortened(shown(label), style, INNER), 0, top + 11, style)
        for top, row, label in self._bars:
            own = [one for one in row.actions if one.label == label]
            if row.known:
                self._name(sheet, row.name, top + _KNOWN / 2)
                self._draw_known(sheet, own, top, colours[label])
            else:
                self._name(sheet, row.name, top + _FOUND - 7)
                self._draw_found(sheet, row, own, top, colours[label])
        for top, curve in self._curves:
            self._draw_curve(sheet, curve, top, _NEUTRAL if curve.label is None else colours[curve.label])

    def _x(self, time: float) -> float:
        return self._gutter + self._width * min(max(time / self._timeline.duration, 0.0), 1.0)

    def _span(self, one: Action) -> tuple[float, float]:
        """Return left end and width of a bar, which is never too narrow to be seen."""
        left, right = self._x(one.start), self._x(one.end)
        left = min(left, self._gutter + self._width - 1)
        return left, max(right - left, 1.0)

    def _name(self, sheet: Sheet, name: str, middle: float) -> None:
        sheet.write(_shortened(shown(name), _NAME, self._gutter - 6), 0, middle + 3, _NAME)

    def _draw_axis(self, sheet: Sheet) -> None:
        bottom = self._axis + _AXIS
        for tick in time_ticks(self._timeline.duration):
            x = self._x(tick)
            sheet.line([x, x], [bottom - 3, self.height], colour=_GRID, width=0.8)
            text = clock(tick, self._timeline.duration)
            half = text_width(text, _TICK) / 2
            sheet.write(text, min(max(x, half), INNER - half), bottom - 6, _TICK, align='center')
        sheet.line([self._gutter, INNER], [bottom - 3] * 2, colour=_LINE)

    def _draw_known(self, sheet: Sheet, actions: Sequence[Action], top: float, colour: str) -> None:
        self._base(sheet, top + _KNOWN)
        for one in actions:
            left, width = self._span(one)
            sheet.box(left, top, width, _KNOWN, colour=colour, alpha=0.85)

    def _draw_found(self, sheet: Sheet, row: TimelineRow, actions: Sequence[Action], top: float, colour: str) -> None:
        base = top + _FOUND
        self._base(sheet, base)
        # The highest first, so that lower ones are not hidden.
        ordered = sorted(actions, key=lambda one: -one.score)
        boxes = []
        for one in ordered:
            (left, width), height = self._span(one), row.share(one) * (_FOUND - _SCORE_ROOM)
            boxes.append((left, left + width, height))
            sheet.box(left, base - height, width, height, colour=colour, alpha=0.3, edge=0.5)
        for text, x, height in _scores(ordered, boxes):
            sheet.write(text, x, base - height - 2, replace(_SCORE, colour=colour), align='center')

    def _draw_curve(self, sheet: Sheet, curve: TimelineCurve, top: float, colour: str) -> None:
        base, (low, high) = top + _CURVE, curve.bounds
        self._base(sheet, base)
        self._name(sheet, curve.name, top + 7)
        sheet.write(_range(curve), 0, base - 2, _RANGE)
        times, values = _widened(np.asarray(curve.times), np.asarray(curve.values), self._timeline.duration)
        times, values = _thinned(times, values, 2 * int(self._width))
        x = np.array([self._x(time) for time in times])
        y = base - (_CURVE - 2) * np.clip((values - low) / max(high - low, 1e-12), 0.0, 1.0)
        sheet.area([x[0], *x, x[-1]], [base, *y, base], colour=colour, alpha=0.15)
        sheet.line(x.tolist(), y.tolist(), colour=colour, width=0.9)

    def _base(self, sheet: Sheet, y: float) -> None:
        sheet.line([self._gutter, INNER], [y, y], colour=_LINE, width=0.6)


def _range(curve: TimelineCurve) -> str:
    """Return the values at the bottom and the top of a curve."""
    return '{:.2g} to {:.2g}'.format(*curve.bounds)


def _scores(
    ordered: Sequence[Action], boxes: Sequence[tuple[float, float, float]]
) -> Iterator[tuple[str, float, float]]:
    """Yield text, middle and height of the scores of the strongest actions, where they hide nothing."""
    taken: list[tuple[float, float]] = []
    place = {id(one): box for one, box in zip(ordered, boxes, strict=True)}
    for one in distinct_actions(ordered)[:_MOST_SCORES]:
        left, right, height = place[id(one)]
        text = f'{one.score:.2g}'
        half = text_width(text, _SCORE) / 2
        middle = min((left + right) / 2, INNER - half)
        begin, end = middle - half - 1, middle + half + 1
        free = all(end <= other or begin >= after for other, after in taken)
        # Above it there may be a part of a higher bar.
        if free and not any(begin < after and end > other and high > height + 1 for other, after, high in boxes):
            taken.append((begin, end))
            yield text, middle, height


def _widened(times: np.ndarray, values: np.ndarray, duration: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a curve with half a step more at either end: a value stands for the time around it."""
    half = duration if len(times) < 2 else float(np.diff(times).min()) / 2
    return np.r_[max(times[0] - half, 0.0), times, min(times[-1] + half, duration)], np.r_[
        values[0], values, values[-1]
    ]


def _thinned(times: np.ndarray, values: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a curve of at most so many points: the lowest and the highest of each stretch of a longer one."""
    if len(values) <= most:
        return times, values
    parts = np.array_split(np.arange(len(values)), most // 2)
    kept = [index for part in parts for index in sorted((part[values[part].argmin()], part[values[part].argmax()]))]
    return times[kept], values[kept]


def _fitted(pictures: Sequence[np.ndarray], width: float) -> list[np.ndarray]:
    """Return thumbnails, scaled so that they stand side by side in a width of points."""
    if not pictures:
        return []
    height, wide = pictures[0].shape[:2]
    scale = min((width / len(pictures) - 2) / wide, _THUMBNAIL / height) * DPI / 72
    size = (max(1, int(wide * scale)), max(1, int(height * scale)))
    return [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in pictures]


def _shortened(text: str, style: Style, width: float) -> str:
    if text_width(text, style) <= width:
        return text
    fits = next((n for n in range(len(text), 0, -1) if text_width(f'{text[:n]}…', style) <= width), 0)
    return f'{text[:fits]}…'
