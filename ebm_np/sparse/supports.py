r"""Linear equations on supports, a whole batch at once:  G_SS z_S = b_S - t sigma,  z = 0 off S.

    symbol   name      shape           meaning
    sigma    signs     (k, N)          -1, 0 or 1: the signs of the codes, 0 off the support S; a sample is a column
    p        width                     size of the largest support of a group; smaller ones are padded to it
    A        matrices  (p + 1, p, B)   lower triangles of the G_SS of B samples, a group with supports of like size; the
                                       last row is the right side

G, b and t are those of `gram_form`. Batched LAPACK works on one small matrix after the other. Here the batch is the
innermost axis instead, so that every scalar operation of the factorisation G_SS = L D L^T (Cholesky's without square
roots) is one vector operation over B samples.

Source: Golub & Van Loan, Matrix Computations, 4.1 (L D L^T).
"""

from collections.abc import Iterator

import numpy as np

from ebm_np.foundations.arrays import Array
from ebm_np.sparse.gram_form import Problem

CACHE = 1 << 17
"""Largest number of entries in the matrices of a group, unless it has only FEW samples."""
FEW = 48
"""Smallest number of samples that is worth a group of its own."""


def solve_signs(problem: Problem, signs: Array) -> Array:
    """Return z (k, N) with G_SS z_S = b_S - t sigma for every sample: signs (k, N).

    A pivot that vanishes belongs to an atom that depends linearly on those before it (a duplicate, say). Its code is
    set to 0, which solves the equations if they have a solution.
    """
    k, n_samples = signs.shape
    sample, atom = np.divmod(np.flatnonzero(signs.T), k)
    size = np.bincount(sample, minlength=n_samples)
    widest = int(size.max())
    # smaller supports are padded with dummy atoms k, k + 1, ..., whose equation is z_i = 0
    gram = np.eye(k + widest, dtype=problem.b.dtype)
    gram[:k, :k] = problem.gram
    support, right = np.tile(np.arange(k, k + widest), (n_samples, 1)), np.zeros((n_samples, widest), problem.b.dtype)
    place = np.arange(len(sample)) - np.repeat(np.cumsum(size) - size, size)
    support[sample, place] = atom
    right[sample, place] = problem.b[atom, sample] - problem.t[sample] * signs[atom, sample]
    z = np.zeros((k + widest, n_samples), problem.b.dtype)
    order = np.argsort(size)
    for group in _of_like_size(size[order]):
        chosen, width = order[group], size[order[group.stop - 1]]
        atoms = np.ascontiguousarray(support[chosen, :width].T)
        z[atoms, chosen] = _solve_ldl(_gather(gram, atoms, right[chosen, :width].T))
    return z[:k]


def _of_like_size(size: Array) -> Iterator[slice]:
    """Yield slices that cut ascending sizes of supports into groups of nearly equal size; size 0 is left out.

    Sizes in a slice differ by at most 1, by more only where it would otherwise have fewer than FEW samples. Its
    matrices fit into the cache, unless FEW samples are too many for that.
    """
    start = int(np.searchsorted(size, 0, side="right"))
    while start < len(size):
        alike = int(np.searchsorted(size, size[start] + 1, side="right"))
        stop = min(max(alike, start + FEW), start + max(FEW, CACHE // (int(size[start]) + 1) ** 2), len(size))
        yield slice(start, stop)
        start = stop


def _gather(gram: Array, atoms: Array, right: Array) -> Array:
    """Return the lower triangles of G_SS with the right side as a last row: atoms, right (p, B) -> (p + 1, p, B).

    The entries above the diagonal are left unset.
    """
    p, n_samples = atoms.shape
    matrices, flat, row = np.empty((p + 1, p, n_samples), gram.dtype), gram.ravel(), atoms * len(gram)
    for i in range(p):
        np.take(flat, row[i] + atoms[: i + 1], out=matrices[i, : i + 1], mode="clip")  # "raise" would buffer `out`
    matrices[p] = right
    return matrices


def _solve_ldl(A: Array) -> Array:
    """Return x (p, B), the solutions of B systems, one a column, from the matrices of `_gather`, which it overwrites.

    G = L D L^T: column j of L D is g_j - sum_{i<j} l_i d_i l_ji; times 1 / d_j (times 0 where the pivot vanishes) it is
    column j of L. The same steps turn the last row into D^-1 L^-1 times the right side (forward substitution). What
    remains is back substitution with L^T.
    """
    p = A.shape[1]
    x = A[p]
    pivots, reciprocal = np.empty_like(x), np.empty_like(x[0])
    smallest = 100 * p * np.finfo(A.dtype).eps
    for j in range(p):
        diagonal = A[j, j].copy()
        if j:
            A[j:, j] -= np.einsum("ikn,kn->in", A[j:, :j], A[j, :j] * pivots[:j])
        pivots[j] = A[j, j]
        reciprocal[:] = 0
        np.divide(1, pivots[j], out=reciprocal, where=pivots[j] > smallest * diagonal)
        A[j + 1 :, j] *= reciprocal
    for j in range(p - 2, -1, -1):
        x[j] -= np.einsum("kn,kn->n", A[j + 1 : p, j], x[j + 1 :])
    return x
