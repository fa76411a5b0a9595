r"""Hopfield's memory: what is stored are minima of an energy, and a damaged pattern rolls down to the one it came from.

    W_ij = (1/N) sum_mu xi_i^mu xi_j^mu for i != j,   W_ii = 0                           Hebb's rule               (1)
    E(s) = -(1/2) sum_ij W_ij s_i s_j                                                                              (2)
    h_i = sum_j W_ij s_j,   s_i <- sign(h_i);  s_i stays where h_i = 0                   one unit at a time        (3)
    m_mu = (1/N) sum_i xi_i^mu s_i                                                       overlap                   (4)

    symbol   name       shape     meaning
    xi       patterns   (P, N)    what is stored: P patterns of N units, +1 or -1
    s        s          (B, N)    states, +1 or -1; rows are independent of one another
    W        W          (N, N)    couplings: symmetric
    h        fields     (B, N)
    E        energy     (B,)
    m        overlaps   (B, P)    1: s is the pattern, -1: its negative, about 1/sqrt(N): has nothing to do with it

In the blog's words W_ij tells how much i and j like to be equal. Its equations need mending: it sums P + 1 patterns and
divides by P (any factor will do, 1/N is the custom); W_ii has to be 0; E needs both sums, and a half to be the
physicists' energy; sign(0) must not be -1, or s and -s would not be treated alike; and if all units are updated at once
they can end in a cycle.

Derivation
----------
1. With W_ii = 0 a flip of unit i changes E by 2 s_i h_i. (3) flips where s_i h_i < 0: E falls. As the states are finite
   in number it ends, in a state whose E no single flip can lower: the fixed points of (3) are the local minima of E.
2. A diagonal adds W_ii s_i to h_i and nothing but a constant to E. With W_ii > 0 a unit resists its own flip, states
   that are no minima stay where they are, and the memory seems larger than it is; with W_ii < 0 it can flip for ever.
3. All at once, s(t+1) = sign(W s(t)): the Lyapunov function L(t) = -s(t)^T W s(t-1) changes by -(s(t+1) - s(t-1))^T
   W s(t) <= 0, and where no h_i is 0 it stays only if s(t+1) = s(t-1). So the states end in a fixed point or in a cycle
   of two, as those of W = [[0, -1], [-1, 0]] do. To keep s_i on a tie is the rule sign((W + D) s) with a diagonal
   D > 0 smaller than every |h_i| that is not 0: that has no ties, and the proof holds with W + D for W.
4. Projection (the pseudo-inverse rule): W = Xi^+ Xi (rows of Xi the patterns) projects on their span, so W xi = xi for
   all of them. Without its diagonal h_i = (1 - W_ii) xi_i with W_ii <= 1: they stay fixed points. (If they span
   everything, W = I: without its diagonal nothing is left, and every state is a fixed point.)
5. Storkey's rule adds pattern after pattern, less what the ones already stored say of it:
   dW = (1/N) (xi_i xi_j - xi_i h_ji - h_ij xi_j),   h_ij = sum_{k != i, j} W_ik xi_k.
6. Units 1 ... c updated one after the other end in s'_i = sign(h_i + sum_{j<i} W_ij (s'_j - s_j)). This has one
   solution, and fixed-point iteration from s' = s finds it: after k rounds the first k units are right. Two or three
   rounds do, each a product of matrices: what is sequential by definition need not be a loop over units.

A field no larger than the rounding error of its sum counts as 0.

Source: blog 004, "Hopfield networks"; Hopfield 1982; 3: Goles-Chacc, Fogelman-Soulie & Pellegrin 1985; 4: Personnaz,
Guyon & Dreyfus 1985; 5: Storkey 1997.
"""

from collections.abc import Callable
from functools import partial
from itertools import combinations, product
from typing import NamedTuple

import numpy as np

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.training import batches

CHUNK = 64
"""Units updated in one go, derivation 6."""


class Settled(NamedTuple):
    """Where a network came to rest, each of B states for itself."""

    state: Array  # (B, N)
    energy: Array  # (B,)
    n_iter: int  # sweeps over all units, of the slowest; if all came to rest, the last one found nothing to change
    converged: Array  # (B,) bool: is it a fixed point?
    period: Array  # (B,) int: 1 for a fixed point, 2 for a cycle, 0 where `max_iter` came first


