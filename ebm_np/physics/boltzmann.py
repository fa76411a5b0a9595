r"""The restricted Boltzmann machine: an energy that is trained to be low on data and high on what it dreams.

    E(v, h) = -b.v - c.h - v W h,   v in {0, 1}^d, h in {0, 1}^k;   p(v, h) = exp(-E) / Z                          (1)
    F(v) = -log sum_h exp(-E(v, h)) = -b.v - sum_j softplus(c_j + (v W)_j);   p(v) = exp(-F(v)) / Z                (2)
    p(h_j = 1 | v) = sigmoid(c_j + (v W)_j),   p(v_i = 1 | h) = sigmoid(b_i + (W h)_i)                             (3)
    dF/dW = -v^T p(h|v),   dF/db = -v,   dF/dc = -p(h|v);   dF/dv = -b - W p(h|v)                                  (4)
    d log p(v) / dtheta = -dF(v)/dtheta + <dF/dtheta>_model                                                        (5)
    loss = mean F(v) - mean F(v^),   v^ from a chain                                                               (6)
    log PL(v) = sum_i log p(v_i | all others) = -sum_i softplus(F(v) - F(v with v_i turned))                       (7)

    symbol   name         shape           meaning
    v, h     v, h         (N, d), (N, k)  visible and hidden units; v may be gray, in [0, 1]: means of bits
    W, b, c  Params       (d, k), (d,), (k,)
    v^       chains       (M, d)          states of M chains, as many as one likes

F is the softmin over h of the latent chapter, at beta = 1 and with a sum in place of the mean: softmin = F + k log 2.
The first mean of (6) is the positive phase, the second, over the machine's own samples or "dreams", the negative phase.
(6) is the hinge loss of that chapter (`losses`) with a margin that is never reached, v^ being the contrastive points:
contrastive divergence (CD-K) takes K steps from the data, persistent CD goes on from where the chains were.
With hidden units that are Gaussian, N(0, 1), in place of bits, F(v) = -b.v - |v W|^2 / 2: Hopfield's energy, the
columns of W its patterns.

Gaussian *visible* units are not here. p(v | h) = N(b + W h, s^2) makes p(v) a mixture of 2^k spherical Gaussians of one
variance: it models the means of continuous data and not how pixels vary together, which is what the chapters on sparse
coding and the variational auto-encoder are for. Pixels in gray levels are taken for means of bits.

Derivation
----------
1. (2): E is linear in each h_j, so the sum over h is a product: exp(b.v) prod_j (1 + exp(c_j + (v W)_j)).
2. (3): p(h|v) is proportional to one term of that product, a factor for each h_j: given one layer, the units of the
   other are independent. Drawing h given v and then v given h leaves p(v, h) invariant (block Gibbs sampling).
3. (4): softplus' = sigmoid. As dF/dc_j is minus the mean of h_j, each gradient is the mean of that of E under p(h|v).
4. (5): log p = -F - log Z and d log Z = <-dF>_model. Where the likelihood of the data is greatest, data and model have
   the same means of v, h, v h^T.
5. Centred: with offsets mu for v and lam for h, E = -(v - mu) W (h - lam) - b'.v - c'.h is the same machine with b =
   b' - W lam, c = c' - mu W. A gradient step on (W, b', c'), written in (W, b, c), is
       dW = G,   db = <v>_data - <v>_model - G lam,   dc = <h>_data - <h>_model - mu G
   with G = <(v - mu)(h - lam)>_data - <...>_model. It does not depend on which value of a bit is called 1.
6. (7): p(v_i | others) compares two states, so Z cancels: 1 / (1 + exp(F(v) - F(v with v_i turned))). log PL needs no
   chain and no Z, equals log p where units are independent, and misleads otherwise: a machine of many modes can be sure
   of each bit given the others and be wrong about how likely each mode is.

Source: blog 004, "Restricted Boltzmann Machine" (a bare heading); Smolensky 1986; Hinton 2002, CD; Tieleman 2008, PCD;
Melchior, Fischer & Wiskott 2016, centred; Besag 1975, pseudo-likelihood; Ranzato & Hinton 2010, Gaussian visible units.
"""

from typing import Any, NamedTuple

import numpy as np

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.numerics import sigmoid, softplus


class Params(NamedTuple):
    """Couplings and biases of the visible and the hidden units."""

    W: Array  # (d, k)
    b: Array  # (d,)
    c: Array  # (k,)


def init(
    rng: np.random.Generator, d: int, k: int, *, mean: Array | None = None, std: float = 0.01, dtype: Any = np.float64
) -> Params:
    """Return W ~ N(0, std^2), c = 0 and, for data of this mean (d,), the b with which W = 0 would give that mean.

    Without a mean b = 0; errors name the argument.
    """
    validation.generator("rng", rng)
    d, k = validation.count("d", d), validation.count("k", k)
    dtype, std = validation.floating("dtype", dtype), validation.non_negative("std", std)
    with np.errstate(over="ignore"):  # no warning besides the error
        validation.squarable("std", np.asarray(std).astype(dtype), ())
    b = np.zeros(d) if mean is None else biases(mean, d)
    return Params((std * rng.standard_normal((d, k))).astype(dtype), b.astype(dtype), np.zeros(k, dtype))


def biases(mean: Array, d: int) -> Array:
    """Return the biases with which uncoupled units have these means, clipped to [0.01, 0.99]: (d,)."""
    p = np.clip(_unit_interval("mean", mean, (validation.count("d", d),), analytic=False), 0.01, 0.99)
    return np.log(p / (1 - p))


