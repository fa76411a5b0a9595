"""256 atoms of MNIST: strokes.

Sparse coding of all training digits, online: codes by coordinate descent for a mini-batch, then each atom to its best
place on the unit sphere. Mid-grey is zero, each atom has its own scale and is shown with its ink dark. A digit is a sum
of a few dozen of them: pieces of pen line, and here and there a whole figure that many digits have in common.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.data import mnist
from ebm_np.sparse import sparse_coding
from scripts import make_figures, materials, style

ORDER = 205
NOTE = "08-2, figure 5"
EQUATION = "E(y, z) = ||y - W z||^2 + lam ||z||_1, ||w_j|| = 1"
FUNCTION = "ebm_np.sparse.dictionary.fit"
TEST = "tests/sparse/test_dictionary.py::test_atoms_that_made_the_data_are_found_again"
TOLERANCE = 0.02
SHARES = "materials.strokes"
LAM = materials.STROKES_LAM


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the atoms, learned from all digits (1,500 if quick), and how many of them a new digit uses."""
    fitted, source = materials.strokes(quick)
    new = mnist.load_or_synthetic("test").images[:1_000]
    params = sparse_coding.Params(fitted.params.W.astype(np.float64))
    z = sparse_coding.infer(params, new, LAM, "active_set").z
    return {
        "atoms": fitted.params.W,
        "history": fitted.history,
        "used": np.count_nonzero(z, axis=1),
        "held_out": sparse_coding.energy(params, new, z, LAM).mean(),
        "explained": 1 - ((new - sparse_coding.decode(params, z)) ** 2).sum() / (new**2).sum(),
        "source": source,
    }


def draw(data: dict[str, Any]) -> Figure:
    """Lay the atoms out, ink dark."""
    figure, axes = style.new(6.4, 6.9, data["source"])
    atoms = data["atoms"] / np.abs(data["atoms"]).max(axis=0)
    atoms = atoms * np.sign((atoms**3).sum(axis=0))  # E does not know the sign of an atom: show the heavier side as ink
    axes.imshow(style.mosaic(atoms.T.reshape(-1, 28, 28), 16, pad=2, fill=1.0), cmap="gray_r", vmin=-1, vmax=1)
    axes.axis("off")
    axes.set_title(
        rf"256 atoms, $\lambda = {LAM}$: a new digit uses {data['used'].mean():.0f} of them on average, "
        f"which explain {100 * data['explained']:.0f} % of it",
        loc="left",
        fontsize=9,
    )
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
