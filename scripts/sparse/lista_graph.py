"""LISTA: ISTA unrolled, its matrices learned.

The recurrent graph of ISTA, cut off after three rounds from z(0) = 0 and laid out in time: an ordinary network, whose
layers share W_e, S and theta. The gradient of a loss l on the last code runs back through it (dashed): shrinkage lets
it pass only where the code is not zero, which gives delta(t), and S^T carries that to the round before. Each weight
adds up what it receives in all rounds. The note writes - S z; the untrained network is ISTA only with + S z.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from scripts import diagrams, make_figures, style

ORDER = 210
NOTE = "08-2, figure 4"
EQUATION = "z(t+1) = sh_theta[W_e^T y + S z(t)],  z(0) = 0;  delta(t) = 1[z(t) != 0] * (S^T delta(t+1))"
FUNCTION = "ebm_np.sparse.lista.forward"
TEST = "tests/sparse/test_lista.py::test_the_untrained_network_is_ista_iterate_by_iterate"
COLUMNS = 2.7, 6.8, 10.9
"""Where the input of each round's shrinkage is summed."""


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return no numbers: a diagram shows none."""
    return {"source": "none, a diagram"}


def draw(data: dict[str, Any]) -> Figure:
    """Draw y -> W_e, and sh -> z(1) -> S -> (+) -> sh -> z(2) -> S -> (+) -> sh -> z(3), the gradient below."""
    figure, axes = diagrams.sheet(13.6, 4.1, data["source"], unit=0.72)
    bus, row, first = 3.5, 2.4, COLUMNS[0]
    y = diagrams.variable(axes, (0.7, row), "$y$", observed=True)
    w = diagrams.box(axes, (1.85, row), r"$W_e^\mathrm{T}$")
    diagrams.route(axes, y.right, w.left)
    before = w
    for t, at in enumerate(COLUMNS, start=1):
        if t > 1:
            s, total = diagrams.box(axes, (at - 0.95, row), "$S$"), diagrams.plus(axes, (at, row))
            diagrams.route(axes, before.right, s.left)
            diagrams.route(axes, s.right, total.left)
            diagrams.route(axes, (first, row), (first, bus), (at, bus), total.top)
            before = total
        sh, z = diagrams.shrinkage(axes, (at + 0.95, row)), diagrams.variable(axes, (at + 2.05, row), f"$z({t})$")
        diagrams.route(axes, before.right, sh.left)
        diagrams.route(axes, sh.right, z.left)
        diagrams.caption(axes, (at + 0.95, row + 0.6), r"$\mathrm{sh}_\theta$", size=10)
        before = z
    diagrams.branch(axes, (first, row))
    diagrams.branch(axes, (COLUMNS[1], bus))
    diagrams.caption(axes, (first + 0.1, bus + 0.25), r"$W_e^\mathrm{T} y$, the same in every round", align="left")
    _gradient(axes, row - 1.0)
    return figure


def _gradient(axes: Any, row: float) -> None:
    """Write each gradient below what it belongs to, and how it becomes the next one, to the left."""
    for t, at in enumerate(COLUMNS, start=1):
        for where, text in (
            ((at + 2.05, row), rf"$\partial\ell/\partial z({t})$"),
            ((at + 0.9, row - 0.3), rf"$1[z({t})\neq 0]$"),
            ((at, row), rf"$\delta({t})$"),
        ):
            diagrams.caption(axes, where, text, color=style.BLUE, size=10)
        diagrams.route(axes, (at + 1.55, row), (at + 0.28, row), color=style.BLUE, dashed=True)
        if t > 1:
            diagrams.route(axes, (at - 0.28, row), (at - 1.55, row), color=style.BLUE, dashed=True)
            diagrams.caption(axes, (at - 0.9, row - 0.3), r"$S^\mathrm{T}$", color=style.BLUE, size=10)
    sums = (
        r"$\partial\ell/\partial W_e = y\,\sum_t\,\delta(t)^\mathrm{T}$",
        r"$\partial\ell/\partial S = \sum_t\,\delta(t+1)\,z(t)^\mathrm{T}$",
        r"$\partial\ell/\partial\theta = -\sum_t\,\delta(t)\,\mathrm{sign}\,z(t)$",
    )
    for at, text in zip(COLUMNS, sums, strict=True):
        diagrams.caption(axes, (at - 0.28, row - 0.9), text, color=style.BLUE, size=10, align="left")


if __name__ == "__main__":
    make_figures.run_alone(__file__)
