r"""How much Hopfield's memory holds: what becomes of a stored pattern as others are stored beside it.

    N h_i = sum_mu xi_i^mu M_mu - P s_i,   M_mu = sum_i xi_i^mu s_i                                                (1)
    N E(s) = -(1/2) sum_mu M_mu^2 + (1/2) P N                                                                      (2)

This is Hebb's rule (`hopfield`, equation 1) put into fields and energy: W is never formed. For N units and P patterns
that is N P numbers, not N^2; a unit that flips changes P sums, not N fields; and all of them are whole numbers, so that
a field is 0 where it should be.

    symbol   name       shape       meaning
    xi       patterns   (T, P, N)   T networks, each with patterns of its own: whole trials of an experiment
    s        s          (T, N)      a state of each; (T, B, N): B states of each
    M        sums       (T, P)      overlaps times N

What theory says of many units stands in `mean_field`. A finite network is more forgiving: the load at which half of the
patterns are still kept is 0.16 for N = 1,000 and comes down to 0.138, the excess falling as 1 / sqrt(N).

Source: blog 004, "Hopfield networks" ("between 0.14 N and 0.15 N"); Amit, Gutfreund & Sompolinsky 1985, 1987.
"""

import math
from functools import partial
from typing import Any

import numpy as np
from scipy.special import expit

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.physics.hopfield import CHUNK, Settled, visit

GROUP = 1 << 20
"""Numbers of the patterns of networks that settle together: as many as a processor's cache holds."""


