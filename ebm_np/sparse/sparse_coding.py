r"""Sparse coding: a latent-variable energy whose regulariser asks z to have few non-zeros.

    E(y, z) = ||y - W z||^2 + lam ||z||_1                                                                          (1)
    z-check = argmin_z E(y, z):   |c_i| <= lam where z_i = 0,   c_i = lam sign(z_i) elsewhere,
        c = 2 W^T (y - W z)                                                                                        (2)
    F_inf(y) = min_z E(y, z)                                                                                       (3)
    D(nu) = 2 <nu, y> - ||nu||^2 <= F_inf(y) for every nu with max|2 W^T nu| <= lam                 the dual       (4)
    gap(y, z) = E(y, z) - D(s r),   r = y - W z,   s = min(1, lam / max|c|)                  the duality gap       (5)

    symbol   name       shape     meaning
    y        y          (N, d)    observations, rows are samples
    z        z          (N, k)    codes
    W        Params.W   (d, k)    dictionary, columns are atoms
    lam      lam                  weight of the L1 norm, > 0; its unit is that of y times that of a column of W

The ways to find z-check: `textbook` has ISTA, FISTA and coordinate descent as short as their equations; `fast_fista`
and `active_set` do the work for large batches. How W is learned: `dictionary`.

Derivation
----------
1. d/dz ||y - W z||^2 = 2 W^T (W z - y) = -c. E is convex, so z is its minimiser exactly if 0 is in dE/dz = -c + lam
   d||z||_1, where d|z_i| = {sign(z_i)}, or [-1, 1] at z_i = 0: (2).
2. ||r||^2 = max_nu 2 <nu, r> - ||nu||^2, the maximum at nu = r. Put it into (1), exchange min_z and max_nu (strong
   duality, as E is convex): min_z -2 <W^T nu, z> + lam ||z||_1 is 0 if |2 W^T nu|_i <= lam for all i, else -infinity.
   What remains is (4).
3. At z-check nu = r solves the dual. At other z it is in general not dual feasible, max|2 W^T r| > lam, but s r is. So
   at any z (5) bounds E - F from above, and "converged" means gap <= tol E: the energy found is right to a fraction
   tol, whatever the method was.
4. Envelope theorem: z-check moves with y and W but dE/dz = 0 there, so dF/dy = 2 (y - W z-check), and dF/dW = dE/dW
   = -2 (y - W z-check) z-check^T, summed over samples. F has a gradient in y everywhere, as y - W z-check is unique
   even where z-check is not (it is the projection of y on a convex set); in W only where z-check is unique.

Two slips of the note. Its step W^T (W z - y) / L with threshold lam / L minimises (1/2) ||y - W z||^2 + lam ||z||_1,
another energy than (1), whose gradient has the factor 2 of derivation 1 (at orthonormal W the right threshold is lam /
2). And what it calls FISTA has no momentum: it is ISTA (see `textbook`).

Source: notes 08-2, "Sparse coding", "FISTA"; Olshausen & Field 1996; Tibshirani 1996; Kim et al. 2007 (5).
"""

import math
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.costs import squared_error, squared_error_grad
from ebm_np.foundations.results import ConvergenceWarning, Inference
from ebm_np.sparse import active_set, fast_fista, textbook
from ebm_np.sparse.gram_form import pose
from ebm_np.sparse.operator_fista import duality_gap

ITERATES: dict[str, Callable[..., Iterator[Array]]] = {
    "ista": textbook.ista,
    "fista": partial(textbook.fista, restart=True),
    "coordinate_descent": textbook.coordinate_descent,
}
FAST = {"fista": fast_fista.solve, "active_set": active_set.solve}
METHODS = tuple(ITERATES | FAST)
USUAL = 20
"""Power of two, of the largest number of W or y, up to which they are not rescaled."""
SINGLE = 1e-4
"""Single precision cannot certify a relative gap below this."""


class Params(NamedTuple):
    """The dictionary."""

    W: Array  # (d, k)


def init(rng: np.random.Generator, d: int, k: int, dtype: Any = np.float64) -> Params:
    """Return k random atoms of d numbers, uniform on the unit sphere."""
    validation.generator("rng", rng)
    W = rng.normal(size=(validation.count("d", d), validation.count("k", k)))
    return unit_columns(Params(W.astype(validation.floating("dtype", dtype))))


def unit_columns(params: Params) -> Params:
    """Return the dictionary with each column divided by its L2 norm; a column of zeros stays as it is.

    >>> unit_columns(Params(np.array([[3.0, 0.0], [4.0, 0.0]]))).W.tolist()
    [[0.6, 0.0], [0.8, 0.0]]
    """
    norm = np.sqrt((params.W**2).sum(axis=0))
    return Params(params.W / np.where(norm > 0, norm, 1))


