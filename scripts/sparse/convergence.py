"""ISTA, FISTA and their bounds.

How far the energy is above its minimum, worst of 50 signals, after each iteration. Both algorithms keep what their
theorems promise for every iterate (dashed, of the same colour), and do far better in the end: ISTA's 1/t, FISTA's 1/t^2
are worst cases. FISTA overshoots and ripples; set back to rest whenever its momentum points uphill, it converges
linearly. Coordinate descent, a sweep over all atoms counted as one iteration, needs fewest.
"""

from itertools import islice
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.sparse import sparse_coding, textbook
from scripts import make_figures, style

ORDER = 203
NOTE = "08-2, FISTA"
EQUATION = "E(z_t) - F <= L||z_0 - z*||^2 / 2t (ISTA), 2L||z_0 - z*||^2 / (t + 1)^2 (FISTA)"
FUNCTION = "ebm_np.sparse.textbook.fista"
TEST = "tests/sparse/test_textbook.py::test_the_energies_of_ista_and_fista_obey_their_bounds_at_every_iterate"
TOLERANCE = 1e-3
LAM = 0.1
METHODS = {
    "ISTA": style.BLUE,
    "FISTA": style.RED,
    "FISTA with restart": style.ORANGE,
    "coordinate descent": style.GREEN,
}


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the largest excess energy per iteration, and the two bounds for the same signals."""
    params = sparse_coding.init(rng, 64, 128)
    y = rng.normal(size=(50, 64))
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    best = sparse_coding.infer(params, y, LAM, "active_set", tol=1e-13)
    n, start = 300 if quick else 1_000, np.zeros_like(best.z)
    paths = {
        "ISTA": textbook.ista(params.W, y, LAM, start),
        "FISTA": textbook.fista(params.W, y, LAM, start),
        "FISTA with restart": textbook.fista(params.W, y, LAM, start, restart=True),
        "coordinate descent": textbook.coordinate_descent(params.W, y, LAM, start),
    }
    excess = {
        name: np.array([(sparse_coding.energy(params, y, z, LAM) - best.energy).max() for z in islice(path, n)])
        for name, path in paths.items()
    }
    t, size = np.arange(1, n + 1), textbook.lipschitz(params.W) * (best.z**2).sum(axis=1).max()
    return {
        **excess,
        "bound ISTA": size / (2 * t),
        "bound FISTA": 2 * size / (t + 1) ** 2,
        "source": "synthetic: 50 random unit signals, 128 random unit atoms of 64 numbers",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Plot excess against iteration, both logarithmic."""
    figure, axes = style.new(6.8, 4.4, data["source"])
    t = np.arange(1, len(data["ISTA"]) + 1)
    floor = 1e-12
    for name, colour in METHODS.items():
        below = np.flatnonzero(data[name] < floor)
        end = below[0] + 1 if below.size else len(t)
        axes.loglog(t[:end], np.maximum(data[name][:end], floor), color=colour, label=name)
    for name in ("ISTA", "FISTA"):
        axes.loglog(t, data[f"bound {name}"], "--", color=METHODS[name], label=f"bound of {name}", lw=1)
    axes.set(
        xlabel="iteration $t$", ylabel=r"$\max_n\ E(y_n, z_n(t)) - F(y_n)$", ylim=(floor, 30), xlim=(1, len(t)),
        title=rf"Energy above the minimum, $\lambda = {LAM}$",
    )  # fmt: skip
    axes.legend(loc="lower left")
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
