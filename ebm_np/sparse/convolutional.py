r"""Convolutional sparse coding: an image is a sum of kernels, each put down wherever its map says.

    y~ = sum_m K_m * z_m                                                                                           (1)
    E(y, z) = ||y - y~||^2 + lam ||z||_1                                                                           (2)
    z-check = argmin_z E(y, z):   |c| <= lam where z = 0,   c = lam sign(z) elsewhere,   c = 2 A^T (y - A z)       (3)
    F_inf(y) = min_z E(y, z)                                                                                       (4)

    symbol   name       shape            meaning
    y        y          (N, C, H, W)     images: C = 1 channel for gray, 3 for colour
    z        z          (N, M, h, w)     maps, one a kernel
    K        Params.K   (M, C, p, q)     kernels
    lam      lam                         weight of the L1 norm, > 0, in units of y times the norm of a kernel
    A        `decode`                    z -> y~, linear; its adjoint A^T is `correlate`

`boundary` (see `foundations.convolution`) says where kernels may lie: "full", the default, wholly inside the image: h =
H - p + 1; "valid", also beyond its edge, so that all pixels are alike: h = H + p - 1; "circular", on a torus: h = H.

Plain sparse coding has a weighted sum of the columns of W. Here they are all shifts of a few kernels: the dictionary is
h w / (H W) M / C times overcomplete, yet has only M C p q numbers, and what is learned at one place holds at all.

Derivation
----------
1. A z is linear in z: this is sparse coding's energy with W = A, whose columns are the kernels at all places. If maps
   have one pixel, A is W itself: its columns are the kernels. (3), the duality gap and the envelope theorem are those
   of `sparse_coding`: dF/dy = 2 (y - y~), and dF/dK = dE/dK, at z-check.
2. dE/dy~ = 2 (y~ - y), and by the adjoints of a convolution dE/dz (smooth part) = A^T dE/dy~ = -c, dE/dK_m[a, b] =
   sum_ij z_m[i, j] dE/dy~[i + a, j + b].
3. L = 2 max_f sigma_max(K^(f))^2, K^(f) the M x C matrix of the kernels' transfer functions: exact on the torus, and
   slightly too large elsewhere (`largest_eigenvalue`). ISTA and FISTA need this L for their step, and it is large: all
   kernels that respond to one frequency add up in it. `convolutional_working_set` avoids that.
4. With the pull of an encoder, E + alpha ||z - z~||^2: as in `predictive`, that is sparse coding of y' = (y,
   sqrt(alpha) z~) with A' = (A, sqrt(alpha) I). So 2 alpha (z~ - z) is added to c, 2 alpha to L, and the gap is that
   with r' = y' - A' z and y' for r and y.

Source: notes 08-2, "Convolutional sparse coding"; Zeiler et al. 2010; Kavukcuoglu et al. 2010; Wohlberg 2016.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.convolution import BOUNDARIES, convolve, correlate, kernel_grad, largest_eigenvalue
from ebm_np.foundations.results import ConvergenceWarning, Inference
from ebm_np.sparse import convolutional_working_set
from ebm_np.sparse.operator_fista import Cost, Look, duality_gap, fista, settle
from ebm_np.sparse.sparse_coding import SINGLE

METHODS = ("fista", "working_set")


class Params(NamedTuple):
    """The kernels."""

    K: Array  # (M, C, p, q)


class Pull(NamedTuple):
    """An encoder's guess, and how strongly it pulls: derivation 4."""

    alpha: float
    z_tilde: Array  # (N, M, h, w)


def init(rng: np.random.Generator, M: int, C: int, p: int, q: int, dtype: Any = np.float64) -> Params:
    """Return M random kernels for C channels, uniform on the unit sphere."""
    validation.generator("rng", rng)
    shape = [validation.count(name, n) for name, n in (("M", M), ("C", C), ("p", p), ("q", q))]
    return unit_kernels(Params(rng.normal(size=shape).astype(validation.floating("dtype", dtype))))


def unit_kernels(params: Params) -> Params:
    """Return the kernels, each divided by its L2 norm over channels and pixels; a kernel of zeros stays as it is."""
    norm = np.sqrt((params.K**2).sum(axis=(1, 2, 3), keepdims=True))
    return Params(params.K / np.where(norm > 0, norm, 1))


def decode(params: Params, z: Array, boundary: str = "full") -> Array:
    """Return y~, equation (1): (N, M, h, w) -> (N, C, H, W)."""
    return convolve(z, params.K, boundary)


