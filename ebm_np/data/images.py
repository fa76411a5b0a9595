"""Images as convolutional models take them: one array, channels first, (N, C, H, W)."""

from collections.abc import Sequence

import numpy as np

from ebm_np.data.patches import checked_images, random_patches
from ebm_np.foundations.arrays import Array


def channels_first(images: Sequence[Array]) -> Array:
    """Return images of one common size as one new array (N, C, H, W).

    Parameters
    ----------
    images : sequence of (H, W) arrays, which have one channel, or of (H, W, C) arrays

    Raises
    ------
    TypeError, ValueError
        naming the argument: no images, images of mixed kinds or sizes, NaN.

    Examples
    --------
    >>> channels_first([np.zeros((5, 6, 3))] * 2).shape
    (2, 3, 5, 6)
    """
    checked = checked_images(images)
    sizes = {image.shape for image in checked}
    if len(sizes) > 1:
        raise ValueError(f"images: expected one size for all, got {', '.join(map(str, sorted(sizes)))}")
    stack = np.stack(checked)  # (N, H, W) or (N, H, W, C)
    return stack[:, None] if stack.ndim == 3 else np.ascontiguousarray(stack.transpose(0, 3, 1, 2))


def random_crops(images: Sequence[Array], rng: np.random.Generator, n: int, size: int) -> Array:
    """Return `n` crops (n, C, size, size), drawn as `patches.random_patches` draws patches; its errors are the same."""
    crops = random_patches(images, rng, n, size).reshape(n, size, size, -1)
    return np.ascontiguousarray(crops.transpose(0, 3, 1, 2))
