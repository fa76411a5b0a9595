r"""Regularised latent-variable energies: limiting the information in z limits the volume of y with low energy.

    E(x, y, z) = ||y - Dec(Pred(x), z)||^2 + lam R(z),    Pred(x) = A x + b,    Dec(h, z) = h + W z                (1)
    L1:     R = ||z||_1, z is sparse              L2:    R = ||z||^2, z is short                                   (2)
    Noise:  E = mean over eps ~ N(0, sigma^2 I) of ||y - Dec(Pred(x), z + eps)||^2, where ||z|| <= rho             (3)
    F(x, y) = min_z E(x, y, z)                                                                                     (4)

    symbol      name               shape            meaning
    x, y, z     x, y, z            (N, m | d | k)   input (of zeros if there is none), observation, latent
    A, b        Params.predictor   (d, m), (d,)
    W           Params.W           (d, k)           decoder

Derivation
----------
1. Let r = y - Pred(x). Without R, if W has rank d <= k, z = W^T (W W^T)^-1 r decodes any y: F = 0 everywhere.
2. L2: dE/dz = 0 is (W^T W + lam I) z = W^T r. Then E = <r, r - W z> - <z, W^T (r - W z) - lam z>, whose last bracket is
   zero, and r - W z = lam (W W^T + lam I)^-1 r:    F = lam r^T (W W^T + lam I)^-1 r.
3. Noise: as mean eps = 0 and mean eps eps^T = sigma^2 I, (3) is ||r - W z||^2 + sigma^2 tr(W^T W). The second term
   does not depend on z, so the noise moves no code; it adds sigma^2 ||W||_F^2 (Frobenius norm) to F: a large W, which
   would make up for a small rho, has its price.
4. On the ball the KKT conditions are (W^T W + mu I) z = W^T r, mu >= 0, and mu = 0 unless ||z|| = rho: the code of L2,
   with a weight mu of its own for each sample. With W = U S V^T, V^T z = c(mu), c_i = s_i (U^T r)_i / (s_i^2 + mu). In
   the secular equation 1/||c(mu)|| = 1/rho the left side is concave and rising: Newton's method, started to the left of
   the root, never overshoots. To the left is mu = max_i (s_i |U^T r|_i / rho - s_i^2), where |c_i| = rho for one i.
   Newton's step: ||c||^2 (||c||/rho - 1) / sum_i c_i^2 / (s_i^2 + mu).
5. Envelope theorem: E is stationary along all directions in which z-check can move, so dF = dE at a fixed z-check:
   dF/dy = -dF/dPred = 2 (r - W z-check),   dF/dW = -2 (r - W z-check) z-check^T, for Noise + 2 sigma^2 W.
6. {F <= c} is the union over a + b = c of the Minkowski sums {||e||^2 <= a} + {W z : lam R(z) <= b}: a ball drawn out
   along the columns of W, the less the larger lam or the smaller rho. L2: an ellipsoid, its volume V_d (c/lam)^(d/2)
   det(W W^T + lam I)^(1/2) with V_d the unit ball's. L1: a rounded polytope, corners near +-(c/lam) w_j. Noise: the
   Minkowski sum of {W z : ||z|| <= rho} and a ball.
7. z + eps is a Gaussian channel of k numbers and power rho^2: its capacity is at most k/2 log2(1 + rho^2 / (k sigma^2))
   bits. The variational auto-encoder limits its code in the same way, with a penalty on ||z||^2 in place of the ball.

There is no `fit`: how W is trained is the subject of later modules, `dictionary` for L1, `variational` for noise.

Source: notes 08-2, "Regularized latent variable EBMs"; Moré & Sorensen 1983 (ball); Shannon 1948 (channel).
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import gamma

from ebm_np.foundations import layers, validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.costs import squared_error, squared_error_grad
from ebm_np.foundations.results import Inference
from ebm_np.sparse import sparse_coding


class L1(NamedTuple):
    """A weight on ||z||_1."""

    lam: float  # > 0
    tol: float = 1e-6  # of `sparse_coding.infer`; L2 has a closed form, and Noise is solved to rounding


class L2(NamedTuple):
    """A weight on ||z||^2. With lam = 0 there is none, and of all minimisers the one of least norm is found."""

    lam: float  # >= 0


class Noise(NamedTuple):
    """Noise of variance sigma^2 on each number of z, and a limit rho on its norm."""

    sigma: float  # > 0
    rho: float  # > 0


Regularizer = L1 | L2 | Noise


class Params(NamedTuple):
    """Predictor and decoder."""

    predictor: layers.Affine
    W: Array


def init(rng: np.random.Generator, d: int, k: int, m: int = 1, dtype: Any = np.float64) -> Params:
    """Return a random predictor of d numbers from m, and k random atoms of unit norm."""
    W = sparse_coding.init(rng, d, k, dtype).W
    return Params(layers.init_mlp(rng, (validation.count("m", m), d), W.dtype)[0], W)


def decode(params: Params, x: Array, z: Array) -> Array:
    """Return y~ = Dec(Pred(x), z): (N, m), (N, k) -> (N, d)."""
    return layers.affine(params.predictor, x) + z @ params.W.T


def energy(params: Params, x: Array, y: Array, z: Array, regularizer: Regularizer) -> Array:
    """Return E(x_n, y_n, z_n), equations (1) to (3): (N,).

    >>> params = Params(layers.Affine(np.zeros((1, 1)), np.zeros(1)), np.array([[2.0]]))
    >>> energy(params, np.ones((1, 1)), np.array([[3.0]]), np.array([[1.0]]), L2(0.5)).tolist()  # 1 + 0.5
    [1.5]
    """
    cost = squared_error(y, decode(params, x, z))
    match regularizer:
        case L1(lam):
            return cost + lam * np.abs(z).sum(axis=-1)
        case L2(lam):
            return cost + lam * np.square(z).sum(axis=-1)
        case Noise(sigma, _):
            return cost + sigma**2 * np.square(params.W).sum()


def energy_grad_params(
    params: Params, x: Array, y: Array, z: Array, regularizer: Regularizer, weights: Array
) -> Params:
    """Return d/dparams of sum_n weights_n E(x_n, y_n, z_n), derivation 5."""
    g = weights[:, None] * squared_error_grad(y, decode(params, x, z))
    floor = 2 * regularizer.sigma**2 * weights.sum() * params.W if isinstance(regularizer, Noise) else 0
    return Params(layers.affine_grad(x, g), g.T @ z + floor)


def infer(params: Params, x: Array, y: Array, regularizer: Regularizer) -> Inference:
    """Return z-check = argmin_z E(x, y, z), all samples at once; raises an error that names a wrong argument."""
    params, x, y, regularizer = _checked(params, x, y, regularizer)
    r = validation.squarable("y - Pred(x)", y - layers.affine(params.predictor, x), y.shape)
    match regularizer:
        case L1(lam, tol):
            z, _, n_iter, converged, _ = sparse_coding.infer(sparse_coding.Params(params.W), r, lam, tol=tol)
        case L2(lam):
            z, n_iter, converged = _ridge(params.W, r, lam, np.inf)
        case Noise(_, rho):
            z, n_iter, converged = _ridge(params.W, r, 0.0, rho)
    return Inference(z, energy(params, x, y, z, regularizer), n_iter, converged, np.empty((0, *z.shape), z.dtype))


def free_energy(params: Params, x: Array, y: Array, regularizer: Regularizer) -> Array:
    """Return F(x, y), equation (4): (N,)."""
    return infer(params, x, y, regularizer).energy


def free_energy_grad_y(params: Params, x: Array, y: Array, regularizer: Regularizer) -> Array:
    """Return dF/dy, derivation 5: (N, d)."""
    params, x, y, regularizer = _checked(params, x, y, regularizer)
    return -squared_error_grad(y, decode(params, x, infer(params, x, y, regularizer).z))


def free_energy_grad_params(
    params: Params, x: Array, y: Array, regularizer: Regularizer, weights: Array | None = None
) -> Params:
    """Return d/dparams of sum_n weights_n F(x_n, y_n); without weights, of the mean over samples."""
    params, x, y, regularizer = _checked(params, x, y, regularizer)
    c = validation.sample_weights(weights, y)
    return energy_grad_params(params, x, y, infer(params, x, y, regularizer).z, regularizer, c)


def low_energy_volume(params: Params, x: Array, y: Array, regularizer: Regularizer, level: float, box: float) -> float:
    """Estimate the volume of { y : F(x, y) <= level } in a box of volume `box`, which points y (N, d) fill evenly."""
    level, box = validation.non_negative("level", level), validation.positive("box", box)
    return box * float(np.mean(free_energy(params, x, y, regularizer) <= level))


def ellipsoid_volume(params: Params, regularizer: L2, level: float) -> float:
    """Return the volume of { y : F(x, y) <= level } in all space, exactly: derivation 6."""
    W = validation.instance("params", params, Params).W
    W = validation.squarable("params.W", W, ("d", "k")).astype(np.float64)
    lam = validation.positive("regularizer.lam", validation.instance("regularizer", regularizer, L2).lam)
    level = validation.non_negative("level", level)
    semi_axes = np.sqrt(level / lam * np.linalg.eigvalsh(W @ W.T + lam * np.eye(len(W))))
    return float(np.pi ** (len(W) / 2) / gamma(len(W) / 2 + 1) * semi_axes.prod())


def capacity(regularizer: Noise, k: int) -> float:
    """Return the channel capacity, how many bits a latent of k numbers can carry at most, derivation 7.

    >>> round(capacity(Noise(sigma=1.0, rho=np.sqrt(3)), k=1), 12)  # bits
    1.0
    """
    sigma, rho = _checked_noise(regularizer)
    return validation.count("k", k) / 2 * float(np.log1p((rho / sigma) ** 2 / k) / np.log(2))


def _checked_noise(regularizer: Noise) -> Noise:
    sigma, rho = validation.instance("regularizer", regularizer, Noise)
    return Noise(validation.positive("regularizer.sigma", sigma), validation.positive("regularizer.rho", rho))


def _ridge(W: Array, r: Array, lam: float, rho: float, max_iter: int = 100) -> tuple[Array, int, Array]:
    """Return argmin_z ||r - W z||^2 + lam ||z||^2 over ||z|| <= rho, the steps taken, and which converged."""
    # derivation 4; without a limit on ||z|| the first iterate is the solution
    U, s, Vt = np.linalg.svd(W, full_matrices=False)
    limits = np.finfo(s.dtype)
    seen = s > max(W.shape) * limits.eps * s[0] + np.sqrt(limits.tiny)  # along the rest W decodes nothing, and z is 0
    s, target = s[seen], r @ U[:, seen] * s[seen]
    mu = (np.abs(target) / rho - s**2).max(axis=1, initial=lam)
    for n_iter in range(1, max_iter + 1):  # noqa: B007 - n_iter is reported
        stiffness = s**2 + mu[:, None]
        c = target / stiffness
        length = np.sqrt((c**2).sum(axis=1))
        excess = length / rho - 1
        outside = excess > 16 * limits.eps
        if not outside.any():
            break
        mu[outside] += (length**2 * excess)[outside] / (c**2 / stiffness).sum(axis=1)[outside]
    return c @ Vt[seen], n_iter, ~outside


def _checked(params: Params, x: Array, y: Array, regularizer: Regularizer) -> tuple[Params, Array, Array, Regularizer]:
    validation.instance("params", params, Params)
    validation.instance("params.predictor", params.predictor, layers.Affine)
    W = validation.squarable("params.W", params.W, ("d", "k"))
    A = validation.squarable("params.predictor.W", params.predictor.W, (len(W), "m"))
    b = validation.squarable("params.predictor.b", params.predictor.b, (len(W),))
    y = validation.squarable("y", y, ("N", len(W)))
    x = validation.squarable("x", x, (len(y), A.shape[1]))
    match regularizer:
        case L1(lam, tol):
            regularizer = L1(validation.positive("regularizer.lam", lam), validation.positive("regularizer.tol", tol))
        case L2(lam):
            regularizer = L2(validation.non_negative("regularizer.lam", lam))
        case Noise():
            regularizer = _checked_noise(regularizer)
        case _:
            raise TypeError(f"regularizer: expected L1, L2 or Noise, got {type(regularizer).__name__}")
    return Params(layers.Affine(A, b), W), x, y, regularizer
