"""Between the codes: the planes of an auto-encoder and of a variational one.

The same network, 784 - 128 - 64 - 2 and back, from the same start; cross-entropy of digits. Above it is a plain
auto-encoder: beta = 0, and balls of radius 0.001. Its codes go where they like: the 1s take half of the box, the others
crowd in a corner, and 5 of the grid's 64 cells are empty. Below, beta = 1: balls of radius 0.08, held near N(0, I), no
cell is empty, and one knows where to look for new digits: there. Of 1,000 random codes the auto-encoder makes a 1 of 58
%, of 0.8 % a 2; the variational one makes each digit of 2.5 to 16 % (as the nearest training digit has it). What is
decoded from the centres is about as good: C is 149.2 nats on test digits, the auto-encoder's 150.7, which in two other
runs (a wider network, another start) was 1 and 3.5 ahead. Two numbers are few for digits: between their regions both
decode blurred ones.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.special import ndtri

from ebm_np.autoencoders import generation, variational
from ebm_np.autoencoders.variational import Model, Params
from ebm_np.data import mnist
from ebm_np.foundations.arrays import Array
from scripts import make_figures, style

ORDER = 313
NOTE = "08-3, figures 5 and 6"
EQUATION = "y~ = Dec(z): z between the codes of an auto-encoder, z ~ N(0, I) of a variational one"
FUNCTION = "ebm_np.autoencoders.generation.generate"
TEST = (
    "tests/autoencoders/test_variational.py::"
    "test_what_is_generated_has_the_mean_and_the_covariance_of_the_linear_decoder"
)
TOLERANCE = 1e-3
WIDTHS = (784, 128, 64, 2)
MODELS = {"auto-encoder": Model(beta=0.0, v=1e-6), "variational": Model()}
"""The first differs in this alone: balls of radius 0.001, and nothing that holds them together."""
STAGES = ((0.6, 2e-3), (0.4, 5e-4))
"""Of training: share of the epochs and rate."""
SIDE = 8
"""Rows and columns of the grid of codes that are decoded."""
SHARE = 0.98
"""Of the test digits, along each axis, in the box of the auto-encoder's codes."""
COLORS = (
    style.BLUE, style.ORANGE, style.GREEN, style.RED, style.PURPLE, style.SKY, "#882255", style.BLACK, style.GREY,
    "#7a4a1e",
)  # fmt: skip


def train(y: Array, rng: np.random.Generator, model: Model, n_epochs: int) -> Params:
    """Return a trained network; Adam in two stages. In float64, as in float32 rounding would decide where codes end."""
    params = variational.init(rng, WIDTHS)
    for share, rate in STAGES:
        options: dict[str, Any] = {"n_epochs": max(1, round(share * n_epochs)), "batch_size": 125, "rate": rate}
        params = variational.fit(params, y, rng, model, **options).params
    return params


def edges(mu: Array, name: str) -> Array:
    """Return the borders of the cells along both axes, (2, SIDE + 1): equal lengths, or equal shares of N(0, 1)."""
    if name == "variational":
        return np.tile(ndtri(np.linspace(0, 1, SIDE + 1)), (2, 1))
    low, high = np.quantile(mu, ((1 - SHARE) / 2, (1 + SHARE) / 2), axis=0)
    return np.linspace(low, high, SIDE + 1).T


def middles(mu: Array, name: str) -> Array:
    """Return the middles of the cells along both axes, (2, SIDE)."""
    if name == "variational":
        return np.tile(ndtri((np.arange(SIDE) + 0.5) / SIDE), (2, 1))
    borders = edges(mu, name)
    return (borders[:, 1:] + borders[:, :-1]) / 2


