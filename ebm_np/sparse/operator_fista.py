r"""FISTA for a dictionary that is an operator: a convolution, or the sparse columns of one.

    E(z) = ||y - A z||^2 + lam ||z||_1,   c(z) = 2 A^T (y - A z),   L >= 2 sigma_max(A)^2                          (1)
    a(z) = z + c(z) / L                                 where gradient descent on ||y - A z||^2 goes from z        (2)
    z(t+1) = sh_{lam/L}[ a(t) + m(t) (a(t) - a(t-1)) ],   a(t) = a(z(t))                                           (3)
    m(t) = (s(t) - 1) / s(t+1),   s(t+1) = (1 + sqrt(1 + 4 s(t)^2)) / 2,   s(0) = 0                               (4)
    s(t+1) = 1 if m(t) <d(t), d(t+1)> > ||d(t+1)||^2,   d(t) = z(t) - z(t-1)              restart                  (5)
    gap(z) = E(z) - [2 s <r, y> - s^2 ||r||^2],   r = y - A z,   s = min(1, lam / max|c|)                          (6)

It starts with a(-1) = a(0) and z(-1) = z(0). z and c have the shape of the codes, samples first. The caller passes a
function `look`, which returns a(z) and a way to find E(z) and gap(z), for where they are asked for.

Derivation
----------
1. FISTA takes a proximal gradient step from the extrapolated point x = z(t) + m (z(t) - z(t-1)): z(t+1) =
   sh_{lam/L}[a(x)] (`textbook`). a is affine and the weights 1 + m, -m sum to 1, so a(x) = a(t) + m (a(t) - a(t-1)):
   (3). So A and A^T are applied at the iterates only, once each, and E and the gap, which need the same two products,
   no others, come at little further cost.
2. x - z(t+1) = m d(t) - d(t+1). So the restart of `textbook`, where <x - z(t+1), d(t+1)> > 0 (the gradient scheme),
   needs only the steps d: (5). A restart where E has risen (the function scheme) would be simpler, but near the minimum
   E no longer changes even in its last digit, while the steps d still do.
3. (6) is the duality gap of `sparse_coding` with A in the place of W: E(z) - min E is at most that.

Source: Beck & Teboulle 2009; O'Donoghue & Candes 2015.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ebm_np.foundations.arrays import Array
from ebm_np.foundations.proximal import shrink
from ebm_np.foundations.results import Inference


class Cost(NamedTuple):
    """How far codes have come: equations (1) and (6)."""

    energy: Array  # (N,)
    gap: Array  # (N,)


class Look(NamedTuple):
    """What the method needs to know at codes z (N, ...)."""

    ahead: Array  # (N, ...): a(z), equation (2)
    cost: Callable[[], Cost]  # by itself a sixth of a step's time: only where it is asked for


def fista(look: Callable[[Array], Look], z: Array, threshold: float) -> Iterator[tuple[Array, Look]]:
    """Yield z(0), z(1), ..., each with its `Look`, for ever: equations (3) to (5); threshold is lam / L."""
    now = look(z)
    before, d, s = now.ahead, np.zeros_like(z), np.zeros(len(z))
    while True:
        yield z, now
        s_next = (1 + np.sqrt(1 + 4 * s**2)) / 2
        m = (s - 1) / s_next
        ahead = now.ahead - before
        ahead *= _spread(m, z)
        ahead += now.ahead
        z_next = shrink(ahead, threshold)
        d_next = np.subtract(z_next, z, out=ahead)
        s = np.where(m * _inner(d, d_next) > _inner(d_next, d_next), 1, s_next)
        z, d, before = z_next, d_next, now.ahead
        del now  # releases the old codes before the next look: they may be large
        now = look(z)


def settle(path: Iterator[tuple[Array, Look]], tol: float, max_iter: int, trace: bool = False) -> Inference:
    """Return the first iterate at which every sample's gap is at most tol E, else the last, after max_iter steps."""
    kept = []
    for n_iter, (z, at) in enumerate(path):
        if trace and n_iter:
            kept.append(z)
        cost = at.cost()
        converged = cost.gap <= tol * cost.energy
        if converged.all() or n_iter == max_iter:
            break
    return Inference(z, cost.energy, n_iter, converged, np.array(kept, z.dtype).reshape(-1, *z.shape))


def duality_gap(square: Array, inner: Array, most: Array, l1: Array, lam: float | Array) -> Array:
    """Return the duality gap, equation (6), from ||r||^2, <r, y>, max|c| and ||z||_1 of each sample: (N,)."""
    s = lam / np.maximum(most, lam)
    return square + lam * l1 - s * (2 * inner - s * square)


def _spread(m: Array, z: Array) -> Array:
    """Return m (N,) shaped to broadcast over samples z (N, ...), in their dtype."""
    return np.expand_dims(m.astype(z.dtype), tuple(range(1, z.ndim)))


def _inner(a: Array, b: Array) -> Array:
    """Return <a_n, b_n> of each sample: (N, ...) -> (N,)."""
    return np.einsum("ni,ni->n", a.reshape(len(a), -1), b.reshape(len(b), -1))