def decode(params: Params, z: Array) -> Array:
    """Return y~ = W z for each row: (..., k) -> (..., d).

    >>> decode(Params(np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])), np.array([1.0, 0.0, 2.0])).tolist()
    [3.0, 2.0]
    """
    return z @ params.W.T


def energy(params: Params, y: Array, z: Array, lam: float) -> Array:
    """Return E(y_n, z_n), equation (1): (N, d), (N, k) -> (N,); a path of codes (T, N, k) gives (T, N).

    >>> energy(Params(np.eye(2)), np.array([[3.0, 0.5]]), np.array([[2.0, 0.0]]), lam=2.0).tolist()  # 1 + 0.25 + 2 * 2
    [5.25]
    """
    return squared_error(y, decode(params, z)) + lam * np.abs(z).sum(axis=-1)


def cost_grad_z(params: Params, y: Array, z: Array) -> Array:
    """Return the gradient of the smooth part, d||y - W z||^2/dz, derivation 1: (N, k).

    >>> cost_grad_z(Params(np.eye(2)), np.array([[3.0, 0.5]]), np.array([[2.0, 0.0]])).tolist()
    [[-2.0, -1.0]]
    """
    return squared_error_grad(y, decode(params, z)) @ params.W


def energy_grad_y(params: Params, y: Array, z: Array) -> Array:
    """Return dE/dy = 2 (y - W z): (N, d)."""
    return -squared_error_grad(y, decode(params, z))


def energy_grad_params(params: Params, y: Array, z: Array, weights: Array) -> Params:
    """Return d/dW of sum_n weights_n E(y_n, z_n), derivation 4."""
    return Params(W=(weights[:, None] * squared_error_grad(y, decode(params, z))).T @ z)


def gap(params: Params, y: Array, z: Array, lam: float) -> Array:
    """Return the duality gap (5), an upper bound of E(y_n, z_n) - F_inf(y_n): (N,); a path of z gives (T, N).

    >>> gap(Params(np.eye(2)), np.array([[3.0, 0.5]]), np.array([[2.0, 0.0]]), lam=2.0).tolist()  # it is the minimiser
    [0.0]
    """
    residual = y - decode(params, z)
    most, l1 = 2 * np.abs(residual @ params.W).max(axis=-1), np.abs(z).sum(axis=-1)
    return duality_gap((residual**2).sum(axis=-1), (residual * y).sum(axis=-1), most, l1, lam)


def kkt_residual(params: Params, y: Array, z: Array, lam: float) -> Array:
    """Return the largest violation of equation (2) for each sample, in the unit of lam: (N,).

    It is the distance of c_i from lam sign(z_i), or from the interval [-lam, lam] where z_i = 0.

    >>> kkt_residual(Params(np.eye(2)), np.array([[3.0, 0.5]]), np.array([[2.0, 0.0], [1.0, 0.0]]), lam=2.0).tolist()
    [0.0, 2.0]
    """
    c = -cost_grad_z(params, y, z)
    return np.where(z == 0, np.abs(c) - lam, np.abs(c - lam * np.sign(z))).clip(0).max(axis=-1)


def infer(
    params: Params,
    y: Array,
    lam: float,
    method: str = "fista",
    *,
    tol: float = 1e-6,
    max_iter: int = 10_000,
    z0: Array | None = None,
    trace: bool = False,
) -> Inference:
    """Return z-check = argmin_z E(y, z), equation (2), for all samples at once.

    Parameters
    ----------
    y : (N, d)
    lam : > 0
    method : "fista" (with restarts), "ista", "coordinate_descent", or "active_set", the fastest
    tol : a sample has converged when its `gap` is at most tol times its energy
    max_iter : iterations at most; a sweep over all atoms counts as one
    z0 : start (N, k); zero if None. If it is the solution already, nothing is iterated
    trace : keep z after each iteration, (T, N, k); `energy` and `gap` of the whole path are one call each. A sample
        that has converged stays where it is. `active_set` has no path.

    Returns
    -------
    Inference
        float32 if W and y are. Single precision cannot certify gaps below 1e-4: with a smaller `tol` the computation is
        done in double precision, and what it finds is rounded at the end.

    Raises
    ------
    ValueError, TypeError
        if an argument has the wrong shape or type, holds NaN or infinity, or is out of range.

    Warns
    -----
    ConvergenceWarning
        with their number, if samples have not converged after `max_iter` iterations.
    """
    W = validation.squarable("params.W", validation.instance("params", params, Params).W, ("d", "k"))
    y = validation.squarable("y", y, ("N", W.shape[0]))
    lam, tol = validation.positive("lam", lam), validation.positive("tol", tol)
    validation.squarable("tol", tol, ())  # tol times an energy has to be finite
    max_iter = validation.count("max_iter", max_iter)
    validation.choice("method", method, METHODS)
    if validation.flag("trace", trace) and method not in ITERATES:
        raise ValueError(f"trace: expected False for the method {method!r}, which has no path to keep")
    shape, dtype = (len(y), W.shape[1]), np.result_type(W, y)
    precision = dtype if tol >= SINGLE else np.dtype(np.float64)
    w_unit, y_unit = _power_of_two(W), _power_of_two(y)  # so that no square over- or underflows, and no digit changes
    z_unit = y_unit / w_unit
    z = np.zeros(shape, precision) if z0 is None else (_start(z0, W, y_unit, shape) / z_unit).astype(precision)
    W_scaled, y_scaled = (_in_units(unit, a, precision) for unit, a in ((w_unit, W), (y_unit, y)))
    lam_scaled = max(lam / w_unit / y_unit, float(np.finfo(np.float32).tiny))
    most = 2 * W.shape[0] * 4.0**USUAL  # in these units 2 max|W^T y| is less
    if lam_scaled > most:  # all codes are 0, however large lam is
        lam_scaled, z = most, np.zeros_like(z)
    z, n_iter, converged, path = _search(method, W_scaled, y_scaled, lam_scaled, z, tol, max_iter, trace)
    if not converged.all():
        left = np.count_nonzero(~converged)
        message = (
            f"{left} of {len(y)} samples have not converged after {n_iter} iterations of {method!r}, tol = {tol:g}"
        )
        warnings.warn(message, ConvergenceWarning, stacklevel=2)
    z, path = ((a if z_unit == 1 else a * z_unit).astype(dtype, copy=False) for a in (z, path))
    return Inference(z, energy(Params(W), y, z, lam), n_iter, converged, path)


