"""Drawing on a part of a figure in points from its upper left corner, as text is set."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmwtal.visualization.text_flow import DPI, Style, font

# Of all but words: what is drawn later lies above, whatever it is.
_ORDER = 1


class Sheet:
    """A part of a figure of matplotlib.

    Args:
        figure: The figure.
        size: Its width and height in points.
        corner: The upper left corner of the part, points from that of the figure.
    """

    def __init__(self, figure: Any, size: tuple[float, float], corner: tuple[float, float]) -> None:
        self._figure = figure
        self._width, self._height = size
        self._left, self._top = corner

    def line(self, x: Sequence[float], y: Sequence[float], *, colour: str, width: float = 1.0) -> None:
        """Draw a line through points."""
        from matplotlib.lines import Line2D

        across, up = self._place(np.asarray(x), np.asarray(y))
        self._figure.add_artist(Line2D(across, up, color=colour, linewidth=width, zorder=_ORDER))

    def area(self, x: Sequence[float], y: Sequence[float], *, colour: str, alpha: float) -> None:
        """Fill the polygon that points enclose."""
        from matplotlib.patches import Polygon

        corners = np.stack(self._place(np.asarray(x), np.asarray(y)), axis=1)
        self._figure.add_artist(
            Polygon(
                corners,
                facecolor=colour,
                edgecolor='none',
                alpha=alpha,
                transform=self._figure.transFigure,
                zorder=_ORDER,
            )
        )

    def box(
        self,
        left: float,
        top: float,
        width: float,
        height: float,
        *,
        colour: str,
        alpha: float = 1.0,
        edge: float = 0.0,
    ) -> None:
        """Fill a rectangle, and draw its edge of ``edge`` points in the full colour."""
        from matplotlib.colors import to_rgba
        from matplotlib.patches import Rectangle

        x, y = self._place(np.asarray(left), np.asarray(top + height))
        self._figure.add_artist(
            Rectangle(
                (float(x), float(y)),
                width / self._width,
                height / self._height,
                facecolor=to_rgba(colour, alpha),
                edgecolor=colour if edge else 'none',
                linewidth=edge,
                zorder=_ORDER,
                transform=self._figure.transFigure,
            )
        )

    def image(self, picture: np.ndarray, left: float, top: float) -> None:
        """Put a picture, RGB (H, W, 3), uint8, there, a pixel of it on a pixel of the figure."""
        x, y = _pixels(self._left + left), _pixels(self._height - self._top - top) - len(picture)
        self._figure.figimage(picture[::-1], x, y, origin='lower')

    def write(self, text: str, x: float, y: float, style: Style, *, box: str = '', align: str = 'left') -> None:
        """Write a line; ``y`` is its baseline, ``box`` a colour behind it, half transparent."""
        behind = box or style.background
        patch = (
            {'facecolor': behind, 'edgecolor': 'none', 'pad': 1.2, 'alpha': 0.65 if box else 1.0} if behind else None
        )
        across, up = self._place(np.asarray(x), np.asarray(y))
        self._figure.text(
            *(float(across), float(up), text),
            **{'fontproperties': font(style), 'color': style.colour, 'ha': align, 'va': 'baseline'},
            # A dollar sign would start a formula.
            parse_math=False,
            bbox=patch if behind else None,
        )

    def _place(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return points as parts of the figure, which counts from its lower left corner."""
        return (self._left + x) / self._width, 1 - (self._top + y) / self._height


def _pixels(points: float) -> int:
    return round(points * DPI / 72)
