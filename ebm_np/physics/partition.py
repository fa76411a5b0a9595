r"""How likely the machine thinks something is: the partition function Z, exactly where it can be had, else bracketed.

    log p(v) = -F(v) - log Z,   Z = sum_h exp(c.h) prod_i (1 + exp(b_i + (W h)_i))        2^k terms, or 2^d          (1)
    F_t(v) = -((1 - t) a + t b).v - sum_j softplus(t (c_j + (v W)_j)),   t from 0 to 1                             (2)
    log w = sum_s [F_{t(s-1)}(v_{s-1}) - F_{t(s)}(v_{s-1})],   v_s a Gibbs step from v_{s-1} at t(s)               (3)
    log Z ~ log Z_0 + log mean exp(log w),   log Z_0 = sum_i softplus(a_i) + k log 2                               (4)
    log Z ~ log Z_0 - log mean exp(log w~),   w~ as (3), but with t from 1 to 0                                    (5)

    symbol   name           meaning
    a        biases(mean)   visible biases at t = 0, those of a machine without W that has the data's means
    t                       n_steps + 1 inverse temperatures from 0 to 1, evenly spaced

Derivation
----------
1. (1) is (2) of `boltzmann` with the layers exchanged: the smaller layer is summed over, in blocks. d log Z = <-dF>.
2. Annealed importance sampling: v_0 is drawn exactly at t = 0; each step leaves p_t invariant. Then the expectation of
   w is Z / Z_0, whatever the number of steps. The log of a mean over M runs is too small on average (Jensen's
   inequality): in expectation (4) is a lower bound, and it is near log Z once log w varies little.
3. The same from t = 1 down, from exact draws of the machine: the expectation of w~ is Z_0 / Z, and in expectation (5)
   is an upper bound. So (4) and (5) bracket log Z, and show when neither is right. Draws of a long chain serve if it
   has visited every mode. If it never left modes that hold a fraction rho of the probability, (5) is too small by at
   most log(1 / rho), and by just that if the runs of (4) end in no other modes either.
4. The standard error of (4) is std(w) / (sqrt(M) mean(w)), the relative error of the mean of w, which to first order
   is the error of its log. This estimate knows nothing of states that no run has met.

Source: Salakhutdinov & Murray 2008, AIS for RBMs; Neal 2001; Burda, Grosse & Salakhutdinov 2015, reverse AIS.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.numerics import sigmoid, softplus
from ebm_np.foundations.parameters import tree_map, zeros_like
from ebm_np.physics.boltzmann import (
    Params,
    biases,
    checked_bits,
    checked_params,
    fields,
    free_energy,
    free_energy_grad_params,
    hidden,
    sample,
)

LARGEST = 25
"""Units of a layer that can be enumerated: 33 million states."""
BLOCK = 1 << 14
"""States enumerated at once."""


class Estimate(NamedTuple):
    """An estimate of log Z and its standard error, derivation 4, both in nats."""

    log_z: float
    error: float


def log_partition(params: Params) -> float:
    """Return log Z, exactly, equation (1); refuses a machine both of whose layers have more than 25 units."""
    params, _ = _smaller_visible(params)
    return _log_sum(np.array([_log_sum(-free_energy(params, v)) for v in _states(params)]))


def log_likelihood(params: Params, v: Array) -> Array:
    """Return log p(v), exactly, in nats: (N, d) -> (N,)."""
    return -free_energy(params, v) - log_partition(params)


def log_partition_grad(params: Params) -> Params:
    """Return d log Z / dparams: the model's own means of v h^T, v and h, exactly."""
    (params, swapped), log_z = _smaller_visible(params), log_partition(params)
    grads = zeros_like(params)
    for v in _states(params):
        p = np.exp(-free_energy(params, v) - log_z)
        grads = tree_map(np.add, grads, free_energy_grad_params(params, v, -p))
    return _exchanged(grads) if swapped else grads


def exact_samples(params: Params, rng: np.random.Generator, n: int) -> Array:
    """Return n draws of the machine without any chain, (n, d): the smaller layer by its probabilities, then the other.

    A draw is the state at which the cumulative sum of the probabilities passes a uniform number (inverse transform).
    """
    validation.generator("rng", rng)
    u = np.sort(rng.random(validation.count("n", n)))
    (params, swapped), log_z = _smaller_visible(params), log_partition(params)
    drawn, total = [], 0.0
    for v in _states(params):
        sums = total + np.cumsum(np.exp(-free_energy(params, v) - log_z, dtype=np.float64))
        inside = u[(u >= total) & (u < sums[-1])]
        drawn.append(v[np.searchsorted(sums, inside, side="right")])
        total = sums[-1]
    drawn.append(np.repeat(v[-1:], (u >= total).sum(), axis=0))  # rounding may leave the sum a little below 1
    found = rng.permutation(np.concatenate(drawn))
    return sample(hidden(params, found), rng) if swapped else found


