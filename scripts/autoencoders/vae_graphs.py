"""The variational auto-encoder, and where the noise enters.

Above: the encoder gives each sample a ball, with centre mu and variance v; the sampler draws a code from it, z = mu +
eps sqrt(v); the decoder makes y~ of it. Three costs: C compares y~ with y, U pulls the centre to 0, V the variance to
1. Nothing is searched for: z is noise, and F~ depends on y and eps alone. Below: an auto-encoder has no noise at all, a
denoising one has it in the input, before the encoder, a variational one in the code, behind it; all three must give y
itself (of the costs only C is drawn). With beta = 0 and v -> 0 the variational one is the auto-encoder, mu its h.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from scripts import diagrams, make_figures, style

ORDER = 310
NOTE = "08-2, figure 8; 08-3, figures 5 and 6"
EQUATION = "F~(y) = C(y, Dec(z)) + beta (U(mu) + V(v)),  z = mu + eps sqrt(v),  eps ~ N(0, I)"
FUNCTION = "ebm_np.autoencoders.variational.free_energy"
TEST = "tests/autoencoders/test_variational.py::test_the_free_energy_is_the_one_of_the_equations"
Y, BEFORE, Y_HAT, ENC, CODE, BEHIND, Z, DEC, Y_TILDE, COST = np.cumsum(
    [2.3, 1.5, 1.4, 1.55, 1.6, 1.6, 1.45, 1.6, 1.6, 1.5]
)
"""Columns of all four chains: what they have in common stands one below the other."""
TOP, ROWS, LANE = 8.15, {"AE": 4.4, "DAE": 2.55, "VAE": 0.7}, 0.9
NAMES = {"AE": "no noise", "DAE": "denoising", "VAE": "variational"}
HOT = "#fbe6da"


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return no numbers: a diagram shows none."""
    return {"source": "none, a diagram"}


def draw(data: dict[str, Any]) -> Figure:
    """Draw the variational auto-encoder with its costs, and below it the three to be compared."""
    figure, axes = diagrams.sheet(17.1, 10.6, data["source"], unit=0.68)
    _whole(axes)
    for column, text in ((BEFORE, "noise in the input"), (BEHIND, "noise in the code")):
        axes.add_patch(Rectangle((column - 0.76, 0.05), 1.6, 5.15, facecolor=HOT, edgecolor="none", zorder=0))
        diagrams.caption(axes, (column, 5.45), text, color=style.RED)
    for name, height in ROWS.items():
        _row(axes, name, height)
    return figure


def _whole(axes: Any) -> None:
    """Draw y -> Enc -> mu, v -> N -> z -> Dec -> y~, with eps, C, U and V."""
    y = diagrams.variable(axes, (Y, TOP), "$y$", observed=True)
    enc = diagrams.module(axes, (ENC - 1, TOP), r"$\mathrm{Enc}$")
    mu = diagrams.variable(axes, (CODE - 0.4, TOP + 0.62), r"$\mu$")
    v = diagrams.variable(axes, (CODE - 0.4, TOP - 0.62), "$v$")
    sampler = diagrams.module(axes, (BEHIND, TOP), r"$\mathcal{N}$")
    eps = diagrams.variable(axes, (BEHIND, TOP - 1.55), r"$\epsilon$")
    z = diagrams.variable(axes, (Z, TOP), "$z$")
    dec = diagrams.module(axes, (DEC, TOP), r"$\mathrm{Dec}$")
    y_tilde = diagrams.variable(axes, (Y_TILDE, TOP), r"$\tilde y$")
    c = diagrams.cost(axes, (COST, TOP), "$C$")
    u = diagrams.cost(axes, (mu.top[0], TOP + 1.75), r"$\beta U$")
    w = diagrams.cost(axes, (v.top[0], TOP - 1.75), r"$\beta V$")
    for start, end in (
        (y.right, enc.left), (enc.right, mu.left), (enc.right, v.left), (mu.right, sampler.left),
        (v.right, sampler.left), (eps.top, sampler.bottom), (sampler.right, z.left), (z.right, dec.left),
        (dec.right, y_tilde.left), (y_tilde.right, c.left), (mu.top, u.bottom), (v.bottom, w.top),
    ):  # fmt: skip
        diagrams.route(axes, start, end)
    over = TOP + 2.3
    diagrams.route(axes, y.top, (y.top[0], over), (c.top[0], over), c.top)
    for at, text in (
        (Y, "observed"), (ENC - 1, "encoder"), (Z, "code"), (DEC, "decoder"), (Y_TILDE, "decoded"), (COST, "cost"),
    ):  # fmt: skip
        diagrams.caption(axes, (at, TOP - 0.62), text)
    diagrams.caption(axes, (BEHIND, TOP + 0.62), "sampler", color=style.RED)
    diagrams.caption(axes, (BEHIND + 0.5, TOP - 1.55), r"noise, $N(0, I)$", color=style.RED, align="left")
    aside = CODE - 0.9
    for height, text in ((1.0, "centre"), (-1.0, "variance"), (1.75, "pulls $\\mu$ to 0"), (-1.75, "pulls $v$ to 1")):
        diagrams.caption(axes, (aside, TOP + height), text, align="right")
    energies = (r"$\tilde F(y) = C(y, \tilde y) + \beta\,[U(\mu) + V(v)]$", r"$z = \mu + \epsilon\sqrt{v}$")
    diagrams.caption(axes, (0.25, TOP - 1.3), "Variational auto-encoder", size=12, align="left")
    for line, text in enumerate(energies):
        diagrams.caption(axes, (0.25, TOP - 1.8 - 0.5 * line), text, size=11, align="left")


def _row(axes: Any, name: str, height: float) -> None:
    """Draw one of the three chains that are compared."""
    y = diagrams.variable(axes, (Y, height), "$y$", observed=True)
    signs = [y]
    if name == "DAE":
        signs += [diagrams.module(axes, (BEFORE, height), "$q$"), diagrams.variable(axes, (Y_HAT, height), r"$\hat y$")]
    signs.append(diagrams.module(axes, (ENC, height), r"$\mathrm{Enc}$"))
    signs.append(diagrams.variable(axes, (CODE, height), r"$\mu, v$" if name == "VAE" else "$h$"))
    if name == "VAE":
        signs += [
            diagrams.module(axes, (BEHIND, height), r"$\mathcal{N}$"),
            diagrams.variable(axes, (Z, height), "$z$"),
        ]
    signs.append(diagrams.module(axes, (DEC, height), r"$\mathrm{Dec}$"))
    signs.append(diagrams.variable(axes, (Y_TILDE, height), r"$\tilde y$"))
    c = diagrams.cost(axes, (COST, height), "$C$")
    for left, right in zip(signs, [*signs[1:], c], strict=True):
        diagrams.route(axes, left.right, right.left)
    over = height + LANE - 0.15
    diagrams.route(axes, y.top, (y.top[0], over), (c.top[0], over), c.top)
    diagrams.caption(axes, (0.25, height + 0.18), name, size=12, align="left")
    diagrams.caption(axes, (0.25, height - 0.25), NAMES[name], align="left")


if __name__ == "__main__":
    make_figures.run_alone(__file__)