def energy(params: Params, y: Array, z: Array, lam: float, boundary: str = "full") -> Array:
    """Return E(y_n, z_n), equation (2): (N,)."""
    return _sum((y - decode(params, z, boundary)) ** 2) + lam * _sum(np.abs(z))


def cost_grad_z(params: Params, y: Array, z: Array, boundary: str = "full") -> Array:
    """Return the gradient of the smooth part, d||y - y~||^2/dz = -c, derivation 2: (N, M, h, w)."""
    return correlate(2 * (decode(params, z, boundary) - y), params.K, boundary)


def energy_grad_y(params: Params, y: Array, z: Array, boundary: str = "full") -> Array:
    """Return dE/dy = 2 (y - y~): (N, C, H, W)."""
    return 2 * (y - decode(params, z, boundary))


def energy_grad_params(params: Params, y: Array, z: Array, weights: Array, boundary: str = "full") -> Params:
    """Return d/dK of sum_n weights_n E(y_n, z_n), derivation 2."""
    residual = decode(params, z, boundary) - y
    return Params(kernel_grad(z, 2 * weights[:, None, None, None] * residual, params.K.shape[2:], boundary))


def infer(
    params: Params,
    y: Array,
    lam: float,
    method: str = "fista",
    *,
    boundary: str = "full",
    tol: float = 1e-3,
    max_iter: int = 10_000,
    z0: Array | None = None,
    pull: Pull | None = None,
    trace: bool = False,
) -> Inference:
    """Return z-check = argmin_z E(y, z), equation (3), for all images at once.

    Parameters
    ----------
    y : (N, C, H, W), or a list of N arrays (C, H, W) of one size; whole numbers, such as 0 to 255, become float64
    lam : > 0
    method : "fista" (with restarts), or "working_set", many times faster where codes are sparse
    tol : an image has converged when its duality gap is at most tol times its energy. Its energy is then nearer to the
        minimum than that, often by a factor of 100: the largest |c|, a single code, sets s in the gap of the image
    max_iter : iterations at most (for "working_set" of FISTA on the candidates, all rounds together)
    z0 : start (N, M, h, w); zero if None, and where lam or z0 is so large that E is not finite
    pull : alpha and z~ (N, M, h, w): minimise E + alpha ||z - z~||^2 instead, by "fista"
    trace : keep z after each iteration of "fista", (T, N, M, h, w)

    Returns
    -------
    Inference
        `energy` includes the pull, if there is one. float32 if K and y are; as that cannot certify gaps below 1e-4,
        with a smaller `tol` the computation is done in double precision, and what it finds is rounded at the end.

    Raises
    ------
    ValueError, TypeError
        if an argument has the wrong shape or type, holds NaN or infinity, or is out of range; if for "full" the kernels
        are larger than the images.

    Warns
    -----
    ConvergenceWarning
        with their number, if images have not converged after `max_iter` iterations.
    """
    K, y, shape = checked(params, y, boundary)
    lam, tol = validation.positive("lam", lam), validation.positive("tol", tol)
    max_iter = validation.count("max_iter", max_iter)
    validation.choice("method", method, METHODS)
    if (validation.flag("trace", trace) or pull is not None) and method != "fista":
        raise ValueError(f"{'trace' if trace else 'pull'}: expected none for the method {method!r}")
    dtype = np.result_type(K, y)
    precision = dtype if tol >= SINGLE else np.dtype(np.float64)
    K, y_used = K.astype(precision, copy=False), y.astype(precision, copy=False)
    z = np.zeros(shape, precision) if z0 is None else _start(z0, Params(K), y_used, lam, boundary, shape)
    pull = None if pull is None else _checked_pull(pull, shape, precision)
    with np.errstate(over="ignore"):  # where tol is huge, tol E may be infinite
        if method == "fista":
            path = iterates(Params(K), y_used, z, lam, boundary, pull)
            del z  # codes may be large: keep no more of them than need be
            found = settle(path, tol, max_iter, trace)
        else:
            found = convolutional_working_set.solve(K, y_used, z, lam, boundary, tol, max_iter)
    if not found.converged.all():
        left = f"{np.count_nonzero(~found.converged)} of {len(y)} images have not converged"
        message = f"{left} after {found.n_iter} iterations of {method!r}, tol = {tol:g}"
        warnings.warn(message, ConvergenceWarning, stacklevel=2)
    z, energies, kept = (a.astype(dtype, copy=False) for a in (found.z, found.energy, found.trace))
    return found._replace(z=z, energy=energies, trace=kept)


