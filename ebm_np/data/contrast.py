r"""What is done to images before convolutional sparse coding: the local mean is subtracted, the local contrast divided.

With G the local mean under a Gaussian window of standard deviation sigma pixels, channel by channel, the same in (1)
and (2), an image x of C channels becomes y:

    v = x - G x                                    high-pass                                                   (1)
    s = (1/C \sum_c G v_c^2)^{1/2}                 local standard deviation, one for all channels              (2)
    y = v / max(s, c),   c = mean of s             local contrast normalization                                (3)

Why (1): slow changes of gray hold most of the variance of a photograph, and sparse coding, which explains variance,
would spend its codes on them. A wave of frequency f, in cycles per pixel, leaves (1) multiplied by

    H(f) = 1 - exp(-2 pi^2 sigma^2 |f|^2)                                                                      (4)

so constants vanish, and what is finer than about sigma stays as it is. (For pixels and a window cut off at 4 sigma, (4)
holds to 1e-3 from sigma = 1.2 on; for sigma below 1/8 the window is one pixel, and (1) leaves nothing of the image.)

Why (3): of what is left, the few regions with the greatest contrast would take the codes. Divided by s, a faint edge
counts as much as a strong one. Where s < c the division is by c, so that the noise of empty regions is not blown up.
As all channels share one s, colours keep their balance. y does not change if x becomes a x + b, with one a > 0 for all
channels and one b for each; a constant image gives zeros.

Beyond its border an image is continued by its mirror image (the mode "reflect" of SciPy), so that no dark frame enters
the means; then the mean of v is 0.

How it relates to `patches.whiten_image`: both remove the low frequencies. Whitening, linear and the same everywhere,
makes the spectrum flat up to a cutoff, and removes what is above; (1) leaves the 1/|f| of what is finer than sigma.
(3) makes the contrast of all places equal instead, which no linear filter can.

| symbol | in code | meaning, shape |
|---|---|---|
| x, v, y | `image` | (H, W), or (H, W, C) |
| s | | (H, W) |
| sigma | `sigma` | pixels; Jarrett et al. take windows of 9 x 9 pixels |
| c | `floor` | in the units of x |

Source: Jarrett, Kavukcuoglu, Ranzato and LeCun (2009), "What is the best multi-stage architecture for object
recognition?" (its layer N, whose local mean is one for all channels: here it is one a channel); Kavukcuoglu, Sermanet,
Boureau, Gregor, Mathieu and LeCun (2010), "Learning convolutional feature hierarchies for visual recognition".
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from ebm_np.foundations import validation as check
from ebm_np.foundations.arrays import Array

WIDEST = 3
"""A window whose sigma is 3 times the image's longer side averages image and mirror images evenly, as any wider one."""

ROUNDING = 100
"""In units of eps max |x|: a local deviation below this is the rounding error of pixels that are equal."""


def high_pass(image: Array, sigma: float) -> Array:
    """Return v = x - G x, equation (1): the shape of the image, float32 if it is, else float64.

    Parameters
    ----------
    image : (H, W) or (H, W, C)
    sigma : float > 0, pixels

    Raises
    ------
    TypeError, ValueError
        naming the argument: no image, NaN, numbers whose squares overflow, sigma that is not positive.

    Examples
    --------
    >>> high_pass(np.full((4, 4), 7.0), 1.0).any().item()
    False
    """
    image = _checked("image", image)
    sigma = check.positive("sigma", sigma)
    # G keeps constants: subtracting one changes nothing, but what is constant is now 0 exactly, and so is its mean
    lowest = image.min(axis=(0, 1))
    centred = image - (lowest + (image.max(axis=(0, 1)) - lowest) / 2)
    return np.asarray(centred - _local_mean(centred, sigma))


def local_deviation(v: Array, sigma: float) -> Array:
    """Return s (H, W), equation (2), of a high-passed image v (H, W) or (H, W, C). Errors as in `high_pass`."""
    v = _checked("v", v)
    sigma = check.positive("sigma", sigma)
    largest = max(v.max(), -v.min(), np.finfo(v.dtype).tiny)  # in this unit no square underflows that matters
    power = _local_mean((v / largest) ** 2, sigma)
    return np.asarray(largest * np.sqrt(power if v.ndim == 2 else power.mean(axis=2)))


def local_contrast_normalize(image: Array, sigma: float, floor: float | None = None) -> Array:
    """Return y = v / max(s, c), equations (1) to (3), of the image's shape and type.

    Parameters
    ----------
    image : (H, W) or (H, W, C)
    sigma : float > 0, pixels
    floor : float > 0, optional
        c; by default the mean of s over this image, or the rounding error of its numbers, if that is more.

    Raises
    ------
    TypeError, ValueError
        as `high_pass` does, and for a floor that is not positive.
    """
    image = _checked("image", image)
    least = None if floor is None else check.positive("floor", floor)
    v = high_pass(image, sigma)
    s = local_deviation(v, sigma)
    limits = np.finfo(v.dtype)
    c = max(float(s.mean()), ROUNDING * float(limits.eps * np.abs(image).max())) if least is None else least
    divisor = np.maximum(s, max(c, float(limits.tiny)))  # an image of zeros has v = s = c = 0
    return np.asarray(v / (divisor if v.ndim == 2 else divisor[:, :, None]))


def _checked(name: str, image: Array) -> Array:
    return check.squarable(name, image, None if check.rank(image) == 3 else ("H", "W"))


def _local_mean(image: Array, sigma: float) -> Array:
    """Return G x, channel by channel."""
    width = min(sigma, WIDEST * max(image.shape[:2]))
    return np.asarray(gaussian_filter(image, (width, width, 0)[: image.ndim], mode="reflect"))
