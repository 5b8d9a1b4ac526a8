"""The bright objects of the films of the embedded dataset: one of each class, moving while its execution lasts."""

from collections.abc import Callable

import numpy as np

WIDTH, HEIGHT = 128, 96
#: Row on which the figure stands.
GROUND = 86
# An object in an execution: its lines (N, K, 2, 2) and the centre of its ball (N, 2), both as x and y.
Thing = tuple[np.ndarray, np.ndarray]


def _lines(*ends: tuple[np.ndarray | float, ...]) -> np.ndarray:
    """Return lines (N, K, 2, 2) of the x and y of their beginnings and ends."""
    values = np.broadcast_arrays(*(value for line in ends for value in line))
    return np.stack(values, axis=-1).reshape(-1, len(ends), 2, 2)


def _points(x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
    return np.stack(np.broadcast_arrays(x, y), axis=-1)


def _dunk(u: np.ndarray, hip: np.ndarray) -> Thing:
    x, y = hip.T
    hoop = x + 20
    down = np.clip((u - 0.5) * 2, 0, 1)
    ball = _points(x + 20 * np.minimum(1, 2 * u), np.where(u < 0.5, y - 30, 18 + 60 * down))
    return _lines((hoop - 9, 26, hoop + 9, 26), (hoop - 7, 26, hoop - 4, 36), (hoop + 7, 26, hoop + 4, 36)), ball


def _lift(u: np.ndarray, hip: np.ndarray) -> Thing:
    x, y = hip[:, 0], GROUND - 6 - 48 * np.minimum(1, 1.5 * u)
    ends = (x - 34, y - 8, x - 34, y + 8), (x + 34, y - 8, x + 34, y + 8)
    return _lines((x - 34, y, x + 34, y), *ends), _points(x - 34, y)


def _golf(u: np.ndarray, hip: np.ndarray) -> Thing:
    x, y = hip[:, 0] + 4, hip[:, 1] - 4
    angle = np.radians(-150 + 300 * u)
    flight = np.clip((u - 0.5) * 2, 0, 1)
    ball = _points(x + 6 + 80 * flight, GROUND - 4 - 70 * flight)
    return _lines((x, y, x + 24 * np.sin(angle), y + 24 * np.cos(angle))), ball


def _hammer(u: np.ndarray, hip: np.ndarray) -> Thing:
    x, y = hip[:, 0], hip[:, 1] - 12
    angle, flown = 6 * np.pi * np.minimum(u, 0.75), 200 * np.clip(u - 0.75, 0, 1)
    ball = _points(x + 30 * np.cos(angle) + flown, y + 9 * np.sin(angle) - flown)
    return _lines((x, y, ball[:, 0], ball[:, 1])), ball


def _bar(u: np.ndarray, hip: np.ndarray) -> Thing:
    x, bar = hip[:, 0], 54
    return _lines((x - 26, bar, x + 26, bar), (x - 26, bar, x - 26, GROUND), (x + 26, bar, x + 26, GROUND)), (
        _points(x - 26, bar)
    )


def _spear(u: np.ndarray, hip: np.ndarray) -> Thing:
    x, y = hip.T
    flown = np.clip((u - 0.4) / 0.6, 0, 1)
    left, top = x - 12 + 50 * flown, y - 26 - 40 * flown + 30 * flown**2
    return _lines((left, top, left + 34, top - 12 + 20 * flown)), _points(left + 34, top - 12 + 20 * flown)


def _pole(u: np.ndarray, hip: np.ndarray) -> Thing:
    x, y = hip.T
    foot = x + 16 - 24 * u
    return _lines((x, y - 10, foot, GROUND), (x - 8, 30, x + 44, 30), (x + 44, 30, x + 44, GROUND)), _points(x, y - 10)


def _tennis(u: np.ndarray, hip: np.ndarray) -> Thing:
    x, y = hip[:, 0], hip[:, 1] - 14
    angle = np.radians(-80 + 200 * u)
    ball = _points(np.where(u < 0.5, x + 70 - 90 * u, x - 20 + 90 * u), y - 10 + 40 * np.abs(u - 0.5))
    handle = (x, y, x + 22 * np.cos(angle), y - 22 * np.sin(angle))
    racket = (x + 14 * np.cos(angle) - 4, y - 18 * np.sin(angle), x + 26 * np.cos(angle) + 4, y - 26 * np.sin(angle))
    return _lines(handle, racket, (WIDTH - 12, GROUND - 24, WIDTH - 12, GROUND)), ball


#: By class: takes how far the execution has come, 0 to 1, (N,), and the figure's hip, (N, 2).
THINGS: dict[str, Callable[[np.ndarray, np.ndarray], Thing]] = {
    'BasketballDunk': _dunk,
    'CleanAndJerk': _lift,
    'GolfSwing': _golf,
    'HammerThrow': _hammer,
    'HighJump': _bar,
    'JavelinThrow': _spear,
    'PoleVault': _pole,
    'TennisSwing': _tennis,
}
