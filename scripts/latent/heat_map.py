"""The free energy and its gradient.

F is a function of y alone: a valley along the manifold, with arrows that point away from it, uphill. Denoising follows
them backwards.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.latent import ellipse
from scripts import grids, make_figures, style

ORDER = 111
NOTE = "15-1, figure 11"
EQUATION = "grad_y F_inf(y) = 2 (y - g(z-check))"
FUNCTION = "ebm_np.latent.ellipse.free_energy_grad_y"
TEST = "tests/latent/test_ellipse.py::test_envelope_theorem"


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return F on a fine grid and its gradient on the lecture's."""
    n1, n2 = (61, 41) if quick else (241, 161)
    return {
        "free_energy": ellipse.free_energy(ellipse.UNTRAINED, grids.plane(n1, n2)).reshape(n2, n1),
        "grid": grids.lecture(),
        "gradient": ellipse.free_energy_grad_y(ellipse.UNTRAINED, grids.lecture()),
        "samples": ellipse.LECTURE_SAMPLE,
        "curve": ellipse.decode(ellipse.UNTRAINED, np.linspace(0, 2 * np.pi, 200)),
        "source": "a grid of 425 points and the 24 samples of lecture 15-1, untrained w",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw the heat map with arrows, samples and manifold on top."""
    figure, axes = style.new(7.6, 4.8, data["source"])
    image = axes.imshow(
        data["free_energy"], extent=(-3, 3, -2, 2), origin="lower", vmin=0, vmax=2, interpolation="bilinear"
    )
    axes.quiver(*data["grid"].T, *data["gradient"].T, color="black", alpha=0.7, width=0.0018, scale=60)
    axes.plot(*data["curve"].T, color="white", linewidth=2)
    axes.scatter(*data["samples"].T, s=18, color=style.ORANGE, edgecolor="black", linewidth=0.4, label="samples")
    style.plane(axes, 3, 2)
    figure.colorbar(image, ax=axes, label=r"$F_\infty(y)$", shrink=0.85, extend="max")
    axes.set_title(r"white: manifold $g(z)$; black: $\nabla_y F_\infty$; orange: samples", loc="left")
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
