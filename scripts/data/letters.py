"""The alphabet as binary images, one node a pixel.

Ink is +1 and paper is -1: the patterns that a Hopfield network will remember and repair.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.data import letters
from scripts import make_figures, style

ORDER = 3
NOTE = "blog 004, Hopfield networks"
EQUATION = "x in {-1, +1}^N,  N = 7 x 5 pixels"
FUNCTION = "ebm_np.data.letters.letters"
TEST = "tests/data/test_letters.py::test_rows_are_letters"


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return the 26 letters."""
    return {"letters": letters.letters(letters.ALPHABET), "source": "26 letters, drawn in code"}


def draw(data: dict[str, Any]) -> Figure:
    """Lay the letters out in two rows."""
    figure, axes = style.new(6.4, 1.9, data["source"])
    images = data["letters"].reshape(-1, letters.HEIGHT, letters.WIDTH)
    axes.imshow(style.mosaic(images, 13, pad=2, fill=-1.0), cmap="gray_r", vmin=-1.3, vmax=1)
    axes.axis("off")
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
