"""Digits through a code of 30 numbers.

The lecture's auto-encoder, 784 - 30 - 784 with tanh. Left: new digits, and what comes out before any training and after
1, 5 and 20 epochs: first a blot that all digits have in common, then their strokes. Right: the mean squared error of a
pixel, pixels from -1 to 1. The test set's is no higher than the training set's: 30 numbers are too few to learn 60,000
digits by heart. In its ninth epoch the network passes the best *linear* code of 30 numbers (PCA): with tanh at the end
it need not spend its code on keeping paper white and ink black.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.autoencoders import autoencoder
from ebm_np.foundations.arrays import Array
from scripts import digit_networks, make_figures, materials, style

ORDER = 301
NOTE = "08-3, figure 2"
EQUATION = "h = f(W_h y + b_h), y~ = g(W_y h + b_y), F(y) = ||y - y~||^2"
FUNCTION = "ebm_np.autoencoders.autoencoder.fit"
TEST = "tests/autoencoders/test_autoencoder.py::test_training_is_adam_on_the_mean_free_energy"
TOLERANCE = 0.02
K = 30
SHOWN = (0, 1, 5, 20)


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return reconstructions of ten test digits after some epochs, the errors, and those of PCA."""
    y, _, source = digit_networks.digits("train", 2_000 if quick else None)
    test, labels, _ = digit_networks.digits("test", 500 if quick else None)
    chosen = test[materials.one_of_each(labels)]
    seed = int(rng.integers(2**32))
    start = digit_networks.untrained(rng, K)
    pictures, errors = [chosen, autoencoder.reconstruct(start, chosen, digit_networks.MODEL)], []
    errors.append(digit_networks.error(start, test))
    for n_epochs in SHOWN[1:]:  # the seed decides all: the shorter trainings are the beginning of the longest
        fitted = digit_networks.train(start, y, np.random.default_rng(seed), n_epochs=n_epochs)
        pictures.append(autoencoder.reconstruct(fitted.params, chosen, digit_networks.MODEL))
        errors.append(digit_networks.error(fitted.params, test))
    return {
        "pictures": np.array(pictures).reshape(len(SHOWN) + 1, 10, 28, 28),
        "history": fitted.history / 784,
        "test error": np.array(errors),
        "training error": digit_networks.error(fitted.params, y),
        "PCA": _pca_error(y, test),
        "source": source,
    }


def _pca_error(y: Array, test: Array) -> float:
    """Return the mean squared error of a pixel when new digits are projected on the plane of the old ones."""
    mean = y.mean(axis=0, dtype=np.float64)
    axes = np.linalg.eigh(np.cov(y.T.astype(np.float64)))[1][:, -K:]
    left = test - mean
    return float(np.mean((left - left @ axes @ axes.T) ** 2))


def draw(data: dict[str, Any]) -> Figure:
    """Draw the digits at the left, the errors at the right."""
    figure, (left, right) = style.new(10.5, 3.9, data["source"], ncols=2, width_ratios=(1.75, 1))
    rows = data["pictures"]
    left.imshow(style.mosaic(rows.reshape(-1, 28, 28), 10, pad=3, fill=-1.0), cmap="gray_r", vmin=-1, vmax=1)
    names = ["new digit $y$", r"$\tilde y$, untrained", *(f"{n} epoch{'s' * (n > 1)}" for n in SHOWN[1:])]
    style.name_rows(left, 14 + 31 * np.arange(len(names)), names)
    epochs = np.arange(1, len(data["history"]) + 1)
    right.plot(epochs - 0.5, data["history"], color=style.BLUE, label="training, seen during the epoch")
    right.plot(SHOWN[1:], data["test error"][1:], "o", color=style.RED, label="test, after the epoch")
    right.axhline(data["PCA"], color=style.GREY, linestyle="--")
    right.text(
        epochs[-1], data["PCA"] * 1.03, f"PCA, {K} axes: {data['PCA']:.3f}", ha="right", va="bottom", color=style.GREY
    )
    right.set(
        xlabel="epoch", ylabel="mean squared error of a pixel, $F / 784$", yscale="log", xlim=(0, epochs[-1] + 0.5)
    )
    ticks = [0.05, 0.1, 0.2, 0.4]
    right.set_yticks(ticks, map(str, ticks))
    right.set_yticks([], minor=True)
    right.set_title(f"after 20 epochs: {data['test error'][-1]:.4f} on the test set", loc="left")
    right.legend(loc="upper right")
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
