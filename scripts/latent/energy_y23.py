"""Inference for y(23): down the energy from a first guess to the minimum.

The free energy at zero temperature is the height of the valley, and z-check its place.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.latent import ellipse
from scripts import make_figures, style

ORDER = 105
NOTE = "15-1, figure 5"
EQUATION = "F_inf(y) = min_z E(y, z) = E(y, z-check)"
FUNCTION = "ebm_np.latent.ellipse.infer"
TEST = "tests/latent/test_ellipse.py::test_numbers_of_the_lecture"
START = 0.5


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return E23 over three turns, and the path of L-BFGS from z~ = 0.5."""
    y = ellipse.LECTURE_SAMPLE[22:23]
    z = np.linspace(-2 * np.pi, 4 * np.pi, 433)
    found = ellipse.infer(ellipse.UNTRAINED, y, method="l-bfgs", z0=START)
    path = found.trace[:, 0]
    return {
        "z": z,
        "energy": ellipse.energy(ellipse.UNTRAINED, y, z)[0],
        "path": path,
        "path_energy": ellipse.energy(ellipse.UNTRAINED, y, path)[0],
        "z_check": found.z,
        "free_energy": found.energy,
        "source": "sample 23 of lecture 15-1, untrained w",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw the curve, the start and the minimum."""
    figure, axes = style.new(6.6, 3.6, data["source"])
    axes.plot(data["z"], data["energy"], color=style.BLUE)
    axes.plot(data["path"][0], data["path_energy"][0], "o", color=style.ORANGE, label=r"start $\tilde z = 0.5$")
    z_check, f = data["z_check"].item(), data["free_energy"].item()
    axes.plot(z_check, f, "X", color=style.INFERRED, markersize=8, label=rf"found $ž = {z_check:.3f}$")
    axes.axhline(f, color=style.INFERRED, linestyle=":", linewidth=1)
    axes.text(-2 * np.pi + 0.1, f + 0.25, rf"$F_\infty = {f:.4f}$", color=style.INFERRED)
    axes.set(ylabel="$E(y^{(23)}, z)$", ylim=(0, 13.5))
    style.angle_axis(axes, -2, 4)
    axes.legend(loc="upper right", ncols=2)
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
