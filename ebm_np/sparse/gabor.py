r"""How well is an atom a Gabor function? The nearest one to each: direction, frequency, phase, envelope, and R^2.

    g(u, v) = A exp(-u'^2 / (2 s_u^2) - v'^2 / (2 s_v^2)) cos(2 pi f u' + phi)                                  (1)
    u' = (u - u0) cos theta + (v - v0) sin theta,      v' = -(u - u0) sin theta + (v - v0) cos theta            (2)
    R^2 = 1 - ||a - g||^2 / ||a||^2                                                                             (3)

The envelope's axes are those of the wave, as is usual. Atoms of patches without DC need no constant offset: R^2 counts
squares about zero (0 for an atom of zeros). With c = (A cos phi, -A sin phi) and two columns, envelope times cosine and
times sine, g = Phi(p) c is linear in c, which has a closed form. So p = (u0, v0, theta, f, log s_u, log s_v) has the
free energy

    F(p; a) = min_c ||a - Phi(p) c||^2 = ||r||^2,      r = a - Q Q^T a,      Phi = Q R                          (4)

The Levenberg-Marquardt method descends from p to a local minimum of F. To find the lowest, (4) is computed for round
envelopes on a grid of centres about a width apart, over all waves of the patch's Fourier grid; the best of each width
and each quarter of the directions is a start. Where f s_u is small, a turn by 90 degrees with widths exchanged changes
little, and tiny functions have many local minima: so the method starts again from the best end, from this end turned by
90 degrees, and from it moved by a pixel.

Bounds: a centre up to 3 pixels outside the patch; widths of 0.4 pixels to twice the longer side; a wave below the
Nyquist frequency, f max(|cos theta|, |sin theta|) < 1/2, which is 0.7 along a diagonal; f >= 0.001, as at 0 the sine
vanishes. At that least frequency a blob (phi = 0) or an edge (phi = +-pi/2, A large) shows no oscillation in a patch.

Derivation
----------
1. By the envelope theorem dF/dp is that of ||a - Phi c||^2 with c fixed: -2 J r, a row of J being dm/dp_i, m = Phi c.
2. The Gauss-Newton matrix must allow for c(p); to first order in r it is J (I - Q Q^T) J^T (Kaufman 1975).
3. With n = dm/d(2 pi f u') = c_2 Phi_1 - c_1 Phi_2 (columns): m_u = dm/du' = 2 pi f n - m u'/s_u^2, m_v = dm/dv' =
   -m v'/s_v^2; d(u', v') is (-cos, sin) theta for u0, (-sin, -cos) theta for v0, (v', -u') for theta. So J has the rows
   -m_u cos + m_v sin,   -m_u sin - m_v cos,   m_u v' - m_v u',   2 pi u' n,   m u'^2/s_u^2,   m v'^2/s_v^2.

| symbol | in code | meaning, unit; N of each |
|---|---|---|
| a, A, phi | `atoms`, `amplitude`, `phase` | (N, h, w); A >= 0 in the unit of a; radians in [-pi, pi] |
| u, v, u0, v0 | `u0`, `v0` | column and row of a pixel, of the envelope's centre; 0 is the first pixel's centre |
| theta, f | `theta`, `frequency` | the wave's direction, from u (right) to v (down), in [0, pi); cycles per pixel |
| s_u, s_v | `sigma_u`, `sigma_v` | widths along the wave and along its bars, pixels |

Source: Gabor (1946); Daugman (1985), in two dimensions; Jones and Palmer (1987) and Ringach (2002), fits to receptive
fields of visual cortex; Golub and Pereyra (1973) and Kaufman (1975), variable projection, which is (4).
"""

from typing import NamedTuple

import numpy as np

from ebm_np.foundations import validation as check
from ebm_np.foundations.arrays import Array

START_WIDTHS = (0.6, 1.0, 1.7, 3.0, 5.0)
MIN_FREQUENCY, MIN_WIDTH, MARGIN, TINY, BLOCK = 1e-3, 0.4, 3, 1e-300, 32


class Gabor(NamedTuple):
    """Parameters of N Gabor functions, equations (1) and (2); each is an array (N,)."""

    amplitude: Array
    u0: Array
    v0: Array
    theta: Array
    frequency: Array
    phase: Array
    sigma_u: Array
    sigma_v: Array


class GaborFit(NamedTuple):
    """The nearest Gabor functions to N atoms, R^2 (N,), and whether each descent came to rest (N,); few do not."""

    params: Gabor
    r_squared: Array
    converged: Array


