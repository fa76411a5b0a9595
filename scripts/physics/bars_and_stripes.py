"""A machine that can be known: bars and stripes, with the probability of every picture there is.

3 x 3 pixels have 512 states; 14 of them are rows or columns. The empty and the full picture are both, and twice as
frequent among the 16 of the data. A machine of 20 hidden units learns them by tempered chains and the centred gradient.
Left: the exact mean log-likelihood; no distribution reaches more than the entropy of the data (dashed), and at the end
hundredths of a nat are missing. Middle: p(v) of all 512 states, sorted, on a log scale: 14 bars stand at 1/16 or 1/8,
all others together have what is left. Right: the same in pictures: the 14, and the seven likeliest that are none.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.data import bars
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.optimizers import gradient_descent
from ebm_np.physics import boltzmann, contrastive_divergence, partition
from ebm_np.physics.boltzmann import Params
from scripts import make_figures, style

ORDER = 423
NOTE = "004, Restricted Boltzmann Machine (RBM): bars and stripes, with exact probabilities"
EQUATION = "p(v) = exp(-F(v)) / Z"
FUNCTION = "ebm_np.physics.contrastive_divergence.fit"
TEST = "tests/physics/test_contrastive_divergence.py::test_bars_and_stripes_are_learned_to_a_twentieth_of_a_nat"
TOLERANCE = 0.02
HIDDEN = 20
SCHEDULE = ((3_000, 0.3), (1_500, 0.03), (500, 0.003))


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the log-likelihood after each tenth epoch, and states and their probabilities, from the likeliest."""
    v = bars.bars_and_stripes(3)
    params = boltzmann.init(rng, 9, HIDDEN, mean=v.mean(axis=0), std=0.1)
    seen: list[list[float]] = []
    done = 0

    def watch(epoch: int, params: Params) -> None:
        if epoch % 10 == 0 and (epoch or not done):
            seen.append([done + epoch, partition.log_likelihood(params, v).mean()])

    for n_epochs, rate in SCHEDULE:
        n_epochs = n_epochs // 50 if quick else n_epochs
        options: dict[str, Any] = {"optimizer": gradient_descent(rate), "n_epochs": n_epochs, "watch": watch}
        params = contrastive_divergence.fit(
            params, v, rng, method="tempering", centred=True, n_chains=200, n_temperatures=5, **options
        ).params
        done += n_epochs
    states = ((np.arange(512)[:, None] >> np.arange(9)) & 1).astype(float)
    p = np.exp(partition.log_likelihood(params, states))
    order = np.argsort(-p, kind="stable")
    return {
        "seen": np.array(seen),
        "best": bars.log_likelihood_bound(v),
        "p": p[order],
        "states": states[order],
        "data": (states[order][:, None] == v).all(axis=2).sum(axis=1) / len(v),
        "source": "all pictures of full rows and of full columns, 3 x 3",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw the likelihood, the probabilities of all states, and the likeliest pictures."""
    figure, (left, middle, right) = style.new(12.5, 4.2, data["source"], ncols=3, width_ratios=(1, 1, 1.15))
    epochs, value = data["seen"].T
    left.plot(epochs, value, color=style.BLUE)
    left.axhline(data["best"], color=style.BLACK, linestyle="--", linewidth=1)
    left.text(epochs[-1], data["best"] + 0.03, f"best possible: {data['best']:.4f}", ha="right", va="bottom")
    left.set(xlabel="epoch", ylabel="mean log-likelihood (nats)", ylim=(-6.4, -2.3))
    left.set_title(f"exact: {value[-1]:.4f} in the end", loc="left")
    p, there = data["p"], data["data"] > 0
    rank = 1 + np.arange(len(p))
    for some, colour, name in ((there, style.BLUE, "bars and stripes"), (~there, style.ORANGE, "others")):
        middle.plot(
            rank[some], p[some], ".", color=colour, markersize=5, label=f"{some.sum()} {name}: {p[some].sum():.1%}"
        )
    for level, name in ((1 / 8, "1/8"), (1 / 16, "1/16")):
        middle.axhline(level, color=style.GREY, linewidth=0.8, linestyle=":")
        middle.text(500, level, name, va="bottom" if level > 0.1 else "top", ha="right", color="#555555")
    middle.set(xscale="log", yscale="log", xlabel="state, from the likeliest", ylabel="$p(v)$")
    middle.set_title("all 512 states", loc="left")
    middle.legend(loc="lower left")
    grid = right.get_subplotspec().subgridspec(2, 1, height_ratios=(2, 1))
    right.remove()
    for part, some, name in zip(grid, (there, ~there), ("bars and stripes", "the likeliest others"), strict=True):
        _pictures(figure.add_subplot(part), data["states"][some][:14], p[some][: 14 if some is there else 7])
        figure.axes[-1].set_title(f"{name}, $p(v)$", loc="left")
    return figure


def _pictures(axes: Any, states: Array, p: Array) -> None:
    """Draw states in rows of seven, each with its probability."""
    axes.imshow(style.mosaic(states[: len(p)].reshape(-1, 3, 3), 7, pad=2, fill=0.12), cmap="gray_r", vmin=0, vmax=1)
    for k, chance in enumerate(p):
        row, column = divmod(k, 7)
        text = f"{chance:.3f}" if chance > 0.001 else f"{chance:.0e}"
        axes.text(5 * column + 1, 5 * row + 3.4, text, ha="center", va="center", fontsize=8)
    axes.set(ylim=(5 * -(-len(p) // 7) - 0.5, -0.5), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


if __name__ == "__main__":
    make_figures.run_alone(__file__)
