"""The auto-encoder, and the denoising one.

Nothing is searched for: the code h is computed from y, the decoder makes y~ of it, and the energy is what the
reconstruction costs, and perhaps the code. Below, what the encoder sees is y spoiled, while the cost still asks for y
itself: copying the input no longer helps. Cold means of low energy, hot of high. (The note says that y~ is encoded
again; it is y^ that goes in.)
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from scripts import diagrams, make_figures, style

ORDER = 300
NOTE = "08-3, figures 2 and 3"
EQUATION = "E(y, y^) = C(y, Dec(Enc(y^))) + lam R(Enc(y^));  F(y) = E(y, y);  denoising: y^ ~ q(y^ | y)"
FUNCTION = "ebm_np.autoencoders.autoencoder.energy"
TEST = "tests/autoencoders/test_autoencoder.py::test_energy_is_the_one_of_the_note"
HIGH, LOW, UP, LANE = 4.55, 1.05, 1.1, 1.85
"""Heights of the two chains; how far above them stand the costs, and the way of y to its cost."""


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return no numbers: a diagram shows none."""
    return {"source": "none, a diagram"}


def draw(data: dict[str, Any]) -> Figure:
    """Draw y -> Enc -> h -> Dec -> y~ with its costs, and below it the same with y^ for an input."""
    figure, axes = diagrams.sheet(11.9, 6.75, data["source"], unit=0.74)
    y = _variable(axes, (4.2, HIGH), "$y$", "observed, cold", style.BLUE)
    h = _chain(axes, y, y, HIGH)
    r = diagrams.cost(axes, (h.top[0], HIGH + UP), r"$\lambda R$")
    diagrams.route(axes, h.top, r.bottom)
    diagrams.caption(axes, (h.top[0] + 0.5, HIGH + UP), "regulariser", align="left")

    y = _variable(axes, (0.8, LOW), "$y$", "observed, cold", style.BLUE)
    q = diagrams.module(axes, (2.46, LOW), "$q$")
    y_hat = _variable(axes, (4.2, LOW), r"$\hat y$", "spoiled, hot", style.RED)
    diagrams.caption(axes, (2.46, LOW - 0.62), "corruption")
    diagrams.route(axes, y.right, q.left)
    diagrams.route(axes, q.right, y_hat.left)
    _chain(axes, y, y_hat, LOW)

    for at, name, energy in (
        ((0.4, HIGH), "Auto-encoder", r"$F(y) = C(y, \tilde y) + \lambda R(h)$"),
        ((1.25, LOW + UP), "Denoising auto-encoder", r"$E(y, \hat y) = C(y, \tilde y)$"),
    ):
        diagrams.caption(axes, (at[0], at[1] + 0.25), name, size=12, align="left")
        diagrams.caption(axes, (at[0], at[1] - 0.25), energy, size=11, align="left")
    return figure


def _chain(axes: Any, y: diagrams.Ports, seen: diagrams.Ports, height: float) -> diagrams.Ports:
    """Draw seen -> Enc -> h -> Dec -> y~ and the cost of y~ against y; return the ports of h."""
    enc = diagrams.module(axes, (5.86, height), r"$\mathrm{Enc}$")
    h = diagrams.variable(axes, (7.6, height), "$h$")
    dec = diagrams.module(axes, (9.26, height), r"$\mathrm{Dec}$")
    y_tilde = diagrams.variable(axes, (11.0, height), r"$\tilde y$")
    c = diagrams.cost(axes, (11.0, height + UP), "$C$")
    for start, end in (
        (seen.right, enc.left), (enc.right, h.left), (h.right, dec.left), (dec.right, y_tilde.left),
        (y_tilde.top, c.bottom),
    ):  # fmt: skip
        diagrams.route(axes, start, end)
    diagrams.route(axes, y.top, (y.top[0], height + LANE), (c.top[0], height + LANE), c.top)
    for at, text in ((5.86, "encoder"), (7.6, "code"), (9.26, "decoder"), (11.0, "decoded")):
        diagrams.caption(axes, (at, height - 0.62), text)
    return h


def _variable(axes: Any, at: diagrams.Point, label: str, text: str, color: str) -> diagrams.Ports:
    diagrams.caption(axes, (at[0], at[1] - 0.62), text, color=color)
    return diagrams.variable(axes, at, label, observed=label == "$y$")


if __name__ == "__main__":
    make_figures.run_alone(__file__)