def evaluate(params: Gabor, size: tuple[int, int]) -> Array:
    """Return equation (1) on the pixels of N patches of `size` (h, w): shape (N, h, w).

    >>> one = Gabor(*(np.array([c]) for c in (2.0, 1.0, 1.0, 0.0, 0.25, 0.0, 1.0, 1.0)))
    >>> evaluate(one, (3, 3))[0, 1, 1].item()  # the amplitude, at the centre
    2.0
    """
    amplitude, u0, v0, theta, f, phase, sigma_u, sigma_v = params
    columns, *_ = _columns(np.stack([u0, v0, theta, f, np.log(sigma_u), np.log(sigma_v)], axis=1), size)
    c = amplitude * np.stack([np.cos(phase), -np.sin(phase)])
    return np.asarray((c.T[:, :, None] * columns).sum(axis=1).reshape(-1, *size), amplitude.dtype)


def expand(p: Array, atoms: Array) -> tuple[Array, Array, Array, Array]:
    """Return the minimiser c (N, 2) of equation (4) for p (N, 6), F (N,), dF/dp and the Gauss-Newton Hessian."""
    columns, q, along, across = _columns(p, atoms.shape[1:])
    on_q = q @ atoms.reshape(len(atoms), -1, 1)
    c = np.linalg.solve(q @ columns.swapaxes(1, 2) + TINY * np.eye(2), on_q)
    r = atoms.reshape(len(atoms), -1) - (on_q * q).sum(axis=1)
    cos, sin = np.cos(p[:, 2, None]), np.sin(p[:, 2, None])
    (one, other), (c_1, c_2) = columns.swapaxes(0, 1), c.swapaxes(0, 1)
    m, n = c_1 * one + c_2 * other, c_2 * one - c_1 * other
    along_m, across_m = along * m * np.exp(-2 * p[:, 4, None]), across * m * np.exp(-2 * p[:, 5, None])
    m_u, m_v = 2 * np.pi * p[:, 3, None] * n - along_m, -across_m
    rows = [m_v * sin - m_u * cos, -m_u * sin - m_v * cos, m_u * across - m_v * along]
    jacobian = np.stack([*rows, 2 * np.pi * along * n, along * along_m, across * across_m], axis=1)
    gradient = -2 * (jacobian @ r[..., None])[..., 0]
    jacobian -= jacobian @ q.swapaxes(1, 2) @ q
    return c[..., 0], (r * r).sum(axis=1), gradient, 2 * jacobian @ jacobian.swapaxes(1, 2)


def fit(atoms: Array) -> GaborFit:
    """Return the nearest Gabor functions to `atoms` (N, h, w), of 3 x 3 to about 20 x 20 pixels; nothing is random.

    Raises
    ------
    TypeError, ValueError
        naming `atoms`: no real numbers, another shape, too few pixels, NaN or infinity, squares that overflow.
    """
    atoms = check.squarable("atoms", atoms, ("N", "h", "w"))
    if min(atoms.shape[1:]) < 3:
        raise ValueError(f"atoms: expected at least 3 x 3 pixels for eight parameters, got shape {atoms.shape}")
    norm = np.sqrt((atoms.astype(np.float64) ** 2).sum(axis=(1, 2)))
    unit = atoms / np.where(norm > 0, norm, np.inf)[:, None, None]
    starts = _starts(unit)
    ends = [_nearest(starts[i : i + BLOCK], unit[i : i + BLOCK]) for i in range(0, len(unit), BLOCK)]
    p, c, residual, converged = (np.concatenate(parts) for parts in zip(*ends, strict=True))
    turns, theta = np.divmod(p[:, 2], np.pi)  # half a turn makes u' to -u'
    phase = np.arctan2(-c[:, 1], c[:, 0]) * np.where(turns % 2, -1, 1)
    params = [norm * np.sqrt((c**2).sum(axis=1)), *p[:, :2].T, theta, p[:, 3], phase, *np.exp(p[:, 4:].T)]
    r_squared = np.where(norm > 0, 1 - residual, 0).astype(atoms.dtype)
    return GaborFit(Gabor(*(part.astype(atoms.dtype) for part in params)), r_squared, converged)


def _columns(p: Array, size: tuple[int, ...]) -> tuple[Array, Array, Array, Array]:
    """Return Phi and Q (N, 2, h w) of equation (4), Q by Gram-Schmidt, and u' and v' (N, h w)."""
    u0, v0, theta, f, log_u, log_v = p.T[..., None]
    v, u = np.indices(size).reshape(2, -1)
    along = (u - u0) * np.cos(theta) + (v - v0) * np.sin(theta)
    across = (v - v0) * np.cos(theta) - (u - u0) * np.sin(theta)
    envelope = np.exp(-0.5 * ((along * np.exp(-log_u)) ** 2 + (across * np.exp(-log_v)) ** 2))
    cosine, sine = envelope * np.cos(2 * np.pi * f * along), envelope * np.sin(2 * np.pi * f * along)
    first = cosine / np.sqrt((cosine**2).sum(axis=1, keepdims=True) + TINY)
    rest = sine - (first * sine).sum(axis=1, keepdims=True) * first
    second = rest / np.sqrt((rest**2).sum(axis=1, keepdims=True) + TINY)
    return np.stack([cosine, sine], axis=1), np.stack([first, second], axis=1), along, across


