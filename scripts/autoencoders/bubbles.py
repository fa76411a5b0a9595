"""Bubbles push each other apart, and are pulled back.

Each of twelve letters is a bubble of the plane: centre mu, radii sqrt v. Where bubbles lie on each other, a code in
both may have come from either letter, and what is decoded is wrong for one of them: C pushes them apart, -dC/dmu (exact
means over eps, by quadrature). KL pulls each back to 0, -beta mu, here beta = 1. After 25 steps the push is longer,
1.08 against 0.89 in the mean, and the sum, 0.41, spreads the bubbles. At the end the two cancel: 1.15 against 1.17, and
0.06 is left. Bubbles still overlap where little is lost: E and F differ in four pixels, C and G, D and B too; the
median of all pairs is eleven. (Error: mean squared, in units of the variance of the data; KL in nats.) Right: another
way not to overlap is to be small. V makes that costly; the trained variances lie where V and C balance, all below 1.
"""

from typing import Any

import numpy as np
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure

from ebm_np.autoencoders import variational
from ebm_np.autoencoders.variational import Model, Params
from ebm_np.data.letters import letters
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.costs import gaussian_kl, squared_error
from scripts import make_figures, style

ORDER = 312
NOTE = "08-3, figure 8"
EQUATION = "-dF~/dmu = -dC/dmu - beta mu,  V(v) = v - log v - 1"
FUNCTION = "ebm_np.autoencoders.variational.free_energy_grad_params"
TEST = "tests/autoencoders/test_variational.py::test_the_gradients_are_the_complex_step_at_the_same_noise"
TOLERANCE = 1e-3
TEXT, S, WIDTHS = "ABCDEFGHIJKL", 3.0, (35, 32, 2)
"""Samples; variance of the observation; of the encoder's layers."""
MODEL = Model("tanh", "gaussian", beta=1.0)
COPIES, STAGES = 16, ((0.4, 5e-3), (0.2, 1e-3), (0.2, 2e-4), (0.2, 4e-5))
"""Noise drawn for each sample at each step; of training: share of the steps and rate."""
EARLY = 25
"""Steps after which we look for the first time."""
LENGTH, REACH = 0.5, 3.1
"""Of an arrow for a force of 1; half of the box that is shown."""
NODES = 40
"""Of Gauss-Hermite quadrature, for each of the two numbers of eps: the means over the noise are exact."""


def well(v: Array) -> Array:
    """Return V(v) = v - log v - 1, twice what one number of the code adds to KL by its variance."""
    return 2 * gaussian_kl(np.zeros((*v.shape, 1)), np.log(v)[..., None])


