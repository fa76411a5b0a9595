"""The same sample in the plane of y.

With the untrained w1 < 0, z = 0 is the leftmost point of the ellipse and z runs clockwise (with w1 > 0 it would be the
rightmost, and anticlockwise). y(23) is far from z = 0 and near z = pi: hence the shape of its energy.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.latent import ellipse, inference
from scripts import make_figures, style

ORDER = 106
NOTE = "15-1, figure 6"
EQUATION = "g(z) = (w1 cos z, w2 sin z)"
FUNCTION = "ebm_np.latent.ellipse.decode"
TEST = "tests/latent/test_ellipse.py::test_decoder_draws_an_ellipse"


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the samples, the decoded points, and four of them to be named."""
    return {
        "samples": ellipse.LECTURE_SAMPLE,
        "decoded": ellipse.decode(ellipse.UNTRAINED, inference.grid(48)),
        "quarters": ellipse.decode(ellipse.UNTRAINED, inference.grid(4)),
        "source": "the 24 samples of lecture 15-1, untrained w",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Scatter as in figure 2, with y(23) marked and z written along the ellipse."""
    figure, axes = style.new(6, 4, data["source"])
    axes.scatter(*data["samples"].T, s=20, color=style.DATA, alpha=0.35, label="samples")
    axes.scatter(*data["decoded"].T, s=10, color=style.MANIFOLD, label=r"$\tilde y = g(z)$")
    axes.plot(*data["samples"][22], "D", color=style.GREEN, markersize=8, label="$y^{(23)}$")
    offsets = ((-0.2, 0), (0, 0.2), (0.22, 0), (0, -0.2))
    for (a, b), (da, db), name in zip(data["quarters"], offsets, ("0", r"\pi/2", r"\pi", r"3\pi/2"), strict=True):
        axes.text(a + da, b + db, f"${name}$", ha="center", va="center", color=style.MANIFOLD)
    axes.annotate(
        "",
        (0.45, 0.62),
        (-0.45, 0.62),
        arrowprops={"arrowstyle": "->", "color": style.MANIFOLD, "connectionstyle": "arc3,rad=-.2"},
    )
    axes.text(0, 0.82, "$z$ grows", ha="center", color=style.MANIFOLD, fontsize=8)
    style.plane(axes, 3, 1.75)
    axes.legend(loc="upper left", bbox_to_anchor=(0, 1.14), ncols=3)
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
