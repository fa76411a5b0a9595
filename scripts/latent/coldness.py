"""Free energy along y1 = 0, from warm to cold.

Warm (beta small), all latents have their say: F is a bowl that knows nothing of the two sides of the manifold. The
colder, the closer F comes to the minimum over z, with a valley where the line crosses the manifold (dotted) and a ridge
between.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.latent import ellipse
from scripts import make_figures, style

ORDER = 112
NOTE = "15-2 (beyond 15-1); 08-3, training recap"
EQUATION = "F_beta(y) = -(1/beta) log (1/K) sum_k exp(-beta E(y, z_k))"
FUNCTION = "ebm_np.latent.free_energy.softmin"
TEST = "tests/latent/test_ellipse.py::test_free_energy_is_the_integral"
BETAS = 10 ** np.array([-1, -0.5, 0, 0.5, 1, np.inf])
NAMES = ("10^{-1}", "10^{-1/2}", "1", "10^{1/2}", "10", r"\infty")


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return six curves for the untrained model and for the one trained at zero temperature."""
    y2 = np.linspace(-2, 2, 201)
    y = np.stack([np.zeros_like(y2), y2], axis=-1)
    trained = ellipse.fit(ellipse.UNTRAINED, ellipse.LECTURE_SAMPLE).params
    curves = [[ellipse.free_energy(params, y, beta) for beta in BETAS] for params in (ellipse.UNTRAINED, trained)]
    return {
        "y2": y2,
        "free_energy": np.array(curves),
        "radius": np.abs([ellipse.UNTRAINED.w[1], trained.w[1]]),
        "source": "a line of the plane; trained on the 24 samples of lecture 15-1",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw the curves, cold in blue and warm in red."""
    figure, panels = style.new(8.4, 3.8, data["source"], ncols=2)
    colors = ("#b2182b", "#ef8a62", "#c9a227", "#67a9cf", "#2166ac", "#000000")
    for axes, curves, radius, title in zip(
        panels, data["free_energy"], data["radius"], ("untrained", "trained"), strict=True
    ):
        for curve, color, name in zip(curves, colors, NAMES, strict=True):
            axes.plot(data["y2"], curve, color=color, label=rf"$\beta = {name}$")
        for side in (-1, 1):
            axes.axvline(side * radius, color=style.GREY, linestyle=":", linewidth=1, zorder=0)
        axes.set(xlabel="$y_2$  (along $y_1 = 0$)", ylabel=r"$F_\beta(y)$", title=title, ylim=(0, None), xlim=(-2, 2))
    panels[1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
