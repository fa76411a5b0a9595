r"""From a table of energies to the free energy: softmin and Gibbs weights.

    F_beta(y) = softmin_z^beta E(y, z) = -(1/beta) log [ (1/|Z|) integral_Z exp(-beta E(y, z)) dz ]              (1)
             ~= -(1/beta) log (1/K) sum_k exp(-beta E(y, z_k)),          z_k a uniform grid of K latents         (2)
    p(z_k | y) = exp(-beta E(y, z_k)) / sum_j exp(-beta E(y, z_j)) = dF_beta / dE_k       the Gibbs weights      (3)
    F_inf(y)  = min_z E(y, z) = E(y, z-check)                                             zero temperature       (4)

`beta` is the inverse temperature ("coldness"). Because (1) is a mean and not a sum over latents, F lies between the
least and the mean energy, min E <= F_beta <= mean E; it falls as beta rises, F_beta - min E <= log(K) / beta; beta ->
inf gives (4) and beta -> 0 the mean. The lecture's softmin has the 1/|Z| too (48 points on the circle). Note 08-3
writes (4) as "min_z E(y, z-check)", where no z is left to minimise over; it means (4).

Derivation of (3): dF/dE_k = -(1/beta) (1/S) dS/dE_k with S = sum_j exp(-beta E_j), and dS/dE_k = -beta exp(-beta E_k).

Derivation of the stable form: take out the least energy m = min_k E_k, F = m - (1/beta) log mean exp(-beta (E - m)).
For small beta the mean is nearly 1 and its logarithm would lose every digit that 1 + (tiny) cannot hold; with
exp = 1 + expm1, F = m - (1/beta) log1p(mean expm1(-beta (E - m))) is right for every beta in (0, inf).

Source: notes 15-1 ("zero-temperature limit of the free energy"), 08-3 ("training recap"); LeCun et al. 2006, A Tutorial
on Energy-Based Learning, section 1.3.
"""

from collections.abc import Callable

import numpy as np

from ebm_np.foundations.arrays import Array
from ebm_np.foundations.validation import array, count, function, positive


def softmin(energy: Array, beta: float, axis: int = -1) -> Array:
    """Return F_beta = -(1/beta) log mean exp(-beta E) over `axis`, equation (2); the minimum where beta is infinite.

    Parameters
    ----------
    energy : table of energies (..., K), in any unit; infinity marks a latent that is forbidden
    beta : inverse temperature in (0, inf], in the inverse of that unit

    Raises
    ------
    ValueError
        if beta is zero, negative or NaN.

    Examples
    --------
    >>> softmin(np.array([0.0, 1.0, 2.0]), beta=np.inf).item()
    0.0
    >>> round(softmin(np.array([0.0, 1.0, 2.0]), beta=1e-9).item(), 6)
    1.0
    """
    energy, beta, axis = _checked(energy, beta, axis)
    smallest, largest = _range(energy)
    if beta > largest:
        return energy.min(axis=axis)
    if beta < smallest:
        return energy.mean(axis=axis)
    least = energy.min(axis=axis, keepdims=True)
    above = energy - np.where(np.isfinite(least), least, 0)
    with np.errstate(over="ignore", divide="ignore"):  # exp(-inf) = 0, and where all is forbidden -log 0 = inf
        mean = np.expm1(-beta * above).mean(axis=axis)
        return least.squeeze(axis) - np.log1p(mean) / beta


def gibbs(energy: Array, beta: float, axis: int = -1) -> Array:
    """Return the Gibbs weights p(z|y) over `axis`, equation (3); at infinite beta the minimisers share the weight.

    >>> gibbs(np.array([1.0, 0.0, 0.0]), beta=np.inf).tolist()
    [0.0, 0.5, 0.5]

    Shapes, units and errors as in `softmin`; besides, a row in which every latent is forbidden has no weights and is
    refused with a `ValueError`.
    """
    energy, beta, axis = _checked(energy, beta, axis)
    least = energy.min(axis=axis, keepdims=True)
    if not np.isfinite(least).all():
        raise ValueError("energy: expected a latent of finite energy in each row, got none or NaN")
    above = energy - least
    if beta > _range(above)[1]:
        weights = (above == 0).astype(above.dtype)
    else:
        with np.errstate(over="ignore"):
            weights = np.exp(-beta * above)
    return weights / weights.sum(axis=axis, keepdims=True)


def posterior(
    energy: Callable[[Array], Array], z_check: Callable[[], Array], beta: float, z: Array
) -> tuple[Array, Array]:
    """Return latents and their weights p(z|y): with these, every gradient of F is a weighted mean of those of E.

    At finite beta these are the grid `z` (K,) and the Gibbs weights (N, K) of its energies; at infinite beta all the
    weight is on z-check, and the latents are (N, 1).

    Parameters
    ----------
    energy : z (K,) -> table of energies (N, K)
    z_check : () -> the minimisers (N,); called at infinite beta only

    Examples
    --------
    >>> latents, p = posterior(lambda z: z[None] ** 2, lambda: np.array([0.0]), np.inf, np.array([0.0, 1.0]))
    >>> latents.tolist(), p.tolist()
    ([[0.0]], [[1.0]])
    """
    if np.isinf(positive("beta", beta, infinite=True)):
        minimisers = function("z_check", z_check)()[:, None]
        return minimisers, np.ones_like(minimisers)
    z = array("z", z, ("K",))
    return z, gibbs(function("energy", energy)(z), beta)


def _checked(energy: Array, beta: float, axis: int) -> tuple[Array, float, int]:
    table = array("energy", energy, None, finite=False, analytic=True)
    return table, positive("beta", beta, infinite=True), count("axis", axis, minimum=-table.ndim)


def _range(energy: Array) -> tuple[float, float]:
    """Return the smallest and largest positive numbers of an array's type; whole numbers count as float64."""
    limits = np.finfo(energy.dtype if energy.dtype.kind in "fc" else float)
    return float(limits.tiny), float(limits.max)
