"""256 atoms of MNIST: strokes.

Sparse coding with ISTA, one gradient step on W a mini-batch, columns kept at unit norm. Mid-grey is zero, each atom has
its own scale and is shown with its ink dark. A digit is a sum of a few dozen of these pieces of pen line.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.data import mnist
from ebm_np.foundations.optimizers import gradient_descent
from ebm_np.sparse import sparse_coding
from scripts import make_figures, style

ORDER = 201
NOTE = "08-2, figure 5"
EQUATION = "E(y, z) = ||y - W z||^2 + lam ||z||_1"
FUNCTION = "ebm_np.sparse.sparse_coding.fit"
TEST = "tests/sparse/test_sparse_coding.py::test_atoms_that_made_the_data_are_found_again"
TOLERANCE = 0.02
LAM = 0.5


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the atoms, learned from all digits (2,000 if quick), and how many of them a digit uses."""
    found = mnist.load_or_synthetic("train", dtype=np.float32)
    y = found.images[:2_000] if quick else found.images
    params = sparse_coding.init(rng, y.shape[1], 256, np.float32)
    history = []
    for rate, n_epochs in ((1.0, 2), (0.3, 1)):
        fitted = sparse_coding.fit(
            params, y, rng, lam=LAM, optimizer=gradient_descent(rate), n_epochs=n_epochs, batch_size=500, max_iter=50
        )
        params = fitted.params
        history += fitted.history.tolist()
    sample = y[:500]
    z = sparse_coding.infer(params, sample, LAM, tol=1e-3).z
    return {
        "atoms": params.W,
        "history": np.array(history),
        "used": np.count_nonzero(z, axis=1),
        "explained": 1 - ((sample - sparse_coding.decode(params, z)) ** 2).sum() / (sample**2).sum(),
        "source": f"{found.source}{', the first 2,000' if quick else ''}",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Lay the atoms out, ink dark."""
    figure, axes = style.new(6.4, 6.9, data["source"])
    atoms = data["atoms"] / np.abs(data["atoms"]).max(axis=0)
    atoms = atoms * np.sign((atoms**3).sum(axis=0))  # E does not know the sign of an atom: show the heavier side as ink
    axes.imshow(style.mosaic(atoms.T.reshape(-1, 28, 28), 16, pad=2, fill=1.0), cmap="gray_r", vmin=-1, vmax=1)
    axes.axis("off")
    axes.set_title(
        rf"256 atoms, $\lambda = {LAM}$: a digit uses {data['used'].mean():.0f} of them on average, "
        f"which explain {100 * data['explained']:.0f} % of it",
        loc="left",
        fontsize=9,
    )
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
