"""A colour photograph from sparse maps of 64 kernels.

Kernels of 9 x 9 pixels and 3 channels, learned from contrast-normalised crops of photographs: most are gray edges of
all directions, because brightness is what differs most between neighbours; a few are edges between colours, blue
against yellow, red against green. For one photograph, never more than a few maps are awake at a place (zero is
mid-grey; of 3 x 3 codes the strongest is shown), and from what is not zero the image is rebuilt: first as the model
sees it, then with the local mean and contrast, which had been taken away, put back.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.data import contrast, images, photographs
from ebm_np.foundations.arrays import Array
from ebm_np.sparse import convolutional, convolutional_dictionary
from scripts import make_figures, materials, style

ORDER = 222
NOTE = "08-2, figure 7"
EQUATION = "y~ = sum_m K_m * z_m, E(y, z) = ||y - y~||^2 + lam ||z||_1, ||K_m|| = 1"
FUNCTION = "ebm_np.sparse.convolutional_dictionary.fit"
TEST = "tests/sparse/test_convolutional_dictionary.py::test_planted_kernels_are_found"
TOLERANCE = 0.02
M, SIZE, LAM = 64, 9, 2.0
SHOWN = "monarch"
CORNER, PIXELS = (120, 230), 192
"""Where the square that is shown begins, and its size; another photograph is cut from its first pixel on."""


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return kernels, the maps of a part of one photograph, and what is rebuilt of it."""
    normalised, source = materials.contrast_images(gray=False)
    y = images.random_crops(normalised, rng, 8 if quick else 500, 48)
    start = convolutional.Params(materials.smooth_kernels(rng, M, 3, SIZE))
    fitted = convolutional_dictionary.fit(start, y, rng, lam=LAM, n_steps=20, n_sweeps=1)
    found = photographs.load(gray=False)
    which = found.names.index(SHOWN) if SHOWN in found.names else 0
    top, left = CORNER if SHOWN in found.names else (0, 0)
    side = 48 if quick else PIXELS
    part = (slice(top, top + side), slice(left, left + side))
    photograph, seen = found.images[which], normalised[which].astype(np.float64)
    image = images.channels_first([seen[part]])
    coded = convolutional.infer(fitted.params, image, LAM, "working_set", tol=0.02)
    rebuilt = convolutional.decode(fitted.params, coded.z)[0].transpose(1, 2, 0)
    v = contrast.high_pass(photograph, materials.SIGMA)
    s = contrast.local_deviation(v, materials.SIGMA)
    back = (photograph - v)[part] + np.maximum(s, s.mean())[part][:, :, None] * rebuilt
    order = np.argsort(_colourfulness(fitted.params.K))
    return {
        "kernels": fitted.params.K[order],
        "colourfulness": _colourfulness(fitted.params.K)[order],
        "maps": coded.z[0, order].astype(np.float32),
        "photograph": photograph[part].astype(np.float32),
        "seen": seen[part].astype(np.float32),
        "rebuilt": rebuilt.astype(np.float32),
        "back": back.astype(np.float32),
        "explained": 1 - ((seen[part] - rebuilt) ** 2).sum() / (seen[part] ** 2).sum(),
        "history": fitted.history / y[0].size,
        "source": f"{source}; shown: {found.names[which]}",
    }


def _colourfulness(K: Array) -> Array:
    """Return the share of each kernel's squares that is not common to its three channels: 0 for gray."""
    gray = K.mean(axis=1, keepdims=True)
    return np.asarray(((K - gray) ** 2).sum(axis=(1, 2, 3)) / (K**2).sum(axis=(1, 2, 3)))


def _strongest(z: Array) -> Array:
    """Return the code of greatest size of each 3 x 3 square of the maps (M, h, w): single pixels would not be seen."""
    M, h, w = z.shape
    squares = z[:, : h // 3 * 3, : w // 3 * 3].reshape(M, h // 3, 3, w // 3, 3).swapaxes(2, 3).reshape(M, -1, 9)
    best = np.abs(squares).argmax(axis=2)[:, :, None]
    return np.asarray(np.take_along_axis(squares, best, axis=2).reshape(M, h // 3, w // 3))


def draw(data: dict[str, Any]) -> Figure:
    """Show the image four times above its kernels and maps."""
    figure, axes = style.new(11.0, 9.0, data["source"], nrows=2, ncols=4, height_ratios=[1, 2.1])
    z = data["maps"]
    awake = np.count_nonzero(z)
    contents = {
        "photograph $x$": data["photograph"],
        "contrast-normalised $y$": 0.5 + data["seen"] / 5,
        rf"rebuilt $\tilde{{y}}$: {100 * data['explained']:.0f} % of $\|y\|^2$": 0.5 + data["rebuilt"] / 5,
        "rebuilt, mean and contrast put back": data["back"],
    }
    for plot, (title, image) in zip(axes[0], contents.items(), strict=True):
        plot.imshow(np.clip(image, 0, 1))
        plot.set_title(title)
        plot.axis("off")
    grid = axes[1, 0].get_gridspec()
    for old in axes[1]:
        old.remove()
    kernels, maps = figure.add_subplot(grid[1, :2]), figure.add_subplot(grid[1, 2:])
    channels = data["kernels"] / (2 * np.abs(data["kernels"]).max(axis=(1, 2, 3), keepdims=True)) + 0.5
    sheet = np.stack([style.mosaic(channels[:, c], 8, fill=1.0) for c in range(3)], axis=-1)
    kernels.imshow(np.clip(sheet, 0, 1))
    colour = np.count_nonzero(data["colourfulness"] > 0.5)
    kernels.set_title(f"{M} kernels of 9 x 9 pixels, from gray to colour ({colour} mostly colour)")
    shown = _strongest(z)
    limit = float(np.quantile(np.abs(shown[shown != 0]), 0.8))
    maps.imshow(style.mosaic(shown, 8, pad=2, fill=limit), cmap="gray", vmin=-limit, vmax=limit)
    per_pixel = awake / data["photograph"][:, :, 0].size
    maps.set_title(f"their maps: {100 * awake / z.size:.1f} % not zero, {per_pixel:.2f} a pixel of 3 numbers")
    for plot in (kernels, maps):
        plot.axis("off")
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
