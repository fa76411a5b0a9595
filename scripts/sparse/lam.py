"""What lam does: sparsity, error, and how much of the space of y has low energy.

A dictionary of 128 atoms is learned from whitened patches for each lam, and meets new patches and white noise, all of
unit norm. A larger lam leaves fewer codes and a larger error. White noise is uniform on the sphere: its
energy tells how low F is on the space as a whole. At a small lam everything can be explained, data or not, and F is low
everywhere; as lam grows, the rest of the sphere rises first, and only near the data does F stay low.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.data import patches
from ebm_np.foundations.arrays import Array
from ebm_np.sparse import dictionary, sparse_coding
from scripts import make_figures, materials, style

ORDER = 208
NOTE = "08-2, Regularized latent variable EBMs"
EQUATION = "F(y) = min_z ||y - W z||^2 + lam ||z||_1"
FUNCTION = "ebm_np.sparse.sparse_coding.free_energy"
TEST = "tests/sparse/test_sparse_coding.py::test_the_free_energy_grows_with_lambda_and_is_concave_in_it"
TOLERANCE = 0.02
KINDS = {"patches": style.DATA, "white noise": style.GREY}


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return codes used, error and energy of the three kinds of signals for each lam."""
    n, n_new, n_lams = (1_000, 100, 3) if quick else (20_000, 1_000, 10)
    y, source = materials.whitened_patches(rng, n + n_new, 8)
    y = materials.unit_norm(y)
    train, new = y[:n].astype(np.float32), y[n:]
    signals = {
        "patches": new,
        "white noise": materials.unit_norm(patches.remove_dc(rng.normal(size=new.shape))),
    }
    lams, table = np.geomspace(0.01, 2, n_lams), np.zeros((n_lams, len(signals), 3))
    for row, lam in zip(table, lams, strict=True):
        start = dictionary.init_from_samples(rng, train, 128)
        W = dictionary.fit(start, train, rng, lam=lam, n_epochs=2).params.W
        row[:] = [_measure(sparse_coding.Params(W.astype(np.float64)), s, lam) for s in signals.values()]
    return {"lam": lams, "table": table, "source": source}


def _measure(params: sparse_coding.Params, y: Array, lam: float) -> tuple[float, float, float]:
    """Return the mean number of codes used, squared error and energy."""
    found = sparse_coding.infer(params, y, lam, "active_set")
    error = found.energy - lam * np.abs(found.z).sum(axis=1)
    return np.count_nonzero(found.z, axis=1).mean(), error.mean(), found.energy.mean()


def draw(data: dict[str, Any]) -> Figure:
    """Plot the three numbers against lam."""
    figure, axes = style.new(9.6, 3.6, data["source"], ncols=3)
    names = ("codes used of 128", r"error $\|y - Wz\|^2$", "energy $F(y)$")
    for column, (panel, name) in enumerate(zip(axes, names, strict=True)):
        for kind, (label, colour) in enumerate(KINDS.items()):
            panel.semilogx(data["lam"], data["table"][:, kind, column], ".-", color=colour, label=label)
        panel.set(xlabel=r"$\lambda$", ylabel=f"{name}, mean")
    for panel in axes[1:]:
        panel.axhline(1, color="black", lw=0.7, ls="--")
        panel.text(0.011, 0.985, "$z = 0$", va="top", fontsize=8)
    axes[0].legend()
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