def free_energy(params: Params, y: Array, lam: float, **options: Any) -> Array:
    """Return F_inf(y), equation (3): (N, d) -> (N,); an upper bound, at most tol F too high. Options as in `infer`.

    >>> free_energy(Params(np.eye(2)), np.array([[3.0, 0.5]]), 2.0).round(6).tolist()
    [5.25]
    """
    return infer(params, y, lam, **options).energy


def free_energy_grad_y(params: Params, y: Array, lam: float, **options: Any) -> Array:
    """Return dF/dy, derivation 4: (N, d); its squared error is at most 4 tol F."""
    found = infer(params, y, lam, **options)
    return energy_grad_y(params, np.asarray(y), found.z)


def free_energy_grad_params(
    params: Params, y: Array, lam: float, weights: Array | None = None, **options: Any
) -> Params:
    """Return d/dW of sum_n weights_n F(y_n), derivation 4; without weights, of the mean over samples."""
    found = infer(params, y, lam, **options)
    return energy_grad_params(params, np.asarray(y), found.z, validation.sample_weights(weights, found.z))


def _search(
    method: str, W: Array, y: Array, lam: float, z: Array, tol: float, max_iter: int, trace: bool
) -> tuple[Array, int, Array, Array]:
    """Return z-check, the number of iterations, who has converged, and the path."""
    if method in FAST and not trace:
        z, n_iter, converged = FAST[method](pose(W, y, lam), z.T, tol, max_iter)
        z = np.ascontiguousarray(z.T)  # a sample's codes side by side: who takes batches reads whole rows
        return z, n_iter, converged, np.zeros((0, *z.shape))
    params, path, n_iter = Params(W), [], 0
    iterates = ITERATES[method](W, y, lam, z)
    converged = gap(params, y, z, lam) <= tol * energy(params, y, z, lam)
    while n_iter < max_iter and not converged.all():
        z, n_iter = np.where(converged[:, None], z, next(iterates)), n_iter + 1
        converged = gap(params, y, z, lam) <= tol * energy(params, y, z, lam)
        if trace:
            path.append(z)
    return z, n_iter, converged, np.array(path).reshape(-1, *z.shape)


def _in_units(unit: float, a: Array, precision: Any) -> Array:
    return (a if unit == 1 else a / unit).astype(precision, copy=False)


def _start(z0: Array, W: Array, y_unit: float, shape: tuple[int, int]) -> Array:
    """Return z0, checked: its energy has to be finite in single precision, too, where some methods begin."""
    z0 = np.where(W.any(axis=0), validation.squarable("z0", z0, shape), 0)  # an atom of zeros explains nothing
    most = W.shape[1] * float(np.abs(W).max()) * float(np.abs(z0).max())
    bound = validation.largest_squarable(np.dtype(np.float32)) * y_unit
    if most > bound:
        raise ValueError(f"z0: expected k max|W| max|z0| up to {bound:.3g}, some 1e16 times max|y|, got {most:.3g}")
    return z0


def _power_of_two(a: Array) -> float:
    """Return a power of two near the largest number of a, whose square is finite and not 0; 1 for usual numbers."""
    exponent = math.frexp(float(max(a.max(), -a.min())))[1]  # 0 if all are zero
    return math.ldexp(1.0, min(max(exponent, -505), 505)) if abs(exponent) > USUAL else 1.0
