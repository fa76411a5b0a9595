"""How the ten figures are written: the strokes of each form, and the evenly spaced points of a pen that follows them.

Coordinates run right and down in a box of height 1. A stroke is a smooth curve through its points; a stroke that starts
where the last one ended is a corner, any other start lifts the pen.
"""

from typing import TypeAlias

import numpy as np
from scipy.interpolate import make_interp_spline

from ebm_np.foundations.arrays import Array

Stroke: TypeAlias = tuple[tuple[float, float], ...]
Form: TypeAlias = tuple[Stroke, ...]

FORMS: tuple[tuple[Form, ...], ...] = (
    (  # 0: an oval, and one whose end crosses its start
        (
            (
                (0.58, 0.03),
                (0.28, 0.10),
                (0.08, 0.42),
                (0.13, 0.80),
                (0.40, 0.98),
                (0.72, 0.82),
                (0.84, 0.45),
                (0.72, 0.12),
                (0.50, 0.03),
            ),
        ),
        (
            (
                (0.50, 0.00),
                (0.24, 0.14),
                (0.10, 0.50),
                (0.18, 0.86),
                (0.42, 1.00),
                (0.66, 0.82),
                (0.74, 0.45),
                (0.62, 0.12),
                (0.36, 0.07),
            ),
        ),
    ),
    (  # 1: a stroke, one that leans back a little, and one with a flag
        (((0.52, 0.00), (0.50, 0.50), (0.48, 1.00)),),
        (((0.45, 0.00), (0.52, 0.50), (0.50, 1.00)),),
        (((0.34, 0.20), (0.54, 0.00)), ((0.54, 0.00), (0.53, 0.50), (0.50, 1.00))),
    ),
    (  # 2: with a corner, and with a loop
        (
            ((0.08, 0.24), (0.30, 0.03), (0.60, 0.04), (0.70, 0.27), (0.50, 0.60), (0.08, 0.96)),
            ((0.08, 0.96), (0.45, 0.93), (0.88, 0.97)),
        ),
        (
            (
                (0.12, 0.20),
                (0.36, 0.00),
                (0.66, 0.12),
                (0.62, 0.48),
                (0.34, 0.90),
                (0.10, 0.94),
                (0.12, 0.76),
                (0.40, 0.80),
                (0.95, 0.96),
            ),
        ),
    ),
    (  # 3: round, and with a flat top
        (
            ((0.12, 0.14), (0.40, 0.00), (0.70, 0.13), (0.62, 0.37), (0.34, 0.47)),
            ((0.34, 0.47), (0.68, 0.54), (0.80, 0.76), (0.52, 0.98), (0.08, 0.90)),
        ),
        (
            ((0.10, 0.05), (0.40, 0.04), (0.72, 0.04)),
            ((0.72, 0.04), (0.55, 0.24), (0.38, 0.42)),
            ((0.38, 0.42), (0.72, 0.52), (0.78, 0.80), (0.46, 0.99), (0.06, 0.88)),
        ),
    ),
    (  # 4: open, and closed
        (
            ((0.16, 0.02), (0.10, 0.34), (0.18, 0.52), (0.46, 0.54), (0.80, 0.46)),
            ((0.74, 0.00), (0.68, 0.50), (0.64, 1.00)),
        ),
        (
            ((0.62, 0.02), (0.34, 0.34), (0.06, 0.62)),
            ((0.06, 0.62), (0.45, 0.61), (0.86, 0.57)),
            ((0.62, 0.02), (0.62, 0.50), (0.58, 1.00)),
        ),
    ),
    (  # 5: in one go, and with a long bar put on last
        (
            ((0.78, 0.02), (0.52, 0.05), (0.30, 0.05)),
            ((0.30, 0.05), (0.25, 0.24), (0.20, 0.42)),
            ((0.20, 0.42), (0.50, 0.37), (0.76, 0.58), (0.66, 0.88), (0.36, 1.00), (0.05, 0.88)),
        ),
        (
            ((0.32, 0.06), (0.27, 0.25), (0.26, 0.42)),
            ((0.26, 0.42), (0.56, 0.46), (0.70, 0.70), (0.52, 0.94), (0.10, 0.96)),
            ((0.32, 0.06), (0.60, 0.05), (0.92, 0.00)),
        ),
    ),
    (  # 6: curved, and upright
        (
            (
                (0.66, 0.00),
                (0.36, 0.20),
                (0.14, 0.55),
                (0.14, 0.85),
                (0.40, 1.00),
                (0.68, 0.86),
                (0.62, 0.62),
                (0.38, 0.58),
                (0.16, 0.76),
            ),
        ),
        (
            (
                (0.34, 0.00),
                (0.18, 0.34),
                (0.12, 0.70),
                (0.24, 0.96),
                (0.52, 0.97),
                (0.66, 0.78),
                (0.52, 0.60),
                (0.30, 0.66),
                (0.17, 0.82),
            ),
        ),
    ),
    (  # 7: plain, with a serif, and with a bar
        (((0.08, 0.08), (0.42, 0.07), (0.78, 0.04)), ((0.78, 0.04), (0.54, 0.45), (0.38, 1.00))),
        (
            ((0.06, 0.22), (0.10, 0.06)),
            ((0.10, 0.06), (0.44, 0.05), (0.76, 0.06)),
            ((0.76, 0.06), (0.66, 0.50), (0.58, 1.00)),
        ),
        (
            ((0.08, 0.08), (0.42, 0.06), (0.80, 0.04)),
            ((0.80, 0.04), (0.52, 0.45), (0.36, 1.00)),
            ((0.26, 0.52), (0.50, 0.49), (0.76, 0.48)),
        ),
    ),
    (  # 8: in one go from the top right, and a wider one
        (
            (
                (0.70, 0.14),
                (0.42, 0.00),
                (0.18, 0.17),
                (0.34, 0.42),
                (0.60, 0.62),
                (0.62, 0.88),
                (0.36, 1.00),
                (0.14, 0.84),
                (0.28, 0.58),
                (0.56, 0.38),
                (0.72, 0.12),
            ),
        ),
        (
            (
                (0.62, 0.08),
                (0.34, 0.02),
                (0.16, 0.20),
                (0.36, 0.42),
                (0.68, 0.60),
                (0.74, 0.86),
                (0.44, 1.00),
                (0.14, 0.86),
                (0.26, 0.60),
                (0.56, 0.42),
                (0.70, 0.22),
                (0.58, 0.06),
            ),
        ),
    ),
    (  # 9: with a straight stem, and with a hooked one
        (
            ((0.70, 0.14), (0.44, 0.02), (0.16, 0.20), (0.20, 0.44), (0.48, 0.46), (0.68, 0.26), (0.72, 0.08)),
            ((0.72, 0.08), (0.68, 0.52), (0.60, 1.00)),
        ),
        (
            ((0.70, 0.14), (0.44, 0.00), (0.18, 0.16), (0.20, 0.40), (0.46, 0.46), (0.68, 0.30), (0.73, 0.10)),
            ((0.73, 0.10), (0.74, 0.58), (0.56, 0.94), (0.16, 0.92)),
        ),
    ),
)
"""`FORMS[label]`: the ways in which the figure `label` is written."""