def store(patterns: Array, rule: str = "hebb", *, keep_diagonal: bool = False) -> Array:
    """Return W for these patterns by "hebb", "projection" or "storkey", derivations 4 and 5: (P, N) -> (N, N).

    With `keep_diagonal` W_ii is not set to 0. Use it only to see what it does: states that are no minima become fixed
    points, and capacity is overrated (derivation 2). Storkey's rule is not defined with it.

    Raises
    ------
    TypeError, ValueError
        for patterns other than +1 and -1, of unequal length, or none; an unknown rule; `keep_diagonal` for Storkey's.

    Examples
    --------
    >>> store(np.array([[1.0, 1.0, -1.0]])).round(6).tolist()
    [[0.0, 0.333333, -0.333333], [0.333333, 0.0, -0.333333], [-0.333333, -0.333333, 0.0]]
    """
    patterns = validation.signs("patterns", patterns, ("P", "N"))
    validation.choice("rule", rule, RULES)
    if validation.flag("keep_diagonal", keep_diagonal) and rule == "storkey":
        raise ValueError("keep_diagonal: expected False for Storkey's rule, which has no diagonal")
    couplings = RULES[rule](patterns)
    if not keep_diagonal:
        np.fill_diagonal(couplings, 0)
    return couplings


def energy(W: Array, s: Array) -> Array:
    """Return E(s), equation (2); a diagonal of W has no part in it: (N, N), (B, N) -> (B,).

    >>> energy(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[1.0, 1.0], [1.0, -1.0]])).tolist()
    [-1.0, 1.0]
    """
    W, s = _checked(W, s)
    return _energy(W, s)


def fields(W: Array, s: Array) -> Array:
    """Return h, equation (3): (N, N), (B, N) -> (B, N).

    >>> fields(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[1.0, -1.0]])).tolist()
    [[-1.0, 1.0]]
    """
    W, s = _checked(W, s)
    return s @ W


def overlaps(patterns: Array, s: Array) -> Array:
    """Return m, equation (4): (P, N), (B, N) -> (B, P).

    >>> overlaps(np.array([[1.0, 1.0, 1.0, 1.0]]), np.array([[1.0, 1.0, 1.0, -1.0]])).tolist()
    [[0.5]]
    """
    patterns = validation.signs("patterns", patterns, ("P", "N"))
    s = validation.signs("s", s, ("B", patterns.shape[1]))
    return s @ patterns.T / patterns.shape[1]


def settle(
    W: Array, s: Array, rng: np.random.Generator | None = None, *, update: str = "one at a time", max_iter: int = 1_000
) -> Settled:
    """Return where the states come to rest, by (3).

    update = "one at a time": every sweep visits each unit once, in an order drawn by `rng` and the same for all states
    (as they are listed if it is None). For W_ii = 0 it always ends in a local minimum of E.
    update = "all at once": it ends in a fixed point or in a cycle of two; `state` is then one of the two.

    Raises
    ------
    TypeError, ValueError
        for states other than +1 and -1, a W that is not symmetric, NaN, an unknown update; the message names it.
    """
    W, s = _checked(W, s)
    if rng is not None:
        validation.generator("rng", rng)
    max_iter = validation.count("max_iter", max_iter)
    limits = np.finfo(W.dtype)
    nothing = 4 * limits.eps * np.abs(W).sum(axis=1) + limits.tiny
    way = UPDATES[validation.choice("update", update, UPDATES)]
    s, n_iter, period = way(W, s, rng, max_iter, nothing)
    return Settled(s, _energy(W, s), n_iter, period == 1, period)


def mixtures(patterns: Array) -> Array:
    """Return the spurious states s = sign(+- xi^1 +- xi^2 +- xi^3) of every three patterns: (4 C(P, 3), N).

    Of each pair s and -s one is listed. The overlap with each of the three is about +-1/2: minima that nobody stored.
    """
    patterns = validation.signs("patterns", patterns, ("P", "N"))
    first, second, third = np.array(list(combinations(range(len(patterns)), 3)), int).reshape(-1, 3).T
    signs = [(1.0, a, b) for a, b in product((1.0, -1.0), repeat=2)]
    found = [np.sign(a * patterns[first] + b * patterns[second] + c * patterns[third]) for a, b, c in signs]
    return np.concatenate(found)


def census(patterns: Array, s: Array, alike: float = 0.9) -> Array:
    """Return what each state is, by its overlaps: (B,) of "pattern", "reversed", "mixture" (of three) or "other".

    It is a pattern if its overlap with one is at least `alike`, reversed if that is so of its negative, and a mixture
    if that is so of its overlap with a mixture (`mixtures`) of the three patterns whose overlaps are largest.
    """
    patterns = validation.signs("patterns", patterns, ("P", "N"))
    m, alike = overlaps(patterns, s), validation.positive("alike", alike)
    kind = np.where(m.max(axis=1) >= alike, "pattern", np.where(m.min(axis=1) <= -alike, "reversed", "other"))
    if len(patterns) >= 3:
        three = np.argsort(-np.abs(m), axis=1)[:, :3]
        signs = np.sign(np.take_along_axis(m, three, axis=1))
        mixed = np.sign((signs[:, :, None] * patterns[three]).sum(axis=1))
        kind[(kind == "other") & ((mixed * s).mean(axis=1) >= alike)] = "mixture"
    return kind


