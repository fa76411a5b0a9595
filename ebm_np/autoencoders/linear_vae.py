r"""The linear variational auto-encoder, where everything is known: probabilistic PCA.

    p(z) = N(0, I),   p(y | z) = N(W z + c, s I),   q(z | y) = N(mu, diag(v)),   mu = M (y - c)                    (1)
    F~(y) = E_q[-log p(y | z)] + KL,   the mean over the noise taken exactly                                       (2)
    -log p(y) = (1/2) [d log 2 pi + log det S + (y - c)^T S^-1 (y - c)],   S = W W^T + s I                         (3)

    symbol    name               shape       meaning
    y         y                  (N, d)      observations, rows are samples
    W, c, s   W, c, exp(log_s)   (d, k), (d,), (1,)      decoder; observation variance
    M, v      M, exp(log_v)      (k, d), (k,)            encoder: one variance for all samples

Other variational auto-encoders can only be watched; this one can be checked: (3) says how much its bound (2) leaves
out, and `principal` what training must find.

Derivation
----------
1. With r = y - c - W mu, the mean of ||y - c - W z||^2 over z = mu + eps sqrt(v) is ||r||^2 + sum_i v_i ||w_i||^2. So
   F~ = (1/2) [d log(2 pi s) + (||r||^2 + sum_i v_i ||w_i||^2) / s + sum_i (mu_i^2 + v_i - log v_i - 1)].
2. dF~/dmu = mu - W^T r / s =: g. Chain rule: dF~/dM = g (y - c)^T,   dF~/dW = (W diag(v) - r mu^T) / s,
   dF~/dc = -r / s - M^T g = -dF~/dy,   dF~/dlog s = (1/2) [d - (||r||^2 + sum_i v_i ||w_i||^2) / s],
   dF~/dlog v_i = (1/2) [v_i ||w_i||^2 / s + v_i - 1].
3. F~(y) + log p(y) = D_KL(q || p(z | y)) >= 0, and p(z | y) = N(T^-1 W^T (y - c), s T^-1) with T = W^T W + s I. q can
   be that only if W^T W is diagonal: M = T^-1 W^T, v = s / diag(T). Then the bound is tight, for every y.
4. The mean of (3) over data with covariance U diag(l) U^T, l falling, is least at c = their mean, W = U_k diag(l_i -
   s)^(1/2) R for any rotation R, s = the mean of the d - k least l (Tipping & Bishop 1999). With R = I the columns of W
   are orthogonal, and by 3 the mean of F~ is as low: training on F~ finds pPCA, and the axes, too, which the likelihood
   leaves open by its R (Lucas et al. 2019).

Source: notes 08-3, "VAE"; Tipping & Bishop 1999.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.costs import gaussian_kl
from ebm_np.foundations.optimizers import adam
from ebm_np.foundations.parameters import in_one_precision
from ebm_np.foundations.results import Fit
from ebm_np.foundations.training import Callback, minimize


class Params(NamedTuple):
    """Decoder and encoder, equation (1)."""

    W: Array  # (d, k)
    c: Array  # (d,)
    log_s: Array  # (1,)
    M: Array  # (k, d)
    log_v: Array  # (k,)


def init(rng: np.random.Generator, d: int, k: int, dtype: Any = np.float64) -> Params:
    """Return random W and M, N(0, 1/d), and c = 0, s = v = 1. Raises an error that names a wrong argument."""
    validation.generator("rng", rng)
    d, k, dtype = validation.count("d", d), validation.count("k", k), validation.floating("dtype", dtype)
    W, M = (rng.normal(0, 1 / math.sqrt(d), shape).astype(dtype) for shape in ((d, k), (k, d)))
    return Params(W, np.zeros(d, dtype), np.zeros(1, dtype), M, np.zeros(k, dtype))


def principal(y: Array, k: int) -> Params:
    """Return the optimum for data (N, d), derivations 3 and 4: probabilistic PCA with k < d axes.

    Raises a `ValueError` that names a wrong argument, or data without variance beyond the k axes, where s would be 0.
    """
    y = validation.squarable("y", y, ("N", "d"))
    k, d = validation.count("k", k), y.shape[1]
    if k >= d:
        raise ValueError(f"k: expected fewer than the {d} numbers of an observation, got {k}")
    c = y.mean(axis=0)
    centred = y - c
    variances, axes = np.linalg.eigh(centred.T @ centred / len(y))
    s = variances[: d - k].mean()
    eps = np.finfo(y.dtype).eps
    if not s > 10 * d * (eps * variances[-1] + (eps * np.abs(y).max()) ** 2):  # rounding errors of a variance of 0
        raise ValueError(f"y: expected data with some variance beyond {k} axes, got {s:.3g}")
    stretch = np.sqrt(np.maximum(variances[: d - k - 1 : -1] - s, 0))
    W = axes[:, : d - k - 1 : -1] * stretch
    return tighten(Params(W, c, np.log(s)[None], np.zeros_like(W.T), np.zeros(k)))


def tighten(params: Params) -> Params:
    """Return the decoder with the best encoder for it, derivation 3: exact if the columns of W are orthogonal.

    Else T^-1 W^T is still the best M, and s / diag(T) the best v.
    """
    params = _checked_params(params)
    W, s = params.W, np.exp(params.log_s)
    T = W.T @ W + s * np.eye(W.shape[1], dtype=W.dtype)
    return params._replace(M=np.linalg.solve(T, W.T), log_v=np.log(s / np.diagonal(T)))


def log_likelihood(params: Params, y: Array) -> Array:
    """Return log p(y), equation (3), in nats: (N, d) -> (N,).

    >>> nothing = Params(np.zeros((1, 1)), np.zeros(1), np.zeros(1), np.zeros((1, 1)), np.zeros(1))
    >>> log_likelihood(nothing, np.array([[0.0]])).round(6).tolist()  # -(1/2) log(2 pi)
    [-0.918939]
    """
    params, y = _checked(params, y)
    U, stretch, _ = np.linalg.svd(params.W)  # S = U diag(variances) U^T: no cancellation at small s
    variances = np.exp(params.log_s) + np.square(np.pad(stretch, (0, len(U) - len(stretch))))
    along = np.square((y - params.c) @ U)
    return -0.5 * (len(U) * math.log(2 * math.pi) + np.log(variances).sum() + (along / variances).sum(axis=1))


def free_energy(params: Params, y: Array) -> Array:
    """Return F~(y), the negative of the ELBO, derivation 1: (N, d) -> (N,). Never below -log p(y)."""
    params, y = _checked(params, y)
    with np.errstate(over="ignore", invalid="ignore"):  # no warning besides the error
        return validation.array("F~(y)", _look(params, y).energy, y.shape[:1])


def free_energy_grad_y(params: Params, y: Array) -> Array:
    """Return dF~/dy, derivation 2: (N, d)."""
    params, y = _checked(params, y)
    at = _look(params, y)
    return at.r * np.exp(-params.log_s) + at.g @ params.M


def free_energy_grad_params(params: Params, y: Array, weights: Array | None = None) -> Params:
    """Return d/dparams of sum_n weights_n F~(y_n), derivation 2; without weights, of the mean over samples."""
    params, y = _checked(params, y)
    c = validation.sample_weights(weights, y)
    return _energy_and_grad(params, y, c)[1]


def fit(
    params: Params,
    y: Array,
    rng: np.random.Generator,
    *,
    n_epochs: int = 2_000,
    batch_size: int | None = None,
    rate: float = 1e-2,
    callback: Callback | None = None,
) -> Fit[Params]:
    """Return parameters that make F~ low on the data (N, d), by Adam; in one batch if `batch_size` is None.

    `history` has the mean F~ of each epoch. float32 stays float32. The axes within their plane are found last: while
    two of them are mixed F~ is nearly flat, and a short training may stop there. Raises an error that names a wrong
    argument, and `FloatingPointError` if the loss or a parameter is no longer finite.
    """
    params, y = _checked(params, y)
    validation.generator("rng", rng)
    params, y = in_one_precision(params, y)

    def loss_and_grad(params: Params, batch: Array) -> tuple[float, Params]:
        some = y[batch]
        energies, grads = _energy_and_grad(params, some, np.full(len(batch), 1 / len(batch), y.dtype))
        return energies.mean(dtype=np.float64), grads

    options: dict[str, Any] = {"n_epochs": n_epochs, "batch_size": batch_size, "rng": rng, "callback": callback}
    return minimize(loss_and_grad, params, len(y), optimizer=adam(rate), **options)


class _Look(NamedTuple):
    """What derivation 1 and 2 have in common."""

    energy: Array  # (N,)
    mu: Array  # (N, k)
    r: Array  # (N, d)
    g: Array  # (N, k): dF~/dmu
    spread: Array  # (k,): v_i ||w_i||^2
    error: Array  # (N,): ||r||^2 + sum_i spread_i


def _look(params: Params, y: Array) -> _Look:
    W, c, log_s, M, log_v = params
    d, precision = len(W), np.exp(-log_s)
    mu = (y - c) @ M.T
    r = y - c - mu @ W.T
    spread = np.exp(log_v) * np.square(W).sum(axis=0)
    error = np.square(r).sum(axis=1) + spread.sum()
    likelihood = 0.5 * (d * (math.log(2 * math.pi) + log_s) + error * precision)
    return _Look(likelihood + gaussian_kl(mu, log_v), mu, r, mu - r @ W * precision, spread, error)


def _energy_and_grad(params: Params, y: Array, weights: Array) -> tuple[Array, Params]:
    """Return F~ of each sample, and d/dparams of sum_n weights_n F~(y_n), derivation 2."""
    at, v, precision, total = _look(params, y), np.exp(params.log_v), np.exp(-params.log_s), weights.sum()
    r, g = weights[:, None] * at.r, weights[:, None] * at.g
    grads = Params(
        W=(total * params.W * v - r.T @ at.mu) * precision,
        c=-r.sum(axis=0) * precision - g.sum(axis=0) @ params.M,
        log_s=0.5 * (total * len(params.W) - weights @ at.error * precision),
        M=g.T @ (y - params.c),
        log_v=0.5 * total * (at.spread * precision + np.expm1(params.log_v)),
    )
    return at.energy, grads


def _checked(params: Params, y: Array) -> tuple[Params, Array]:
    params = _checked_params(params)
    return params, validation.squarable("y", y, ("N", len(params.W)))


def _checked_params(params: Params) -> Params:
    if not isinstance(params, Params):
        raise TypeError(f"params: expected linear_vae.Params, got {type(params).__name__}")
    W = validation.squarable("params.W", params.W, ("d", "k"))
    d, k = W.shape
    return Params(
        W=W,
        c=validation.squarable("params.c", params.c, (d,)),
        log_s=validation.log_variance("params.log_s", params.log_s, (1,)),
        M=validation.squarable("params.M", params.M, (k, d)),
        log_v=validation.log_variance("params.log_v", params.log_v, (k,)),
    )
