"""Why the atoms must be held, and how.

128 atoms learned from whitened patches, four ways. If nothing holds W it grows and the codes shrink: E falls and falls,
and means nothing. The note's common factor holds the sum of the norms, but long atoms have cheap codes, so some grow at
the cost of others, which die. The lecture scales each column to unit norm after the step; best is to keep it there
during the step. Right: all four with their atoms brought to unit norm, on new patches.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.sparse import dictionary, sparse_coding
from scripts import make_figures, materials, style

ORDER = 204
NOTE = "08-2, Sparse coding"
EQUATION = "W -> W / s, z -> s z leaves W z and multiplies lam ||z||_1 by s"
FUNCTION = "ebm_np.sparse.dictionary.fit"
TEST = "tests/sparse/test_dictionary.py::test_held_in_common_atoms_drift_apart_and_explain_new_data_worse"
TOLERANCE = 0.02
LAM = 0.3
K = 128
WAYS = {
    "none": ("not held", style.GREY),
    "common": ("one common factor (note; norms times 128)", style.ORANGE),
    "columns": ("each column, after the step (lecture)", style.SKY),
    "sphere": ("each column, during the step", style.BLUE),
}


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return energies seen, norms of the columns, and energies of new patches, after 1, 2, 4, ... epochs."""
    n, n_new, epochs = (2_000, 200, [1, 2]) if quick else (20_000, 2_000, [1, 2, 4, 8])
    y, source = materials.whitened_patches(rng, n + n_new, 8, np.float32)
    y = materials.unit_norm(y)
    start, seed = dictionary.init_from_samples(rng, y[:n], K), rng.integers(2**32)
    data: dict[str, Any] = {"epochs": np.array(epochs), "source": source}
    for way in WAYS:
        # a common factor makes the columns K times shorter, and their codes K times longer
        lam = LAM / K if way == "common" else LAM
        fits = [
            dictionary.fit(start, y[:n], np.random.default_rng(seed), lam=lam, n_epochs=e, normalization=way)
            for e in epochs
        ]
        norms = np.array([np.linalg.norm(f.params.W, axis=0) for f in fits]) * (K if way == "common" else 1)
        unit = [sparse_coding.unit_columns(f.params) for f in fits]
        data[f"E {way}"] = fits[-1].history
        data[f"norms {way}"] = np.quantile(norms, [0, 0.5, 1], axis=1)
        data[f"F {way}"] = np.array(
            [sparse_coding.free_energy(p, y[n:], LAM, method="active_set", tol=1e-3).mean() for p in unit]
        )
    return data


def draw(data: dict[str, Any]) -> Figure:
    """Plot the three against the epoch."""
    figure, axes = style.new(11.0, 3.9, data["source"], ncols=3)
    for way, (label, colour) in WAYS.items():
        axes[0].plot(1 + np.arange(len(data[f"E {way}"])), data[f"E {way}"], color=colour, label=label)
        least, median, most = data[f"norms {way}"]
        axes[1].fill_between(data["epochs"], np.maximum(least, 1e-5), most, color=colour, alpha=0.25, lw=0)
        axes[1].plot(data["epochs"], median, color=colour)
        axes[2].plot(data["epochs"], data[f"F {way}"], ".-", color=colour)
    axes[0].set(xlabel="epoch", ylabel="mean $E$ of the epoch", yscale="log", title="what training sees")
    axes[1].set(xlabel="epoch", ylabel=r"$\|w_j\|$: least, median, most", yscale="log", title="norms of the atoms")
    axes[2].set(xlabel="epoch", ylabel="mean $F$, atoms at unit norm", title="what new patches see")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
