r"""Sparse coding: a latent-variable energy whose regulariser asks z to have few non-zeros.

    E(y, z) = ||y - W z||^2 + lam ||z||_1                                                                          (1)
    z(t + 1) = sh_{lam/L} [ z(t) - (2/L) W^T (W z(t) - y) ],      L = 2 sigma_max(W)^2          ISTA               (2)
    F_inf(y) = min_z E(y, z)                                                                                       (3)
    W <- W - eta dF/dW, then each column to unit norm                                           learning           (4)

    symbol   name       shape     meaning
    y        y          (N, d)    observations, rows are samples
    z        z          (N, k)    codes
    W        Params.W   (d, k)    dictionary, columns are atoms, of unit norm
    lam      lam                  weight of the L1 norm, >= 0; its unit is that of y

Derivation
----------
1. d/dz ||y - W z||^2 = 2 W^T (W z - y), whose Lipschitz constant is L = 2 sigma_max(W)^2.
2. Below the parabola C(z(t)) + <grad, z - z(t)> + (L/2) ||z - z(t)||^2 lies C; minimising that parabola plus lam
   ||z||_1 is shrinkage with threshold lam / L (`proximal.shrink`): (2). So E never rises.
3. Envelope: dF/dW = dE/dW at z-check = -2 (y - W z-check) z-check^T, summed over samples.
4. Without (4)'s normalisation E falls for ever: W -> a W, z -> z / a leaves W z as it is and divides the L1 norm by a.

The note's step (under the name of FISTA, which it is not: there is no momentum) is W^T (W z - y) / L with threshold lam
/ L: that minimises (1/2) ||y - W z||^2 + lam ||z||_1, another energy than (1). The factor 2 of derivation 1 is kept
here.

Source: notes 08-2, "Sparse coding"; Daubechies, Defrise & De Mol 2004 (ISTA); Olshausen & Field 1996.
"""

from typing import Any, NamedTuple

import numpy as np

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.costs import squared_error, squared_error_grad
from ebm_np.foundations.optimizers import Optimizer, gradient_descent
from ebm_np.foundations.proximal import shrink
from ebm_np.foundations.results import Fit, Inference
from ebm_np.foundations.training import Callback, minimize


class Params(NamedTuple):
    """The dictionary."""

    W: Array  # (d, k)


def init(rng: np.random.Generator, d: int, k: int, dtype: Any = np.float64) -> Params:
    """Return k random atoms of d numbers, uniform on the unit sphere."""
    validation.generator("rng", rng)
    W = rng.normal(size=(validation.count("d", d), validation.count("k", k)))
    return unit_columns(Params(W.astype(validation.floating("dtype", dtype))))


def unit_columns(params: Params) -> Params:
    """Return the dictionary with each column divided by its L2 norm; a column of zeros stays as it is."""
    norm = np.sqrt((params.W**2).sum(axis=0))
    return Params(params.W / np.where(norm > 0, norm, 1))


def decode(params: Params, z: Array) -> Array:
    """Return y~ = W z for each row: (N, k) -> (N, d)."""
    return z @ params.W.T


def energy(params: Params, y: Array, z: Array, lam: float) -> Array:
    """Return E(y_n, z_n), equation (1): (N, d), (N, k) -> (N,)."""
    return squared_error(y, decode(params, z)) + lam * np.abs(z).sum(axis=-1)


def cost_grad_z(params: Params, y: Array, z: Array) -> Array:
    """Return the gradient of the smooth part, d||y - W z||^2/dz, derivation 1: (N, k)."""
    return squared_error_grad(y, decode(params, z)) @ params.W


def energy_grad_params(params: Params, y: Array, z: Array, weights: Array) -> Params:
    """Return d/dW of sum_n weights_n E(y_n, z_n), derivation 3."""
    return Params(W=(weights[:, None] * squared_error_grad(y, decode(params, z))).T @ z)


