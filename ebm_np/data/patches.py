r"""Small square patches of images, and the whitening that sparse coding of them begins with.

Zero-phase whitening (ZCA) of patches, fitted to rows x_1 ... x_N with mean m and covariance C:

    C = 1/N \sum_n (x_n - m) (x_n - m)^T = U diag(l) U^T                                                       (1)
    W = U diag((l + eps)^{-1/2}) U^T,      whiten(x) = W (x - m),      unwhiten(x') = m + W^{-1} x'            (2)

W is symmetric, and of all whitening matrices it changes the patches least, in mean square. With eps = 0 the whitened
patches have covariance W C W^T = I; eps > 0 keeps the noise of directions with l << eps from being blown up.

Whitening of a whole image (Olshausen and Field): the amplitude of natural images falls as 1/|f|, so the filter

    R(f) = |f| exp(-(|f| / f0)^4)                                                                              (3)

flattens it up to the cutoff f0, in cycles per pixel, and removes the corners of the frequency plane, where noise and
aliasing dominate.

| symbol | in code | meaning, shape |
|---|---|---|
| x | `patches` | a patch a row, in the order row, column, channel: (N, d) |
| m | `mean` | (d,) |
| W, W^{-1} | `matrix`, `inverse` | (d, d) |
| eps | `regularization` | a variance: the patches' units, squared |
| f0 | `cutoff` | cycles per pixel |

Source: Bell and Sejnowski (1997), "The 'independent components' of natural scenes are edge filters" (ZCA); Olshausen
and Field (1997), "Sparse coding with an overcomplete basis set: a strategy employed by V1?" (equation 3, with f0 = 200
cycles per picture of 512 pixels).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ebm_np.foundations import validation as check
from ebm_np.foundations.arrays import Array


def random_patches(images: Sequence[Array], rng: np.random.Generator, n: int, size: int) -> Array:
    """Return `n` patches of `size` x `size` pixels, (n, size * size * channels), drawn with replacement.

    Every position that a patch can take in any of the images is equally likely; images smaller than a patch offer none.

    Parameters
    ----------
    images : sequence of (H, W) arrays, or of (H, W, channels) arrays with the same number of channels

    Raises
    ------
    TypeError, ValueError
        naming the argument: no images, images of mixed kinds, NaN, none as large as a patch, `n` or `size` below 1.

    Examples
    --------
    >>> random_patches([np.ones((5, 6))], np.random.default_rng(0), 3, 2).shape
    (3, 4)
    """
    n, size = check.count("n", n), check.count("size", size)
    check.generator("rng", rng)
    windows = [_windows(image, size) for image in _with_channels(checked_images(images))]
    ends = np.cumsum([window.shape[0] * window.shape[1] for window in windows])
    if ends[-1] == 0:
        raise ValueError(f"size: expected a patch that fits into an image, got {size}, and no image is that large")
    position = rng.integers(ends[-1], size=n)
    owner = np.searchsorted(ends, position, side="right")
    patches = np.empty((n, *windows[0].shape[2:]), np.result_type(*windows))
    for i, window in enumerate(windows):
        mine = owner == i
        # the row is negative: it counts back from the image's last window, as Python's indices do
        row, column = np.divmod(position[mine] - ends[i], max(1, window.shape[1]))
        patches[mine] = window[row, column]
    return patches.reshape(n, -1)


def remove_dc(patches: Array) -> Array:
    """Subtract from each patch (a row) its own mean intensity, the DC component.

    >>> remove_dc(np.array([[1.0, 3.0]])).tolist()
    [[-1.0, 1.0]]
    """
    patches = check.array("patches", patches, ("N", "d"))
    return np.asarray(patches - patches.mean(axis=1, keepdims=True))


class Whitening(NamedTuple):
    """A fitted ZCA: `mean` (d,), `matrix` W (d, d), `inverse` of W (d, d)."""

    mean: Array
    matrix: Array
    inverse: Array


def fit_whitening(patches: Array, *, regularization: float = 1e-3) -> Whitening:
    """Fit equations (1) and (2) to patches (N, d).

    Raises
    ------
    ValueError
        if `regularization` is negative, or too small (0, for instance) for a singular covariance, as N <= d patches
        have, and patches whose DC component has been removed.
    """
    data = check.squarable("patches", patches, ("N", "d"))
    eps = check.non_negative("regularization", regularization)
    mean = data.mean(axis=0, dtype=np.float64)
    centred = data - mean
    variance, axes = np.linalg.eigh(centred.T @ centred / len(data))
    if variance[0] + eps <= variance[-1] * len(mean) * np.finfo(np.float64).eps:
        raise ValueError(f"regularization: expected a larger number, got {eps}: the patches' covariance is singular")
    spread = np.sqrt(np.maximum(variance, 0.0) + eps)
    matrix, inverse = (axes / spread) @ axes.T, (axes * spread) @ axes.T
    return Whitening(*(part.astype(data.dtype, copy=False) for part in (mean, matrix, inverse)))


def whiten(whitening: Whitening, patches: Array) -> Array:
    """Return W (x - m) for each row x of `patches` (N, d)."""
    mean, matrix, _ = _checked_whitening(whitening)
    patches = check.squarable("patches", patches, ("N", len(mean)))
    return np.asarray((patches - mean) @ matrix)


def unwhiten(whitening: Whitening, patches: Array) -> Array:
    """Return m + W^{-1} x' for each row x' of `patches` (N, d): undo `whiten`, whatever the regularization."""
    mean, _, inverse = _checked_whitening(whitening)
    patches = check.squarable("patches", patches, ("N", len(mean)))
    return np.asarray(mean + patches @ inverse)


def whiten_image(image: Array, *, cutoff: float = 0.4) -> Array:
    """Filter an image (H, W) by equation (3), as if it were repeated periodically; the result has mean zero.

    The filter's gain is small: divide the result by its standard deviation where unit variance is wanted.

    Parameters
    ----------
    cutoff : float
        f0 in cycles per pixel; the highest frequency that pixels can hold along a row is 0.5.
    """
    image = check.squarable("image", image, ("H", "W"))
    f0 = check.positive("cutoff", cutoff)
    height, width = image.shape
    f = np.sqrt(np.fft.fftfreq(height)[:, None] ** 2 + np.fft.rfftfreq(width)[None, :] ** 2)
    with np.errstate(over="ignore"):  # exp(-infinity) is 0
        gain = f * np.exp(-((f / f0) ** 4))
    filtered = np.fft.irfft2(np.fft.rfft2(image) * gain, s=image.shape)
    return np.asarray(filtered, image.dtype)


def _checked_whitening(whitening: Whitening) -> Whitening:
    mean = check.squarable("whitening.mean", check.instance("whitening", whitening, Whitening).mean, ("d",))
    square = len(mean), len(mean)
    matrix = check.squarable("whitening.matrix", whitening.matrix, square)
    return Whitening(mean, matrix, check.squarable("whitening.inverse", whitening.inverse, square))


def checked_images(images: Sequence[Array]) -> list[Array]:
    """Return the images as arrays of one kind, (H, W) or (H, W, channels), of which there is at least one."""
    if not isinstance(images, Sequence | np.ndarray) or (isinstance(images, np.ndarray) and images.ndim < 3):
        got = f"one array of shape {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise TypeError(f"images: expected a sequence of images, got {got}")
    if not len(images):
        raise ValueError("images: expected at least one image, got none")
    shape: check.Shape = ("H", "W", "channels") if check.rank(images[0]) == 3 else ("H", "W")
    return [check.array(f"images[{i}]", image, shape) for i, image in enumerate(images)]


def _with_channels(images: list[Array]) -> list[Array]:
    """Return the images as arrays (H, W, channels)."""
    if images[0].ndim == 2:
        return [image[:, :, None] for image in images]
    channels = {image.shape[2] for image in images}
    if len(channels) > 1:
        raise ValueError(f"images: expected the same number of channels in all, got {sorted(channels)}")
    return images


def _windows(image: Array, size: int) -> Array:
    """Return a view (rows, columns, size, size, channels) of all patches of an image (H, W, channels)."""
    if min(image.shape[:2]) < size:
        return np.empty((0, 0, size, size, image.shape[2]), image.dtype)
    return np.moveaxis(sliding_window_view(image, (size, size), axis=(0, 1)), 2, 4)
