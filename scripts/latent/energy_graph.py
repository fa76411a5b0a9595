"""How the energy is computed.

A latent z is decoded into a candidate for y; the energy is the squared distance from the observed y (grey) to it.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from scripts import diagrams, make_figures, style

ORDER = 103
NOTE = "15-1, figure 3"
EQUATION = "E(y, z) = ||y - g(z)||^2"
FUNCTION = "ebm_np.latent.ellipse.energy"
TEST = "tests/latent/test_ellipse.py::test_energy_is_the_squared_distance"


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return no numbers: a diagram shows none."""
    return {"source": "none, a diagram"}


def draw(data: dict[str, Any]) -> Figure:
    """Draw z -> decoder -> y~ -> E <- y."""
    figure, axes = style.new(6.4, 1.9, data["source"])
    diagrams.canvas(axes, 8, 2)
    z, g, y_tilde, e, y = ((x, 1.1) for x in (0.7, 2.4, 4.0, 5.6, 7.2))
    diagrams.variable(axes, z, "$z$")
    diagrams.module(axes, g, "$g$")
    diagrams.variable(axes, y_tilde, r"$\tilde y$")
    diagrams.cost(axes, e, "$E$")
    diagrams.variable(axes, y, "$y$", observed=True)
    diagrams.arrow(axes, z, g, gap=1.5)
    diagrams.arrow(axes, g, y_tilde, gap=1.6)
    diagrams.arrow(axes, y_tilde, e)
    diagrams.arrow(axes, y, e)
    for at, text in ((z, "latent"), (g, "decoder"), (y_tilde, "decoded"), (e, "energy"), (y, "observed")):
        diagrams.note(axes, (at[0], 0.4), text)
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
