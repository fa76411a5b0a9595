"""Handwritten digits, and what stands in for them.

Top: digits of MNIST. Bottom: synthetic digits, drawn in code by a pen with a trembling hand, for a machine without data
and without a network. Where MNIST is missing, both rows are synthetic, and the captions say so.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.data import digits, mnist
from scripts import pipeline, style

ORDER = 1
NOTE = "08-2, examples"
EQUATION = "I(q) = clip(g (integral exp(-||q - c(s)||^2 / 2 w^2) ds / (w sqrt(2 pi)) - b), 0, 1)"
FUNCTION = "ebm_np.data.digits.synthetic"
TEST = "tests/data/test_digits.py::test_classes_can_be_told_apart"


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return 8 digits of each class, of both kinds."""
    found, drawn = mnist.load_or_synthetic("test"), digits.synthetic(rng, 400)
    sheets = [_eight_of_each(kind) for kind in (found, drawn)]
    return {"found": sheets[0], "drawn": sheets[1], "source": f"{found.source}; synthetic digits, drawn by seed 0"}


def draw(data: dict[str, Any]) -> Figure:
    """Lay the digits out, a column a class."""
    figure, panels = style.new(6.2, 4.9, data["source"], nrows=2)
    for axes, images, name in zip(panels, (data["found"], data["drawn"]), data["source"].split("; "), strict=True):
        axes.imshow(style.mosaic(images, 20), cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(name, loc="left")
        axes.axis("off")
    return figure


def _eight_of_each(kind: digits.Digits) -> Any:
    """Return 8 images of each class, (80, 28, 28), in four rows of twenty."""
    chosen = np.array([np.flatnonzero(kind.labels == c)[:8] for c in range(10)])
    rows = chosen.reshape(10, 4, 2).swapaxes(0, 1).reshape(-1)
    return kind.images[rows].reshape(-1, digits.SIDE, digits.SIDE)


if __name__ == "__main__":
    pipeline.run_alone(__file__)
