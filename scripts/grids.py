"""Points of the plane that several figures look at."""

import numpy as np

from ebm_np.foundations.arrays import Array
from scripts.style import BLUE, GREEN, ORANGE, PURPLE, RED

FIVE_POINTS = np.array([[-3.0, -0.5], [-2.25, -0.5], [-1.5, -0.5], [-0.75, -0.5], [0.0, -0.5]])
FIVE_COLORS = (BLUE, RED, PURPLE, GREEN, ORANGE)
"""The lecture's five points and their colours."""


def lecture() -> Array:
    """Return the lecture's grid of 25 x 17 points, y1 = -3:0.25:3 and y2 = -2:0.25:2, as (425, 2)."""
    return plane(25, 17)


def plane(n1: int, n2: int) -> Array:
    """Return n1 x n2 points of [-3, 3] x [-2, 2], as (n1 n2, 2); y1 runs fastest."""
    y1, y2 = np.meshgrid(np.linspace(-3, 3, n1), np.linspace(-2, 2, n2))
    return np.stack([y1.ravel(), y2.ravel()], axis=-1)
