"""What an encoder says at a glance, against what inference finds.

Predictive sparse decomposition of 8 x 8 patches of whitened photographs, three times over: 128 atoms and an encoder,
trained together. Top: the encoder's guess for each code of new patches against the code that is optimal for the same
atoms, without the encoder's pull; on the dashed line they agree. Error: mean ||z~ - z*||^2 over mean ||z*||^2; E / F:
energy of the guess, without the pull, over the least. tanh spreads about 0 what ought to be 0, and saturates.
Shrinkage says exactly 0, but each of its codes is made without regard to the others; in LISTA they compete, for two
steps after the first, and it comes closest. Below: atoms, and the filters by which the encoder looks for them, finer
than the atoms; and how far from 0 the guesses are where the optimal code is 0.
"""

from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ebm_np.foundations.arrays import Array
from ebm_np.sparse import predictive, sparse_coding
from scripts import make_figures, materials, style

ORDER = 217
NOTE = "08-2, figure 3; Kavukcuoglu et al. 2008"
EQUATION = "E(y, z) = ||y - W z||^2 + alpha ||z - Enc(y)||^2 + lam ||z||_1, ||w_j|| = 1"
FUNCTION = "ebm_np.sparse.predictive.fit"
TEST = "tests/sparse/test_predictive.py::test_the_trained_encoder_predicts_new_codes_better_than_the_untrained"
TOLERANCE = 0.01
SIZE, K, ALPHA, LAM = 8, 128, 1.0, 2.0
ENCODERS = {
    "tanh": (r"$g\,\tanh(A y + b)$", style.ORANGE),
    "shrink": (r"$\mathrm{sh}_\theta(A y + b)$", style.SKY),
    "lista": ("LISTA, 3 steps", style.BLUE),
}
REACH, BINS = 8.0, 65
"""Of the histograms: an odd number of bins, so that 0 is in the middle of one."""
FARTHEST = 1.0
SHOWN = 100


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return, for each encoder, how guesses and optimal codes of new patches are distributed, errors, and atoms."""
    n, n_new, n_epochs = (2_000, 500, 2) if quick else (20_000, 2_000, 6)
    y, source = materials.whitened_patches(rng, n + n_new, SIZE)
    seed, data = rng.integers(2**32), dict[str, Any](source=source)
    for kind in ENCODERS:
        start = predictive.init(np.random.default_rng(seed), SIZE**2, K, kind, LAM)
        fitted = predictive.fit(
            start, y[:n], np.random.default_rng(seed),
            alpha=ALPHA, lam=LAM, n_epochs=n_epochs, batch_size=200, rate=3e-3, tol=1e-6,
        )  # fmt: skip
        found = _compare(fitted.params, y[n:])
        data |= {f"{key} {kind}": value for key, value in found.items()} | {f"history {kind}": fitted.history}
        if isinstance(fitted.params.encoder, predictive.AffineShrink):
            data |= {"atoms": fitted.params.W.T, "filters": fitted.params.encoder.A}
    return data


def _compare(params: predictive.Params, y: Array) -> dict[str, Any]:
    """Return what is to be said of guesses and optimal codes of the same patches."""
    optimal = sparse_coding.infer(sparse_coding.Params(params.W), y, LAM, "active_set")
    guess, z = predictive.encode(params, y), optimal.z
    edges = np.linspace(-REACH, REACH, BINS + 1)
    off = np.abs(guess[z == 0])
    return {
        "counts": np.histogram2d(z.ravel(), guess.ravel(), [edges, edges])[0],
        "error": ((guess - z) ** 2).sum() / (z**2).sum(),
        "energy": predictive.energy(params, y, guess, 0.0, LAM).mean() / optimal.energy.mean(),
        "zeros": (z == 0).mean(),
        "zeros guessed": (guess == 0).mean(),
        "up to": np.array([(off <= x).mean() for x in np.linspace(0, FARTHEST, 101)]),
        "use": np.abs(z).mean(axis=0),
    }


def draw(data: dict[str, Any]) -> Figure:
    """Show the three encoders above; below, one's atoms and filters, and all guesses for zeros."""
    figure, axes = style.new(11.0, 7.8, data["source"], nrows=2, ncols=3)
    most = max(data[f"counts {kind}"].max() for kind in ENCODERS)
    for plot, kind in zip(axes[0], ENCODERS, strict=True):
        image = _codes(plot, data, kind, most)
    axes[0, 0].set_ylabel(r"guess $\tilde z_i$")
    figure.colorbar(image, ax=axes[0], label="codes in a bin", shrink=0.9, pad=0.01)
    order = np.argsort(data["use shrink"])[::-1][:SHOWN]
    for plot, name, title in zip(
        axes[1], ("atoms", "filters"), (f"the {SHOWN} most used atoms $w_j$", "their filters $a_j$"), strict=False
    ):
        images = data[name][order] / np.abs(data[name][order]).max(axis=1, keepdims=True)
        sheet = style.mosaic(images.reshape(-1, SIZE, SIZE), 10, fill=1.0)
        plot.imshow(sheet, cmap="gray", vmin=-1, vmax=1)
        plot.axis("off")
        plot.set_title(f"{ENCODERS['shrink'][0]}: {title}")
    x = np.linspace(0, FARTHEST, 101)
    for kind, (label, colour) in ENCODERS.items():
        axes[1, 2].plot(x, 100 * data[f"up to {kind}"], color=colour, label=label)
    axes[1, 2].set(
        xlabel="$x$", ylabel=r"guesses with $|\tilde z_i| \leq x$ (%)", xlim=(0, FARTHEST), ylim=(0, 101),
        title="where the optimal code is 0",
    )  # fmt: skip
    axes[1, 2].set_box_aspect(1)
    axes[1, 2].legend(loc="lower right")
    return figure


def _codes(axes: Any, data: dict[str, Any], kind: str, most: float) -> Any:
    """Show how often a guess meets an optimal code, on a logarithmic scale."""
    counts = data[f"counts {kind}"].T
    image = axes.imshow(
        np.where(counts > 0, counts, np.nan), extent=(-REACH, REACH, -REACH, REACH), origin="lower",
        norm=LogNorm(1, most),
    )  # fmt: skip
    axes.axline((0, 0), slope=1, ls="--", color="black", lw=0.8)
    error, energy = 100 * data[f"error {kind}"], data[f"energy {kind}"]
    axes.set_title(f"{ENCODERS[kind][0]}: error {error:.0f} %, $E / F$ = {energy:.2f}")
    zeros, guessed = 100 * data[f"zeros {kind}"], 100 * data[f"zeros guessed {kind}"]
    axes.text(
        -REACH + 0.4, REACH - 0.4, f"exactly 0: {guessed:.0f} % of guesses,\n{zeros:.0f} % of optimal codes", va="top"
    )
    ticks = np.arange(-REACH, REACH + 1, 4)
    axes.set(xlabel="optimal code $z^*_i$", xticks=ticks, yticks=ticks)
    return image


if __name__ == "__main__":
    make_figures.run_alone(__file__)
