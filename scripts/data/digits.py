"""What stands in for MNIST.

Synthetic digits, drawn in code by a pen with a trembling hand, for a machine without data and without a network; and,
to see how near they come, the mean image of each class, of MNIST and of the stand-in.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.data import digits, mnist
from ebm_np.foundations.arrays import Array
from scripts import make_figures, style

ORDER = 1
NOTE = "08-2, examples"
EQUATION = "I(q) = clip(g (integral exp(-||q - c(s)||^2 / 2 w^2) ds / (w sqrt(2 pi)) - b), 0, 1)"
FUNCTION = "ebm_np.data.digits.synthetic"
TEST = "tests/data/test_digits.py::test_classes_can_be_told_apart"


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return eight synthetic digits of each class, and the class means of both kinds."""
    found, drawn = mnist.load_or_synthetic("test"), digits.synthetic(rng, 500 if quick else 2000)
    chosen = np.array([np.flatnonzero(drawn.labels == c)[:8] for c in range(10)])
    in_four_rows = chosen.reshape(10, 4, 2).swapaxes(0, 1).ravel()
    return {
        "drawn": drawn.images[in_four_rows].reshape(-1, digits.SIDE, digits.SIDE),
        "means_found": _class_means(found),
        "means_drawn": _class_means(drawn),
        "source": f"synthetic digits, drawn by seed 0; {found.source}",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Lay the digits out, two columns a class, and the means below."""
    figure, panels = style.new(6.2, 4.2, data["source"], nrows=3, gridspec_kw={"height_ratios": (4, 2, 2)})
    names = ("synthetic digits", f"class means: {data['source'].split('; ')[1]}", "class means: synthetic digits")
    sheets = (
        style.mosaic(data["drawn"], 20),
        style.mosaic(data["means_found"], 10),
        style.mosaic(data["means_drawn"], 10),
    )
    for axes, sheet, name in zip(panels, sheets, names, strict=True):
        axes.imshow(sheet, cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(name, loc="left")
        axes.axis("off")
    return figure


def _class_means(kind: digits.Digits) -> Array:
    """Return the mean image of each class, (10, 28, 28)."""
    means = [kind.images[kind.labels == c].mean(axis=0) for c in range(10)]
    return np.reshape(means, (10, digits.SIDE, digits.SIDE))


if __name__ == "__main__":
    make_figures.run_alone(__file__)
