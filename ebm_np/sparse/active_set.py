r"""Sparse coding exactly: guess which codes are not zero, solve the linear equations that then remain, and check.

    G_SS z_S = b_S - t sigma,     z = 0 off S                     given the signs sigma on the support S           (1)
    sigma_i <- sign(u_i) where |u_i| > t, else 0,     u = diag(G) z + c                                            (2)
    dz_S/dt = -v_S,   dc/dt = G v,     G_SS v_S = sigma                                  the path of minimisers    (3)
    next event at t - min{ -z_i / v_i  (i leaves),  (t -+ c_i) / (1 -+ (G v)_i)  (i joins at c_i = +-t) }          (4)

The symbols are those of `gram_form`. On the way to a duality gap of 1e-6 an iterative method spends most of its time
polishing codes whose signs have long been right. Once the signs are known, (1) gives the codes exactly, but for
rounding, in one solve. A batch goes through four stages:

- `sweeps`: a few rounds of coordinate descent, in single precision;
- `newton`: solve (1) for all samples at once, in the precision asked for. One product with G certifies the samples
  whose duality gap is small enough; for the others (2) proposes new signs, up to `TRIES` times;
- samples that still fail, because the guess was too poor, go back to `sweeps`, each time for twice as many of them, and
  now in that precision;
- `follow_path`: for the few that remain (small lam, nearly dependent atoms), follow the minimisers from t = max|b| down
  to the t asked for by (3) and (4), the homotopy method or LARS: slow but sure.

Derivation
----------
1. z minimises E if and only if c_i = t sign(z_i) where z_i != 0 and |c_i| <= t elsewhere (the KKT conditions). The
   first, with c = b - G z, is (1). With u from (2) both together read G_ii z_i = sh_t(u_i): a fixed-point equation.
2. Given z, u_i lies outside [-t, t] exactly where the proximal step on atom i alone would leave z_i non-zero: hence
   (2), the primal-dual active set method, a semismooth Newton method for that equation (Hintermueller, Ito & Kunisch
   2002). Started near enough it is exact after finitely many rounds, from elsewhere it may cycle; a wrong answer cannot
   pass, as its duality gap is too large.
3. As long as the signs do not change, the solution of (1) is linear in t: (3). They change where a code reaches zero,
   or where the correlation c_i of an atom outside S reaches the bound +-t, which moves, too: (4). From t = max|b|,
   where z = 0, there are finitely many events.

Source: notes 08-2, "Sparse coding"; Osborne, Presnell & Turlach 2000 and Efron et al. 2004 (the path).
"""

import numpy as np

from ebm_np.foundations.arrays import Array
from ebm_np.sparse.gram_form import Problem, blocks, certified, certify, correlation, largest
from ebm_np.sparse.supports import solve_signs
from ebm_np.sparse.sweeps import descent, sweeps

SWEEPS = 6
"""Sweeps at the t asked for, after the descent to it and before the first guess of the signs."""
SAMPLE = 1000
"""Number of samples whose median sets the length of the descent in t (`sweeps.descent`)."""
TRIES = 4
"""Rounds of (1) and (2) before going back to sweeping."""
TWIN = 1e-9
"""An atom outside S whose correlation moves with the bound +-t, to within this fraction, duplicates one in S."""
TIE = 1e-8
"""Relative size of the perturbation of the correlations by which `follow_path` breaks ties."""
ROUNDS = 2
"""Further rounds of sweeping, each twice as long as the last, before the path is followed."""


def solve(problem: Problem, z: Array, tol: float, max_iter: int) -> tuple[Array, int, Array]:
    """Return z-check (k, N), sweeps plus steps on the path of the slowest sample, and which have a gap <= tol E."""
    n = min(descent(problem.take(slice(SAMPLE))) + SWEEPS, max_iter)
    warm = np.any(z)
    if warm and (converged := certified(problem, z, tol)).all():
        return np.array(z), 0, converged
    found, converged = np.empty(z.shape, z.dtype), np.empty(z.shape[1], bool)
    for block in blocks(z.shape[1], len(z)):
        part = problem.take(block)
        swept = sweeps(part.astype(np.float32), z[:, block].astype(np.float32), n, descend=not warm)
        found[:, block], converged[block] = _finish(part, swept, tol)
    here = np.flatnonzero(~converged)
    if not here.size:
        return found, n, converged
    found[:, here], n_more, converged[here] = _insist(problem.take(~converged), found[:, here], tol, n, max_iter - n)
    return found, n + n_more, converged


def _finish(problem: Problem, swept: Array, tol: float) -> tuple[Array, Array]:
    """Return what `newton` makes of the signs of the swept codes where it passes, else these, and which passed."""
    z, passed = newton(problem, signs_of(swept, 0), tol)
    z[:, ~passed] = swept[:, ~passed]
    return z, passed


