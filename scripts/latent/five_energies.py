"""The energies of the five points.

The farther the point, the higher the maximum of its curve and its minimum (cross). The orange curve has two humps a
turn: seen from the middle of the ellipse, both tips are far.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.latent import ellipse
from scripts import grids, make_figures, style

ORDER = 110
NOTE = "15-1, figure 10"
EQUATION = "E(y, z) = [y1 - g1(z)]^2 + [y2 - g2(z)]^2"
FUNCTION = "ebm_np.latent.ellipse.energy"
TEST = "tests/latent/test_ellipse.py::test_numbers_of_the_lecture"


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the five curves over three turns, and their minima."""
    z = np.linspace(-2 * np.pi, 4 * np.pi, 433)
    found = ellipse.infer(ellipse.UNTRAINED, grids.FIVE_POINTS)
    return {
        "z": z,
        "energy": ellipse.energy(ellipse.UNTRAINED, grids.FIVE_POINTS, z),
        "z_check": found.z,
        "free_energy": found.energy,
        "source": "five points of the grid, untrained w",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw a curve a point."""
    figure, axes = style.new(6.8, 4, data["source"])
    for point, e, z, f, color in zip(
        grids.FIVE_POINTS, data["energy"], data["z_check"], data["free_energy"], grids.FIVE_COLORS, strict=True
    ):
        axes.plot(data["z"], e, color=color, label=rf"$y_1 = {point[0]:g}$: $F_\infty = {f:.3f}$")
        axes.plot(z, f, "X", color=color, markersize=8, zorder=3)
    axes.set(ylabel="$E(y, z)$", ylim=(0, 20.5))
    style.angle_axis(axes, -2, 4)
    axes.legend(loc="upper left", bbox_to_anchor=(0, 1.16), ncols=3)
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
