"""The energy of each sample as a function of the latent.

Most samples see one well a turn; y(10) and y(11), above the middle of the flat ellipse, see two. The triangle marks the
latent that inference finds.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.latent import ellipse
from scripts import make_figures, style

ORDER = 104
NOTE = "15-1, figure 4"
EQUATION = "E(y, z) = [y1 - g1(z)]^2 + [y2 - g2(z)]^2"
FUNCTION = "ebm_np.latent.ellipse.energy"
TEST = "tests/latent/test_ellipse.py::test_energy_is_the_squared_distance"


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the 24 energies over a turn (steps of pi/24), and the minimum of each."""
    z = np.linspace(0, 2 * np.pi, 49)
    found = ellipse.infer(ellipse.UNTRAINED, ellipse.LECTURE_SAMPLE)
    return {
        "z": z,
        "energy": ellipse.energy(ellipse.UNTRAINED, ellipse.LECTURE_SAMPLE, z),
        "z_check": found.z,
        "free_energy": found.energy,
        "source": "the 24 samples of lecture 15-1, untrained w",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw a small panel a sample, all on one scale."""
    figure, panels = style.new(8, 5, data["source"], nrows=4, ncols=6, sharex=True, sharey=True)
    for n, axes in enumerate(panels.flat):
        axes.plot(data["z"], data["energy"][n], color=style.BLUE)
        axes.plot(data["z_check"][n], data["free_energy"][n], "^", color=style.INFERRED, markersize=5)
        axes.set_title(f"$E_{{{n + 1}}}$", loc="left", fontsize=9, y=0.95)
        style.angle_axis(axes, 0, 2)
        axes.set(ylim=(0, 12.5), xlabel="$z$ (rad)" if n >= 18 else "", ylabel="energy" if n % 6 == 0 else "")
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
