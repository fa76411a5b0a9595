r"""Learning the kernels: maps for a batch of images, then K for the maps of all batches so far.

    F(K) = (1/N) sum_n min_z ||y_n - K * z||^2 + lam ||z||_1,     ||K_m|| = 1 for every kernel m                   (1)
    z_n = argmin_z E(y_n, z)                         for the n of a batch, by a few steps of FISTA from 0          (2)
    A <- f A + sum_n A(z_n),   B <- f B + sum_n B(z_n, y_n),   f = (1 - 1/i)^rho in the i-th batch                 (3)
        A_mo[d] = sum_x z_m[x] z_o[x + d],  |d| < (p, q);    B_mc[a] = sum_x z_m[x] y_c[x + a]
    G_mc[a] = sum_o sum_b A_mo[a - b] K_oc[b] - B_mc[a]                                                            (4)
    K_m <- u / ||u||,   u = K_m - G_m / l_m,   l_m = max_f |A^_mm(f)|            for m = 1, ..., M                 (5)

    symbol   name       shape                   meaning
    y        y          (N, C, H, W)            images
    K        Params.K   (M, C, p, q)            kernels
    A        A          (M, M, 2p-1, 2q-1)      correlations of the maps at all lags d at which kernels overlap
    B        B          (M, C, p, q)            correlations of maps with images

It is `dictionary`, equation by equation: each second moment there is a correlation function, over all lags, here.

Derivation
----------
1. y~_c[x] = sum_ob K_oc[b] z_o[x - b]. So d||y - y~||^2/dK_mc[a] = 2 sum_x z_m[x - a] (y~_c[x] - y_c[x]), where sum_x
   z_m[x - a] z_o[x - b] = A_mo[a - b]: twice (4). A and B are all that K needs to know of the images.
2. On the torus x runs over all pixels, and for "full" over all that z_m reaches: no pixel is cut off, and only the
   difference a - b counts. For "valid" pixels are cut off at the edge, A would depend on a and on b: not offered.
3. (3) are kernel gradients of convolution: A = `kernel_grad` of the maps against themselves, B against the images.
4. In K_m alone the cost is quadratic with the Hessian 2 T, T[a, b] = A_mm[a - b], for each channel. T is a principal
   submatrix of the circulant matrix of A_mm, whose eigenvalues are the discrete Fourier transform A^_mm(f): those of T
   are at most l_m. So the cost is majorised by its value at K_m plus 2 <G_m, dK> + l_m ||dK||^2, which is least on the
   unit sphere at (5): there is no learning rate, and the cost never rises.
5. Why a constraint? See `dictionary`: else K grows, z shrinks, and F falls to 0.
6. A kernel that no map has used for a while has l_m = 0. It is seeded anew with the window that is explained worst.

Source: notes 08-2, "Convolutional sparse coding"; Mairal et al. 2010 (3); Zeiler et al. 2010; Liu et al. 2018 (online).
"""

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from scipy import fft

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.convolution import convolve, correlate, kernel_grad
from ebm_np.foundations.results import Fit
from ebm_np.foundations.training import Callback, batches, check_options
from ebm_np.sparse.convolutional import Params, checked, decode, iterates, unit_kernels

UNUSED = 1e-6
"""A kernel counts as unused if its A_mm[0] is at most this share of their mean."""


class State(NamedTuple):
    """What goes from one batch to the next."""

    K: Array  # (M, C, p, q)
    A: Array  # (M, M, 2p-1, 2q-1): lag 0 in the middle
    B: Array  # (M, C, p, q)


def init_from_images(rng: np.random.Generator, y: Array, M: int, p: int, q: int) -> Params:
    """Return M windows of the images (N, C, H, W) as kernels of unit norm, places at random, none of them constant 0.

    Raises
    ------
    ValueError, TypeError
        for a wrong argument, if windows are larger than images, and if images are 0 nearly everywhere.
    """
    validation.generator("rng", rng)
    M, p, q = (validation.count(name, n) for name, n in (("M", M), ("p", p), ("q", q)))
    y = validation.squarable("y", y, ("N", "C", "H", "W"))
    mass = correlate((y**2).sum(axis=1, keepdims=True), np.ones((1, 1, p, q), y.dtype), "full")[:, 0]
    useful = np.flatnonzero(mass > 1e-6 * mass.max())
    if len(useful) < M or not mass.any():
        raise ValueError(f"M: expected at most {len(useful) * mass.any()}, the windows that are not zero, got {M}")
    places = np.unravel_index(rng.choice(useful, M, replace=False), mass.shape)
    return unit_kernels(Params(np.stack([y[n, :, i : i + p, j : j + q] for n, i, j in zip(*places, strict=True)])))


