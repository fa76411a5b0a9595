r"""Linear equations on supports, a whole batch at once:  G_SS z_S = b_S - t sigma,  z = 0 off S.

    symbol   name      shape           meaning
    sigma    signs     (k, N)          -1, 0 or 1: the signs of the codes, 0 off the support S; a sample is a column
    p        width                     size of a support
    A        matrices  (p + 1, p, B)   lower triangles of the G_SS of B samples with supports of like size; the right
                                       side is the last row

Batched LAPACK works on one small matrix after the other. Here the batch is the innermost axis instead, so that every
operation of the textbook's factorisation G_SS = L D L^T is one vector operation over B samples.

Source: Golub & Van Loan, Matrix Computations, 4.1 (L D L^T).
"""

from collections.abc import Iterator

import numpy as np

from ebm_np.foundations.arrays import Array
from ebm_np.sparse.gram_form import Problem

CACHE = 1 << 17
"""Numbers in the matrices of a group at most."""
FEW = 48
"""Samples from which on a group of their own is worth its while."""


def solve_signs(problem: Problem, signs: Array) -> Array:
    """Return z (k, N) with G_SS z_S = b_S - t sigma for every sample: signs (k, N).

    A pivot that vanishes belongs to an atom that the atoms before it can express (a duplicate, say): its code is 0,
    which is a solution if there is one.
    """
    k, n_samples = signs.shape
    sample, atom = np.divmod(np.flatnonzero(signs.T), k)
    size = np.bincount(sample, minlength=n_samples)
    widest = int(size.max())
    # supports of unequal size are made equal by equations z_i = 0 for atoms k, k + 1, ... that no dictionary has
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
    """Yield slices of ascending sizes, those of size 0 left out.

    Sizes in a slice differ by at most 1, or by more if there would be fewer than FEW samples; and its matrices fit into
    a cache, unless it has only FEW.
    """
    start = int(np.searchsorted(size, 0, side="right"))
    while start < len(size):
        alike = int(np.searchsorted(size, size[start] + 1, side="right"))
        stop = min(max(alike, start + FEW), start + max(FEW, CACHE // (int(size[start]) + 1) ** 2), len(size))
        yield slice(start, stop)
        start = stop


def _gather(gram: Array, atoms: Array, right: Array) -> Array:
    """Return the lower triangles of G_SS with the right side as a last row: atoms, right (p, B) -> (p + 1, p, B).

    What is above the diagonal is not set.
    """
    p, n_samples = atoms.shape
    matrices, flat, row = np.empty((p + 1, p, n_samples), gram.dtype), gram.ravel(), atoms * len(gram)
    for i in range(p):
        np.take(flat, row[i] + atoms[: i + 1], out=matrices[i, : i + 1], mode="clip")  # "raise" would buffer `out`
    matrices[p] = right
    return matrices


def _solve_ldl(A: Array) -> Array:
    """Return x (p, B) with G x = right side, one system a column, for what `_gather` returns, which is used up.

    G = L D L^T: column j of L D is g_j - sum_{i<j} l_i d_i l_ji; times 1 / d_j (times 0 where the pivot vanishes) it is
    column j of L. The same steps make of the last row D^-1 L^-1 times the right side. It remains to solve with L^T.
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
