"""Cold and warm, untrained and trained.

Training moves the valley to the samples (orange); temperature decides how much of a valley there is. White: the
manifold.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.latent import ellipse
from scripts import grids, make_figures, style

ORDER = 113
NOTE = "15-2 (beyond 15-1)"
EQUATION = "F_inf(y) = min_z E(y, z),  F_1(y) = softmin_z E(y, z)"
FUNCTION = "ebm_np.latent.ellipse.free_energy"
TEST = "tests/latent/test_ellipse.py::test_free_energy_is_the_integral"
BETAS = (np.inf, 1.0)


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return four maps, [cold, warm] x [untrained, trained]; each model is trained at its own temperature."""
    n1, n2 = (49, 33) if quick else (181, 121)
    y, maps, curves = grids.plane(n1, n2), [], []
    for beta in BETAS:
        trained = ellipse.fit(
            ellipse.UNTRAINED, ellipse.LECTURE_SAMPLE, beta=beta, n_epochs=200, batch_size=None
        ).params
        for params in (ellipse.UNTRAINED, trained):
            maps.append(ellipse.free_energy(params, y, beta).reshape(n2, n1))
            curves.append(ellipse.decode(params, np.linspace(0, 2 * np.pi, 200)))
    return {
        "free_energy": np.array(maps),
        "curve": np.array(curves),
        "samples": ellipse.LECTURE_SAMPLE,
        "source": "the plane; trained on the 24 samples of lecture 15-1",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw the maps, a row a temperature."""
    figure, panels = style.new(8.4, 6, data["source"], nrows=2, ncols=2, sharex=True, sharey=True)
    titles = [rf"{model}, $\beta = {beta}$" for beta in (r"\infty", "1") for model in ("untrained", "trained")]
    limits = ((0, 2), (0, 2), (0, 6), (0, 6))
    for axes, f, curve, title, limit in zip(
        panels.flat, data["free_energy"], data["curve"], titles, limits, strict=True
    ):
        image = axes.imshow(
            f, extent=(-3, 3, -2, 2), origin="lower", vmin=limit[0], vmax=limit[1], interpolation="bilinear"
        )
        axes.plot(*curve.T, color="white", linewidth=1.5)
        axes.scatter(*data["samples"].T, s=14, color=style.ORANGE, edgecolor="black", linewidth=0.4)
        style.plane(axes, 3, 2)
        axes.set_title(title, loc="left")
        figure.colorbar(image, ax=axes, label=r"$F_\beta(y)$", shrink=0.8, extend="max")
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
