r"""The Gram form of sparse coding: what is left of the problem once W^T W and W^T y have been computed.

    E(y, z) = ||y||^2 - 2 <z, b> + <z, G z> + 2 t ||z||_1,    G = W^T W,  b = W^T y,  t = lam / 2                  (1)
    c = b - G z = W^T (y - W z)                    correlation of each atom with what is not yet explained         (2)
    gap(z) = E(y, z) - [ 2 s <r, y> - s^2 ||r||^2 ],    r = y - W z,  s = min(1, t / max|c|)                       (3)

    symbol   name   shape     meaning
    G        gram   (k, k)    Gram matrix of the atoms
    b        b      (k, N)    correlations of atoms and observations: here a sample is a *column*
    z, c            (k, N)    c is half of the c of `sparse_coding`, as t is half of lam

Once G and b are known, an iteration costs k^2 a sample instead of 2 d k, and y is not looked at again. Samples are
columns because coordinate descent then works on rows, which are contiguous.

Derivation
----------
(3) is the duality gap of `sparse_coding`. With y = r + W z, <r, y> = ||y||^2 - <z, b> and ||r||^2 = ||y||^2 - <z, b> -
<z, c>: it, too, needs G, b and ||y||^2 alone.

Source: notes 08-2, "Sparse coding"; the Gram form is folklore (Efron et al. 2004).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from ebm_np.foundations.arrays import Array
from ebm_np.sparse.operator_fista import duality_gap

CACHE = 640_000
"""Numbers that a processor's cache holds: 5 MB."""


class Problem(NamedTuple):
    """A batch of sparse coding problems with one dictionary."""

    gram: Array  # (k, k)
    b: Array  # (k, N)
    energy_at_zero: Array  # (N,): ||y||^2
    t: Array  # (N,): lam / 2, for each sample because `active_set` follows the path of minimisers in lam
    most_atoms: int  # min(d, k): no solution needs more

    def take(self, which: Array | slice) -> "Problem":
        """Return the problems of these samples: a mask or a slice."""
        if not isinstance(which, slice) and which.all():
            return self
        b = np.ascontiguousarray(self.b[:, which]) if isinstance(which, slice) else self.b.compress(which, axis=1)
        return self._replace(b=b, energy_at_zero=self.energy_at_zero[which], t=self.t[which])

    def astype(self, dtype: DTypeLike) -> "Problem":
        """Return it in single or double precision."""
        gram, b, energy_at_zero, t = (a.astype(dtype, copy=False) for a in self[:4])
        return Problem(gram, b, energy_at_zero, t, self.most_atoms)


def pose(W: Array, y: Array, lam: float) -> Problem:
    """Return equation (1) for a dictionary (d, k) and observations (N, d)."""
    return Problem(W.T @ W, W.T @ y.T, np.einsum("nd,nd->n", y, y), np.full(len(y), lam / 2, y.dtype), min(W.shape))


def blocks(n: int, numbers: int) -> Iterator[slice]:
    """Yield slices of the n samples that fit into the cache, if a method works on `numbers` numbers for each sample."""
    size = max(256, CACHE // numbers)
    for start in range(0, n, size):
        yield slice(start, start + size)


def correlation(problem: Problem, z: Array) -> Array:
    """Return c, equation (2).

    >>> correlation(pose(np.eye(2), np.array([[3.0, 0.5]]), 2.0), np.array([[2.0], [0.0]])).ravel().tolist()
    [1.0, 0.5]
    """
    c: Array = problem.gram @ z
    return np.subtract(problem.b, c, out=c)


def largest(c: Array) -> Array:
    """Return max|c| of each column."""
    return np.maximum(c.max(axis=0), -c.min(axis=0))


def certify(problem: Problem, z: Array, c: Array) -> tuple[Array, Array]:
    """Return each sample's energy, equation (1), and duality gap, equation (3), which is at least E - min E."""
    zb, zc = np.einsum("kn,kn->n", z, problem.b), np.einsum("kn,kn->n", z, c)
    ry = problem.energy_at_zero - zb
    rr = np.maximum(ry - zc, 0)
    l1, lam = np.abs(z).sum(axis=0), 2 * problem.t
    return rr + lam * l1, duality_gap(rr, ry, 2 * largest(c), l1, lam)


def certified(problem: Problem, z: Array, tol: float) -> Array:
    """Say for each sample whether its gap is at most tol times its energy."""
    energy, gap = certify(problem, z, correlation(problem, z))
    return gap <= tol * energy
