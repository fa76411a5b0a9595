"""A spiral unrolled: from input space to latent space, and back.

Points scattered about a spiral in space, a code of one number. Enc lays the spiral out straight: mu has the order of
the arc length (rank correlation 0.9997; which end is which is chance). And since KL wants the codes to be N(0, 1), mu
is the normal number of the same rank, to 0.04 in the mean: the middle of the spiral is drawn out, its ends crowd. Balls
are small, sqrt v = 0.017. Back: Dec makes a curve of the line, and with the learned variance s of the observation (its
root, 0.051, is the noise, 0.05) samples from N(0, 1) lie about the spiral as the data do. Order cannot be counted on:
with turns nearer to each other, two thirds of the height, three runs of four cut the spiral to pieces and laid them out
in another order (0.75 to 0.90).
"""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from scipy.special import ndtri

from ebm_np.autoencoders import variational
from ebm_np.autoencoders.variational import Model
from ebm_np.foundations.arrays import Array
from scripts import make_figures, style

ORDER = 314
NOTE = "08-3, figure 7"
EQUATION = "q(z | y) = N(mu, v), (mu, v) = Enc(y);  p(y | z) = N(Dec(z), s I), z ~ N(0, 1)"
FUNCTION = "ebm_np.autoencoders.variational.fit"
TEST = (
    "tests/autoencoders/test_variational.py::test_the_stronger_the_springs_the_nearer_the_codes_to_the_standard_normal"
)
TOLERANCE = 1e-2
WIDTHS, NOISE = (3, 64, 64, 1), 0.05
MODEL = Model("tanh", "gaussian", learn_s=True)
STAGES = ((0.6, 3e-3), (0.25, 1e-3), (0.15, 2e-4))
"""Of training: share of the epochs and rate."""
RANGE = 2.5
"""Of the codes that are decoded, and the end of their colours."""


def spiral(t: Array) -> Array:
    """Return points of a widening spiral of two turns, t from 0 to 1: (N,) -> (N, 3)."""
    angle, radius = 4 * np.pi * t, 0.3 + 0.9 * t
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), 3 * t - 1.5], axis=-1)


def arc_length(t: Array) -> Array:
    """Return how far along the spiral its points are: (N,) -> (N,)."""
    fine = np.linspace(0, 1, 4001)
    steps = np.linalg.norm(np.diff(spiral(fine), axis=0), axis=1)
    return np.interp(t, fine, np.concatenate([[0], np.cumsum(steps)]))


def ranks(values: Array) -> Array:
    """Return how many of the values are smaller than each."""
    return np.argsort(np.argsort(values))


def quantile(values: Array) -> Array:
    """Return the standard normal numbers of the same ranks."""
    return np.asarray(ndtri((ranks(values) + 0.5) / len(values)))


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the data with their codes, the curve that is decoded, and new samples."""
    n, n_epochs = (400, 120) if quick else (1000, 600)
    t = rng.random(n)
    y = spiral(t) + rng.normal(0, NOISE, (n, 3))
    params = variational.init(rng, WIDTHS, "tanh", s=1.0)
    for share, rate in STAGES:
        options: dict[str, Any] = {"n_epochs": int(share * n_epochs), "batch_size": 100, "rate": rate}
        params = variational.fit(params, y, rng, MODEL, **options).params
    mu, v = variational.encode(params, y, MODEL)
    length, s = arc_length(t), np.exp(params.log_s[0])
    upward = np.sign(np.corrcoef(mu[:, 0], length)[0, 1])
    z = rng.standard_normal((n, 1))
    line = np.linspace(-RANGE, RANGE, 1500)
    return {
        "y": y,
        "arc length": length,
        "mu": mu[:, 0],
        "radius": np.sqrt(v[:, 0]),
        "rank correlation": np.corrcoef(ranks(mu[:, 0]), ranks(length))[0, 1],
        "unrolled": upward * quantile(length),
        "z": z[:, 0],
        "new": variational.decode(params, z, MODEL) + np.sqrt(s) * rng.standard_normal((n, 3)),
        "line": line,
        "decoded": variational.decode(params, line[:, None], MODEL),
        "root s": np.sqrt(s),
        "source": f"{n:,} points of a spiral in space, noise {NOISE}",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw the data in space, their codes on a line, and what is decoded from the line."""
    figure, panels = style.new(13.4, 4.5, data["source"], ncols=4, width_ratios=(1.15, 1, 0.36, 1.15))
    layout: Any = figure.get_layout_engine()
    layout.set(w_pad=0.07, wspace=0.02)
    look: dict[str, Any] = {"cmap": "viridis", "vmin": -RANGE, "vmax": RANGE}
    spaces = [_space(figure, axes) for axes in panels[[0, 3]]]
    spaces[0].scatter(*data["y"].T, c=data["mu"], s=5, depthshade=False, **look)
    spaces[0].set_title(r"input space: $y$, coloured by $\mu$", loc="left")

    axes, side = panels[1:3]
    length, order = data["arc length"], np.argsort(data["arc length"])
    axes.errorbar(length, data["mu"], data["radius"], fmt="none", ecolor=style.GREY, elinewidth=0.6, zorder=1)
    axes.scatter(length, data["mu"], c=data["mu"], s=6, zorder=2, **look)
    axes.plot(
        length[order], data["unrolled"][order], color=style.BLACK, linewidth=1, label="normal number of equal rank"
    )
    axes.plot(
        [], [], "o", color=mpl.colormaps["viridis"](0.5), markersize=3, label=r"$\mu$ of a sample, bar $\pm\sqrt{v}$"
    )
    axes.set(xlabel="$y$'s way along the spiral (arc length)", ylabel=r"$\mu$")
    axes.set_title(rf"$\mathrm{{Enc}}$: rank correlation {data['rank correlation']:.4f}", loc="left")
    axes.legend(loc="upper left")
    line = np.linspace(-3.5, 3.5, 100)
    side.hist(data["mu"], bins=np.linspace(-3.5, 3.5, 29), orientation="horizontal", density=True, color=style.SKY)
    side.plot(np.exp(-(line**2) / 2) / np.sqrt(2 * np.pi), line, color=style.BLACK)
    side.set_title(r"latent space", loc="left")
    side.set(xlabel=r"density; $N(0, 1)$", xticks=[0, 0.4])
    for each in (axes, side):
        each.set(ylim=(-3.5, 3.5))

    spaces[1].scatter(*data["new"].T, c=data["z"], s=4, alpha=0.4, linewidths=0, depthshade=False, **look)
    spaces[1].scatter(*data["decoded"].T, c=data["line"], s=7, linewidths=0, depthshade=False, **look)
    spaces[1].set_title(
        rf"$\mathrm{{Dec}}$: $z$ from $-{RANGE}$ to {RANGE}; samples, $\sqrt{{s}}$ = {data['root s']:.3f}", loc="left"
    )
    return figure


def _space(figure: Figure, axes: Any) -> Any:
    """Return axes in space, in the place of others."""
    place = axes.get_subplotspec()
    axes.remove()
    space: Any = figure.add_subplot(place, projection="3d")
    space.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), zlim=(-1.5, 1.5), xlabel="$y_1$", ylabel="$y_2$", zlabel="$y_3$")
    space.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1], zticks=[-1, 0, 1])
    space.set_box_aspect((1, 1, 1.1), zoom=0.95)
    space.view_init(elev=24, azim=-60)
    return space


if __name__ == "__main__":
    make_figures.run_alone(__file__)
