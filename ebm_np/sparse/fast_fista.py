r"""FISTA for a large batch: `textbook.fista` with its restart, the same iterates to rounding, some ten times faster.

What each trick does, the most important first:

1. *Gram form* (`gram_form`): u = (I - 2G/L) x + 2b/L is one product of k^2 a sample, whatever d is.
2. *Restart per sample*: each has its own momentum, so that one sample's uphill step does not cost the others theirs.
3. *Finished samples leave*: the relative duality gap is looked at every `EVERY` iterations, and once an eighth of those
   that are left are below `tol`, their columns are taken out and the products become narrower.
4. *Single precision first*: down to a gap of `ROUGH` every operation is done in float32, at half of the memory traffic
   and twice the speed; float64 goes on from there. A proximal step corrects the errors of all steps before it, so
   no rounding error of the first phase remains.
5. *Blocks and work arrays*: everything is done in place in a handful of arrays that stay in the cache.

Source: Beck & Teboulle 2009; O'Donoghue & Candes 2015 (restart); the bookkeeping is ours.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from ebm_np.foundations.arrays import Array
from ebm_np.sparse.gram_form import Problem, blocks, certified, certify, correlation

EVERY = 10
ROUGH = 1e-4
ROUGH_STEPS = 300
"""Largest number of iterations in single precision: where rounding keeps the gap above `ROUGH`, float64 takes over."""


class State(NamedTuple):
    """What goes from one iteration to the next, a column a sample."""

    z: Array  # (k, N)
    x: Array  # (k, N): the extrapolated point
    s: Array  # (N,): its momentum is (s - 1) / s_next


class Step(NamedTuple):
    """The gradient step u = forward x + length b, equation (1) of `textbook`."""

    forward: Array  # (k, k): I - length G
    length: float  # 2 / L = 1 / sigma_max(W)^2

    def astype(self, dtype: DTypeLike) -> "Step":
        """Return it in single or double precision."""
        return Step(self.forward.astype(dtype), self.length)


def solve(problem: Problem, z: Array, tol: float, max_iter: int) -> tuple[Array, int, Array]:
    """Return z-check (k, N), the iterations of the slowest sample, and for each whether its relative gap is <= tol."""
    length = 1 / (float(np.linalg.eigvalsh(problem.gram)[-1]) or 1.0)  # W = 0: any length will do
    step = Step(np.eye(len(z), dtype=z.dtype) - z.dtype.type(length) * problem.gram, length)
    found, converged, n_iter = np.empty(z.shape, z.dtype), np.zeros(z.shape[1], bool), 0
    for block in blocks(z.shape[1], 4 * len(z)):  # z, x and two work arrays
        found[:, block], n, converged[block] = _solve(problem.take(block), step, z[:, block], tol, max_iter)
        n_iter = max(n_iter, n)
    return found, n_iter, converged


def _solve(problem: Problem, step: Step, z: Array, tol: float, max_iter: int) -> tuple[Array, int, Array]:
    """Solve one block: in single precision as far as that goes, then in double."""
    if z.any() and (done := certified(problem, z, tol)).all():
        return z, 0, done
    state, n_rough = State(z, z, np.ones(z.shape[1])), 0
    if z.dtype == np.float64 and max_iter > EVERY:
        n_single = min(ROUGH_STEPS, max_iter // EVERY * EVERY)
        single = State(z.astype(np.float32), z.astype(np.float32), state.s)
        goal = max(tol, ROUGH)
        single, n_rough, _ = _iterate(problem.astype(np.float32), step.astype(np.float32), single, goal, n_single)
        state = State(single.z.astype(z.dtype), single.x.astype(z.dtype), single.s)
    state, n_iter, converged = _iterate(problem, step, state, tol, max_iter - n_rough)
    return state.z, n_rough + n_iter, converged


def _iterate(problem: Problem, step: Step, state: State, tol: float, max_iter: int) -> tuple[State, int, Array]:
    """Run FISTA until every sample has converged, or `max_iter` times; those that converge early are taken out."""
    n, n_iter = len(state.s), 0
    whole, here, converged = State(*(a.copy() for a in state)), np.arange(n), np.zeros(n, bool)
    while here.size:
        energy, gap = certify(problem, state.z, correlation(problem, state.z))
        done, last = gap <= tol * energy, n_iter >= max_iter
        if last or 8 * np.count_nonzero(done) >= len(done):
            converged[here[done]] = True
            leaving = done | last
            for kept, now in zip(whole, state, strict=True):
                kept[..., here[leaving]] = now[..., leaving]
            problem, here = problem.take(~leaving), here[~leaving]
            state = State(*(a.compress(~leaving, axis=-1) for a in state))
        else:
            steps = min(EVERY, max_iter - n_iter)
            state, n_iter = _advance(problem, step, state, steps), n_iter + steps
    return whole, n_iter, converged


def _advance(problem: Problem, step: Step, state: State, n: int) -> State:
    """Return the state after n iterations; work arrays are used again and again, the state handed in is not changed."""
    z, x, s = state.z.copy(), state.x.copy(), state.s
    drive, threshold = z.dtype.type(step.length) * problem.b, z.dtype.type(step.length) * problem.t
    z_next, u, v = np.empty_like(z), np.empty_like(z), np.empty_like(z)
    for _ in range(n):
        np.matmul(step.forward, x, out=u)
        u += drive
        np.minimum(u, threshold, out=v)  # np.minimum and np.maximum are faster than np.clip
        np.maximum(v, -threshold, out=v)
        np.subtract(u, v, out=z_next)
        np.subtract(z_next, z, out=v)
        np.subtract(x, z_next, out=u)
        s = np.where(np.einsum("kn,kn->n", u, v) > 0, 1, s)
        s_next = (1 + np.sqrt(1 + 4 * s**2)) / 2
        v *= ((s - 1) / s_next).astype(z.dtype)
        np.add(z_next, v, out=x)
        z, z_next, s = z_next, z, s_next
    return State(z, x, s)