def _insist(problem: Problem, z: Array, tol: float, n: int, max_iter: int) -> tuple[Array, int, Array]:
    """Solve the samples left by the first guess: sweep on from z, twice as long each time, then follow the path."""
    converged, n_iter = np.zeros(z.shape[1], bool), 0
    for _ in range(ROUNDS):
        here, part, n = np.flatnonzero(~converged), problem.take(~converged), min(2 * n, max_iter - n_iter)
        if not here.size or not n:
            break
        z[:, here], converged[here] = _finish(part, sweeps(part, z[:, here], n), tol)
        n_iter += n
    here, part = np.flatnonzero(~converged), problem.take(~converged)
    if here.size:
        signs, n_steps = follow_path(part, max_iter - n_iter)
        (exact, passed), swept = newton(part, signs, tol), z[:, here]
        z[:, here] = np.where(passed | (_energy(part, exact) < _energy(part, swept)), exact, swept)
        converged[here], n_iter = certified(part, z[:, here], tol), n_iter + n_steps
    return z, n_iter, converged


def newton(problem: Problem, signs: Array, tol: float) -> tuple[Array, Array]:
    """Return z (k, N) after up to `TRIES` rounds of (1) and (2), and for each sample whether its gap is <= tol E."""
    z = np.zeros_like(problem.b)
    passed, rest, part = np.zeros(z.shape[1], bool), np.arange(z.shape[1]), problem
    for _ in range(TRIES):
        # more signs than `most_atoms`: G_SS would be singular; such a sample begins at z = 0, and (2) proposes signs
        exact = solve_signs(part, signs * (np.count_nonzero(signs, axis=0) <= problem.most_atoms))
        c = correlation(part, exact)
        energy, gap = certify(part, exact, c)
        done = gap <= tol * energy
        if len(rest) == len(passed):
            z = exact
        else:
            z[:, rest] = exact
        passed[rest] = done
        rest, part = rest[~done], part.take(~done)
        if not rest.size:
            break
        u = np.diag(problem.gram)[:, None] * exact.compress(~done, axis=1) + c.compress(~done, axis=1)
        signs = signs_of(u, part.t)
    return z, passed


def signs_of(u: Array, t: Array | float) -> Array:
    """Return the signs of equation (2), -1, 0 or 1: u (k, N), t (N,).

    >>> signs_of(np.array([-3.0, 0.5, 2.0]), 1.0).tolist()
    [-1, 0, 1]
    """
    return (u > t).astype(np.int8) - (u < -t)


def follow_path(problem: Problem, max_iter: int) -> tuple[Array, int]:
    """Return the signs (k, N) at the t asked for, and the number of steps (3), (4) on the path from t = max|b|."""
    k, n_samples = problem.b.shape
    # ties, several atoms that reach the bound at once, are broken by a perturbation too small to matter: of a million
    # problems in small whole numbers, one would go in circles without it
    nudge = TIE * np.sin(np.arange(1, k + 1))[:, None] * largest(problem.b)
    c = problem.b + np.where(np.diag(problem.gram)[:, None] > 0, nudge, 0).astype(problem.b.dtype)
    z, signs, n_iter = np.zeros_like(c), np.zeros(c.shape, np.int8), 0
    left, t = signs.copy(), np.abs(c).max(axis=0)
    first = np.abs(c).argmax(axis=0), np.arange(n_samples)
    signs[first] = np.sign(c[first]) * (t > problem.t)
    while n_iter < max_iter and (t > problem.t).any():
        going, n_iter = np.flatnonzero(t > problem.t), n_iter + 1
        part = problem.take(t > problem.t)
        slope = solve_signs(part._replace(b=np.zeros_like(part.b), t=-np.ones_like(part.t)), signs[:, going])
        fall = problem.gram @ slope
        event, length = _next_event(z[:, going], c[:, going], t[going], slope, fall, signs[:, going], left[:, going])
        before_the_end, length = length < t[going] - part.t, np.minimum(length, t[going] - part.t)
        z[:, going] += length * slope
        c[:, going] -= length * fall
        t[going] = np.where(before_the_end, t[going] - length, part.t)
        kind, atom = np.divmod(event, k)
        here = atom, going
        left[:, going] = 0
        left[here] = signs[here]  # 0 where it joins; who left stays out, or near twins would go round in circles
        signs[here] = np.where(before_the_end, np.choose(kind, [0, 1, -1]), signs[here])
        z[here] = 0  # who leaves, but for rounding, and who joins (at the end nobody asks)
    return signs, n_iter


def _next_event(
    z: Array, c: Array, t: Array, slope: Array, fall: Array, signs: Array, left: Array
) -> tuple[Array, Array]:
    """Return the next event of (4), an index (k that leave, k that join at +t, k at -t), and how far t falls to it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        leave = np.where(signs * slope < 0, np.abs(z / slope), np.inf)
        at_border = [(side, (t - side * c) / (1 - side * fall)) for side in (1, -1)]
    # not these: an atom that has just left a bound moves away from it, a duplicate of one in S stays on it for ever
    joins = [
        np.where((signs == 0) & (left != side) & (1 - side * fall > TWIN) & (x > -TWIN * t), np.maximum(x, 0), np.inf)
        for side, x in at_border
    ]
    events = np.concatenate([leave, *joins])
    event = events.argmin(axis=0)
    return event, events[event, np.arange(len(t))]


def _energy(problem: Problem, z: Array) -> Array:
    return certify(problem, z, correlation(problem, z))[0]
