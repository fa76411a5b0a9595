r"""Samples of the ellipse and of the horn: a curve in the plane that opens as the input x grows.

    y = (rho_1(x) cos theta + eps_1, rho_2(x) sin theta + eps_2)                                                   (1)
    rho(x) = (alpha x + beta (1 - x), beta x + alpha (1 - x)) exp(2 x)                                              (2)
    x ~ U(0, 1),   theta ~ U(0, 2 pi),   eps_i ~ N(0, sigma^2)

    symbol        name          value of the lecture
    rho           radii         rho(0) = (2, 1.5) and rho(1) = (1.5, 2) e^2
    alpha, beta   alpha, beta   1.5, 2
    sigma         noise         1/20

The ellipse is the horn at x = 0. The note writes one epsilon for both components; they are drawn independently.

Source: notes 15-1, "Training data and model definition".
"""

from typing import Any

import numpy as np

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array

NOISE = 1 / 20


def radii(x: Array, alpha: float = 1.5, beta: float = 2.0) -> Array:
    """Return rho(x), equation (2): (...) -> (..., 2).

    >>> radii(np.array(0.0)).tolist()
    [2.0, 1.5]
    """
    x = validation.array("x", x, None)
    alpha, beta = validation.positive("alpha", alpha), validation.positive("beta", beta)
    with np.errstate(over="ignore"):  # no warning besides the error
        rho = np.stack([alpha * x + beta * (1 - x), beta * x + alpha * (1 - x)], axis=-1) * np.exp(2 * x)[..., None]
    return validation.squarable("rho(x)", rho, rho.shape)


def sample_ellipse(rng: np.random.Generator, n: int, x: float = 0.0, noise: float = NOISE, dtype: Any = float) -> Array:
    """Return n samples y (n, 2) of equation (1) at one input x >= 0; for x < 0 a radius may be negative."""
    return _sample(rng, np.full(validation.count("n", n), validation.non_negative("x", x)), noise).astype(
        validation.floating("dtype", dtype)
    )


def sample_horn(rng: np.random.Generator, n: int, noise: float = NOISE, dtype: Any = float) -> tuple[Array, Array]:
    """Return n inputs x (n, 1), uniform in [0, 1), and their observations y (n, 2)."""
    dtype = validation.floating("dtype", dtype)
    x = validation.generator("rng", rng).uniform(size=validation.count("n", n))
    return x[:, None].astype(dtype), _sample(rng, x, noise).astype(dtype)


def _sample(rng: np.random.Generator, x: Array, noise: float) -> Array:
    validation.non_negative("noise", noise)
    theta = validation.generator("rng", rng).uniform(0, 2 * np.pi, len(x))
    ring = np.stack([np.cos(theta), np.sin(theta)], axis=-1)
    return radii(x) * ring + rng.normal(0, noise, ring.shape)
