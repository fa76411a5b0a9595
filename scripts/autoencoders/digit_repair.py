"""Spoiled digits repaired, or not.

Two networks 784 - 500 - 784, 10 epochs each, one of them with dropout on its input; at the left the mean squared error
of a pixel, pixels from -1 to 1, over the test set. The plain one copies: the digits (0.005; the denoising one 0.021),
and what was done to them, too: 0.136 with dropout, against 0.047 of the one that was trained to undo that. Six unknown
rows ask for more than this noise has taught, which left half of a pixel's neighbours where they were. The denoising
network bridges some of it (0.087 against 0.117), with strokes that remain faint.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.autoencoders import autoencoder, denoising
from ebm_np.foundations.arrays import Array
from scripts import digit_networks, make_figures, materials, style

ORDER = 308
NOTE = "08-3, figure 3; the lecture's notebook"
EQUATION = "y~ = r(y^), y^ = y * {0, 2}, or y with a bar of zeros"
FUNCTION = "ebm_np.autoencoders.denoising.corrupt"
TEST = "tests/autoencoders/test_denoising.py::test_dropout_of_a_half_is_zero_or_twice_as_in_the_lecture"
TOLERANCE = 0.05
SHARES = "digit_networks.denoiser"
K = 500
BAR = slice(12, 18)
"""Rows of the picture that are hidden."""


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return ten digits, two ways to spoil them, what two networks of 500 units make of that, and the errors."""
    y, _, source = digit_networks.digits("train", 2_000 if quick else None)
    test, labels, _ = digit_networks.digits("test", 500 if quick else None)
    chosen = materials.one_of_each(labels)
    plain = digit_networks.train(digit_networks.untrained(rng, K), y, rng, n_epochs=2 if quick else 10).params
    nets = {"AE": plain, "DAE": digit_networks.denoiser(quick)[1]}
    spoiled = {"dropout": denoising.corrupt(test, rng, digit_networks.DROPOUT), "bar": _barred(test)}
    found: dict[str, Any] = {"digits": test[chosen].reshape(-1, 28, 28), "source": source}
    for way, y_hat in {"nothing": test, **spoiled}.items():
        found[f"{way}, input"] = y_hat[chosen].reshape(-1, 28, 28)
        for name, params in nets.items():
            y_tilde = autoencoder.reconstruct(params, y_hat, digit_networks.MODEL)
            found[f"{way}, {name}"] = y_tilde[chosen].reshape(-1, 28, 28)
            found[f"{way}, {name}, error"] = float(np.mean((y_tilde - test) ** 2))
    return found


def _barred(y: Array) -> Array:
    """Return digits with a bar of gray across the middle."""
    images = y.reshape(-1, 28, 28).copy()
    images[:, BAR] = 0
    return images.reshape(len(y), -1)


def draw(data: dict[str, Any]) -> Figure:
    """Draw a row for each: the input, and what the two networks make of it."""
    figure, panels = style.new(11, 2.9, data["source"], ncols=2)
    titles = {"dropout": "every pixel times 0 or 2", "bar": "six rows unknown: gray, as dropout has it"}
    for axes, (way, title) in zip(panels, titles.items(), strict=True):
        rows = [data["digits"], *(data[f"{way}, {name}"] for name in ("input", "AE", "DAE"))]
        axes.imshow(style.mosaic(np.concatenate(rows), 10, pad=3, fill=-1.0), cmap="gray_r", vmin=-1, vmax=1)
        names = ["$y$", r"$\hat y$", *(f"{n}\n{data[f'{way}, {n}, error']:.3f}" for n in ("AE", "DAE"))]
        style.name_rows(axes, 14 + 31 * np.arange(4), names)
        axes.set_title(title, loc="left")
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
