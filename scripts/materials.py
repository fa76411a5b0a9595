"""What several figures start from: patches and images, whitened or contrast-normalised, and the strokes of MNIST.

What takes long is kept (`cache`) for the next figure of the same process; see SHARES in `pipeline`.
"""

from functools import cache
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from ebm_np.data import contrast, mnist, patches, photographs
from ebm_np.data.digits import Digits
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.results import Fit
from ebm_np.sparse import dictionary, sparse_coding

STROKES_LAM = 0.5
SIGMA = 3.0
"""Of the window of contrast normalization, in pixels: that of Jarrett et al. 2009 is about as wide."""


def one_of_each(labels: Array) -> list[int]:
    """Return where the first digit of each class stands."""
    return [int(np.flatnonzero(labels == digit)[0]) for digit in range(10)]


def whitened_patches(rng: np.random.Generator, n: int, size: int, dtype: Any = np.float64) -> tuple[Array, str]:
    """Return n patches of whitened photographs (n, size^2), without DC, of unit variance on the whole; and a source."""
    found = photographs.load(dtype=dtype)
    images = [patches.whiten_image(image) for image in found.images]
    y = patches.remove_dc(patches.random_patches(images, rng, n, size).reshape(n, -1))
    return y / y.std(), f"{n:,} whitened patches, {found.source}"


def contrast_patches(rng: np.random.Generator, n: int, held_out: int, size: int) -> tuple[Array, Array, str]:
    """Return patches of photographs for training (n, size^2) and for judging (held_out, size^2), float32, and a source.

    As Gregor & LeCun 2010 made theirs: not whitened, without DC and of unit standard deviation each; the third with the
    least contrast is left out. Those for judging are of the right fifth of each photograph, the others of the rest.
    """
    found = photographs.load(dtype=np.float32)

    def cut(images: list[Array], wanted: int) -> Array:
        y = patches.remove_dc(patches.random_patches(images, rng, wanted + wanted // 2, size).reshape(-1, size**2))
        contrast = y.std(axis=1)
        chosen = np.sort(np.argsort(contrast, kind="stable")[-wanted:])
        return y[chosen] / contrast[chosen, None]

    y = cut([image[:, : -(image.shape[1] // 5)] for image in found.images], n)
    return y, cut([image[:, -(image.shape[1] // 5) :] for image in found.images], held_out), found.source


def unit_norm(y: Array) -> Array:
    """Return the rows of y at unit norm; a row of zeros stays as it is."""
    norm = np.linalg.norm(y, axis=1, keepdims=True)
    return y / np.where(norm > 0, norm, 1)


@cache
def digits(split: str) -> Digits:
    """Return the digits of MNIST, or what stands in for them, float32; read once, so nobody may write to them."""
    found = mnist.load_or_synthetic(split, dtype=np.float32)
    for part in (found.images, found.labels):
        part.setflags(write=False)
    return found


@cache
def strokes(quick: bool) -> tuple[Fit[sparse_coding.Params], str]:
    """Return 256 atoms learned from all training digits of MNIST (1,500 if quick), float32, and a source."""
    rng, found = np.random.default_rng(0), digits("train")
    y = found.images[:1_500] if quick else found.images
    start = sparse_coding.init(rng, y.shape[1], 256, y.dtype)
    fitted = dictionary.fit(start, y, rng, lam=STROKES_LAM, n_epochs=1 if quick else 4, n_sweeps=10)
    return fitted, f"{found.source}{', the first 1,500' if quick else ''}"


def contrast_images(*, gray: bool) -> tuple[list[Array], str]:
    """Return the photographs, contrast-normalised, float32, (H, W) or (H, W, 3); and a source."""
    found = photographs.load(gray=gray, dtype=np.float32)
    return [contrast.local_contrast_normalize(image, SIGMA) for image in found.images], found.source


def smooth_kernels(rng: np.random.Generator, M: int, C: int, size: int) -> Array:
    """Return M random kernels (M, C, size, size), float32, smooth and fading towards their borders.

    Encoders keep for long what their start has of frequencies that images lack: noise. And kernels that start in the
    middle stay there; nothing else keeps them from being shifted until the border cuts them.
    """
    u = np.arange(size) - (size - 1) / 2
    window = np.exp(-np.add.outer(u**2, u**2) / (2 * (0.28 * size) ** 2))
    return np.asarray(gaussian_filter(rng.normal(size=(M, C, size, size)), (0, 0, 1, 1)) * window, np.float32)
