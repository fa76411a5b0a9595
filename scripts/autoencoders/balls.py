"""Fuzzy balls, flown apart, and pulled back by springs.

30 points of a curve in six dimensions, each encoded as a ball of the plane with centre mu and radii sqrt v; colours go
along the curve. Without springs nothing makes up for what the noise costs. If the radii are held at 1, the balls fly
apart: neighbours are 6.2 from each other, the median distance from 0 goes from 22 to 33 while training, and the error
(mean squared, in units of the variance of the data) to 0.2 %. If they are learned, the balls shrink to points instead,
of radius 0.001: a plain auto-encoder. KL pulls with beta |mu| at each centre, the springs, and holds the radii. With
beta = 1 the balls touch on a curve, and overlap only where samples are alike; learned ones are flat, narrow along the
curve, where the decoder must tell neighbours apart, and wide across it, where it need not. With beta = 10 almost all
lie at 0, on each other, and nothing can be told of y: the error is 95 % and 86 %.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.figure import Figure

from ebm_np.autoencoders import variational
from ebm_np.autoencoders.variational import Model, Params
from ebm_np.foundations.arrays import Array
from scripts import make_figures, style

ORDER = 311
NOTE = "08-2, figures 9 and 10"
EQUATION = "F~(y) = C(y, Dec(mu + eps sqrt(v))) + beta KL(mu, v),  KL = U(mu) + V(v)"
FUNCTION = "ebm_np.autoencoders.variational.fit"
TEST = "tests/autoencoders/test_variational.py::test_without_springs_the_balls_fly_apart_and_shrink"
TOLERANCE = 1e-3
N, S, WIDTHS = 30, 0.05, (6, 32, 2)
"""Samples; variance of the observation; of the encoder's layers."""
RADII = {"held at 1": 1.0, "learned": None}
BETAS = (0.0, 0.3, 1.0, 10.0)
COPIES, STAGES = 8, ((0.6, 5e-3), (0.25, 1.5e-3), (0.15, 3e-4))
"""Noise drawn for each sample at each step; of training: share of the steps and rate."""
REACHES, FAR = (6.0, 4.2), 48.0
"""Half of the box that is shown, in each row; and in the one panel for which that is too small."""
NAMES = (
    (
        "$\\beta = 0$: flown apart (axes 8 times as long)",
        "$\\beta = 0.3$: a weak spring",
        "$\\beta = 1$",
        "$\\beta = 10$: too strong",
    ),
    ("$\\beta = 0$: shrunk to points", "$\\beta = 0.3$", "$\\beta = 1$: held together", "$\\beta = 10$: too strong"),
)


def curve(n: int) -> Array:
    """Return n points of an open curve: its harmonics 1, 2 and 3, three quarters of a turn."""
    t = 1.5 * np.pi * np.linspace(0, 1, n)[:, None]
    return np.hstack([wave(m * t) / m for m in (1, 2, 3) for wave in (np.cos, np.sin)])


def train(y: Array, model: Model, rng: np.random.Generator, n_steps: int) -> tuple[Params, Array]:
    """Return a trained network, and the median distance of a centre from 0 after each of the three stages."""
    params, copies, distances = variational.init(rng, WIDTHS, "tanh", s=S), np.repeat(y, COPIES, axis=0), []
    for share, rate in STAGES:
        options: dict[str, Any] = {"n_epochs": int(share * n_steps), "batch_size": None, "rate": rate}
        params = variational.fit(params, copies, rng, model, **options).params
        distances.append(np.median(np.linalg.norm(variational.encode(params, y, model)[0], axis=1)))
    return params, np.array(distances)


