r"""Dense associative memory: Hopfield's network with a steeper energy, which holds far more.

    E(s) = -(N / n) sum_mu F(m_mu),   m_mu = (1/N) sum_i xi_i^mu s_i,   F(m) = m^n                                 (1)
    s_i <- the sign for which E is lower;  s_i stays where both are equal        one unit at a time                (2)
    rectified: F(m) = max(m, 0)^n                                                                                  (3)

    symbol   name       shape     meaning
    xi       patterns   (P, N)    what is stored, +1 or -1
    s        s          (B, N)    states, +1 or -1
    n        n                    2 is Hopfield's network: E differs by the constant P / 2

A pattern with m = 1 counts 1, one with m = 1/2 counts 2^-n: the steeper F, the less a memory feels the others.
Other patterns, if random, have m_mu ~ 1/sqrt(N) and add only m_mu^n each: about N^(n-1) can be stored, not 0.14 N.

Derivation
----------
1. A flip of unit i takes m_mu to m_mu - 2 xi_i^mu s_i / N. (2) compares E with and without the flip: E never rises.
2. n = 2: E = -(1/2N) sum_mu (sum_i xi_i^mu s_i)^2 = -(1/2) sum_{i != j} W_ij s_i s_j - P/2 with Hebb's W, and (2) is
   s_i <- sign(h_i): E differs by 2 s_i h_i.
3. Units updated one after the other: unit i finds m changed by those before it, m_mu + (1/N) sum_{j<i} xi_j^mu
   (s'_j - s_j). As in `hopfield`, derivation 6, fixed-point iteration for a chunk of units from s' = s finds s'.

Source: blog 004, "Hopfield networks"; Krotov & Hopfield 2016, "Dense Associative Memory for Pattern Recognition".
"""

from functools import reduce

import numpy as np

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.training import batches
from ebm_np.physics.hopfield import Settled

CHUNK = 32
"""Units updated in one go, derivation 3: the changes of all patterns' m, (B, CHUNK, P) numbers, should stay small."""


def energy(patterns: Array, s: Array, n: int = 3, *, rectified: bool = False) -> Array:
    """Return E(s), equation (1) or (3): (P, N), (B, N) -> (B,).

    >>> energy(np.array([[1.0, 1.0]]), np.array([[1.0, 1.0], [1.0, -1.0]]), n=2).tolist()
    [-1.0, -0.0]
    """
    patterns, s, n, rectified = _checked(patterns, s, n, rectified)
    return _energy(s @ patterns.T, patterns.shape[1], n, rectified)


def settle(
    patterns: Array,
    s: Array,
    n: int = 3,
    rng: np.random.Generator | None = None,
    *,
    rectified: bool = False,
    max_iter: int = 1_000,
) -> Settled:
    """Return the local minima of E to which the states fall, by (2).

    Every sweep visits each unit once, in an order drawn by `rng` and the same for all states (as they are listed if it
    is None). Errors name the argument.
    """
    patterns, s, n, rectified = _checked(patterns, s, n, rectified)
    if rng is not None:
        validation.generator("rng", rng)
    n_units = patterns.shape[1]
    xi, s = patterns.T, s.copy()
    for n_iter in range(1, validation.count("max_iter", max_iter) + 1):  # noqa: B007 - n_iter is reported
        before, sums = s.copy(), s @ patterns.T
        for units in batches(n_units, CHUNK, rng):
            looked = _visit(s[:, units], xi[units], sums, n_units, n, rectified)
            sums += (looked - s[:, units]) @ xi[units]
            s[:, units] = looked
        period = (s == before).all(axis=1).astype(int)
        if period.all():
            break
    return Settled(s, _energy(s @ patterns.T, n_units, n, rectified), n_iter, period == 1, period)


def _visit(s: Array, xi: Array, sums: Array, n_units: int, n: int, rectified: bool) -> Array:
    """Return the states of some units after they have been updated one after the other, derivation 3.

    s, xi, sums : (B, c) their states; (c, P) what they have stored; (B, P) N m before the first of them is updated
    """
    looked = s
    while True:
        changes = (looked - s)[:, :, None] * xi
        here = sums[:, None] + changes.cumsum(axis=1) - changes  # what those before it have changed
        there = here - 2 * s[:, :, None] * xi
        here, there = (_counted(x / n_units, n, rectified) for x in (here, there))
        rounding = (n + 2) * np.finfo(s.dtype).eps * (np.abs(here) + np.abs(there)).sum(axis=2)
        again = np.where((there - here).sum(axis=2) > rounding, -s, s)
        if np.array_equal(again, looked):
            return looked
        looked = again


def _counted(m: Array, n: int, rectified: bool) -> Array:
    # n products: NumPy's power of negative numbers takes a hundred times as long
    return reduce(np.multiply, [np.maximum(m, 0) if rectified else m] * n)


def _energy(sums: Array, n_units: int, n: int, rectified: bool) -> Array:
    return -n_units / n * _counted(sums / n_units, n, rectified).sum(axis=1)


def _checked(patterns: Array, s: Array, n: int, rectified: bool) -> tuple[Array, Array, int, bool]:
    patterns = validation.signs("patterns", patterns, ("P", "N"))
    s = validation.signs("s", s, ("B", patterns.shape[1])).astype(patterns.dtype)
    return patterns, s, validation.count("n", n, 2), validation.flag("rectified", rectified)
