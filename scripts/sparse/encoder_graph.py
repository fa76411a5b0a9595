"""An encoder that guesses the code.

Below, the encoder guesses a code from y at once; above, the decoder says which y a code stands for. The code z itself
is free: inference chooses it so that the three red squares together are small, hence it decodes nearly to y, lies near
the guess, and is sparse. An encoder trained on codes found so learns to guess them, and in the end the guess alone will
do.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from scripts import diagrams, make_figures

ORDER = 216
NOTE = "08-2, figure 3"
EQUATION = "E(y, z) = C(y, Dec(z)) + D(z, Enc(y)) + lam R(z)"
FUNCTION = "ebm_np.sparse.predictive.energy"
TEST = "tests/sparse/test_predictive.py::test_energy_is_the_sum_of_its_three_terms"


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return no numbers: a diagram shows none."""
    return {"source": "none, a diagram"}


def draw(data: dict[str, Any]) -> Figure:
    """Draw y -> Enc -> z~ below, z -> Dec -> y~ above, the costs C and D between them and R on z."""
    figure, axes = diagrams.sheet(7.1, 4.5, data["source"])
    low, middle, high = 1.0, 2.25, 3.5
    y = diagrams.variable(axes, (1.4, low), "$y$", observed=True)
    enc = diagrams.module(axes, (3.0, low), r"$\mathrm{Enc}$")
    z_tilde = diagrams.variable(axes, (4.68, low), r"$\tilde z$")
    c = diagrams.cost(axes, (1.4, middle), "$C$")
    d = diagrams.cost(axes, (4.68, middle), "$D$")
    y_tilde = diagrams.variable(axes, (1.4, high), r"$\tilde y$")
    dec = diagrams.module(axes, (3.08, high), r"$\mathrm{Dec}$", leftward=True)
    z = diagrams.variable(axes, (4.68, high), "$z$")
    r = diagrams.cost(axes, (6.2, high), r"$\lambda R$")
    for start, end in (
        (y.right, enc.left), (enc.right, z_tilde.left), (z.left, dec.right), (dec.left, y_tilde.right),
        (y.top, c.bottom), (y_tilde.bottom, c.top), (z_tilde.top, d.bottom), (z.bottom, d.top), (z.right, r.left),
    ):  # fmt: skip
        diagrams.route(axes, start, end)
    for at, text in ((1.4, "observed"), (3.04, "encoder"), (4.68, "guess")):
        diagrams.caption(axes, (at, low - 0.6), text)
    for at, text in ((1.4, "decoded"), (3.04, "decoder"), (4.68, "code"), (6.2, "regulariser")):
        diagrams.caption(axes, (at, high + 0.6), text)
    diagrams.caption(axes, (0.88, middle), "cost", align="right")
    diagrams.caption(axes, (5.2, middle), "distance", align="left")
    diagrams.caption(axes, (3.04, middle), r"$E = C + D + \lambda R$", size=11)
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
