"""How the ten figures are written: the strokes of each form, and the points of a pen that follows them."""

import numpy as np
from scipy.interpolate import make_interp_spline

from ebm_np.foundations.arrays import Array

FORMS: tuple[tuple[str, ...], ...] = (
    (  # 0: an oval, and one whose end crosses its start
        "58,3 28,10 8,42 13,80 40,98 72,82 84,45 72,12 50,3",
        "50,0 24,14 10,50 18,86 42,100 66,82 74,45 62,12 36,7",
    ),
    (  # 1: a stroke, one that leans back, and one with a flag
        "52,0 50,50 48,100",
        "45,0 52,50 50,100",
        "34,20 54,0 / 54,0 53,50 50,100",
    ),
    (  # 2: with a corner, and with a loop
        "8,24 30,3 60,4 70,27 50,60 8,96 / 8,96 45,93 88,97",
        "12,20 36,0 66,12 62,48 34,90 10,94 12,76 40,80 95,96",
    ),
    (  # 3: round, and with a flat top
        "12,14 40,0 70,13 62,37 34,47 / 34,47 68,54 80,76 52,98 8,90",
        "10,5 40,4 72,4 / 72,4 55,24 38,42 / 38,42 72,52 78,80 46,99 6,88",
    ),
    (  # 4: open, and closed
        "16,2 10,34 18,52 46,54 80,46 / 74,0 68,50 64,100",
        "62,2 34,34 6,62 / 6,62 45,61 86,57 / 62,2 62,50 58,100",
    ),
    (  # 5: in one go, and with a long bar put on last
        "78,2 52,5 30,5 / 30,5 25,24 20,42 / 20,42 50,37 76,58 66,88 36,100 5,88",
        "32,6 27,25 26,42 / 26,42 56,46 70,70 52,94 10,96 / 32,6 60,5 92,0",
    ),
    (  # 6: curved, and upright
        "66,0 36,20 14,55 14,85 40,100 68,86 62,62 38,58 16,76",
        "34,0 18,34 12,70 24,96 52,97 66,78 52,60 30,66 17,82",
    ),
    (  # 7: plain, with a serif, and with a bar
        "8,8 42,7 78,4 / 78,4 54,45 38,100",
        "6,22 10,6 / 10,6 44,5 76,6 / 76,6 66,50 58,100",
        "8,8 42,6 80,4 / 80,4 52,45 36,100 / 26,52 50,49 76,48",
    ),
    (  # 8: from the top, and a wider one
        "70,14 42,0 18,17 34,42 60,62 62,88 36,100 14,84 28,58 56,38 72,12",
        "62,8 34,2 16,20 36,42 68,60 74,86 44,100 14,86 26,60 56,42 70,22 58,6",
    ),
    (  # 9: with a straight stem, and with a hooked one
        "70,14 44,2 16,20 20,44 48,46 68,26 72,8 / 72,8 68,52 60,100",
        "70,14 44,0 18,16 20,40 46,46 68,30 73,10 / 73,10 74,58 56,94 16,92",
    ),
)
"""`FORMS[label]`: the ways in which a figure is written, as points "right,down" in hundredths of its height.

A stroke is a smooth curve through its points. A slash ends it: the next one starts at the same point, which makes a
corner, or elsewhere, and the pen is lifted.
"""


def pen_line(form: str, n: int) -> tuple[Array, Array]:
    """Follow a form with the pen.

    Returns
    -------
    line : (n, 2)
        points at nearly equal distances along the strokes, in units of the figure's height.
    joined : (n - 1,) bool
        whether a point and the next are of one stroke: no ink where the pen is lifted.
    """
    curves = [_smooth_curve(_points(stroke)) for stroke in form.split("/")]
    lengths = np.array([_arc_length(curve)[-1] for curve in curves])
    ends = np.rint(n * np.cumsum(lengths) / lengths.sum()).astype(int)
    line = np.concatenate([_resampled(curve, m) for curve, m in zip(curves, np.diff(ends, prepend=0), strict=True)])
    joined = np.ones(n - 1, bool)
    joined[ends[:-1] - 1] = False
    return line, joined


def _points(stroke: str) -> Array:
    return np.array([point.split(",") for point in stroke.split()], dtype=np.float64) / 100.0


def _smooth_curve(points: Array) -> Array:
    """Return 400 points of the spline through `points` (cubic, or the highest order that so few allow)."""
    chords = _arc_length(points)
    spline = make_interp_spline(chords, points, k=min(3, len(points) - 1))
    return np.asarray(spline(np.linspace(0.0, chords[-1], 400)))


def _arc_length(curve: Array) -> Array:
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])


def _resampled(curve: Array, n: int) -> Array:
    """Return `n` points of the curve at equal distances along it, both ends included."""
    length = _arc_length(curve)
    at = np.linspace(0.0, length[-1], n)
    return np.stack([np.interp(at, length, curve[:, axis]) for axis in (0, 1)], axis=1)
