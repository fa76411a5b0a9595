"""Target propagation.

The code z starts at the encoder's guess z~ and moves until the three red squares together are small: z-check, a code
that decodes better and is not far from the guess. Then it is held, and each network learns from the one square next to
it (dashed): the decoder, from C, to make y of z-check; the encoder, from D, to guess z-check. No gradient of C reaches
the encoder. The note's alpha is 1.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from scripts import diagrams, make_figures, style

ORDER = 305
NOTE = "08-3, figure 1"
EQUATION = "E(y, z) = C(y, Dec(z)) + R(z) + alpha D(z, Enc(y));  z-check = argmin_z E(y, z)"
FUNCTION = "ebm_np.autoencoders.target_propagation.energy_grad_params"
TEST = (
    "tests/autoencoders/test_target_propagation.py::"
    "test_the_encoder_sees_only_the_distance_and_the_decoder_only_the_cost"
)
LEFT, CENTRE, RIGHT, OUT = 1.6, 4.0, 6.4, 8.2
LOW, MIDDLE, HIGH = 1.1, 2.75, 4.4


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return no numbers: a diagram shows none."""
    return {"source": "none, a diagram"}


def draw(data: dict[str, Any]) -> Figure:
    """Draw y -> Enc -> z~ below, z -> Dec -> y~ above, the costs between them, and the two updates dashed."""
    figure, axes = diagrams.sheet(10.6, 5.5, data["source"])
    y = diagrams.variable(axes, (LEFT, LOW), "$y$", observed=True)
    enc = diagrams.module(axes, (CENTRE - 0.04, LOW), r"$\mathrm{Enc}$")
    z_tilde = diagrams.variable(axes, (RIGHT, LOW), r"$\tilde z$")
    c = diagrams.cost(axes, (LEFT, MIDDLE), "$C$")
    d = diagrams.cost(axes, (RIGHT, MIDDLE), r"$\alpha D$")
    y_tilde = diagrams.variable(axes, (LEFT, HIGH), r"$\tilde y$")
    dec = diagrams.module(axes, (CENTRE + 0.04, HIGH), r"$\mathrm{Dec}$", leftward=True)
    z = diagrams.variable(axes, (RIGHT, HIGH), "$z$")
    r = diagrams.cost(axes, (OUT, HIGH), "$R$")
    for start, end in (
        (y.right, enc.left), (enc.right, z_tilde.left), (z.left, dec.right), (dec.left, y_tilde.right),
        (y.top, c.bottom), (y_tilde.bottom, c.top), (z_tilde.top, d.bottom), (z.bottom, d.top), (z.right, r.left),
    ):  # fmt: skip
        diagrams.route(axes, start, end)
    for at, text in ((LEFT, "observed"), (CENTRE, "encoder"), (RIGHT, "guess")):
        diagrams.caption(axes, (at, LOW - 0.62), text)
    for at, text in ((LEFT, "decoded"), (CENTRE, "decoder"), (RIGHT, "code"), (OUT, "regulariser")):
        diagrams.caption(axes, (at, HIGH + 0.62), text)
    diagrams.caption(axes, (LEFT - 0.5, MIDDLE), "cost", align="right")
    diagrams.caption(axes, (RIGHT + 0.5, MIDDLE), "distance", align="left")
    _updates(axes, dec.bottom[1], enc.top[1], c.right, d.left)
    return figure


def _updates(axes: Any, decoder: float, encoder: float, cost: Any, distance: Any) -> None:
    """Draw the two updates, what each network learns from, and the three steps of a training."""
    left, right = CENTRE - 0.25, CENTRE + 0.25
    diagrams.route(axes, cost, (left, MIDDLE), (left, decoder), color=style.RED, dashed=True)
    diagrams.route(axes, distance, (right, MIDDLE), (right, encoder), color=style.BLUE, dashed=True)
    of_decoder, of_encoder = (
        r"$\partial C / \partial\theta_\mathrm{Dec}$",
        r"$\alpha\,\partial D / \partial\theta_\mathrm{Enc}$",
    )
    diagrams.caption(axes, (left - 0.15, MIDDLE + 0.55), of_decoder, color=style.RED, size=11, align="right")
    diagrams.caption(axes, (right + 0.15, MIDDLE - 0.55), of_encoder, color=style.BLUE, size=11, align="left")
    steps = (
        r"1.  $z = \tilde z = \mathrm{Enc}(y)$",
        r"2.  $ž = \mathrm{argmin}_z\; C + R + \alpha D$",
        "3.  hold $z = ž$, update both",
    )
    for line, text in enumerate(steps):
        diagrams.caption(axes, (OUT - 0.75, MIDDLE - 0.75 - 0.5 * line), text, size=10, align="left")


if __name__ == "__main__":
    make_figures.run_alone(__file__)