def retrieve(patterns: Array, s: Array, *, max_iter: int = 1_000) -> Settled:
    """Return where T networks come to rest from one state each, (T, N), or from B states each, (T, B, N).

    The same as `hopfield.settle` of each network with W by Hebb's rule and the units in the listed order. Shapes of the
    result are those of `s`; errors name the argument.

    >>> retrieve(np.array([[[1.0, 1.0, 1.0]]]), np.array([[1.0, 1.0, -1.0]])).state.tolist()
    [[1.0, 1.0, 1.0]]
    """
    patterns = validation.signs("patterns", patterns, ("T", "P", "N"))
    n_networks, n_patterns, n_units = patterns.shape
    s = validation.array("s", s, None)
    single = s.ndim != 3
    s = validation.signs("s", s, (n_networks, n_units) if single else (n_networks, "B", n_units))
    states = s.astype(patterns.dtype).reshape(n_networks, -1, n_units)
    max_iter = validation.count("max_iter", max_iter)
    at_once = max(1, GROUP // (n_units * n_patterns))
    groups = [slice(first, first + at_once) for first in range(0, n_networks, at_once)]
    found = [_retrieve(patterns[some], states[some], max_iter) for some in groups]

    def joined(field: str) -> Array:
        parts = np.concatenate([getattr(part, field) for part in found])
        return parts[:, 0] if single else parts

    n_iter = max(part.n_iter for part in found)
    return Settled(joined("state"), joined("energy"), n_iter, joined("converged"), joined("period"))


def kept(rng: np.random.Generator, n_units: int, n_patterns: int, n_trials: int) -> Array:
    """Return how well one of `n_patterns` random patterns is kept, its final overlap, in each of n_trials networks.

    Each network starts in the first of its patterns and settles: (n_trials,).
    """
    validation.generator("rng", rng)
    n_units, n_patterns = validation.count("n_units", n_units), validation.count("n_patterns", n_patterns)
    # sums of whole numbers are exact in float32 up to 2^24
    dtype = np.float32 if n_units * n_patterns < 1 << 24 else np.float64
    overlaps, at_once = list[Array](), max(1, 8 * GROUP // (n_units * n_patterns))
    for first in range(0, validation.count("n_trials", n_trials), at_once):
        shape = min(at_once, n_trials - first), n_patterns, n_units
        patterns = _random_signs(rng, shape, dtype)
        settled = retrieve(patterns, patterns[:, 0])
        overlaps.extend((settled.state * patterns[:, 0]).mean(axis=1, dtype=np.float64))
    return np.array(overlaps)


def half_load(loads: Array, successes: Array) -> tuple[float, float]:
    """Return the load at which half of the trials succeed, and its standard error, from successes (L, T), 0 or 1.

    Logistic regression: the maximum-likelihood P(success) = sigmoid(b_0 + b_1 u), u the loads, centred and scaled, by
    Newton's method; half of the trials succeed at u = -b_0 / b_1. The error is by the delta method: the covariance of b
    is H^-1, H being minus the Hessian of the log-likelihood, and d(-b_0 / b_1) = (-1 / b_1, b_0 / b_1^2) db.
    """
    loads = validation.array("loads", loads, ("L",))
    successes = validation.array("successes", successes, (len(loads), "T"))
    if not ((successes == 0) | (successes == 1)).all():
        raise ValueError("successes: expected zeros and ones")
    middle, unit = loads.mean(), np.ptp(loads)
    if unit == 0:
        raise ValueError(f"loads: expected at least two different ones, got {loads[0]:.3g} only")
    u, b = np.stack([np.ones_like(loads), (loads - middle) / unit], axis=1), np.zeros(2)
    for _ in range(100):
        p = expit(u @ b)
        hessian = (u * (p * (1 - p))[:, None] * successes.shape[1]).T @ u
        try:
            step = np.linalg.solve(hessian, u.T @ (successes - p[:, None]).sum(axis=1))
        except np.linalg.LinAlgError:
            break
        b = b + step
        if np.abs(step).max() <= 1e-10 * np.abs(b).max():
            if not b[1] < 0:
                raise ValueError("successes: expected fewer at larger loads")
            slope = np.array([-1 / b[1], b[0] / b[1] ** 2])
            error = np.sqrt(slope @ np.linalg.solve(hessian, slope))
            return float(middle - unit * b[0] / b[1]), float(unit * error)
    raise ValueError("successes: expected some and not all at more than one load, or at one between others")


def _random_signs(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return numbers that are 1 or -1, each with probability 1/2: a bit a number, not a byte."""
    n = math.prod(shape)
    signs = np.unpackbits(np.frombuffer(rng.bytes(-(-n // 8)), np.uint8), count=n).astype(dtype)
    signs *= 2
    signs -= 1
    return signs.reshape(shape)


def _retrieve(patterns: Array, s: Array, max_iter: int) -> Settled:
    """Settle networks side by side; those that have come to rest are left out: (T, P, N), (T, B, N)."""
    n_networks, n_patterns, n_units = patterns.shape
    state, energies, period = s.copy(), np.empty(s.shape[:2], s.dtype), np.zeros(s.shape[:2], int)
    xi = np.ascontiguousarray(patterns.swapaxes(1, 2))  # the patterns of a unit side by side
    moving, sums, s = np.arange(n_networks), s @ xi, s.copy()
    chunks = [slice(start, start + CHUNK) for start in range(0, n_units, CHUNK)]
    earlier = dict[int, Array]()  # couplings to the units before in the same chunk, found where they are needed

    def couple(k: int, changes: Array) -> Array:
        if k not in earlier:
            known = xi[:, chunks[k]]
            earlier[k] = np.triu(known @ known.swapaxes(1, 2), 1)
        return changes @ earlier[k]

    for n_iter in range(1, max_iter + 1):  # noqa: B007 - n_iter is reported
        before = s.copy()
        for k, units in enumerate(chunks):
            old, known = s[..., units], xi[:, units]
            # -P s_i takes off the unit's own term in (1); s_i / 2, less than any field but 0, keeps s_i on a tie
            new = visit(old, sums @ known.swapaxes(1, 2), partial(couple, k), 0.5 - n_patterns)
            if new is not old:
                sums += (new - old) @ known
                old[:] = new
        still = (s == before).all(axis=2)
        state[moving], period[moving] = s, still
        energies[moving] = 0.5 * (n_patterns - np.square(sums / n_units).sum(axis=2) * n_units)
        if still.all():
            break
        go_on = ~still.all(axis=1)
        if go_on.mean() < 0.8:  # what has come to rest needs no further look
            moving, s, xi, sums = moving[go_on], s[go_on], xi[go_on], sums[go_on]
            earlier = {k: couplings[go_on] for k, couplings in earlier.items()}
    return Settled(state, energies, n_iter, period == 1, period)