def infer(
    params: Params,
    y: Array,
    lam: float,
    *,
    tol: float = 1e-5,
    max_iter: int = 1000,
    z0: Array | None = None,
    trace: bool = False,
) -> Inference:
    """Return z-check = argmin_z E(y, z) by ISTA, equation (2), for all samples at once.

    Parameters
    ----------
    y : (N, d)
    lam : >= 0
    tol : a sample has converged when a step moves none of its codes by more than tol * max|z|
    max_iter : iterations at most
    z0 : start (N, k); zero if None
    trace : keep z after each iteration, (T, N, k)

    Raises
    ------
    ValueError, TypeError
        if an argument has the wrong shape or type, holds NaN or infinity, or is out of range.
    """
    W = validation.squarable("params.W", params.W, ("d", "k"))
    y = validation.squarable("y", y, ("N", W.shape[0]))
    lam, tol = validation.non_negative("lam", lam), validation.positive("tol", tol)
    shape = (len(y), W.shape[1])
    z = (
        np.zeros(shape, np.result_type(W, y))
        if z0 is None
        else validation.array("z0", z0, shape).astype(np.result_type(W, y))
    )
    # with S = I - (2/L) W^T W and W_e = (2/L) W^T, (2) reads z <- sh(W_e y + S z): d is paid for once, not each time
    gram = W.T @ W
    lipschitz = 2 * float(np.linalg.eigvalsh(gram)[-1])  # sigma_max(W)^2, far cheaper than an SVD of W
    if lipschitz > np.finfo(W.dtype).tiny:
        step_length = 1 / lipschitz
    else:  # W = 0: z = 0 is the answer, and stays
        step_length, z = 0.0, np.zeros_like(z)
    S = np.eye(shape[1], dtype=z.dtype) - 2 * step_length * gram
    drive, iterates = y @ (2 * step_length * W), []
    for n_iter in range(1, validation.count("max_iter", max_iter) + 1):  # noqa: B007 - n_iter is reported
        z_next = shrink(drive + z @ S, lam * step_length)
        step, z = np.abs(z_next - z).max(axis=1), z_next
        converged = step <= tol * np.abs(z).max(axis=1)
        if trace:
            iterates.append(z)
        if converged.all():
            break
    return Inference(
        z, energy(Params(W), y, z, lam), n_iter, converged, np.array(iterates, z.dtype).reshape(-1, *shape)
    )


def free_energy(params: Params, y: Array, lam: float, **options: Any) -> Array:
    """Return F_inf(y), equation (3): (N, d) -> (N,); from above, as near as `infer` comes with the same options."""
    return infer(params, y, lam, **options).energy


def fit(
    params: Params,
    y: Array,
    rng: np.random.Generator,
    *,
    lam: float,
    optimizer: Optimizer | None = None,
    n_epochs: int = 1,
    batch_size: int | None = 500,
    tol: float = 1e-3,
    max_iter: int = 100,
    callback: Callback | None = None,
) -> Fit[Params]:
    """Return a dictionary of unit columns that makes F low on the data, equation (4).

    For each mini-batch: infer the codes, one step on W, columns back to unit norm.

    Parameters
    ----------
    params : where to start; never written to
    y : data (N, d)
    optimizer : of W; gradient descent of rate 0.1 if None
    tol, max_iter : of the inference

    Raises
    ------
    ValueError, TypeError
        for a wrong argument.
    FloatingPointError
        if training diverges.
    """
    params = Params(validation.squarable("params.W", params.W, ("d", "k")))
    y = validation.squarable("y", y, ("N", params.W.shape[0]))
    validation.generator("rng", rng)
    lam = validation.non_negative("lam", lam)
    inner = gradient_descent(0.1) if optimizer is None else optimizer

    def normalised_step(params: Params, grads: Params, state: Any) -> tuple[Params, Any]:
        params, state = inner.step(params, grads, state)
        return unit_columns(params), state

    def loss_and_grad(params: Params, batch: Array) -> tuple[float, Params]:
        found = infer(params, y[batch], lam, tol=tol, max_iter=max_iter)
        weights = np.full(len(batch), 1 / len(batch), y.dtype)
        return float(found.energy.mean()), energy_grad_params(params, y[batch], found.z, weights)

    return minimize(
        loss_and_grad,
        params,
        len(y),
        optimizer=Optimizer(inner.init, normalised_step),
        n_epochs=n_epochs,
        batch_size=batch_size,
        rng=rng,
        callback=callback,
    )
