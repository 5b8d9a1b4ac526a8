"""A picture made of blocks below one another: text, a grid of frames, bars over time."""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmwtal.utils.files import write_atomically
from mmwtal.visualization.sheet import Sheet
from mmwtal.visualization.text_flow import DPI, LEADING, Style, flow

# Points, of which a picture is 864 wide; which is 1200 pixels.
WIDTH, MARGIN = 864.0, 18.0
INNER = WIDTH - 2 * MARGIN
_GAP = 3.0
# The most a frame is high, so that a few portrait ones do not fill the page.
_HIGHEST = 270.0
_ROW = 13.0
_STAMP = Style(size=8, colour='#ffffff')
_TICK = Style(size=8, colour='#666666')

Words = Sequence[tuple[str, Style]]


class Page:
    """Collects blocks and draws them, with matplotlib's objects alone: no state outlives it, threads do not meet."""

    def __init__(self) -> None:
        self._height = MARGIN
        #: Top and what draws it.
        self._blocks: list[tuple[float, Callable[[Sheet], None]]] = []

    def text(self, words: Words, *, indent: float = 0.0, before: float = 0.0) -> None:
        """Add a paragraph.

        Args:
            words: Words and their styles.
            indent: Points by which it stands in.
            before: Points of space above it.
        """
        placed = flow(words, INNER - indent)
        if not placed:
            return
        size = max(piece.style.size for piece in placed)

        def draw(sheet: Sheet) -> None:
            for piece in placed:
                # Baselines are a letter's height below the top of their line.
                sheet.write(piece.text, indent + piece.left, (piece.line + 0.78) * size * LEADING, piece.style)

        self.drawing((placed[-1].line + 1) * size * LEADING, draw, before=before)

    def frames(self, frames: Sequence[np.ndarray], times: Sequence[float], *, before: float = 0.0) -> None:
        """Add pictures, RGB (H, W, 3), uint8, in rows, each with its time."""
        columns = _columns(len(frames))
        cell = (INNER - (columns - 1) * _GAP) / columns
        shapes = np.array([frame.shape[:2] for frame in frames], dtype=float)
        scale = np.minimum(cell / shapes[:, 1], _HIGHEST / shapes[:, 0])
        row = float((shapes[:, 0] * scale).max())
        wide = float((shapes[:, 1] * scale).max())
        rows = math.ceil(len(frames) / columns)
        size = (_pixels(rows * (row + _GAP) - _GAP), _pixels(INNER))
        picture = np.full((*size, 3), 255, dtype=np.uint8)
        corners = []
        for number, (frame, factor) in enumerate(zip(frames, scale, strict=True)):
            left, top = number % columns * (wide + _GAP), number // columns * (row + _GAP)
            x, y = _pixels(left), _pixels(top)
            shape = (max(1, int(frame.shape[1] * factor * DPI / 72)), max(1, int(frame.shape[0] * factor * DPI / 72)))
            small = cv2.resize(frame, shape, interpolation=cv2.INTER_AREA if factor * DPI / 72 < 1 else cv2.INTER_CUBIC)
            place = picture[y : y + shape[1], x : x + shape[0]]
            place[...] = small[: place.shape[0], : place.shape[1]]
            corners.append((left, top + frame.shape[0] * factor))
        digits = 1 if len(times) < 2 or float(np.diff(times).min()) >= 0.1 else 2

        def draw(sheet: Sheet) -> None:
            sheet.image(picture, 0, 0)
            for time, (left, bottom) in zip(times, corners, strict=True):
                sheet.write(f'{time:.{digits}f} s', left + 4, bottom - 5, _STAMP, box='#000000')

        self.drawing(size[0] * 72 / DPI, draw, before=before)

    def bars(
        self,
        duration: float,
        times: Sequence[float],
        spans: Iterable[tuple[str, str, Sequence[Sequence[float]]]],
        *,
        before: float = 0.0,
    ) -> None:
        """Add a time line with marks at given times, and a row of bars below it for each kind of spans.

        Args:
            duration: Seconds at its end.
            times: Seconds that are marked.
            spans: Name, colour, and starts and ends in seconds, of each row.
            before: Points of space above it.
        """
        rows = list(spans)

        def place(time: float) -> float:
            return INNER * min(max(time / duration, 0.0), 1.0)

        def draw(sheet: Sheet) -> None:
            sheet.line([0, INNER], [8, 8], colour='#888888')
            for time in times:
                sheet.line([place(time)] * 2, [4, 12], colour='#222222')
            for tick in _ticks(duration):
                sheet.line([place(tick)] * 2, [8, 11], colour='#888888', width=0.8)
                sheet.write(f'{tick:g} s', place(tick), 21, _TICK, align='center')
            for number, (name, colour, parts) in enumerate(rows):
                top = 26 + number * 2 * _ROW
                sheet.write(name, 0, top + 9, Style(size=8, colour=colour, bold=True))
                for begin, end in parts:
                    left, right = place(begin), max(place(end), place(begin) + 1)
                    sheet.box(left, top + 2 * _ROW - 12, right - left, 9, colour=colour)

        self.drawing(26 + 2 * _ROW * len(rows), draw, before=before)

    def drawing(self, height: float, draw: Callable[[Sheet], None], *, before: float = 0.0) -> None:
        """Add a block that is drawn on a sheet, :data:`INNER` points wide.

        Args:
            height: Points.
            draw: Draws it.
            before: Points of space above it.
        """
        self._height += before
        self._blocks.append((self._height, draw))
        self._height += height

    def save(self, path: Path) -> None:
        """Write the page as a PNG file, which appears when it is complete."""
        with _missing_signs_allowed():
            canvas = self._drawn()
            write_atomically(path, lambda file: canvas.print_png(file, pil_kwargs={'optimize': True}))

    def render(self) -> np.ndarray:
        """Return the page as a picture, RGB (H, W, 3), uint8."""
        with _missing_signs_allowed():
            canvas = self._drawn()
            canvas.draw()
            return np.asarray(canvas.buffer_rgba())[..., :3].copy()

    def _drawn(self) -> Any:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        height = math.ceil((self._height + MARGIN) * DPI / 72) * 72 / DPI
        figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=DPI, facecolor='white')
        canvas = FigureCanvasAgg(figure)
        for top, draw in self._blocks:
            draw(Sheet(figure, (WIDTH, height), (MARGIN, top)))
        return canvas


@contextmanager
def _missing_signs_allowed() -> Iterator[None]:
    """Let signs that no installed font has be drawn as boxes."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='Glyph')
        yield


def _columns(count: int) -> int:
    """Return how many of so many frames stand side by side."""
    limits = ((3, count), (4, 2), (8, 4), (15, 5), (24, 6))
    return next((columns for most, columns in limits if count <= most), 8)


def _pixels(points: float) -> int:
    return round(points * DPI / 72)


def _ticks(duration: float) -> list[float]:
    """Return round times, at most eleven, from 0 to the end."""
    step = next(step * 10**power for power in range(-2, 7) for step in (1, 2, 5) if step * 10.0**power * 10 >= duration)
    return [number * step for number in range(int(duration / step + 1e-9) + 1)]