def visit(s: Array, h: Array, couple: Callable[[Array], Array], own: Array | float) -> Array:
    """Return the states of some units after they have been updated one after the other, derivation 6.

    If none of them turns, that is the array s itself.

    s, h : (..., c) states and fields of c units, before the first of them is updated
    couple : (..., c) changes of their states -> (..., c) what each of them feels of the changes of those before it
    own : as in `turned`
    """
    looked, again = s, turned(s, h, own)
    while (looked != again).any():
        looked = again
        again = turned(s, h + couple(looked - s), own)
    return looked


def _times(couplings: Array, changes: Array) -> Array:
    return changes @ couplings


def turned(s: Array, h: Array, own: Array | float) -> Array:
    """Return sign(h + own s): a small own > 0 keeps s where h is 0; own = -W_ii takes the unit's own term off h.

    >>> turned(np.array([1.0, 1.0, -1.0]), np.array([2.0, -2.0, 0.0]), 0.1).tolist()
    [1.0, -1.0, -1.0]
    """
    return np.copysign(1, h + own * s, dtype=s.dtype)


def _one_at_a_time(
    W: Array, s: Array, rng: np.random.Generator | None, max_iter: int, nothing: Array
) -> tuple[Array, int, Array]:
    """Sweep until nothing flips. Fields are found for a chunk of units at a time: one matrix product, not N."""
    n_units, moving, period = len(W), np.arange(len(s)), np.zeros(len(s), int)
    for n_iter in range(1, max_iter + 1):  # noqa: B007 - n_iter is reported
        now, before = s[moving], s[moving]
        for units in batches(n_units, CHUNK, rng):
            known = W[units]
            earlier = np.tril(known[:, units], -1).T
            couple = partial(_times, earlier)
            now[:, units] = visit(now[:, units], now @ known.T, couple, nothing[units])
        s[moving] = now
        still = (now == before).all(axis=1)
        period[moving[still]] = 1
        moving = moving[~still]  # what has come to rest needs no further look
        if not moving.size:
            break
    return s, n_iter, period


def _all_at_once(
    W: Array, s: Array, rng: np.random.Generator | None, max_iter: int, nothing: Array
) -> tuple[Array, int, Array]:
    """Update until each state is what it was one or two steps before: there are no other ends, derivation 3."""
    before, period = np.zeros_like(s), np.zeros(len(s), int)
    for n_iter in range(1, max_iter + 1):  # noqa: B007 - n_iter is reported
        going, after = period == 0, turned(s, s @ W, nothing)
        period[going & (after == before).all(axis=1)] = 2
        period[going & (after == s).all(axis=1)] = 1
        before, s = s, np.where(going[:, None], after, s)
        if period.all():
            break
    return s, n_iter, period


def _hebb(patterns: Array) -> Array:
    return patterns.T @ patterns / patterns.shape[1]


def _projection(patterns: Array) -> Array:
    """Project on the span of the patterns by an orthonormal basis of it; what is only rounding is 0."""
    _, sizes, directions = np.linalg.svd(patterns, full_matrices=False)
    rounding = 4 * max(patterns.shape) * np.finfo(patterns.dtype).eps
    basis = directions[sizes > rounding * sizes[0]]
    projector = basis.T @ basis
    return np.where(np.abs(projector) > rounding, projector, 0)


def _storkey(patterns: Array) -> Array:
    n = patterns.shape[1]
    W = np.zeros((n, n), patterns.dtype)
    for xi in patterns:
        # W_ii = 0, so that h_ij = h_i - W_ij xi_j, and xi^2 = 1
        crossed = np.outer(xi, W @ xi)
        W = W + (np.outer(xi, xi) - (crossed + crossed.T) + 2 * W) / n
        np.fill_diagonal(W, 0)
    return W


RULES = {"hebb": _hebb, "projection": _projection, "storkey": _storkey}
UPDATES = {"one at a time": _one_at_a_time, "all at once": _all_at_once}


def _energy(W: Array, s: Array) -> Array:
    return -0.5 * ((s @ W * s).sum(axis=1) - np.trace(W))


def _checked(W: Array, s: Array) -> tuple[Array, Array]:
    W = validation.squarable("W", W, ("N", "N"))
    if W.shape[0] != W.shape[1]:
        raise ValueError(f"W: expected as many rows as columns, got shape {W.shape}")
    if np.abs(W - W.T).max() > 1e-5 * np.abs(W).max():
        raise ValueError("W: expected a symmetric matrix: without W = W^T there is no energy")
    return W, validation.signs("s", s, ("B", len(W))).astype(W.dtype)
