"""Which latents explain y? The Gibbs weights p(z|y) at three points.

Cold, a few neighbouring latents share the weight; warm, the whole manifold does. At the centre the two flat sides are
equally near, and share it at any temperature. The arrow is minus half the gradient of F: it points to the mean of what
the weighted latents decode to.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.latent import ellipse, inference
from ebm_np.latent.free_energy import gibbs
from scripts import make_figures, style

ORDER = 114
NOTE = "15-2 (beyond 15-1)"
EQUATION = "p(z|y) = exp(-beta E(y, z)) / sum_z' exp(-beta E(y, z'))"
FUNCTION = "ebm_np.latent.free_energy.gibbs"
TEST = "tests/latent/test_free_energy.py::test_gibbs_weights_are_the_gradient_of_softmin"
POINTS = np.array([[1.2, 1.6], [-2.6, -0.4], [0.0, 0.0]])
BETAS = (10.0, 1.0, 0.1)


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the weights of 96 latents for three points at three temperatures."""
    params = ellipse.fit(ellipse.UNTRAINED, ellipse.LECTURE_SAMPLE).params
    z = inference.grid(96)
    table = ellipse.energy(params, POINTS, z)
    return {
        "points": POINTS,
        "manifold": ellipse.decode(params, z),
        "weights": np.array([gibbs(table, beta) for beta in BETAS]),
        "gradient": np.array([ellipse.free_energy_grad_y(params, POINTS, beta) for beta in BETAS]),
        "source": "three points of the plane; trained on the 24 samples of lecture 15-1",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Colour the manifold by the weights, a column a point and a row a temperature."""
    figure, panels = style.new(8.6, 6.4, data["source"], nrows=3, ncols=3, sharex=True, sharey=True)
    for row, beta, weights, gradients in zip(panels, BETAS, data["weights"], data["gradient"], strict=True):
        for axes, y, p, gradient in zip(row, data["points"], weights, gradients, strict=True):
            dots = axes.scatter(*data["manifold"].T, c=p / p.max(), s=12, cmap="viridis_r", vmin=0, vmax=1)
            axes.plot(*y, "D", color=style.GREEN)
            if np.hypot(*gradient) > 1e-6:
                arrow = {"arrowstyle": "->", "color": style.INFERRED}
                axes.annotate("", y - gradient / 2, y, arrowprops=arrow)
            style.plane(axes, 3, 2)
            axes.label_outer()
            axes.set_title(rf"$y = ({y[0]:g}, {y[1]:g})$, $\beta = {beta:g}$", loc="left", fontsize=8)
    figure.colorbar(dots, ax=panels, label="$p(z|y)$ / its maximum", shrink=0.6)
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
