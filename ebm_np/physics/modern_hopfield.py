r"""Where the idea went: a memory of continuous states, whose step is the attention of transformers.

    E(s, mu) = (1/2) ||s - xi^mu||^2 + (1/2) (M^2 - ||xi^mu||^2)                 M the largest norm                (1)
    F_beta(s) = softmin_mu E(s, mu)
              = -(1/beta) log sum_mu exp(beta <xi^mu, s>) + (1/2) ||s||^2 + (log P) / beta + M^2 / 2               (2)
    p_mu = exp(beta <xi^mu, s>) / sum_nu exp(beta <xi^nu, s>),   dF/ds = s - sum_mu p_mu xi^mu                     (3)
    s <- sum_mu p_mu xi^mu                                                                                         (4)

    symbol   name       shape    meaning
    xi       patterns   (P, N)   what is stored: real numbers now
    s        s          (B, N)   states (a transformer's queries; the patterns are its keys and its values)
    beta     beta                inverse temperature: infinity goes to the nearest pattern (if all have one norm)
    p        weights    (B, P)   the softmax of attention

(2) is the energy of the paper, and the free energy of the latent chapter: which pattern is meant is the latent
variable, and `free_energy.softmin` and `.gibbs` do the work. For patterns of one norm (4) is also the denoiser of least
mean squared error, if the noise on them has variance 1 / beta (`autoencoders.denoising.posterior_mean`).

Derivation
----------
1. (3): the slope of a softmin is the mean of the slopes with the Gibbs weights, sum_mu p_mu (s - xi^mu).
2. Majorise, then minimise: -(1/beta) log sum exp is concave in s, so it lies below its tangent at the state s0, and
   F(s) below T(s) = F(s0) - <sum p xi, s - s0> + (||s||^2 - ||s0||^2) / 2, equal at s0. (4) is the minimum of T: F
   falls by at least ||s - s0||^2 / 2. Without the half before ||s||^2, as some have it, the minimum of T is elsewhere
   and F can rise.
3. F >= 0, so by 2 the squares of all steps have a finite sum, and the steps go to 0. A step is -dF/ds, and after the
   first one all states are convex combinations of the patterns, a bounded set: their distance from the points where
   dF/ds = 0 goes to 0. (For finite beta F is analytic, and s has a limit: Absil, Mahony & Andrews 2005.)

Source: blog 004, "Hopfield networks"; Ramsauer et al. 2020, "Hopfield Networks is All You Need".
"""

import numpy as np

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.results import Inference
from ebm_np.latent.free_energy import gibbs, softmin


def free_energy(patterns: Array, s: Array, beta: float) -> Array:
    """Return F_beta(s), equation (2), never negative: (P, N), (B, N) -> (B,)."""
    patterns, s = _checked(patterns, s)
    return softmin(_table(patterns, s), beta)


def free_energy_grad_s(patterns: Array, s: Array, beta: float) -> Array:
    """Return dF/ds, equation (3): (P, N), (B, N) -> (B, N)."""
    patterns, s = _checked(patterns, s)
    return s - gibbs(_table(patterns, s), beta) @ patterns


def step(patterns: Array, s: Array, beta: float) -> Array:
    """Return the states after one step, equation (4): (P, N), (B, N) -> (B, N).

    >>> step(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.9, 0.2]]), np.inf).tolist()
    [[1.0, 0.0]]
    """
    patterns, s = _checked(patterns, s)
    return gibbs(_table(patterns, s), beta) @ patterns


def settle(
    patterns: Array, s: Array, beta: float, *, max_iter: int = 10_000, tol: float = 1e-6, n_trace: int = 0
) -> Inference:
    """Return where the states come to rest: a state is still when a step moves it by no more than `tol` times M.

    `z` has the states (B, N), `energy` their F, `trace` the first `n_trace` iterates, the start first. States between
    patterns can take very long.
    """
    patterns, s = _checked(patterns, s, analytic=False)
    max_iter, n_trace = validation.count("max_iter", max_iter), validation.count("n_trace", n_trace, 0)
    reach = validation.positive("tol", tol, moderate=True) * np.sqrt(np.square(patterns).sum(axis=1).max())
    trace = [s]
    for n_iter in range(1, max_iter + 1):  # noqa: B007 - n_iter is reported
        before, s = s, gibbs(_table(patterns, s), beta) @ patterns
        if len(trace) < n_trace:
            trace.append(s)
        converged = np.sqrt(np.square(s - before).sum(axis=1)) <= reach
        if converged.all():
            break
    kept = np.array(trace[:n_trace]).reshape(-1, *s.shape).astype(s.dtype)
    return Inference(z=s, energy=softmin(_table(patterns, s), beta), n_iter=n_iter, converged=converged, trace=kept)


def _table(patterns: Array, s: Array) -> Array:
    """Return E(s, mu), equation (1), multiplied out: (B, P)."""
    largest = np.square(patterns).sum(axis=1).max()
    return 0.5 * (np.square(s).sum(axis=1)[:, None] + largest) - s @ patterns.T


def _checked(patterns: Array, s: Array, analytic: bool = True) -> tuple[Array, Array]:
    patterns = validation.squarable("patterns", patterns, ("P", "N"), analytic=analytic)
    return patterns, validation.squarable("s", s, ("B", patterns.shape[1]), analytic=analytic)
