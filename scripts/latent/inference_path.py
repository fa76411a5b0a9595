"""The path of inference: sliding along the manifold towards the sample.

From z~ = 0.5 on the left, over the top, to the point nearest to y(23). The dots are the iterates of L-BFGS and of
conjugate gradient; the length of the dotted line squared is the free energy.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.latent import ellipse, inference
from scripts import make_figures, style

ORDER = 107
NOTE = "15-1, figure 7"
EQUATION = "z-check = argmin_z E(y, z)"
FUNCTION = "ebm_np.latent.inference.l_bfgs"
TEST = "tests/latent/test_inference.py::test_all_methods_find_the_exact_root_from_the_right_well"
TOLERANCE = 1e-4


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the decoded iterates of both methods."""
    y = ellipse.LECTURE_SAMPLE[22:23]
    paths = {}
    for method in ("l-bfgs", "cg"):
        found = ellipse.infer(ellipse.UNTRAINED, y, method=method, z0=0.5)
        paths[method] = ellipse.decode(ellipse.UNTRAINED, np.append(found.trace[:, 0], found.z))
    return {
        "y": y[0],
        "decoded": ellipse.decode(ellipse.UNTRAINED, inference.grid(48)),
        "arc": ellipse.decode(ellipse.UNTRAINED, np.linspace(0.5, found.z[0], 100)),
        **paths,
        "source": "sample 23 of lecture 15-1, untrained w",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw manifold, arc and iterates, a panel a method."""
    figure, panels = style.new(6.4, 4.6, data["source"], nrows=2, sharex=True)
    for axes, method, name in zip(panels, ("l-bfgs", "cg"), ("L-BFGS", "conjugate gradient"), strict=True):
        axes.scatter(*data["decoded"].T, s=8, color=style.MANIFOLD, alpha=0.5)
        axes.plot(*data["arc"].T, color=style.ORANGE, linewidth=3, alpha=0.35)
        axes.plot(*data[method].T, "o:", color=style.ORANGE, markersize=4, linewidth=0.8, label="iterates")
        axes.plot(*data[method][0], "o", color=style.BLACK, markersize=6, label=r"$g(\tilde z)$")
        axes.plot(*data[method][-1], "X", color=style.INFERRED, markersize=8, label=r"$g(ž)$")
        axes.plot(*data["y"], "D", color=style.GREEN, markersize=7, label="$y^{(23)}$")
        axes.plot(*np.stack([data[method][-1], data["y"]]).T, ":", color=style.INFERRED)
        style.plane(axes, 2.4, 0.6)
        axes.set_title(f"{name}: {len(data[method]) - 2} iterations", loc="left")
    panels[0].set_xlabel("")
    panels[0].legend(loc="lower center", ncols=4, bbox_to_anchor=(0.5, 1.15))
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
