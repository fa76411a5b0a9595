"""A latent variable tells the decoder what the input cannot.

The predictor turns the input x into h, and the decoder makes of h and the latent z a candidate for y. The two red
squares add up to the energy, which inference makes as small as it can by its choice of z. With C alone a rich z could
decode any y, and the free energy would be 0 everywhere and tell nothing: lambda R(z) is the price z pays for what it
tells.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from scripts import diagrams, make_figures

ORDER = 199
NOTE = "08-2, figure 1"
EQUATION = "E(x, y, z) = C(y, Dec(Pred(x), z)) + lam R(z)"
FUNCTION = "ebm_np.sparse.regularized.energy"
TEST = "tests/sparse/test_regularized.py::test_energy_is_the_one_of_the_note"


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return no numbers: a diagram shows none."""
    return {"source": "none, a diagram"}


def draw(data: dict[str, Any]) -> Figure:
    """Draw x -> Pred -> h -> Dec -> y~ -> C <- y, and above it z -> Dec with R on z."""
    figure, axes = diagrams.sheet(10.3, 3.3, data["source"])
    low, high = 1.1, 2.6
    x = diagrams.variable(axes, (0.7, low), "$x$", observed=True)
    pred = diagrams.module(axes, (2.2, low), r"$\mathrm{Pred}$")
    h = diagrams.variable(axes, (3.78, low), "$h$")
    dec = diagrams.module(axes, (5.28, low), r"$\mathrm{Dec}$")
    y_tilde = diagrams.variable(axes, (6.86, low), r"$\tilde y$")
    c = diagrams.cost(axes, (8.22, low), "$C$")
    y = diagrams.variable(axes, (9.58, low), "$y$", observed=True)
    z = diagrams.variable(axes, (5.28, high), "$z$")
    r = diagrams.cost(axes, (6.86, high), r"$\lambda R$")
    for start, end in (
        (x.right, pred.left), (pred.right, h.left), (h.right, dec.left), (dec.right, y_tilde.left),
        (y_tilde.right, c.left), (y.left, c.right), (z.bottom, dec.top), (z.right, r.left),
    ):  # fmt: skip
        diagrams.route(axes, start, end)
    words = ("input", "predictor", "code", "decoder", "decoded", "cost", "observed")
    for (at, _), text in zip((sign.bottom for sign in (x, pred, h, dec, y_tilde, c, y)), words, strict=True):
        diagrams.caption(axes, (at, low - 0.6), text)
    diagrams.caption(axes, (4.75, high), "latent", align="right")
    diagrams.caption(axes, (7.4, high), "regulariser", align="left")
    diagrams.caption(axes, (0.34, high), r"$E(x, y, z) = C(y, \tilde y) + \lambda\,R(z)$", size=11, align="left")
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
