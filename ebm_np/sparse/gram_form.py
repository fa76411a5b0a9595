r"""The same problem without y: what is left of sparse coding once W^T y has been formed.

    E(y, z) = ||y||^2 - 2 <z, b> + <z, G z> + 2 t ||z||_1,    G = W^T W,  b = W^T y,  t = lam / 2                  (1)
    c = b - G z = W^T (y - W z)                    correlation of each atom with what is not yet explained         (2)
    gap(z) = E(y, z) - [ 2 s <r, y> - s^2 ||r||^2 ],    r = y - W z,  s = min(1, t / max|c|)                       (3)

    symbol   name   shape     meaning
    G        gram   (k, k)    Gram matrix of the atoms
    b        b      (k, N)    correlations of atoms and observations: here a sample is a *column*
    z, c            (k, N)

Once (1) is paid for, an iteration costs k^2 a sample instead of 2 d k, and y is not looked at again. Samples are
columns because coordinate descent then works on rows, which are contiguous.

Derivation
----------
1. min_z max_nu { 2 <nu, y - W z> - ||nu||^2 + lam ||z||_1 } is E's minimum: the inner maximum is at nu = y - W z.
2. Exchange the two (the problem is convex): min over z is 0 if |2 W^T nu|_i <= lam for all i, else -infinity. So
   D(nu) = 2 <nu, y> - ||nu||^2 <= F(y) for every such nu: a lower bound that needs no minimiser.
3. r is the best nu there is, but not allowed; scaled by s it is. At the minimiser s = 1 and the gap (3) is zero.
4. In Gram form <r, y> = ||y||^2 - <z, b> and ||r||^2 = ||y||^2 - <z, b> - <z, c>.

Source: notes 08-2, "Sparse coding"; Kim et al. 2007 (the dual point); the Gram form is folklore (Efron et al. 2004).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from ebm_np.foundations.arrays import Array


class Problem(NamedTuple):
    """A batch of sparse coding problems with one dictionary."""

    gram: Array  # (k, k)
    b: Array  # (k, N)
    energy_at_zero: Array  # (N,): ||y||^2
    t: Array  # (N,): lam / 2, for each sample because `active_set` follows the path of minimisers in lam
    rank: int  # min(d, k): no solution needs more atoms

    def take(self, which: Array | slice) -> "Problem":
        """Return the problems of these samples: a mask or a slice."""
        if not isinstance(which, slice) and which.all():
            return self
        b = np.ascontiguousarray(self.b[:, which]) if isinstance(which, slice) else self.b.compress(which, axis=1)
        return self._replace(b=b, energy_at_zero=self.energy_at_zero[which], t=self.t[which])

    def astype(self, dtype: DTypeLike) -> "Problem":
        """Return it in single or double precision."""
        gram, b, energy_at_zero, t = (a.astype(dtype, copy=False) for a in self[:4])
        return Problem(gram, b, energy_at_zero, t, self.rank)


def pose(W: Array, y: Array, lam: float) -> Problem:
    """Return equation (1) for a dictionary (d, k) and observations (N, d)."""
    return Problem(W.T @ W, W.T @ y.T, np.einsum("nd,nd->n", y, y), np.full(len(y), lam / 2, y.dtype), min(W.shape))


def blocks(n: int, k: int) -> Iterator[slice]:
    """Yield slices of so many samples that the work arrays (k, block) of a method stay in a processor's cache."""
    size = max(256, 640_000 // k)
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
    """Return each sample's energy, equation (1), and how far it can be above the minimum at most, equation (3)."""
    zb, zc = np.einsum("kn,kn->n", z, problem.b), np.einsum("kn,kn->n", z, c)
    ry = problem.energy_at_zero - zb
    rr = np.maximum(ry - zc, 0)
    s = problem.t / np.maximum(largest(c), problem.t)
    energy = rr + 2 * problem.t * np.abs(z).sum(axis=0)
    return energy, energy - s * (2 * ry - s * rr)


def certified(problem: Problem, z: Array, tol: float) -> Array:
    """Say for each sample whether its gap is at most tol times its energy."""
    energy, gap = certify(problem, z, correlation(problem, z))
    return gap <= tol * energy
