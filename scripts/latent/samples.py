"""Twenty-four samples and an untrained decoder.

The samples lie near an ellipse of radii 2 and 1.5. The decoder, fed with 48 latents, draws its own ellipse: a small
one, until it is trained.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.latent import ellipse, inference
from scripts import make_figures, style

ORDER = 102
NOTE = "15-1, figure 2"
EQUATION = "g(z) = (w1 cos z, w2 sin z)"
FUNCTION = "ebm_np.latent.ellipse.decode"
TEST = "tests/latent/test_ellipse.py::test_decoder_draws_an_ellipse"


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the samples and the decoded points."""
    z = inference.grid(48)
    return {
        "samples": ellipse.LECTURE_SAMPLE,
        "decoded": ellipse.decode(ellipse.UNTRAINED, z),
        "source": "the 24 samples of lecture 15-1",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Scatter both in the plane of y."""
    figure, axes = style.new(6, 4, data["source"])
    axes.scatter(*data["samples"].T, s=28, color=style.DATA, label="samples $y$")
    axes.scatter(*data["decoded"].T, s=10, color=style.MANIFOLD, label=r"decoded $\tilde y = g(z)$, untrained")
    style.plane(axes, 3, 1.75)
    axes.legend(loc="upper left", bbox_to_anchor=(0, 1.14), ncols=2)
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