def error(params: Params, y: Array, rng: np.random.Generator, model: Model) -> float:
    """Return the mean of ||y - Dec(z)||^2 over the noise, in units of the variance of the data."""
    mu, v = variational.encode(params, np.repeat(y, 100, axis=0), model)
    y_tilde = variational.decode(params, variational.sample(mu, v, rng.standard_normal(mu.shape)), model)
    return float(np.square(np.repeat(y, 100, axis=0) - y_tilde).sum(axis=1).mean() / y.var(axis=0).sum())


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return centres and radii for each kind of radius and each beta, and what the noise costs."""
    y, n_steps, seed = curve(N), 200 if quick else 4000, int(rng.integers(2**32))
    balls, errors, distances = [], [], []
    for fixed in RADII.values():
        for beta in BETAS:
            model, own = Model("tanh", "gaussian", beta, fixed), np.random.default_rng(seed)  # all start alike
            params, path = train(y, model, own, n_steps)
            balls.append(variational.encode(params, y, model))
            errors.append(error(params, y, own, model))
            distances.append(path)
    shape = (len(RADII), len(BETAS))
    return {
        "mu": np.reshape([mu for mu, _ in balls], (*shape, N, 2)),
        "radius": np.sqrt([v for _, v in balls]).reshape(*shape, N, 2),
        "error": np.reshape(errors, shape),
        "distance after each stage": np.reshape(distances, (*shape, len(STAGES))),
        "source": f"{N} points of a curve in six dimensions",
    }


def spring(end: Array, width: float, coils: int = 9) -> Array:
    """Return the corners of a zigzag from 0 to a point of the plane."""
    along = np.concatenate([[0, 0.12], np.linspace(0.15, 0.85, 2 * coils), [0.88, 1]])
    across = np.concatenate([[0, 0], width * (-1.0) ** np.arange(2 * coils), [0, 0]])
    length = np.linalg.norm(end)
    normal = np.array([-end[1], end[0]]) / max(length, 1e-9)
    return along[:, None] * end + across[:, None] * min(1.0, length) * normal


def draw(data: dict[str, Any]) -> Figure:
    """Draw a row for balls of given size, a row for balls that choose theirs; a column for each spring."""
    figure, panels = style.new(12.6, 7.5, data["source"], nrows=2, ncols=4)
    colors = mpl.colormaps["viridis"](np.linspace(0, 1, N))
    for (row, column), axes in np.ndenumerate(panels):
        mu, radius, beta = data["mu"][row, column], data["radius"][row, column], BETAS[column]
        reach = REACHES[row] if beta or row else FAR
        zigzags = [spring(end, 0.012 * reach) for end in mu] if beta else []
        axes.add_collection(LineCollection(zigzags, colors="#444444", linewidths=0.45 + 0.25 * column, alpha=0.75))
        sizes: dict[str, Any] = {"widths": 2 * radius[:, 0], "heights": 2 * radius[:, 1], "angles": 0, "units": "xy"}
        where: dict[str, Any] = {"offsets": mu, "offset_transform": axes.transData}
        axes.add_collection(EllipseCollection(**sizes, facecolors=colors, alpha=0.18, linewidths=0, **where))
        rim: dict[str, Any] = {"facecolors": "none", "edgecolors": colors, "linewidths": 0.8}
        axes.add_collection(EllipseCollection(**sizes, **rim, **where))
        axes.scatter(*mu.T, s=9, color=colors, zorder=3)
        axes.plot(0, 0, "+", color=style.BLACK, zorder=4)
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel=r"$\mu_1$")
        distance, error = np.median(np.linalg.norm(mu, axis=1)), 100 * data["error"][row, column]
        numbers = f"radius {_plain(np.median(radius))}; distance {distance:.2g}; error {_plain(error)} %"
        axes.set_title(f"{NAMES[row][column]}\n{numbers}", loc="left", fontsize=8.5, linespacing=1.4)
    for axes, kind in zip(panels[:, 0], RADII, strict=True):
        axes.set_ylabel(f"radii {kind}\n" + r"$\mu_2$", fontsize=10)
    return figure


def _plain(number: float) -> str:
    """Return a number to two digits, to one below 0.01; without an exponent."""
    return np.format_float_positional(number, precision=2 if number > 0.01 else 1, fractional=False, trim="-")


if __name__ == "__main__":
    make_figures.run_alone(__file__)
