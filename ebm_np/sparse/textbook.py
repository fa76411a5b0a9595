r"""Three algorithms for argmin_z E(y, z) = ||y - W z||^2 + lam ||z||_1, each as short as its equation.

    z <- sh_{lam/L} [ z - (2/L) W^T (W z - y) ],   L = 2 sigma_max(W)^2                           ISTA              (1)
    z(t) = (1) applied to x(t);   x(t+1) = z(t) + (s(t) - 1)/s(t+1) (z(t) - z(t-1)),
        s(t+1) = (1 + sqrt(1 + 4 s(t)^2)) / 2,   s(1) = 1,  x(1) = z(0)                           FISTA             (2)
    z_j <- sh_{lam / 2||w_j||^2} [ z_j + w_j^T (y - W z) / ||w_j||^2 ],   j = 1, ..., k           coordinates       (3)

Each is a generator: it yields z(1), z(2), ... of shape (N, k) for ever, and whoever calls it decides when to stop.

The note's own version, under the name of FISTA, is (1) without the factor 2: it has no momentum, and it minimises
another energy (`sparse_coding` has the derivation). It is said to "alternately optimise the two terms"; (1) is one step
on their sum: gradient of the smooth term, then the prox of the other. FISTA proper is (2): the step is taken from x, a
point beyond z in the direction in which z has just moved.

Derivation
----------
1. (1): C = ||y - W z||^2 lies below the parabola C(x) + <grad C(x), z - x> + (L/2) ||z - x||^2, which touches it at x;
   minimising that parabola plus lam ||z||_1 is shrinkage, a proximal gradient step. So E(z(t)) never rises; and
   E(z(t)) - F <= L ||z(0) - z*||^2 / (2t) by Beck & Teboulle's theorem 3.1.
2. (2): s(t) grows like t/2, so the momentum tends to 1; E may rise for a while, but their theorem 4.4 gives
   E(z(t)) - F <= 2 L ||z(0) - z*||^2 / (t + 1)^2: in some 60 steps it promises what ISTA's does in 1,000.
3. Restart: where <x(t) - z(t), z(t) - z(t-1)> > 0 the momentum points uphill, and the sample's s is set back to 1
   (O'Donoghue & Candes 2015). Near the minimiser, where E is strongly convex on the support, that makes FISTA's
   convergence linear, which neither (1)'s nor (2)'s bound would let one hope for.
4. (3): with all other codes fixed, E is a parabola in z_j plus lam |z_j|: its minimiser is (3), one j after the other.

Source: notes 08-2, "FISTA" and figure 2; Daubechies, Defrise & De Mol 2004 (1); Beck & Teboulle 2009 (2); Fu 1998 (3).
"""

from collections.abc import Iterator

import numpy as np

from ebm_np.foundations.arrays import Array
from ebm_np.foundations.proximal import shrink


def lipschitz(W: Array) -> float:
    """Return L = 2 sigma_max(W)^2, the largest curvature of ||y - W z||^2.

    >>> lipschitz(np.diag([1.0, 3.0]))
    18.0
    """
    smaller = W.T @ W if W.shape[0] > W.shape[1] else W @ W.T
    return 2 * float(np.linalg.eigvalsh(smaller)[-1])


def ista(W: Array, y: Array, lam: float, z: Array) -> Iterator[Array]:
    """Yield the iterates of equation (1) from z: W (d, k), y (N, d), z (N, k).

    >>> next(ista(np.eye(2), np.array([[3.0, 0.5]]), 2.0, np.zeros((1, 2)))).tolist()
    [[2.0, 0.0]]
    """
    L = lipschitz(W)
    while True:
        z = shrink(z - (2 / L) * (z @ W.T - y) @ W, lam / L)
        yield z


def fista(W: Array, y: Array, lam: float, z: Array, *, restart: bool = False) -> Iterator[Array]:
    """Yield the iterates of equation (2) from z, with derivation 3's restart if asked for."""
    L = lipschitz(W)
    x, s = z, np.ones((len(z), 1), z.dtype)
    while True:
        z_next = shrink(x - (2 / L) * (x @ W.T - y) @ W, lam / L)
        step = z_next - z
        if restart:
            s = np.where(((x - z_next) * step).sum(axis=1, keepdims=True) > 0, 1, s).astype(z.dtype)
        s_next = (1 + np.sqrt(1 + 4 * s**2)) / 2
        x = z_next + (s - 1) / s_next * step
        z, s = z_next, s_next
        yield z


def coordinate_descent(W: Array, y: Array, lam: float, z: Array) -> Iterator[Array]:
    """Yield z after each sweep of equation (3) over all atoms; an atom of zeros gets the code 0.

    >>> next(coordinate_descent(np.diag([1.0, 2.0]), np.array([[3.0, 4.0]]), 2.0, np.zeros((1, 2)))).tolist()
    [[2.0, 1.75]]
    """
    square = (W**2).sum(axis=0)
    z = np.where(square > 0, z, 0)
    residual = y - z @ W.T
    while True:
        z = z.copy()
        for j in np.flatnonzero(square):
            z_j = shrink(z[:, j] + residual @ W[:, j] / square[j], lam / (2 * square[j]))
            residual += np.outer(z[:, j] - z_j, W[:, j])
            z[:, j] = z_j
        yield z
