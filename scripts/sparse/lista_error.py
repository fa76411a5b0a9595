"""LISTA against ISTA and FISTA.

How far the code z(t) of new data is from the optimal code z*, on average, after each iteration. Untrained, the network
*is* ISTA. Trained with K = 1, 3 and 7 steps (a network for each K, weights shared by its steps), it comes as near as
FISTA does after many more: the arrows say how many. It has not found a better algorithm for all y: it has learned what
natural patches and digits are like, and FISTA, which knows nothing of them, wins in the end. Right: what one trained
step looks for (columns of W_e of the network with three steps) beside what codes are decoded with (columns of W).
"""

from itertools import islice
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from ebm_np.foundations.arrays import Array
from ebm_np.sparse import dictionary, lista, sparse_coding, textbook
from scripts import make_figures, materials, style

ORDER = 211
NOTE = "08-2, LISTA; Gregor & LeCun 2010, figure 3"
EQUATION = "z(t+1) = sh_theta[W_e^T y + S z(t)], mean of ||z(t) - z*||^2 / mean of ||z*||^2"
FUNCTION = "ebm_np.sparse.lista.fit"
TEST = "tests/sparse/test_lista.py::test_trained_for_three_steps_it_beats_three_of_ista_and_of_fista_on_new_samples"
TOLERANCE = 0.05
SHARES = "materials.strokes"
RATES = (1e-3, 3e-4, 1e-4)
EPOCHS = {1: (8, 3, 2), 3: (4, 2, 2), 7: (4, 2, 2)}
"""Of the networks with K = 1, 3 and 7 steps: epochs at each rate."""
STEPS = tuple(EPOCHS)
N_ITERATIONS = 60
LAM = {"natural patches": 1.0, "digits": materials.STROKES_LAM}
SHOWN = 3
"""The network whose W_e is shown."""


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return errors per iteration for patches and digits, and some columns of W and of the learned W_e."""
    n, n_digits, n_test = (2_000, 1_500, 200) if quick else (40_000, 30_000, 1_000)
    y, new, source = materials.contrast_patches(rng, n, n_test, 10)
    start = dictionary.init_from_samples(rng, y, 40 if quick else 400)
    learned = dictionary.fit(start, y, rng, lam=LAM["natural patches"], n_epochs=1, n_sweeps=8).params
    data: dict[str, Any] = _errors("natural patches", learned, y, new, rng, quick)
    digits, tests = materials.digits("train"), materials.digits("test")
    strokes = materials.strokes(quick)[0].params
    data |= _errors("digits", strokes, digits.images[:n_digits], tests.images[:n_test], rng, quick)
    return {**data, "source": f"{source}; {digits.source}"}


def _errors(
    name: str, params: sparse_coding.Params, y: Array, new: Array, rng: np.random.Generator, quick: bool
) -> dict[str, Any]:
    """Train networks, each from the one before it; return the errors and columns of W and of W_e."""
    lam = LAM[name]
    z_target = sparse_coding.infer(params, y, lam, "active_set", tol=1e-4).z
    W, new = params.W.astype(np.float64), new.astype(np.float64)
    optimal = sparse_coding.infer(sparse_coding.Params(W), new, lam, "active_set", tol=1e-9).z

    def error(z: Array) -> float:
        return float(((z - optimal) ** 2).sum() / (optimal**2).sum())

    nothing = np.zeros_like(optimal)
    data: dict[str, Any] = {
        f"{name}, ISTA": [error(z) for z in islice(textbook.ista(W, new, lam, nothing), N_ITERATIONS)],
        f"{name}, FISTA": [error(z) for z in islice(textbook.fista(W, new, lam, nothing), N_ITERATIONS)],
        f"{name}, LISTA": [],
    }
    network = lista.from_dictionary(params.W, lam)
    for n_steps, epochs in EPOCHS.items():
        for rate, n_epochs in zip(RATES, (1, 1, 1) if quick else epochs, strict=True):
            network = lista.fit(
                network, y, z_target, rng, n_steps=n_steps, rate=rate, n_epochs=n_epochs, held_out=0.02, patience=3
            ).params
        data[f"{name}, LISTA"].append(error(lista.forward(network, new, n_steps)))
        if n_steps == SHOWN:
            often = np.argsort(-(z_target != 0).sum(axis=0), kind="stable")[:32]
            data |= {f"{name}, W": params.W[:, often], f"{name}, W_e": network.W_e[:, often]}
    return {key: np.array(values) for key, values in data.items()}


def draw(data: dict[str, Any]) -> Figure:
    """Plot errors against iterations, and W beside W_e, for patches above and for digits below."""
    figure, axes = style.new(9.6, 7.0, data["source"], nrows=2, ncols=3, width_ratios=[2.6, 1, 1])
    for (curves, atoms, filters), name in zip(axes, LAM, strict=True):
        _curves(curves, name, data)
        for panel, which, title in ((atoms, "W", "$W$"), (filters, "W_e", f"$W_e$, learned, $K = {SHOWN}$")):
            columns = data[f"{name}, {which}"]
            size = round(len(columns) ** 0.5)
            images = (columns / np.abs(columns).max(axis=0)).T.reshape(-1, size, size)
            pad = 1 if size < 20 else 2
            panel.imshow(style.mosaic(images, 4, pad=pad, fill=1.0), cmap="gray", vmin=-1, vmax=1)
            panel.axis("off")
            panel.set_title(title)
    return figure


def _curves(axes: Any, name: str, data: dict[str, Any]) -> None:
    """Plot one panel of errors, with an arrow from each LISTA to where FISTA is as good."""
    t = np.arange(1, N_ITERATIONS + 1)
    fista = data[f"{name}, FISTA"]
    axes.semilogy(t, data[f"{name}, ISTA"], color=style.BLUE, label="ISTA")
    axes.semilogy(t, fista, color=style.ORANGE, label="FISTA")
    axes.semilogy(STEPS, data[f"{name}, LISTA"], "o-", color=style.RED, label="LISTA, trained for these $K$")
    for n_steps, error in zip(STEPS, data[f"{name}, LISTA"], strict=True):
        worth = np.interp(-error, -fista, t)  # FISTA's error falls
        axes.annotate("", (worth, error), (n_steps, error), arrowprops={"arrowstyle": "->", "color": style.GREY})
        below = "top" if n_steps == STEPS[-1] else "bottom"
        axes.text(worth + 0.8, error, f"{n_steps} $\\to$ {worth:.0f}", va=below, fontsize=8)
    axes.set(
        xlabel="iteration $t$", ylabel=r"mean $\|z(t) - z^*\|^2$ / mean $\|z^*\|^2$", xlim=(0, N_ITERATIONS),
        title=f"{name}: {len(data[f'{name}, W'])} pixels, $\\lambda = {LAM[name]:g}$",
    )  # fmt: skip
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.legend(loc="lower left")


if __name__ == "__main__":
    make_figures.run_alone(__file__)
