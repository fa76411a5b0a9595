"""Five points, and where each is projected to.

The blue one is farthest from the manifold, the orange one nearest: guess the shape of their energies before you turn
the page.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.latent import ellipse
from scripts import grids, make_figures, style

ORDER = 109
NOTE = "15-1, figure 9"
EQUATION = "F_inf(y) = ||y - g(z-check)||^2"
FUNCTION = "ebm_np.latent.ellipse.infer"
TEST = "tests/latent/test_ellipse.py::test_numbers_of_the_lecture"


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the five points, their projections, and the grid with its projections."""
    found, of_grid = (ellipse.infer(ellipse.UNTRAINED, y) for y in (grids.FIVE_POINTS, grids.lecture()))
    return {
        "points": grids.FIVE_POINTS,
        "projections": ellipse.decode(ellipse.UNTRAINED, found.z),
        "grid": grids.lecture(),
        "grid_projections": ellipse.decode(ellipse.UNTRAINED, of_grid.z),
        "source": "a grid of 425 points, untrained w",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw them over the faint grid of figure 8."""
    figure, axes = style.new(7, 4.6, data["source"])
    axes.scatter(*data["grid"].T, s=5, color=style.GREY, alpha=0.5)
    axes.scatter(*data["grid_projections"].T, s=7, color=style.GREY)
    for y, g, color in zip(data["points"], data["projections"], grids.FIVE_COLORS, strict=True):
        axes.plot(*np.stack([y, g]).T, color=color, linewidth=1)
        axes.plot(*y, "o", color=color, markersize=9, label=f"$y = ({y[0]:g}, {y[1]:g})$")
        axes.plot(*g, "X", color=color, markersize=7)
    style.plane(axes, 3.1, 2.1)
    axes.legend(loc="upper left", bbox_to_anchor=(0, 1.17), ncols=3)
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
