"""256 atoms of natural images: Gabor functions.

Sparse coding of 12 x 12 patches of whitened photographs. Nobody told the model about edges, yet its atoms are local,
oriented and bandpass, as the receptive fields of simple cells in the primary visual cortex are (Olshausen
& Field 1996). To each atom the nearest Gabor function is fitted, a wave under an elliptic Gaussian. Right: atoms
beside their fits, from the best to the worst; what share of an atom its fit explains (of white noise little); each wave
as a point, whose direction is that in which the wave runs and whose distance from the centre is its frequency; and
both as histograms. At f = 0 stand the edges, which do not oscillate at all.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.sparse import dictionary, gabor, sparse_coding
from scripts import make_figures, materials, style

ORDER = 207
NOTE = "08-2, figure 5 and what follows it"
EQUATION = "E(y, z) = ||y - W z||^2 + lam ||z||_1, ||w_j|| = 1, y whitened"
FUNCTION = "ebm_np.sparse.gabor.fit"
TEST = "tests/sparse/test_gabor.py::test_the_fit_is_never_worse_than_the_truth"
TOLERANCE = 0.05
SIZE = 12
LAM = 3.0
GOOD = 0.8


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the atoms, their nearest Gabor functions, and how many of them a patch uses."""
    y, source = materials.whitened_patches(rng, 3_000 if quick else 100_000, SIZE, np.float32)
    start = sparse_coding.init(rng, SIZE**2, 32 if quick else 256, np.float32)
    fitted = dictionary.fit(start, y, rng, lam=LAM, n_epochs=2 if quick else 6, n_sweeps=6)
    atoms = fitted.params.W.T.reshape(-1, SIZE, SIZE)
    waves = gabor.fit(atoms)
    noise = gabor.fit(rng.normal(size=(len(atoms), SIZE, SIZE)))
    z = sparse_coding.infer(fitted.params, y[:2_000], LAM, "active_set", tol=1e-3).z
    return {
        "atoms": atoms,
        "waves": gabor.evaluate(waves.params, (SIZE, SIZE)),
        "r_squared": waves.r_squared,
        "r_squared of noise": noise.r_squared,
        "theta": waves.params.theta,
        "frequency": waves.params.frequency,
        "used": np.count_nonzero(z, axis=1).mean(),
        "history": fitted.history,
        "source": source,
    }


def draw(data: dict[str, Any]) -> Figure:
    """Lay out the atoms on the left, their fits and statistics on the right."""
    figure, axes = style.new(11.0, 7.4, data["source"], nrows=3, ncols=4, width_ratios=[2.3, 2.3, 1.7, 1.7])
    grid = axes[0, 0].get_gridspec()
    for old in (*axes[:, :2].ravel(), axes[0, 2], axes[1, 2]):
        old.remove()
    normed = data["atoms"] / np.abs(data["atoms"]).max(axis=(1, 2), keepdims=True)
    _atoms(figure.add_subplot(grid[:, :2]), normed, data)
    _fits(figure.add_subplot(grid[:2, 2]), normed, data)
    _shares(axes[0, 3], data)
    good = data["r_squared"] > GOOD
    theta, f = data["theta"][good], data["frequency"][good]
    both = np.concatenate([theta, theta + np.pi])  # a wave has no front
    axes[2, 2].scatter(np.tile(f, 2) * np.cos(both), np.tile(f, 2) * np.sin(both), s=6, color=style.BLUE, lw=0)
    axes[2, 2].set(
        xlim=(-0.4, 0.4), ylim=(0.4, -0.4), aspect="equal", xlabel="$f_u$ (cycles per pixel)", ylabel="$f_v$"
    )
    axes[2, 2].set_title("their waves")
    axes[1, 3].hist(np.degrees(theta), np.arange(0, 181, 15), color=style.BLUE)
    axes[1, 3].set(xlabel=r"direction of the wave $\theta$ (degrees)", ylabel="atoms", xticks=[0, 45, 90, 135, 180])
    axes[2, 3].hist(f, np.linspace(0, 0.5, 26), color=style.BLUE)
    axes[2, 3].set(xlabel="frequency $f$ (cycles per pixel)", ylabel="atoms")
    return figure


def _atoms(axes: Any, normed: Any, data: dict[str, Any]) -> None:
    """Show all atoms, each on its own scale, zero mid-grey."""
    axes.imshow(style.mosaic(normed, round(len(normed) ** 0.5), fill=1.0), cmap="gray", vmin=-1, vmax=1)
    axes.axis("off")
    axes.set_title(rf"{len(normed)} atoms, $\lambda = {LAM:g}$; a patch uses {data['used']:.0f} of them", loc="left")


def _fits(axes: Any, normed: Any, data: dict[str, Any]) -> None:
    """Show atoms above their fits: the best, evenly on to the worst."""
    order = np.argsort(data["r_squared"])[::-1][np.linspace(0, len(normed) - 1, 12).astype(int)]
    waves = data["waves"] / np.abs(data["atoms"]).max(axis=(1, 2), keepdims=True)
    rows = [np.concatenate([normed[order[i : i + 4]], waves[order[i : i + 4]]]) for i in (0, 4, 8)]
    axes.imshow(style.mosaic(np.concatenate(rows), 4, fill=1.0), cmap="gray", vmin=-1, vmax=1)
    for i, atom in enumerate(order):
        at = (i % 4) * (SIZE + 1) + SIZE / 2, 2 * (i // 4 + 1) * (SIZE + 1) - 1.5
        axes.text(*at, f"{data['r_squared'][atom]:.2f}", ha="center", va="bottom", fontsize=6, color=style.YELLOW)
    axes.axis("off")
    axes.set_title("atoms above their fits, $R^2$")


def _shares(axes: Any, data: dict[str, Any]) -> None:
    """Show how many atoms are fitted how well, and how much of white noise could be."""
    bins = np.linspace(0, 1, 26)
    axes.hist(data["r_squared"], bins, color=style.BLUE, label="atoms")
    axes.hist(data["r_squared of noise"], bins, color=style.GREY, alpha=0.8, label="white noise")
    axes.axvline(GOOD, color="black", ls="--", lw=0.8)
    axes.set(xlabel="share explained, $R^2$", ylabel="atoms")
    axes.set_title(f"{100 * (data['r_squared'] > GOOD).mean():.1f} % above {GOOD}")
    axes.legend(loc="upper left")


if __name__ == "__main__":
    make_figures.run_alone(__file__)
