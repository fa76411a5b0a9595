"""ISTA is a recurrent network.

The gradient step z - (2/L) W^T (W z - y) is W_e^T y, which stays the same, plus S z: each round S acts on the last
code, the input is added, and sh() shrinks the sum. The note calls this graph FISTA's, but it is ISTA's: FISTA steps
from a point beyond the last code, for which it needs the one before too. The note also leaves out the factor 2 of the
gradient of ||y - W z||^2, and later writes - S z, which is not this step.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from scripts import diagrams, make_figures

ORDER = 202
NOTE = "08-2, figure 2"
EQUATION = "z(t+1) = sh_theta[W_e^T y + S z(t)],  W_e = (2/L) W,  S = I - (2/L) W^T W,  theta = lam/L"
FUNCTION = "ebm_np.sparse.textbook.ista"
TEST = (
    "tests/sparse/test_textbook.py::"
    "test_each_iterate_of_ista_is_equation_1_applied_to_the_one_before_and_to_nothing_else"
)


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return no numbers: a diagram shows none."""
    return {"source": "none, a diagram"}


def draw(data: dict[str, Any]) -> Figure:
    """Draw y -> W_e -> (+) -> sh -> z, and z -> S -> (+) below it."""
    figure, axes = diagrams.sheet(7.6, 3.6, data["source"])
    high, low = 2.6, 1.1
    y = diagrams.variable(axes, (0.8, high), "$y$", observed=True)
    w = diagrams.box(axes, (2.3, high), r"$W_e^\mathrm{T}$")
    total = diagrams.plus(axes, (3.8, high))
    sh = diagrams.shrinkage(axes, (5.3, high))
    z = diagrams.variable(axes, (6.8, high), "$z$")
    s = diagrams.box(axes, (5.3, low), "$S$")
    for start, end in ((y.right, w.left), (w.right, total.left), (total.right, sh.left), (sh.right, z.left)):
        diagrams.route(axes, start, end)
    diagrams.route(axes, z.bottom, (z.bottom[0], low), s.right)
    diagrams.route(axes, s.left, (total.bottom[0], low), total.bottom)
    for at, text in (
        ((2.3, high + 0.6), r"$W_e = (2/L)\,W$"),
        ((5.3, high + 0.6), r"$\mathrm{sh}_\theta,\quad\theta = \lambda/L$"),
        ((5.3, low - 0.6), r"$S = I - (2/L)\,W^\mathrm{T} W$"),
        ((6.8, high + 0.6), "$z(t + 1)$"),
        ((6.25, low + 0.25), "$z(t)$"),
        ((4.4, low + 0.25), "$S\\,z(t)$"),
        ((3.1, high + 0.25), r"$W_e^\mathrm{T} y$"),
    ):
        diagrams.caption(axes, at, text, size=10)
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