def shares(images: Array, y: Array, labels: Array) -> Array:
    """Return how often images are each digit, judged by the nearest of y: (10,)."""
    squares = np.square(y).sum(axis=1) - 2 * images @ y.T
    return np.bincount(labels[squares.argmin(axis=1)], minlength=10) / len(images)


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the codes of test digits, what is decoded on a grid, and which digits random codes are."""
    n, n_epochs = (1_000, 4) if quick else (15_000, 14)
    found, test = mnist.load_or_synthetic("train"), mnist.load_or_synthetic("test")
    y, seen, labels = found.images[:n], test.images[:2_000], test.labels[:2_000]
    seed, per_model = int(rng.integers(2**32)), []
    for name, model in MODELS.items():
        own = np.random.default_rng(seed)  # both start alike
        params = train(y, own, model, n_epochs)
        mu, v = variational.encode(params, seen, model)
        grid = np.stack(np.meshgrid(*middles(mu, name)), axis=-1)[::-1].reshape(-1, 2)
        low, high = edges(mu, name)[:, [0, -1]].T
        counts = np.histogram2d(mu[:, 0], mu[:, 1], bins=tuple(edges(mu, name)))[0]
        decoded = variational.decode(params, grid, model)
        if name == "variational":
            new = generation.generate(params, own, 1_000, model)
        else:
            new = variational.decode(params, own.uniform(low, high, (1_000, 2)), model)
        cost = variational.parts(params, seen, np.zeros_like(mu), model)[0].mean()
        per_model.append(
            {
                "mu": mu,
                "radius": np.sqrt(np.median(v)),
                "grid": grid,
                "decoded": decoded.reshape(-1, 28, 28),
                "codes in each cell": counts,
                "C": cost,
                "share of each digit": shares(new, y, found.labels[:n]),
            }
        )
    return {
        **{key: np.array([each[key] for each in per_model]) for key in per_model[0]},
        "labels": labels,
        "source": f"{n:,} of {found.source}" if n < len(found.images) else found.source,
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw a row a model: its plane of codes, and what is decoded on the grid that is marked there."""
    figure, panels = style.new(10, 10, data["source"], nrows=2, ncols=2, width_ratios=(1.1, 1))
    layout: Any = figure.get_layout_engine()
    layout.set(w_pad=0.08, h_pad=0.08)
    grids = (f"in a box with {SHARE:.0%} of the codes along each axis", "at quantiles of $N(0, 1)$ along each axis")
    for i, (name, (left, right)) in enumerate(zip(MODELS, panels, strict=True)):
        for label, color in enumerate(COLORS):
            mu = data["mu"][i][data["labels"] == label]
            left.scatter(*mu.T, s=24, marker=rf"$\mathbf{{{label}}}$", color=color, linewidths=0)
        left.plot(*data["grid"][i].T, "+", color=style.BLACK, markersize=5, markeredgewidth=0.9, label="decoded, right")
        left.set(xlabel=r"$\mu_1$", ylabel=r"$\mu_2$")
        left.set_aspect("equal", adjustable="datalim")
        ball = "0.001 (held)" if MODELS[name].v else f"{data['radius'][i]:.2f}"
        left.set_title(
            rf"{name}, $\beta$ = {MODELS[name].beta:g}: codes of 2,000 test digits, radius {ball}", loc="left"
        )
        right.imshow(style.mosaic(data["decoded"][i], SIDE), cmap="gray_r", vmin=0, vmax=1)
        right.set(xticks=[], yticks=[])
        share = data["share of each digit"][i]
        right.set_title(f"decoded {grids[i]}", loc="left")
        most, least = (f"{100 * share[label]:.2g} % give a {label}" for label in (share.argmax(), share.argmin()))
        right.set_xlabel(f"of 1,000 random codes {most}, {least}")
    turn = np.linspace(0, 2 * np.pi, 200)
    for radius in (1, 2, 3):
        panels[1, 0].plot(radius * np.cos(turn), radius * np.sin(turn), color=style.GREY, linewidth=0.8, zorder=0)
    panels[1, 0].plot([], [], color=style.GREY, linewidth=0.8, label="$N(0, I)$: 1, 2, 3 deviations")
    for axes in panels[:, 0]:
        axes.legend(loc="upper right")
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