def energy(params: Params, v: Array, h: Array) -> Array:
    """Return E(v, h), equation (1): (N, d), (N, k) -> (N,)."""
    params, v = checked(params, v)
    h = _unit_interval("h", h, (len(v), len(params.c)))
    return -(v @ params.b) - h @ params.c - (v @ params.W * h).sum(axis=1)


def free_energy(params: Params, v: Array) -> Array:
    """Return F(v), equation (2): (N, d) -> (N,)."""
    params, v = checked(params, v)
    return free_energy_of(params, v, fields(params, v))


def free_energy_grad_v(params: Params, v: Array) -> Array:
    """Return dF/dv, equation (4), for v in between 0 and 1, too: (N, d) -> (N, d)."""
    params, v = checked(params, v)
    return -params.b - hidden(params, v) @ params.W.T


def free_energy_grad_params(params: Params, v: Array, weights: Array | None = None) -> Params:
    """Return d/dparams of sum_n weights_n F(v_n), equation (4); without weights, of the mean over samples."""
    params, v = checked(params, v)
    return grad_params(v, hidden(params, v), validation.sample_weights(weights, v))


def log_pseudo_likelihood(params: Params, v: Array) -> Array:
    """Return log PL(v), equation (7), of bits: (N, d) -> (N,). One unit after the other is turned, in all samples."""
    params, v = checked_bits(params, v)
    felt, total = fields(params, v), np.zeros(len(v), v.dtype)
    terms = softplus(felt).sum(axis=1)
    for row, b, turn in zip(params.W, params.b, 1 - 2 * v.T, strict=True):
        total -= softplus(b * turn + softplus(felt + np.outer(turn, row)).sum(axis=1) - terms)
    return total


def fields(params: Params, v: Array) -> Array:
    """Return c + v W, the fields that the hidden units feel: (..., d) -> (..., k)."""
    return params.c + v @ params.W


def hidden(params: Params, v: Array) -> Array:
    """Return p(h = 1 | v), equation (3): (N, d) -> (N, k)."""
    return sigmoid(fields(params, v))


def visible(params: Params, h: Array) -> Array:
    """Return p(v = 1 | h), equation (3): (N, k) -> (N, d)."""
    return sigmoid(params.b + h @ params.W.T)


def sample(p: Array, rng: np.random.Generator) -> Array:
    """Return bits that are 1 with probability p, independently."""
    return (rng.random(p.shape, p.dtype) < p).astype(p.dtype)


def block_gibbs(
    params: Params, v: Array, rng: np.random.Generator, n_steps: int = 1, clamped: Array | None = None
) -> Array:
    """Return the visible units of each chain after n_steps of block Gibbs sampling, derivation 2: (M, d) -> (M, d).

    Units that are `clamped`, (d,) bool, stay as they are: the others are then sampled given these.
    """
    params, v = checked(params, v, analytic=False)
    validation.generator("rng", rng)
    clamped = None if clamped is None else _mask("clamped", clamped, v.shape[1])
    for _ in range(validation.count("n_steps", n_steps)):
        p = visible(params, sample(hidden(params, v), rng))
        v = sample(p, rng) if clamped is None else np.where(clamped, v, sample(p, rng))
    return v


def free_energy_of(params: Params, v: Array, felt: Array) -> Array:
    """Return F(v), where c + v W is known: (N, d), (N, k) -> (N,); it trusts its caller."""
    return -(v @ params.b) - softplus(felt).sum(axis=1)


def grad_params(v: Array, p: Array, weights: Array) -> Params:
    """Return d/dparams of sum_n weights_n F(v_n), where p = p(h|v) is known; it trusts its caller."""
    weights = -weights
    weighted = weights[:, None] * p
    return Params(v.T @ weighted, weights @ v, weighted.sum(axis=0))


def checked(params: Params, v: Array, *, analytic: bool = True) -> tuple[Params, Array]:
    """Return both as the functions above want them, or raise an error that names the argument."""
    params = checked_params(params, analytic=analytic)
    return params, _unit_interval("v", v, ("N", len(params.b)), analytic=analytic)


def checked_bits(params: Params, v: Array) -> tuple[Params, Array]:
    """Return both, or raise an error that names the argument: of v, if it has gray units."""
    params, v = checked(params, v, analytic=False)
    if not ((v == 0) | (v == 1)).all():
        raise ValueError("v: expected bits, 0 or 1, got numbers in between")
    return params, v


def checked_params(params: Params, *, analytic: bool = False) -> Params:
    """Return the parameters if they are those of a machine; complex ones, for the complex step, where `analytic`."""
    if not isinstance(params, Params):
        raise TypeError(f"params: expected boltzmann.Params, got {type(params).__name__}")
    W = validation.squarable("params.W", params.W, ("d", "k"), analytic=analytic)
    b = validation.squarable("params.b", params.b, (W.shape[0],), analytic=analytic)
    c = validation.squarable("params.c", params.c, (W.shape[1],), analytic=analytic)
    return Params(W, b, c)


def _unit_interval(name: str, value: Any, shape: tuple[int | str, ...], *, analytic: bool = True) -> Array:
    numbers = validation.array(name, value, shape, analytic=analytic)
    if numbers.real.min() < 0 or numbers.real.max() > 1:
        raise ValueError(f"{name}: expected numbers in [0, 1], got {numbers.min():.3g} to {numbers.max():.3g}")
    return numbers


def _mask(name: str, value: Any, d: int) -> Array:
    numbers = validation.array(name, value, (d,))
    if np.asarray(value).dtype != bool:
        raise TypeError(f"{name}: expected True and False, got numbers")
    return numbers > 0
