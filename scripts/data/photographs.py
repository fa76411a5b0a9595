"""A photograph, whitened, and its patches.

The amplitudes of a natural image fall as 1/f: neighbours are nearly equal, and a model of raw patches learns little
else. Whitening makes all frequencies equal and leaves the edges, which is what sparse coding is to find.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.data import patches, photographs
from scripts import pipeline, style

ORDER = 2
NOTE = "08-2, examples (whitened natural patches)"
EQUATION = "R(f) = |f| exp(-(|f| / f0)^4)"
FUNCTION = "ebm_np.data.patches.whiten_image"
TEST = "tests/data/test_patches.py::test_a_one_over_f_image_gets_a_flat_spectrum"
SIZE = 12


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return one photograph, raw and whitened, and 48 patches of all photographs, raw and whitened by ZCA."""
    found = photographs.load()
    everything = patches.random_patches(found.images, rng, 2_000 if quick else 20_000, SIZE)
    whitening = patches.fit_whitening(everything, regularization=1e-3)
    some = everything[:48]
    shown = found.names.index("camera") if "camera" in found.names else 0
    image = found.images[shown]
    return {
        "image": image,
        "whitened_image": patches.whiten_image(image),
        "patches": (some - some.mean(axis=1, keepdims=True)).reshape(-1, SIZE, SIZE),
        "whitened_patches": patches.whiten(whitening, some).reshape(-1, SIZE, SIZE),
        "source": f"{found.source}; shown: {found.names[shown]}",
    }


def draw(data: dict[str, Any]) -> Figure:
    """Draw image and patches, raw on the left and whitened on the right."""
    figure, panels = style.new(7, 6.4, data["source"], nrows=2, ncols=2, gridspec_kw={"height_ratios": (2, 1.5)})
    titles = ("photograph", "whitened", "patches, mean removed", "patches, whitened (ZCA)")
    for axes, key, title in zip(
        panels.flat, ("image", "whitened_image", "patches", "whitened_patches"), titles, strict=True
    ):
        values = data[key]
        spread = 3 * values.std()
        limits = (0, 1) if key == "image" else (-spread, spread)
        shown = values if values.ndim == 2 else style.mosaic(values, 8, fill=-spread)
        axes.imshow(shown, cmap="gray", vmin=limits[0], vmax=limits[1])
        axes.set_title(title, loc="left")
        axes.axis("off")
    return figure


if __name__ == "__main__":
    pipeline.run_alone(__file__)
