r"""Denoising: with the parameters fixed, descend the free energy in y (question 3 of notes 15-1).

    y(t + 1) = y(t) - eta grad_y F(y(t))

If F was trained, its valley is the data manifold, and the path leads from a noisy y to a clean one. At zero temperature
grad_y F_inf = 2 (y - g(z-check)), so that a single step of eta = 1/2 lands on the manifold, at the point nearest to y;
at finite temperature it lands on the posterior mean of g(z), a compromise among all latents that could explain y.
"""

from collections.abc import Callable

import numpy as np

from ebm_np.foundations.arrays import Array
from ebm_np.foundations.validation import count, function, largest_squarable, positive, squarable


def denoise(free_energy_grad_y: Callable[[Array], Array], y: Array, *, rate: float = 0.05, n_steps: int = 100) -> Array:
    """Return the path y(0), ..., y(n_steps), shape (n_steps + 1, N, d); its last row is the denoised y.

    Parameters
    ----------
    free_energy_grad_y : y (N, d) -> grad F (N, d)
    y : starting points (N, d)
    rate : step eta > 0
    n_steps : how many

    Raises
    ------
    TypeError, ValueError
        for an argument of the wrong kind, shape or value; the message names it.
    FloatingPointError
        if the descent diverges, to numbers whose squares are not finite: the rate is too large for the curvature of F.

    Examples
    --------
    >>> denoise(lambda y: 2 * y, np.array([[4.0]]), rate=0.25, n_steps=2).ravel().tolist()
    [4.0, 2.0, 1.0]
    """
    rate = positive("rate", rate)
    function("free_energy_grad_y", free_energy_grad_y)
    count("n_steps", n_steps)
    path = [squarable("y", y, ("N", "d"))]
    largest = largest_squarable(path[0].dtype)
    for _ in range(n_steps):
        with np.errstate(over="ignore", invalid="ignore"):  # no warning besides the error
            path.append(path[-1] - rate * free_energy_grad_y(path[-1]))
        if not np.abs(path[-1]).max() <= largest:  # NaN too
            raise FloatingPointError("denoising diverged: try a smaller rate")
    return np.stack(path)