def push(params: Params, y: Array) -> tuple[Array, float]:
    """Return the mean over eps of -dC/dmu, (N, 2); and that of ||y - Dec(z)||^2 in units of the data's variance."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    eps = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
    shares = np.outer(weights, weights).ravel() / weights.sum() ** 2
    forces, errors = [], []
    for row in y:
        copies = np.tile(row, (len(eps), 1))
        # without KL, and with nothing but constants before it: the gradient of Enc's last offsets is dC/d(mu, a)
        grad = variational.free_energy_grad_params(params, copies, eps, MODEL._replace(beta=0.0), shares)
        forces.append(-grad.encoder[-1].b[:2])
        z = variational.sample(*variational.encode(params, copies, MODEL), eps)
        errors.append(shares @ squared_error(copies, variational.decode(params, z, MODEL)))
    return np.array(forces), float(np.mean(errors) / y.var(axis=0).sum())


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return bubbles and forces early in training and at its end, and V."""
    y, n_steps = letters(TEXT), 1000 if quick else 8000
    copies = np.repeat(y, COPIES, axis=0)
    params = variational.init(rng, WIDTHS, "tanh", s=S)
    seen: list[Params] = []

    def watch(step: int, params: Params) -> None:
        if step == EARLY and not seen:
            seen.append(params)

    for share, rate in STAGES:
        options: dict[str, Any] = {"n_epochs": int(share * n_steps), "batch_size": None, "rate": rate, "watch": watch}
        params = variational.fit(params, copies, rng, MODEL, **options).params
    balls = [variational.encode(at, y, MODEL) for at in (*seen, params)]
    pushes, errors = zip(*(push(at, y) for at in (*seen, params)), strict=True)
    v = np.geomspace(0.005, 5, 200)
    return {
        "mu": np.array([mu for mu, _ in balls]),
        "v": np.array([v for _, v in balls]),
        "push": np.array(pushes),
        "error": np.array(errors),
        "KL": np.array([gaussian_kl(mu, np.log(v)) for mu, v in balls]),
        "V": np.stack([v, well(v)]),
        "source": f"the letters {TEXT[0]} to {TEXT[-1]}, 5 x 7 pixels",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw the bubbles with the forces at their centres, early and at the end, and V."""
    figure, panels = style.new(13, 4.7, data["source"], ncols=3)
    layout: Any = figure.get_layout_engine()
    layout.set(w_pad=0.1)
    for i, (axes, title) in enumerate(zip(panels, (f"after {EARLY} steps of training", "at its end"), strict=False)):
        _bubbles(axes, title, data, i)
    _well(panels[2], data["V"], data["v"][1].ravel())
    return figure


def _bubbles(axes: Any, title: str, data: dict[str, Any], i: int) -> None:
    """Draw the balls of all letters at one time of training, and the forces at their centres."""
    mu, v, push = (data[key][i] for key in ("mu", "v", "push"))
    width, height = 2 * np.sqrt(v).T
    sizes: dict[str, Any] = {"widths": width, "heights": height, "angles": 0, "units": "xy"}
    where: dict[str, Any] = {"offsets": mu, "offset_transform": axes.transData}
    axes.add_collection(EllipseCollection(**sizes, facecolors=style.SKY, alpha=0.25, linewidths=0, **where))
    axes.add_collection(EllipseCollection(**sizes, facecolors="none", edgecolors=style.SKY, **where))
    pull = -MODEL.beta * mu
    for force, color, label, z in (
        (push, style.RED, r"$-\partial C / \partial\mu$, pushes apart", 3),
        (pull, style.BLUE, r"$-\beta\mu$, pulls to 0", 3),
        (push + pull, style.BLACK, "their sum", 4),
    ):
        look: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1 / LENGTH, "width": 0.0065}
        axes.quiver(*mu.T, *force.T, color=color, zorder=z, **look)
        mean = np.linalg.norm(force, axis=1).mean()
        axes.plot([], [], color=color, linewidth=2, label=f"{label}: {mean:.2f}")
    aside = push[:, ::-1] * (-1, 1) / np.linalg.norm(push, axis=1, keepdims=True)
    for at, letter in zip(mu + 0.17 * aside, TEXT, strict=True):
        axes.text(*at, letter, ha="center", va="center", fontsize=9, fontweight="bold", zorder=5)
    axes.plot(0, 0, "+", color=style.GREY, zorder=2)
    axes.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal", xlabel=r"$\mu_1$", ylabel=r"$\mu_2$")
    numbers = f"radius {np.sqrt(v).mean():.2f}, error {data['error'][i]:.0%}, KL {data['KL'][i].mean():.1f}"
    axes.set_title(f"{title}: {numbers}", loc="left")
    axes.legend(loc="lower left", title="mean length of a force", alignment="left", borderaxespad=0)


def _well(axes: Any, V: Array, trained: Array) -> None:
    """Draw V(v), and where the trained variances are on it."""
    axes.semilogx(*V, color=style.BLACK, zorder=1)
    for v, text, offset in ((1.0, "0 at $v = 1$", (-22, 22)), (0.01, "3.615 at $v = 0.01$", (8, 3))):
        at = (v, well(np.array(v)))
        axes.plot(*at, "o", color="white", markeredgecolor=style.BLACK, zorder=3)
        axes.annotate(text, at, textcoords="offset points", xytext=offset)
    counted = f"{trained.size} trained variances, {trained.min():.2g} to {trained.max():.2g}"
    axes.plot(trained, well(trained), "o", markersize=4, color=style.SKY, markeredgecolor=style.BLUE, label=counted)
    axes.set_xticks([0.01, 0.1, 1], ["0.01", "0.1", "1"])
    axes.set_title("$V$ asks for $v = 1$, $C$ for $v = 0$", loc="left")
    axes.legend(loc="upper right")
    axes.set_box_aspect(1)
    axes.set(xlabel="$v$", ylabel=r"$V(v) = v - \log v - 1$", ylim=(-0.2, 4.6), xlim=(0.005, 6))


if __name__ == "__main__":
    make_figures.run_alone(__file__)