def fit(
    params: Params,
    y: Array,
    rng: np.random.Generator,
    *,
    lam: float,
    boundary: str = "full",
    n_epochs: int = 1,
    batch_size: int | None = 8,
    n_steps: int = 30,
    n_sweeps: int = 4,
    forgetting: float = 5.0,
    callback: Callback | None = None,
) -> Fit[Params]:
    """Return kernels that make F low on the images: equations (2) to (5) for every mini-batch.

    Parameters
    ----------
    params : where to start; never written to
    y : images (N, C, H, W); many crops teach faster than few large images
    rng : shuffles the images
    lam : > 0
    boundary : "full" or "circular"
    batch_size : images between two updates of K. None means all: A and B are then made anew in every epoch, and each
        image's maps start from where the last epoch left them
    n_steps : steps of FISTA over the maps, (2)
    n_sweeps : sweeps over the kernels, (5)
    forgetting : rho >= 0 of equation (3); 0 remembers everything
    callback : called after each epoch with its number and its mean energy

    Returns
    -------
    Fit
        `history` has the mean energy of each epoch, of each batch with the kernels before its update; float32
        throughout if K and y are.

    Raises
    ------
    ValueError, TypeError
        for a wrong argument.
    FloatingPointError
        if K is no longer finite.
    """
    validation.choice("boundary", boundary, ("full", "circular"))
    K, y, shape = checked(params, y, boundary)
    validation.generator("rng", rng)
    lam, forgetting = validation.positive("lam", lam), validation.non_negative("forgetting", forgetting)
    n_steps, n_sweeps = validation.count("n_steps", n_steps), validation.count("n_sweeps", n_sweeps)
    check_options(n_epochs, batch_size, callback=callback)
    full, dtype, (M, _, p, q) = batch_size is None, np.result_type(K, y), K.shape
    y, history, n_batches = y.astype(dtype, copy=False), np.zeros(n_epochs), 0
    params = unit_kernels(Params(K.astype(dtype)))
    z = silent = np.zeros((min(batch_size or len(y), len(y)), *shape[1:]), dtype)
    state = State(params.K, np.zeros((M, M, 2 * p - 1, 2 * q - 1), dtype), np.zeros_like(params.K))
    for epoch in range(n_epochs):
        for batch in batches(len(y), batch_size, None if full else rng):
            n_batches += 1
            start = z if full else silent[: len(batch)]
            z, at = next(islice(iterates(Params(state.K), y[batch], start, lam, boundary), n_steps, None))
            history[epoch] += at.cost().energy.sum(dtype=np.float64) / len(y)
            memory = 0.0 if full else (1 - 1 / n_batches) ** forgetting
            state = _update(state, y[batch], z, boundary, memory, n_sweeps)
        if not np.isfinite(state.K).all():
            raise FloatingPointError(f"training diverged in epoch {epoch + 1}")
        if callback is not None:
            callback(epoch + 1, float(history[epoch]))
    return Fit(Params(state.K), history)


def _update(state: State, y: Array, z: Array, boundary: str, memory: float, n_sweeps: int) -> State:
    """Return the state after (3) and (5), kernels that are not used seeded anew."""
    A, B = moments(z, y, state.K.shape[2:], boundary)
    state = State(state.K, memory * state.A + A, memory * state.B + B)
    return _seed_unused(state._replace(K=descend(state, n_sweeps)), y, z, boundary)


def moments(z: Array, y: Array, size: Sequence[int], boundary: str) -> tuple[Array, Array]:
    """Return A and B of equation (3), summed over the images, for kernels of `size` (p, q)."""
    p, q = size
    frame = ((0, 0), (0, 0), (p - 1, p - 1), (q - 1, q - 1))
    around = np.pad(z, frame, mode="wrap" if boundary == "circular" else "constant")
    return kernel_grad(z, around, (2 * p - 1, 2 * q - 1), "full"), kernel_grad(z, y, size, boundary)


def kernel_cost_grad(state: State, m: int) -> Array:
    """Return G_m, half the derivative of the cost in kernel m: equation (4), (C, p, q)."""
    _, _, p, q = state.K.shape
    whole = convolve(state.K.swapaxes(0, 1), state.A[m][:, None], "full")[:, 0]
    return np.asarray(whole[:, p - 1 : 2 * p - 1, q - 1 : 2 * q - 1] - state.B[m])


def descend(state: State, n_sweeps: int) -> Array:
    """Return K after sweeps of (5) over all kernels."""
    M, _, p, q = state.K.shape
    state = state._replace(K=state.K.copy())
    own = state.A[np.arange(M), np.arange(M)]
    lengths = np.abs(fft.fft2(own)).max(axis=(1, 2))  # at size (2p-1, 2q-1): the circulant matrix of derivation 4
    used = np.flatnonzero(own[:, p - 1, q - 1] > 0).tolist()
    for _ in range(n_sweeps):
        for m in used:
            u = state.K[m] - kernel_cost_grad(state, m) / lengths[m]
            state.K[m] = u / (np.sqrt((u**2).sum()) or 1)
    return state.K


def _seed_unused(state: State, y: Array, z: Array, boundary: str) -> State:
    """Return the state with unused kernels replaced by the windows explained worst: derivation 6."""
    M, _, p, q = state.K.shape
    use = state.A[np.arange(M), np.arange(M), p - 1, q - 1]
    unused = np.flatnonzero(use <= UNUSED * use.mean())
    if not unused.size:
        return state
    residual = y - decode(Params(state.K), z, boundary)
    mass = correlate((residual**2).sum(axis=1, keepdims=True), np.ones((1, 1, p, q), y.dtype), "full")[:, 0]
    K, A, B = (a.copy() for a in state)
    for m, n in zip(unused, np.argsort(mass.max(axis=(1, 2)))[::-1], strict=False):  # one an image: no two alike
        i, j = np.unravel_index(mass[n].argmax(), mass[n].shape)
        K[m] = residual[n, :, i : i + p, j : j + q]
        A[m], A[:, m], B[m] = 0, 0, 0
    return State(unit_kernels(Params(K)).K, A, B)