def iterates(
    params: Params, y: Array, z: Array, lam: float, boundary: str = "full", pull: Pull | None = None
) -> Iterator[tuple[Array, Look]]:
    """Yield FISTA's z(0), z(1), ... for ever, each with its `Look`: `operator_fista` with derivations 3, 4."""
    L = 2 * largest_eigenvalue(params.K, z.shape[2:], boundary) + (2 * pull.alpha if pull is not None else 0)
    L = L or 1.0  # K = 0: any length will do
    return fista(_look(params, y, lam, boundary, pull, L), z, lam / L)


def free_energy(params: Params, y: Array, lam: float, **options: Any) -> Array:
    """Return F_inf(y), equation (4): (N,); an upper bound, at most tol F too high. The options are those of `infer`."""
    return infer(params, y, lam, **options).energy


def free_energy_grad_y(params: Params, y: Array, lam: float, *, boundary: str = "full", **options: Any) -> Array:
    """Return dF/dy, derivation 1: (N, C, H, W)."""
    found = infer(params, y, lam, boundary=boundary, **options)
    return energy_grad_y(params, np.asarray(y), found.z, boundary)


def free_energy_grad_params(
    params: Params, y: Array, lam: float, weights: Array | None = None, *, boundary: str = "full", **options: Any
) -> Params:
    """Return d/dK of sum_n weights_n F(y_n), derivation 1; without weights, of the mean over images."""
    found = infer(params, y, lam, boundary=boundary, **options)
    return energy_grad_params(params, np.asarray(y), found.z, validation.sample_weights(weights, found.z), boundary)


def checked(params: Params, y: Array, boundary: str) -> tuple[Array, Array, tuple[int, int, int, int]]:
    """Return K, y and the shape of the maps, or raise the error that names what is wrong with them."""
    K = validation.squarable("params.K", validation.instance("params", params, Params).K, ("M", "C", "p", "q"))
    y = validation.squarable("y", y, ("N", K.shape[1], "H", "W"))
    validation.choice("boundary", boundary, BOUNDARIES)
    grow = {"full": -1, "valid": 1, "circular": 0}[boundary]
    h, w = (n + grow * (k - 1) for n, k in zip(y.shape[2:], K.shape[2:], strict=True))
    if min(h, w) < 1:
        expected, got = (" x ".join(map(str, a.shape[2:])) for a in (K, y))
        raise ValueError(f"y: expected at least {expected} pixels, those of the kernels, got {got}")
    return K, y, (len(y), len(K), h, w)


def _checked_pull(pull: Pull, shape: tuple[int, ...], precision: Any) -> Pull:
    validation.instance("pull", pull, Pull)
    alpha = validation.squarable("pull.alpha", validation.non_negative("pull.alpha", pull.alpha), ())
    z_tilde = validation.squarable("pull.z_tilde", pull.z_tilde, shape)
    return Pull(float(alpha), z_tilde.astype(precision, copy=False))


def _start(z0: Array, params: Params, y: Array, lam: float, boundary: str, shape: tuple[int, ...]) -> Array:
    """Return z0, checked, in the precision of y; 0 for images whose energy there is not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        z = validation.squarable("z0", validation.array("z0", z0, shape).astype(y.dtype), shape)
        finite = np.isfinite(energy(params, y, z, lam, boundary))
    return np.where(finite[:, None, None, None], z, 0)


def _look(params: Params, y: Array, lam: float, boundary: str, pull: Pull | None, L: float) -> Callable[[Array], Look]:
    """Return the function `look` that `fista` calls on codes."""

    def look(z: Array) -> Look:
        residual = y - decode(params, z, boundary)
        c = correlate(residual, params.K, boundary)
        if pull is not None:
            c += z.dtype.type(pull.alpha) * (pull.z_tilde - z)
        c *= 2
        most = np.maximum(c.max(axis=(1, 2, 3)), -c.min(axis=(1, 2, 3)))
        c *= z.dtype.type(1 / L)
        c += z

        def cost() -> Cost:
            square, inner, l1 = _sum(residual**2), _sum(residual * y), _sum(np.abs(z))
            if pull is not None:
                short = pull.z_tilde - z
                square, inner = square + pull.alpha * _sum(short**2), inner + pull.alpha * _sum(short * pull.z_tilde)
            return Cost(square + lam * l1, duality_gap(square, inner, most, l1, lam))

        return Look(c, cost)

    return look


def _sum(a: Array) -> Array:
    """Return the sum for each image: (N, ...) -> (N,)."""
    return np.asarray(a.sum(axis=(1, 2, 3)))
