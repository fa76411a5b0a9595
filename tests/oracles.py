"""Ground truths that share no code with the library: roots of a quartic, quadrature, Bessel series."""

import numpy as np
from scipy import integrate, special

TURN = 2 * np.pi


def ellipse_energy(w, y, z):
    return (y[0] - w[0] * np.cos(z)) ** 2 + (y[1] - w[1] * np.sin(z)) ** 2


def stationary_angles(w, y):
    """All stationary angles of E(y, .), polished in long double.

    With t = tan(z/2), w2 y2 t^4 + 2 (w1 y1 + w1^2 - w2^2) t^3 + 2 (w1 y1 - w1^2 + w2^2) t - w2 y2 = 0; t = inf is pi.
    """
    (w1, w2), (y1, y2) = w, y
    a, b, d = w2 * y2, w1 * y1, w1**2 - w2**2
    coefficients = np.array([a, 2 * (b + d), 0, 2 * (b - d), -a])
    coefficients[np.abs(coefficients) < 1e-200 * np.abs(coefficients).max()] = 0
    roots = np.roots(coefficients)
    # a nearly double real root comes out as a complex pair: keep the real parts of all, they only start the polish
    starts = np.concatenate([2 * np.arctan(roots.real), [0, np.pi / 2, np.pi, 3 * np.pi / 2]])
    return np.array([_polish(w, y, z) for z in starts])


def nearest_angles(w, y):
    """The least energy, and all angles in [0, 2 pi) that have it (to rounding)."""
    z = stationary_angles(w, y)
    e = ellipse_energy(np.asarray(w, np.longdouble), np.asarray(y, np.longdouble), z)
    scale = np.square(w).sum() + np.square(y).sum()
    return float(e.min()), np.mod(z[e <= e.min() + 1e-17 * scale], TURN).astype(float)


def _polish(w, y, z):
    w, y, z = np.asarray(w, np.longdouble), np.asarray(y, np.longdouble), np.longdouble(z)
    for _ in range(60):
        c, s = np.cos(z), np.sin(z)
        slope = (y[0] - w[0] * c) * w[0] * s - (y[1] - w[1] * s) * w[1] * c
        curvature = (w[0] * s) ** 2 + (w[1] * c) ** 2 + (y[0] - w[0] * c) * w[0] * c + (y[1] - w[1] * s) * w[1] * s
        if curvature <= 0 or slope == 0:
            break
        z = z - np.clip(slope / curvature, -0.1, 0.1)
    return z


def free_energy_quadrature(w, y, beta):
    """F_beta(y) by adaptive quadrature of the integral that defines it."""
    least, minima = nearest_angles(w, y)

    def boltzmann(z):
        return np.exp(-beta * (ellipse_energy(w, y, z) - least))

    start = minima[0]
    options = {"epsabs": 0, "epsrel": 1e-12, "limit": 500}
    halves = [
        integrate.quad(boltzmann, start + k * TURN / 8, start + (k + 1) * TURN / 8, **options)[0] for k in range(8)
    ]
    return least - np.log(sum(halves) / TURN) / beta


def free_energy_bessel(w, y, beta, n_terms=200):
    """F_beta(y) by the series of Bessel functions, and by how much its terms cancel: 1 not at all, 1e16 all digits."""
    (w1, w2), (y1, y2) = w, y
    k1 = 2 * beta * np.hypot(w1 * y1, w2 * y2)
    phi = np.arctan2(w2 * y2, w1 * y1)
    k2 = -beta * (w1**2 - w2**2) / 2
    j = np.arange(1, n_terms)
    # scaled functions, so that nothing overflows
    terms = np.append(
        2 * special.ive(j, k2) * special.ive(2 * j, k1) * np.cos(2 * j * phi), special.ive(0, k1) * special.ive(0, k2)
    )
    total = max(terms.sum(), 1e-300)
    f = y1**2 + y2**2 + (w1**2 + w2**2) / 2 - (np.log(total) + k1 + abs(k2)) / beta
    return f, np.abs(terms).sum() / total
