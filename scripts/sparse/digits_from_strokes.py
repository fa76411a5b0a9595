"""Digits rebuilt from their strongest strokes, and how many are needed.

Left: test digits from 1, 2, 4, ... of their strongest strokes, whose weights are found anew by least squares; the last
row is the digit. Right: what share of a digit's squared ink so many strokes explain (median and the middle 80 % of
1,000 test digits), and the median number that explains 90 %, by class. A 1 is a few strokes; most others need a dozen.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.data import mnist
from ebm_np.foundations.arrays import Array
from ebm_np.sparse import sparse_coding
from ebm_np.sparse.gram_form import pose
from ebm_np.sparse.supports import solve_signs
from scripts import make_figures, materials, style

ORDER = 206
NOTE = "08-2, figure 5"
EQUATION = "y ~ W_S z_S, S the n largest |z-check|"
FUNCTION = "ebm_np.sparse.supports.solve_signs"
TEST = "tests/sparse/test_supports.py::test_the_equations_of_every_sample_are_solved_on_its_support"
TOLERANCE = 0.05
SHARES = "materials.strokes"
LAM = materials.STROKES_LAM
STEPS = (1, 2, 4, 8, 16, 32)
N_MAX = 40
ENOUGH = 0.9


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the pictures of one test digit of each class, and the share explained by the n strongest strokes."""
    fitted, source = materials.strokes(quick)
    params = sparse_coding.Params(fitted.params.W.astype(np.float64))
    test = mnist.load_or_synthetic("test")
    digits, labels = test.images[:1_000], test.labels[:1_000]
    z = sparse_coding.infer(params, digits, LAM, "active_set").z
    chosen = materials.one_of_each(labels)
    explained, pictures = np.zeros((N_MAX, len(digits))), []
    for n in range(1, N_MAX + 1):
        rebuilt = sparse_coding.decode(params, strongest(params, digits, z, n))
        explained[n - 1] = 1 - ((digits - rebuilt) ** 2).sum(axis=1) / (digits**2).sum(axis=1)
        if n in STEPS:
            pictures.append(rebuilt[chosen])
    needed = (explained < ENOUGH).sum(axis=0) + 1  # more strokes never explain less
    return {
        "pictures": np.stack([*pictures, digits[chosen]]),
        "explained": np.quantile(explained, [0.1, 0.5, 0.9], axis=1),
        "needed": np.array([np.median(needed[labels == c]) for c in range(10)]),
        "needed by all": np.median(needed),
        "source": f"{source}; 1,000 test digits",
    }


def strongest(params: sparse_coding.Params, y: Array, z: Array, n: int) -> Array:
    """Return codes (N, k): the n largest of z alone, weighted anew, which is (1) of `active_set` with lam = 0."""
    rank = np.abs(z).argsort(axis=1)[:, ::-1].argsort(axis=1)
    problem = pose(params.W, y, 0.0)
    return solve_signs(problem, np.where(rank < n, np.sign(z), 0).T).T


def draw(data: dict[str, Any]) -> Figure:
    """Lay out the rebuilt digits, and plot the share explained and the number needed."""
    figure, axes = style.new(11.0, 4.2, data["source"], ncols=3, width_ratios=[1.5, 1.2, 1])
    pictures = data["pictures"]
    sheet = style.mosaic(pictures.reshape(-1, 28, 28), 10, pad=2)
    axes[0].imshow(sheet, cmap="gray_r", vmin=0, vmax=1)
    style.name_rows(axes[0], 14 + 30 * np.arange(len(pictures)), [*(f"{n}" for n in STEPS), "digit"])
    axes[0].set(ylabel="strokes", title="Rebuilt from their strongest strokes")
    n, (low, median, high) = np.arange(1, N_MAX + 1), data["explained"]
    axes[1].fill_between(n, low, high, color=style.SKY, alpha=0.5, lw=0, label="middle 80 % of the digits")
    axes[1].plot(n, median, color=style.BLUE, label="median")
    axes[1].axhline(ENOUGH, color=style.GREY, lw=0.8, ls="--")
    axes[1].set(
        xlabel="strokes", ylabel="share of squared ink explained", ylim=(0, 1.02), xlim=(0, N_MAX),
        title=f"half of all digits reach 90 % with {data['needed by all']:.0f} or fewer",
    )  # fmt: skip
    axes[1].legend(loc="lower right")
    axes[2].barh(np.arange(10), data["needed"], color=style.BLUE)
    axes[2].set(yticks=range(10), xlabel="strokes, median", ylabel="digit", title="needed for 90 %")
    axes[2].invert_yaxis()
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
