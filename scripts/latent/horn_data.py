"""The horn: one input, many answers.

For each input x there is a whole ellipse of observations y: a function of x could give one of them, an energy can
accept all. The ellipse opens as x grows; the chapter then stays at x = 0.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.data.ellipse import sample_horn
from scripts import make_figures, style

ORDER = 101
NOTE = "15-1, figure 1"
EQUATION = "y = rho(x) (cos theta, sin theta) + eps, rho(x) = (alpha x + beta (1-x), beta x + alpha (1-x)) exp(2x)"
FUNCTION = "ebm_np.data.ellipse.sample_horn"
TEST = "tests/data/test_ellipse.py::test_horn_lies_on_its_radii"


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return 1,500 samples (300 if quick)."""
    x, y = sample_horn(rng, 300 if quick else 1500)
    return {"x": x[:, 0], "y": y, "source": f"{len(x):,} samples of the horn, drawn by seed 0"}


def draw(data: dict[str, Any]) -> Figure:
    """Scatter the samples in space, coloured by x."""
    figure, axes = style.new(6, 4.6, data["source"], subplot_kw={"projection": "3d"})
    points = axes.scatter(data["x"], data["y"][:, 0], data["y"][:, 1], c=data["x"], s=5, depthshade=False)
    axes.set(xlabel="$x$", ylabel="$y_1$", zlabel="$y_2$", xlim=(0, 1), ylim=(-15, 15), zlim=(-16, 16))
    axes.view_init(elev=18, azim=-62)
    figure.colorbar(points, ax=axes, label="input $x$", shrink=0.6, pad=0.12)
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
