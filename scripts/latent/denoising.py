"""Denoising: noisy points descend the free energy.

Cold, each goes straight to the nearest point of the trained manifold. Warm, the valley is not on the manifold but
inside it, where the mean of many explanations lies.
"""

from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.latent import ellipse
from ebm_np.latent.denoising import denoise
from scripts import grids, make_figures, style

ORDER = 115
NOTE = "15-1, question 3"
EQUATION = "y(t + 1) = y(t) - eta grad_y F_beta(y(t))"
FUNCTION = "ebm_np.latent.denoising.denoise"
TEST = "tests/latent/test_denoising.py::test_cold_denoising_is_projection"
BETAS = (np.inf, 1.0)


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the paths of 40 noisy points at two temperatures."""
    y = ellipse.LECTURE_SAMPLE[rng.integers(24, size=40)] + rng.normal(0, 0.45, (40, 2))
    params = ellipse.fit(ellipse.UNTRAINED, ellipse.LECTURE_SAMPLE).params
    paths = [denoise(partial(ellipse.free_energy_grad_y, params, beta=beta), y) for beta in BETAS]
    f = [ellipse.free_energy(params, grids.plane(121, 81), beta).reshape(81, 121) for beta in BETAS]
    return {
        "paths": np.array(paths),
        "free_energy": np.array(f),
        "curve": ellipse.decode(params, np.linspace(0, 2 * np.pi, 200)),
        "source": "40 noisy copies of the samples of lecture 15-1, noise 0.45",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw the paths over F, a panel a temperature."""
    figure, panels = style.new(9, 3.5, data["source"], ncols=2, sharey=True)
    for axes, paths, f, name in zip(panels, data["paths"], data["free_energy"], (r"\infty", "1"), strict=True):
        axes.contourf(f, 14, extent=(-3, 3, -2, 2), cmap="Greys", alpha=0.5)
        axes.plot(*data["curve"].T, color=style.MANIFOLD, linewidth=2, label="trained manifold")
        for path in paths.swapaxes(0, 1):
            axes.plot(*path.T, color=style.ORANGE, linewidth=0.8)
        axes.scatter(*paths[0].T, s=12, color=style.DATA, zorder=3, label="noisy")
        axes.scatter(*paths[-1].T, s=12, color=style.INFERRED, zorder=3, label="denoised")
        style.plane(axes, 3, 2)
        axes.set_title(rf"$\beta = {name}$", loc="left")
    panels[1].set_ylabel("")
    panels[0].legend(loc="lower left", ncols=3, bbox_to_anchor=(0.2, 1))
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
