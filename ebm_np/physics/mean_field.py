r"""What a Hopfield memory of infinitely many units holds: mean-field theory at zero temperature, solved.

    m = erf(y),   y = m / sqrt(2 alpha r),   r = 1 / (1 - C)^2,   C = (2 / sqrt(pi)) exp(-y^2) / sqrt(2 alpha r)   (1)
    alpha(y) = (1/2) [erf(y) / y - (2 / sqrt(pi)) exp(-y^2)]^2                                                     (2)
    E / N = -m^2 / 2 + (alpha / 2) (1 - r)                                                                         (3)
    first-step error = (1/2) erfc(1 / sqrt(2 alpha)),   with W_ii kept (1/2) erfc((1 + alpha) / sqrt(2 alpha))     (4)

    symbol    name      meaning
    alpha     alpha     load P / N, random patterns
    m         m         overlap of the state with the pattern that it remembers
    y         y         signal over sqrt(2) noise: what a unit feels of that pattern, and of all others
    alpha r   r         variance of that noise
    C                   susceptibility, d(mean of s) / d(field): twice the probability density of fields at 0

Derivation
----------
1. One step from pattern 1: h_i xi_i^1 = 1 - 1/N + (1/N) times a sum of (N - 1) (P - 1) random signs, which is normal
   noise of variance alpha. The bits with noise below -1 are lost, (4). A kept diagonal adds P/N = alpha to the signal.
2. After many steps the others' overlaps have grown: the field of m_nu turns units, by the susceptibility C, which adds
   C m_nu to m_nu. So each is 1 / (1 - C) times what it would be without this feedback, and the noise has the variance
   alpha / (1 - C)^2 = alpha r.
3. Units are right where m + sqrt(alpha r) x > 0 with x normal: m = erf(y); and C is twice the density of m +
   sqrt(alpha r) x at 0. That is (1).
4. sqrt(2 alpha r) = erf(y) / y and C = (2 / sqrt(pi)) exp(-y^2) y / erf(y), so sqrt(2 alpha) = (1 - C) sqrt(2 alpha r)
   is (2)'s bracket. It vanishes at y = 0 and infinity. Its maximum is the capacity, alpha_c = 0.1379: up to it there
   are two solutions, and the one of larger y is the memory; beyond it there is none, and m falls from 0.967 to 0.
5. From `capacity`, equation 2: E / N = -(1/2) (m^2 + sum of the others' m_nu^2) + alpha / 2 with sum m_nu^2 = alpha r.
6. y = 0 is the spin glass, states that remember nothing: sqrt(r) = 1 + sqrt(2 / (pi alpha)). Their energy is below that
   of the memories for alpha > 0.0519: from there to 0.138 a memory is a local minimum of E, but not the global one.

The blog says "between 0.14 N and 0.15 N". The limit is 0.1379; of networks of 1,000 units half of the patterns are kept
at 0.161 N, of 2,000 units at 0.154 N (`capacity`).

Source: blog 004, "Hopfield networks"; Amit, Gutfreund & Sompolinsky 1985, 1987; 2: Hertz, Krogh & Palmer 1991, 2.5.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import erf, erfc, gammainc

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array

SLOPE = 2 / np.sqrt(np.pi)
"""erf'(0)."""


class Critical(NamedTuple):
    """Where the memory breaks down: load, and y and overlap just before."""

    alpha: float
    y: float
    m: float


def load(y: Array) -> Array:
    """Return the load alpha at which y solves (1), equation (2), elementwise."""
    y = validation.array("y", y, None)
    if not (y > 0).all():
        raise ValueError("y: expected positive numbers")
    return 0.5 * np.square(_answered(y) / y)


def critical() -> Critical:
    """Return the capacity: the maximum of (2), where its slope is 0.

    >>> round(critical().alpha, 8)
    0.13790557
    """

    def slope(y: float) -> float:
        return SLOPE * np.exp(-(y**2)) * (1 / y + 2 * y) - erf(y) / y**2

    y = brentq(slope, 1, 2, xtol=1e-15)
    return Critical(float(load(y)), y, float(erf(y)))


def overlap(alpha: Array) -> Array:
    """Return m, (1), with the pattern that is remembered; 0 beyond the capacity: elementwise, alpha > 0.

    >>> overlap(np.array([0.05, 0.1, 0.138])).round(6).tolist()
    [0.999992, 0.997999, 0.0]
    """
    return erf(_signal(alpha))


def memory_energy(alpha: Array) -> Array:
    """Return E / N of the state that remembers, equation (3); NaN beyond the capacity: elementwise."""
    alpha, y = _loads(alpha), _signal(alpha)
    with np.errstate(invalid="ignore"):  # beyond the capacity r is 0 / 0
        r = np.square(erf(y) / _answered(y))
    return -0.5 * np.square(erf(y)) + 0.5 * alpha * (1 - r)


def spin_glass_energy(alpha: Array) -> Array:
    """Return E / N of the states that remember nothing, derivation 6: -1/pi - sqrt(2 alpha / pi), elementwise.

    >>> spin_glass_energy(np.array([np.pi / 2])).round(6).tolist()  # -1/pi - 1
    [-1.31831]
    """
    return -1 / np.pi - np.sqrt(_loads(alpha) * (2 / np.pi))


def first_step_error(alpha: Array, *, keep_diagonal: bool = False) -> Array:
    """Return the fraction of the bits that the first step spoils, equation (4), elementwise.

    >>> first_step_error(np.array([1.0])).round(6).tolist()  # a normal number is beyond 1
    [0.158655]
    """
    alpha = _loads(alpha)
    signal = 1 + alpha if validation.flag("keep_diagonal", keep_diagonal) else 1
    return 0.5 * erfc(signal / math.sqrt(2) / np.sqrt(alpha))


def _answered(y: Array) -> Array:
    """Return erf(y) - (2 / sqrt(pi)) y exp(-y^2) = (1 - C) erf(y), without cancellation where y is small.

    It is the regularised incomplete gamma function P(3/2, y^2), which is 1 from y = 6 on.
    """
    return gammainc(np.full_like(y, 1.5), np.square(np.minimum(y, 10)))


def _signal(alpha: Array) -> Array:
    """Return the larger y of each load, 0 beyond the capacity."""
    alpha, (most, turn, _) = _loads(alpha), critical()

    def larger(a: float) -> float:
        # alpha(y) < 1 / (2 y^2): a little beyond 1 / sqrt(2 a) the load is below a, whatever the rounding
        return brentq(lambda y: float(load(y)) - a, turn, 1.001 / np.sqrt(2 * a), xtol=1e-15) if a <= most else 0.0

    return np.array([larger(a) for a in alpha.ravel().tolist()], alpha.dtype).reshape(alpha.shape)


def _loads(alpha: Array) -> Array:
    alpha = validation.array("alpha", alpha, None)
    if not (alpha > 0).all():
        raise ValueError("alpha: expected positive loads P / N")
    return alpha