def anneal(
    params: Params, rng: np.random.Generator, mean: Array | None = None, *, n_runs: int = 100, n_steps: int = 1_000
) -> Estimate:
    """Return log Z by annealed importance sampling, equation (4): in expectation a lower bound.

    Parameters
    ----------
    mean : of the data, (d,), for the distribution at t = 0; 1/2 if None
    n_runs, n_steps : the more runs, the smaller the error; the more steps, the less log w varies
    """
    params, a, t = _checked_way(params, rng, mean, n_steps)
    runs = validation.count("n_runs", n_runs)
    start = sample(np.broadcast_to(sigmoid(a), (runs, len(a))), rng)
    log_w = _way(params, a, start, t, rng)
    return _estimate(_log_z_0(params, a), log_w, 1)


def anneal_back(
    params: Params, v: Array, rng: np.random.Generator, mean: Array | None = None, *, n_steps: int = 1_000
) -> Estimate:
    """Return log Z, annealing back from draws of the machine, bits (N, d), by (5): in expectation an upper bound."""
    params, a, t = _checked_way(params, rng, mean, n_steps)
    _, v = checked_bits(params, v)
    return _estimate(_log_z_0(params, a), _way(params, a, v, t[::-1], rng), -1)


def _way(params: Params, a: Array, v: Array, t: Array, rng: np.random.Generator) -> Array:
    """Return log w of each run, equation (3), along these t."""
    log_w, felt = np.zeros(len(v)), fields(params, v)
    for step, (before, now) in enumerate(pairwise(t.tolist())):
        if step > 0:
            h = sample(sigmoid(before * felt), rng)
            v = sample(sigmoid((1 - before) * a + before * (params.b + h @ params.W.T)), rng)
            felt = fields(params, v)
        log_w += _tempered(params, a, v, felt, before) - _tempered(params, a, v, felt, now)
    return log_w


def _tempered(params: Params, a: Array, v: Array, felt: Array, t: float) -> Array:
    """Return F_t(v), equation (2), from c + v W."""
    return -(v @ ((1 - t) * a + t * params.b)) - softplus(t * felt).sum(axis=1)


def _estimate(log_z_0: float, log_w: Array, sign: int) -> Estimate:
    log_mean = _log_sum(log_w) - np.log(len(log_w))
    w = np.exp(log_w - log_w.max())
    spread = w.std(ddof=1) if len(w) > 1 else np.inf
    return Estimate(float(log_z_0 + sign * log_mean), float(spread / np.sqrt(len(w)) / w.mean()))


def _log_z_0(params: Params, a: Array) -> float:
    return float(softplus(a).sum() + len(params.c) * np.log(2))


def _states(params: Params) -> Iterator[Array]:
    """Yield all states of the visible units, (BLOCK, d) of 0 and 1."""
    d = len(params.b)
    for start in range(0, 1 << d, BLOCK):
        numbers = np.arange(start, min(start + BLOCK, 1 << d))
        yield ((numbers[:, None] >> np.arange(d)) & 1).astype(params.W.dtype)


def _log_sum(logs: Array) -> float:
    largest = logs.max()
    return float(largest + np.log(np.exp(logs - largest).sum()))


def _smaller_visible(params: Params) -> tuple[Params, bool]:
    """Return the machine, its layers exchanged if the hidden one is the smaller, and whether they are."""
    params = checked_params(params)
    swapped = len(params.c) < len(params.b)
    if swapped:
        params = _exchanged(params)
    if len(params.b) > LARGEST:
        raise ValueError(f"params: expected a layer of at most {LARGEST} units, got {params.W.shape}")
    return params, swapped


def _exchanged(params: Params) -> Params:
    """Return the machine whose visible units are this one's hidden units: its Z is the same."""
    return Params(params.W.T, params.c, params.b)


def _checked_way(
    params: Params, rng: np.random.Generator, mean: Array | None, n_steps: int
) -> tuple[Params, Array, Array]:
    validation.generator("rng", rng)
    params = checked_params(params)
    d = len(params.b)
    a = np.zeros(d) if mean is None else biases(mean, d)
    return params, a.astype(params.W.dtype), np.linspace(0, 1, validation.count("n_steps", n_steps) + 1)
