"""How a stored picture is turned and stretched to be the one that is shown."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """What a display matrix does to a picture; its rotation is rounded to quarter turns.

    Args:
        transposed: Whether rows become columns; this comes first.
        mirrored: Whether left and right change places.
        upended: Whether top and bottom change places.
    """

    transposed: bool = False
    mirrored: bool = False
    upended: bool = False

    @classmethod
    def of(cls, frame: Any) -> 'Orientation':
        """Return that of a decoded frame.

        The matrix maps the point (x, y), y downwards, to (a x + c y, b x + d y) and is stored as rows of three
        32-bit integers, (a, b, u), (c, d, v), (x, y, w): ISO/IEC 14496-12, track header box.
        """
        data = frame.side_data.get('DISPLAYMATRIX')
        if data is None:
            return cls()
        a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(data), dtype='=i4')[:5])
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(transposed=True, mirrored=c < 0, upended=b < 0)
        return cls(mirrored=a < 0, upended=d < 0)

    @property
    def rotation(self) -> int:
        """Degrees by which the picture is turned clockwise, after which it may still have to be mirrored."""
        if self.transposed:
            return 270 if self.upended else 90
        return 180 if self.upended else 0

    def apply(self, picture: np.ndarray) -> np.ndarray:
        """Turn a picture.

        Args:
            picture: (H, W, 3).

        Returns:
            The upright picture, (H, W, 3) or (W, H, 3), contiguous.
        """
        if self.transposed:
            picture = picture.swapaxes(0, 1)
        rows, columns = slice(None, None, -1 if self.upended else 1), slice(None, None, -1 if self.mirrored else 1)
        return np.ascontiguousarray(picture[rows, columns])


def shown_size(width: int, height: int, aspect: Fraction | None, orientation: Orientation) -> tuple[int, int]:
    """Return width and height of a picture as it is shown: upright, with square pixels.

    Args:
        width: Stored columns.
        height: Stored rows.
        aspect: Width of a pixel over its height; None if unknown.
        orientation: How the picture is turned.
    """
    # Some files state nonsense; no camera or disc has pixels four times as wide as high.
    if aspect and 0.25 <= aspect <= 4:
        width = max(1, round(width * aspect))
    return (height, width) if orientation.transposed else (width, height)


def fitted_size(size: tuple[int, int], short_side: int | None, *, enlarge: bool) -> tuple[int, int]:
    """Return the size to which a picture is scaled.

    Args:
        size: Width and height.
        short_side: Pixels of the shorter side; None leaves the size as it is.
        enlarge: Whether a smaller picture is scaled too.
    """
    shorter = min(size)
    if short_side is None or (shorter <= short_side and not enlarge):
        return size
    width, height = (max(1, round(side * short_side / shorter)) for side in size)
    return width, height