def pen_line(form: Form, n: int) -> tuple[Array, Array]:
    """Follow a form with the pen.

    Returns
    -------
    line : (n, 2)
        the strokes' points, close to evenly spaced; a stroke has at least two.
    joined : (n - 1,) bool
        whether a point and the next are of one stroke: no ink where the pen is lifted.
    """
    curves = [_smooth_curve(np.array(stroke)) for stroke in form]
    lengths = np.array([_arc_length(curve)[-1] for curve in curves])
    ends = np.rint(n * np.cumsum(lengths) / lengths.sum()).astype(int)
    line = np.concatenate([_resampled(curve, m) for curve, m in zip(curves, np.diff(ends, prepend=0), strict=True)])
    joined = np.ones(n - 1, bool)
    joined[ends[:-1] - 1] = False
    return line, joined


def _smooth_curve(points: Array) -> Array:
    """Return 400 points of the spline through `points` (cubic, or the highest order that so few allow)."""
    chords = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    spline = make_interp_spline(chords, points, k=min(3, len(points) - 1))
    return np.asarray(spline(np.linspace(0.0, chords[-1], 400)))


def _arc_length(curve: Array) -> Array:
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])


def _resampled(curve: Array, n: int) -> Array:
    """Return `n` points of the curve at equal distances along it, both ends included."""
    length = _arc_length(curve)
    at = np.linspace(0.0, length[-1], n)
    return np.stack([np.interp(at, length, curve[:, axis]) for axis in (0, 1)], axis=1)
