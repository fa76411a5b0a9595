r"""Learning the dictionary: codes for a mini-batch, then W for the codes of all batches so far.

    F(W) = (1/N) sum_n min_z ||y_n - W z||^2 + lam ||z||_1,     ||w_j|| = 1 for every atom j                       (1)
    z_n = argmin_z E(y_n, z)                          for the n of a batch, by a few sweeps (`sweeps`)             (2)
    A <- f A + sum_n z_n z_n^T,   B <- f B + sum_n z_n y_n^T,   f = (1 - 1/i)^rho in the i-th batch                (3)
    u_j = w_j + (b_j - W a_j) / A_jj,   w_j <- u_j / ||u_j||                   for j = 1, ..., k                   (4)

    symbol   name       shape     meaning
    y        y          (N, d)    observations, rows are samples
    W        Params.W   (d, k)    dictionary, columns are atoms w_j
    A        A          (k, k)    second moments of the codes, columns a_j
    B        B          (k, d)    second moments of codes with data, rows b_j

Derivation
----------
1. sum_n ||y_n - W z_n||^2 = tr(W A W^T) - 2 tr(W B) + sum_n ||y_n||^2 if f = 1: (3) is all that W needs to know of the
   data (Mairal et al. 2010). With f < 1 old codes, found with a W that has changed since, are forgotten.
2. In w_j alone that is A_jj ||w_j - u_j||^2 plus a constant. On the unit sphere, where ||w_j||^2 does not change, the
   minimiser is the unit vector along u_j: (4) is block coordinate descent, and has no learning rate.
3. Why a constraint? W -> W / s, z -> s z leaves W z as it is and multiplies |z_j| by s_j. If nothing holds W, E falls
   for ever that way: W grows, z shrinks, lam ||z||_1 tends to 0 and with it F.
4. An atom that no code has used for a while has A_jj = 0, and (4) does not apply. It is seeded anew with the sample of
   greatest energy, where it is needed, at the mean norm of the other atoms.

Three ways to hold the scale of W, and none, can be compared here; with s_j = ||u_j|| for each column,

    "sphere"    (4): the constraint holds while W is optimised
    "columns"   w_j <- u_j for all j; then w_j <- w_j / s_j, z_j <- s_j z_j (in A and B): unit columns, W z unchanged
    "common"    the same with s_j = sum_i ||u_i|| for every j, the note's "sum of the L2 norms of the columns"
    "none"      w_j <- u_j

"columns" is what the lecture does, and costs a few per cent of F: all atoms are too long while (4) goes through them
(shrinkage makes codes too small, and W makes up for it), and the rescaled codes are no longer those of (2). "common"
holds W as a whole only: long atoms have cheap codes, so the rich become richer and the poor die. Its s is some k times
larger, too, so that lam must be k times smaller for codes as sparse.

Source: notes 08-2, "Sparse coding"; Olshausen & Field 1996; Mairal, Bach, Ponce & Sapiro 2010.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.results import Fit
from ebm_np.foundations.training import Callback, batches, check_options
from ebm_np.sparse.gram_form import pose
from ebm_np.sparse.sparse_coding import Params, energy, unit_columns
from ebm_np.sparse.sweeps import descent, sweeps

NORMALIZATIONS: dict[str, Callable[[Array], Array]] = {
    "sphere": np.ones_like,
    "columns": lambda norms: np.where(norms > 0, norms, 1),
    "common": lambda norms: np.full_like(norms, norms.sum() or 1),
    "none": np.ones_like,
}
"""What the columns of W are divided by after (4), given their norms."""
UNUSED = 1e-6
"""An atom counts as unused if its A_jj is at most this share of their mean."""


class State(NamedTuple):
    """What goes from one batch to the next."""

    W: Array  # (d, k)
    A: Array  # (k, k)
    B: Array  # (k, d)


def init_from_samples(rng: np.random.Generator, y: Array, k: int) -> Params:
    """Return k different samples of y (N, d), none of them zero, as atoms of unit norm.

    Raises
    ------
    ValueError, TypeError
        for a wrong argument, and if y has fewer than k such samples.
    """
    validation.generator("rng", rng)
    y = validation.squarable("y", y, ("N", "d"))
    useful = np.flatnonzero(y.any(axis=1))
    if len(useful) < validation.count("k", k):
        raise ValueError(f"k: expected at most {len(useful)}, the samples of y that are not zero, got {k}")
    return unit_columns(Params(np.ascontiguousarray(y[rng.choice(useful, k, replace=False)].T)))


def fit(
    params: Params,
    y: Array,
    rng: np.random.Generator,
    *,
    lam: float,
    n_epochs: int = 1,
    batch_size: int | None = 512,
    n_sweeps: int = 4,
    forgetting: float = 10.0,
    normalization: str = "sphere",
    callback: Callback | None = None,
) -> Fit[Params]:
    """Return a dictionary that makes F low on the data: equations (2) to (4) for every mini-batch.

    Parameters
    ----------
    params : where to start, atoms brought to unit norm; never written to
    y : data (N, d)
    rng : shuffles the samples
    lam : > 0
    batch_size : samples between two updates of W. None means all: A and B are then made anew in every epoch, and each
        sample's code starts from where the last epoch left it
    n_sweeps : of coordinate descent over the codes, (2), after those that lower the threshold to lam (`sweeps`)
    forgetting : rho >= 0 of equation (3); 0 remembers everything
    normalization : "sphere", "columns", "common" or "none", as above
    callback : called after each epoch with its number and its mean energy

    Returns
    -------
    Fit
        `history` has the mean energy of each epoch, of each batch with the dictionary before its update; float32
        throughout if W and y are.

    Raises
    ------
    ValueError, TypeError
        for a wrong argument.
    FloatingPointError
        if W is no longer finite.
    """
    W = validation.squarable("params.W", validation.instance("params", params, Params).W, ("d", "k"))
    y = validation.squarable("y", y, ("N", W.shape[0]))
    validation.generator("rng", rng)
    lam, forgetting = validation.positive("lam", lam, moderate=True), validation.non_negative("forgetting", forgetting)
    n_sweeps = validation.count("n_sweeps", n_sweeps)
    validation.choice("normalization", normalization, NORMALIZATIONS)
    check_options(n_epochs, batch_size, callback=callback)
    dtype, k, full = np.result_type(W, y), W.shape[1], batch_size is None
    y, history, n_batches = y.astype(dtype, copy=False), np.zeros(n_epochs), 0
    state = State(unit_columns(Params(W.astype(dtype))).W, np.zeros((k, k), dtype), np.zeros((k, len(W)), dtype))
    z = np.zeros((k, len(y) if full else 0), dtype)
    for epoch in range(n_epochs):
        for batch in batches(len(y), batch_size, None if full else rng):
            n_batches += 1
            problem, start = pose(state.W, y[batch], lam), z if full else np.zeros((k, len(batch)), dtype)
            z = sweeps(problem, start, descent(problem) + n_sweeps, descend=not start.any())
            energies = energy(Params(state.W), y[batch], z.T, lam)
            history[epoch] += energies.sum(dtype=np.float64) / len(y)
            memory = 0.0 if full else (1 - 1 / n_batches) ** forgetting
            state, s = _update(state, y[batch], z, memory, normalization)
            state, z = _seed_unused(state, y[batch], energies), s[:, None] * z
        if not np.isfinite(state.W).all():
            raise FloatingPointError(f"training diverged in epoch {epoch + 1}")
        if callback is not None:
            callback(epoch + 1, float(history[epoch]))
    return Fit(Params(state.W), history)


def _update(state: State, y: Array, z: Array, memory: float, normalization: str) -> tuple[State, Array]:
    """Return the state after (3) and (4), and the factors s (k,) by which codes have grown: y (n, d), z (k, n)."""
    A, B, atoms = memory * state.A + z @ z.T, memory * state.B + z @ y, np.ascontiguousarray(state.W.T)
    for j in np.flatnonzero(np.diag(A)):
        u = atoms[j] + (B[j] - A[j] @ atoms) / A[j, j]
        atoms[j] = u / (math.sqrt(u @ u) or 1) if normalization == "sphere" else u
    s = NORMALIZATIONS[normalization](np.linalg.norm(atoms, axis=1))
    return State((atoms / s[:, None]).T, s[:, None] * A * s, s[:, None] * B), s


def _seed_unused(state: State, y: Array, energies: Array) -> State:
    """Return the state with unused atoms replaced by the samples of greatest energy: derivation 4."""
    used = np.diag(state.A)
    unused = np.flatnonzero(used <= UNUSED * used.mean())
    if not unused.size or not energies.any():
        return state
    W, A, B = (a.copy() for a in state)
    worst = np.argsort(energies)[::-1][: len(unused)]
    others = np.linalg.norm(np.delete(W, unused, axis=1), axis=0)
    length = W.dtype.type(others.mean()) if others.size else 1  # as long as the others, whatever the normalization
    W[:, unused[: len(worst)]] = length * unit_columns(Params(y[worst].T)).W
    A[unused], A[:, unused], B[unused] = 0, 0, 0
    return State(W, A, B)
