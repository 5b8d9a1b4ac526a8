"""Text for pictures: words of several styles, set into lines of a width that is known before anything is drawn."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

#: Dots an inch of pictures.
DPI = 100
#: Distance of lines as a multiple of the size of the letters.
LEADING = 1.4
# DejaVu, which comes with matplotlib, has no signs of Chinese, Japanese and Korean; one of these may be installed.
_OTHER_FONTS = (
    *('Noto Sans CJK SC', 'Noto Sans CJK JP', 'Noto Sans SC', 'Noto Sans JP', 'Source Han Sans SC', 'PingFang SC'),
    *('Hiragino Sans', 'Microsoft YaHei', 'SimHei', 'WenQuanYi Zen Hei', 'Malgun Gothic', 'Noto Sans Devanagari'),
    *('Droid Sans Fallback', 'Arial Unicode MS', 'Unifont'),
)


@dataclass(frozen=True, kw_only=True)
class Style:
    """How words look.

    Args:
        size: Of the letters, in points.
        colour: Of the letters.
        bold: Whether they are.
        background: Colour behind them; empty for none.
    """

    size: float = 10.0
    colour: str = '#222222'
    bold: bool = False
    background: str = ''


@dataclass(frozen=True, kw_only=True)
class PlacedText:
    """Words of one style that stand together.

    Args:
        text: The words.
        style: How they look.
        left: Points from the left end of the line.
        width: Points.
        line: Number of the line, from 0.
    """

    text: str
    style: Style
    left: float
    width: float
    line: int


def flow(words: Iterable[tuple[str, Style]], width: float) -> list[PlacedText]:
    """Set words into lines.

    Args:
        words: Words, separated by spaces when drawn, and their styles; one that is longer than a line is broken.
        width: Points of a line.

    Returns:
        The words of each style that follow one another on a line, as one piece.
    """
    placed: list[PlacedText] = []
    left, line = 0.0, 0
    for word, style in words:
        for number, part in enumerate(_fitting(word, style, width)):
            space = text_width(' ', style) if left and not number else 0.0
            length = text_width(part, style)
            if left and (number or left + space + length > width):
                left, space, line = 0.0, 0.0, line + 1
            before = placed[-1] if placed else None
            if before and space and before.line == line and before.style == style:
                text = f'{before.text} {part}'
                joined = PlacedText(text=text, style=style, left=before.left, width=text_width(text, style), line=line)
                placed[-1] = joined
                left = joined.left + joined.width
            else:
                placed.append(PlacedText(text=part, style=style, left=left + space, width=length, line=line))
                left += space + length
    return placed


@lru_cache(maxsize=10_000)
def text_width(text: str, style: Style) -> float:
    """Return how wide a text is drawn, in points: letters are set to whole pixels."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='Glyph')
        width, _, _ = _ruler().get_text_width_height_descent(text, font(style), ismath=False)
    return float(width) * 72 / DPI


@lru_cache(maxsize=1)
def _ruler() -> Any:
    from matplotlib.backends.backend_agg import RendererAgg

    return RendererAgg(1, 1, DPI)


@lru_cache(maxsize=100)
def font(style: Style) -> Any:
    """Return matplotlib's font of a style, with what is installed for signs that its own lacks."""
    from matplotlib.font_manager import FontProperties, fontManager

    installed = {entry.name for entry in fontManager.ttflist}
    family = ['DejaVu Sans', *(name for name in _OTHER_FONTS if name in installed)]
    return FontProperties(family=family, size=style.size, weight='bold' if style.bold else 'normal')


def _fitting(word: str, style: Style, width: float) -> list[str]:
    """Break a word into parts that fit into a line, as a text without spaces has to be."""
    parts = []
    while text_width(word, style) > width:
        # The longest beginning that fits, by bisection; at least one sign.
        fits, too_long = 1, len(word)
        while too_long - fits > 1:
            middle = (fits + too_long) // 2
            if text_width(word[:middle], style) > width:
                too_long = middle
            else:
                fits = middle
        if fits == len(word):
            break
        parts.append(word[:fits])
        word = word[fits:]
    return [*parts, word]
