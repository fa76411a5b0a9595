"""Each point of a grid and the point of the manifold that explains it best.

425 points, 425 inferences at once. The projections crowd at the tips of the ellipse and leave gaps on its flat sides:
few points of the grid have their nearest point there.
"""

from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from ebm_np.latent import ellipse
from scripts import grids, make_figures, style

ORDER = 108
NOTE = "15-1, figure 8"
EQUATION = "z-check(y) = argmin_z E(y, z)"
FUNCTION = "ebm_np.latent.nearest_point.nearest_angle"
TEST = "tests/latent/test_inference.py::test_nearest_angle_is_the_exact_global_minimum"


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the grid and its projections."""
    y = grids.lecture()
    found = ellipse.infer(ellipse.UNTRAINED, y)
    return {
        "grid": y,
        "projections": ellipse.decode(ellipse.UNTRAINED, found.z),
        "curve": ellipse.decode(ellipse.UNTRAINED, np.linspace(0, 2 * np.pi, 200)),
        "source": "a grid of 425 points, untrained w",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw the grid, the projections, and a thin line from each to each."""
    figure, axes = style.new(7, 4.8, data["source"])
    pairs = np.stack([data["grid"], data["projections"]], axis=1)
    axes.add_collection(LineCollection(list(pairs), colors=style.GREY, linewidths=0.3))
    axes.plot(*data["curve"].T, color=style.MANIFOLD, alpha=0.4)
    axes.scatter(*data["grid"].T, s=5, color=style.DATA, label="$y$ on the grid")
    axes.scatter(*data["projections"].T, s=9, color=style.INFERRED, zorder=3, label=r"$g(ž(y))$")
    style.plane(axes, 3.1, 2.1)
    axes.legend(loc="upper left", bbox_to_anchor=(0, 1.12), ncols=2)
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
