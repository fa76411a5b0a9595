r"""The point of an ellipse nearest to y: inference in closed form, nearly.

    z-check = argmin_z E(y, z),    E = (y1 - w1 cos z)^2 + (y2 - w2 sin z)^2 = ||y - diag(w) c||^2,    ||c|| = 1

for c = (cos z, sin z): a quadratic on the unit circle, whose global minimum can be told from all other stationary
points.

Derivation
----------
1. Stationarity with a multiplier t for ||c|| = 1:   (w_i^2 + t) c_i = w_i y_i.
2. A stationary point is a *global* minimum if and only if w_i^2 + t >= 0 for both i (Moré & Sorensen 1983, who solve
   the trust-region subproblem). So with tau = t + min w^2 >= 0 and d_i = w_i^2 - min w^2,
   c_i(tau) = w_i y_i / (tau + d_i).
3. Find tau with ||c(tau)|| = 1, the secular equation. Since 1/||c|| is concave and rising in tau, Newton on
   1/||c(tau)|| = 1 never overshoots from the left, and tau = max_i(|w_i y_i| - d_i) is to the left: there |c_i| = 1 for
   one i. No grid, no safeguard, no wrong minimum.
4. Newton's step: with n = ||c||^2 and dn/dtau = -2 sum_i c_i^2 / (tau + d_i), it is
   (1 - n^(-1/2)) / (d n^(-1/2) / dtau) = n (n^(1/2) - 1) / sum_i c_i^2 / (tau + d_i).
5. "Hard case": y on the longer axis and so near the centre that the start in 3 is not positive. Then tau = 0, and
   z-check ties with its mirror image: c_i = w_i y_i / d_i along the longer axis, +-sqrt(1 - c_i^2) along the other. Of
   two angles that tie the smaller in [0, 2 pi) is returned.
"""

import numpy as np

from ebm_np.foundations.arrays import Array
from ebm_np.latent import inference


def nearest_angle(w: Array, y: Array, max_iter: int = 100) -> tuple[Array, int, Array]:
    """Return the angles z of the points nearest to y, the number of iterations, and which samples have converged.

    Five or six steps are usual. Only where y almost touches a cusp of the evolute does tau first have to grow by many
    orders of magnitude, by half of itself in each step; each such step also takes a third off the error of z, so that
    `max_iter` = 100 always suffices.

    Parameters
    ----------
    w : radii (2,), or a pair for each sample (N, 2)
    y : points (N, 2)

    Examples
    --------
    >>> nearest_angle(np.array([2.0, 1.0]), np.array([[3.0, 0.0], [-3.0, 0.0]]))[0].round(6).tolist()
    [0.0, 3.141593]
    """
    # an angle does not depend on the unit; in units of the larger radius nothing overflows
    scale = np.maximum(np.abs(w).max(axis=-1, keepdims=True), np.sqrt(np.finfo(w.dtype).tiny))
    w, y = w / scale, y / scale
    target = (w * y).T
    d = (w**2 - (w**2).min(axis=-1, keepdims=True)).T.reshape(2, -1)
    tau = (np.abs(target) - d).max(axis=0)
    hard = tau <= 0
    if hard.any():
        d = np.broadcast_to(d, target.shape)
        tied = _tied_angle(target[:, hard], d[:, hard])
        tau[hard], target[:, hard] = 1, np.array([[1.0], [0.0]]) * (1 + d[:, hard])  # c = (1, 0): nothing is left to do
    tolerance = 8 * np.sqrt(np.finfo(tau.dtype).eps)
    for n_iter in range(1, max_iter + 1):  # noqa: B007 - n_iter is reported
        shifted = tau + d
        c_squared = (target / shifted) ** 2
        norm_squared = c_squared[0] + c_squared[1]
        # derivation 4; growth is the step over tau
        c_squared *= tau / shifted
        growth = norm_squared * (np.sqrt(norm_squared) - 1) / (c_squared[0] + c_squared[1])
        tau *= 1 + growth
        # Newton squares the error: some sqrt(eps) before the step is some eps after it
        if growth.max() <= tolerance:
            break
    shifted = tau + d
    z = np.arctan2(target[1] * shifted[0], target[0] * shifted[1])
    if hard.any():
        z[hard] = tied
    return inference.wrap(z), n_iter, growth <= tolerance


def _tied_angle(target: Array, d: Array) -> Array:
    """Return the smaller of two angles that tie, derivation 5; 0 at the centre of a circle, where all angles do."""
    cosine_or_sine = np.divide(target, d, out=np.zeros_like(target), where=d > 0).sum(axis=0)
    along = np.where((d == 0).all(axis=0), 1, cosine_or_sine)
    across = np.sqrt(1 - along**2)
    # if the first axis is the longer one, z ties with 2 pi - z; if the second is, with pi - z, modulo 2 pi
    return np.where(d[1] == 0, np.arctan2(across, along), np.arctan2(along, np.where(along < 0, -across, across)))