def _clip(p: Array, size: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """Return p within its bounds, and the bounds; that of f depends on theta."""
    (h, w), widest, narrowest = size, np.log(2 * max(size)), np.log(MIN_WIDTH)
    low = np.array([-MARGIN, -MARGIN, -np.inf, MIN_FREQUENCY, narrowest, narrowest])
    high = np.tile([w - 1 + MARGIN, h - 1 + MARGIN, np.inf, 0.5 - MIN_FREQUENCY, widest, widest], (len(p), 1))
    high[:, 3] /= np.maximum(np.abs(np.cos(p[:, 2])), np.abs(np.sin(p[:, 2])))
    return np.clip(p, low, high), low, high


def _step(p: Array, gradient: Array, hessian: Array, damping: Array, size: tuple[int, ...]) -> Array:
    """Return p after the damped step of all parameters that do not rest at a bound."""
    _, low, high = _clip(p, size)
    free = ~((p <= low) & (gradient > 0) | (p >= high) & (gradient < 0))
    matrix = hessian * free[:, :, None] * free[:, None, :]
    diagonal = np.einsum("nii->ni", matrix)  # a view
    diagonal += damping[:, None] * diagonal + 1e-12 * diagonal.max(axis=1, keepdims=True) + TINY
    return _clip(p - np.linalg.solve(matrix, (gradient * free)[..., None])[..., 0], size)[0]


def _descend(p: Array, atoms: Array, n_iter: int) -> list[Array]:
    """Return the p that Levenberg-Marquardt reaches from p (N, 6), c and F there, and which came to rest."""
    state = [p := _clip(p, atoms.shape[1:])[0], *expand(p, atoms)]
    damping, converged, active = np.full(len(p), 1e-2), np.zeros(len(p), bool), np.arange(len(p))
    for _ in range(n_iter):
        p, _, before, gradient, hessian = (part[active] for part in state)
        p = _step(p, gradient, hessian, damping[active], atoms.shape[1:])
        trial = [p, *expand(p, atoms[active])]
        better = trial[2] < before
        for part, new in zip(state, trial, strict=True):
            part[active[better]] = new[better]
        little = (before - trial[2] <= 1e-10 * before) | (trial[2] < 1e-12)
        converged[active] = np.where(better, little, damping[active] > 1e6)
        damping[active] *= np.where(better, 1 / 8, 4)
        active = active[~converged[active]]
        if not active.size:
            break
    return [*state[:3], converged]


def _nearest(p: Array, atoms: Array) -> list[Array]:
    """Return the lowest end of each atom as `_descend` does: from all p (N, S, 6), then from around the best."""
    for n_iter in (30, 200):
        n, s, _ = p.shape
        ends = _descend(p.reshape(-1, 6), np.repeat(atoms, s, axis=0), n_iter)
        lowest = ends[2].reshape(n, s).argmin(axis=1) + s * np.arange(n)
        best = [part[lowest] for part in ends]
        turned = best[0][:, [0, 1, 2, 3, 5, 4]] * [1, 1, 1, 0, 1, 1] + [0, 0, np.pi / 2, 0.02, 0, 0]
        p = np.stack([best[0], turned, *(best[0] + pixel * np.eye(6)[i] for pixel in (-1, 1) for i in (0, 1))], axis=1)
    return best


def _starts(atoms: Array) -> Array:
    """Return p (N, 20, 6): of each width and each quarter of the directions the best round envelope and wave."""
    (n, h, w), starts = atoms.shape, []
    k_u, k_v = np.meshgrid(np.arange(w // 2 + 1) / w, (np.arange(h) - (h - 1) // 2) / h)
    theta, f = np.arctan2(k_v, k_u), np.sqrt(k_u**2 + k_v**2)
    for quarter in range(4):
        waves = np.stack([theta, f], axis=2)[(np.rint(4 * theta / np.pi) % 4 == quarter) & (f > 0)]
        for s in START_WIDTHS:
            apart = slice(round(s) // 2, None, round(s))
            v0, u0, i = np.indices((h, w, len(waves)))[:, apart, apart].reshape(3, -1)
            p = _clip(np.stack([u0, v0, *waves[i].T, *np.full((2, len(i)), np.log(s))], axis=1), (h, w))[0]
            on_q = atoms.reshape(n, -1) @ _columns(p, (h, w))[1].reshape(-1, h * w).T
            starts.append(p[(on_q**2).reshape(n, -1, 2).sum(axis=2).argmax(axis=1)])
    return np.stack(starts, axis=1)
