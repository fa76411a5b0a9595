r"""Five ways to find z-check = argmin_z E(y, z) for a latent z on the circle [0, 2 pi).

    exhaustive    the best of a grid, then of ever finer grids around the best             global up to the first grid
    cg            conjugate gradient from z~                                  (SciPy)      a local minimum
    line-search   bracket downhill from z~, then Brent's method               (SciPy)      a local minimum
    l-bfgs        limited-memory BFGS from z~                                 (SciPy)      a local minimum
    newton        a grid, then Newton in every well that it shows, all samples at once     global up to the grid

The note names the first four. Those that start at one z~ usually land in the well that z~ lies in: for y(10) of the
lecture the energy has two wells, and from two starts in five L-BFGS finds the wrong one ("L-BFGS gets the wrong
minimum").

Digits: SciPy's line searches and a grid compare *energies*, and an energy near its minimum changes by E'' dz^2 / 2, so
they cannot tell angles closer than about sqrt(eps) ~ 1e-8. Two last Newton steps on dE/dz = 0 mend that. Each is taken
only if it is shorter than 1e-3 and lowers |dE/dz|: they polish, and do not search.

All methods see a model only as a `Landscape` and can therefore serve any decoder of a one-dimensional latent.

Source: notes 15-1, "Energy and free energy for two training samples", figures 5 and 7.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.results import Inference

TURN = 2 * np.pi


class Landscape(NamedTuple):
    """E and its first two derivatives in z, for chosen samples: (rows (n,), z (n, K) or (K,)) -> (n, K)."""

    value: Callable[[Array, Array], Array]
    slope: Callable[[Array, Array], Array]
    curvature: Callable[[Array, Array], Array]


def grid(n: int, dtype: Any = np.float64) -> Array:
    """Return n latents in [0, 2 pi), evenly spaced; the lecture takes 48, a step of pi/24.

    >>> (grid(4) / np.pi).tolist()
    [0.0, 0.5, 1.0, 1.5]
    """
    return (np.arange(n) * (TURN / n)).astype(dtype)


def latents(n_latents: int, like: Array) -> Array:
    """Return `n_latents` angles on the grid, in the precision of `like`; errors name the argument."""
    return grid(validation.count("n_latents", n_latents), np.result_type(like, np.float32))


Method = Callable[..., Inference]


def _scale_free(method: Method) -> Method:
    """Give a method each sample's energy in units of its range over z: tolerances then mean the same in all units."""

    @wraps(method)
    def scaled(landscape: Landscape, z0: Array, **options: int) -> Inference:
        rows = np.arange(len(z0))
        table = landscape.value(rows, grid(48, z0.dtype))
        unit = np.ptp(table, axis=1)[:, None]
        unit[unit == 0] = 1
        parts = [lambda rows, z, part=part: part(rows, z) / unit[rows] for part in landscape]
        found = method(Landscape(*parts), z0, **options)
        return found._replace(energy=found.energy * unit[:, 0])

    return scaled


@_scale_free
def exhaustive(landscape: Landscape, z0: Array, n_grid: int = 48, n_zooms: int = 7) -> Inference:
    """Return the best of `n_grid` latents, refined `n_zooms` times by a finer grid around it.

    z0 (N,) says only how many samples there are, and of which type z is.
    """
    rows, z, half_width = np.arange(len(z0)), np.zeros_like(z0), np.pi
    for _ in range(n_zooms + 1):
        tried = z[:, None] + half_width * np.linspace(-1, 1, n_grid + 1, dtype=z0.dtype)
        z = tried[rows, landscape.value(rows, tried).argmin(axis=1)]
        half_width *= 2 / n_grid
    return _finish(landscape, z, n_zooms + 1)


@_scale_free
def conjugate_gradient(landscape: Landscape, z0: Array) -> Inference:
    """Return where nonlinear conjugate gradient lands from z0 (N,), with its path."""
    return _descend(landscape, z0, "CG", {"gtol": 1e-6})


@_scale_free
def l_bfgs(landscape: Landscape, z0: Array) -> Inference:
    """Return where L-BFGS lands from z0 (N,), with its path."""
    return _descend(landscape, z0, "L-BFGS-B", {"gtol": 1e-6, "ftol": 1e-14})


@_scale_free
def line_search(landscape: Landscape, z0: Array) -> Inference:
    """Return where a bracketing search downhill from z0 (N,) and Brent's method land."""
    results = []
    for n, start in enumerate(z0.astype(float)):
        value, _ = _one_sample(landscape, n)
        # SciPy extrapolates downhill from (z0, z0 + 0.1), by parabolas, and may step over a barrier
        results.append(optimize.minimize_scalar(value, bracket=(start, start + 0.1), method="brent"))
    z = np.array([result.x for result in results], z0.dtype)
    return _finish(landscape, z, max(result.nit for result in results))


@_scale_free
def newton(landscape: Landscape, z0: Array, n_grid: int = 48, max_iter: int = 60) -> Inference:
    """Return the lowest minimum: a grid shows the wells, Newton goes to the bottom of each, the lowest one is taken.

    All wells of all samples are one batch. A step that would leave the bracket (the two neighbours on the grid) or that
    goes uphill is replaced by bisection. Two wells closer than two steps of the grid can be seen as one. z0 (N,) says
    only how many samples there are, and of which type z is.
    """
    table = landscape.value(np.arange(len(z0)), grid(n_grid, z0.dtype))
    is_well = (table <= np.roll(table, 1, axis=1)) & (table <= np.roll(table, -1, axis=1))
    rows, columns = np.nonzero(is_well)
    z = grid(n_grid, z0.dtype)[columns]
    low, high = z - TURN / n_grid, z + TURN / n_grid
    for n_iter in range(1, max_iter + 1):  # noqa: B007 - n_iter is reported
        slope = landscape.slope(rows, z[:, None])[:, 0]
        curvature = landscape.curvature(rows, z[:, None])[:, 0]
        low, high = np.where(slope < 0, z, low), np.where(slope > 0, z, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = z - slope / curvature
        previous, z = z, np.where((curvature > 0) & (low <= step) & (step <= high), step, (low + high) / 2)
        z = np.where(slope == 0, previous, z)
        if np.abs(z - previous).max() <= 4 * np.finfo(z0.dtype).eps:
            break
    return _finish(landscape, _lowest(landscape, rows, z, len(z0)), n_iter)


METHODS: dict[str, Method] = {
    "exhaustive": exhaustive,
    "cg": conjugate_gradient,
    "line-search": line_search,
    "l-bfgs": l_bfgs,
    "newton": newton,
}


def wrap(z: Array) -> Array:
    """Return the angles in [0, 2 pi).

    >>> (wrap(np.array([-0.5, 2.5]) * np.pi) / np.pi).tolist()
    [1.5, 0.5]
    """
    wrapped = np.mod(z, TURN)
    wrapped[wrapped >= TURN] = 0  # mod(-tiny, 2 pi) rounds to 2 pi itself
    return wrapped


def _one_sample(landscape: Landscape, n: int) -> tuple[Callable[[Any], float], Callable[[Any], Array]]:
    """Return E, a number, and dE/dz, an array of one, as functions of the z of sample n: what SciPy wants."""
    rows = np.array([n])

    def value(z: Any) -> float:
        return landscape.value(rows, np.atleast_1d(z)).item()

    def slope(z: Any) -> Array:
        return landscape.slope(rows, z)[0]

    return value, slope


def _descend(landscape: Landscape, z0: Array, method: str, options: dict[str, float]) -> Inference:
    paths = [_path(landscape, n, start, method, options) for n, start in enumerate(z0.astype(float))]
    longest = max(map(len, paths))
    trace = np.array([path + path[-1:] * (longest - len(path)) for path in paths], z0.dtype).T
    return _finish(landscape, trace[-1], longest - 1, trace)


def _path(landscape: Landscape, n: int, start: float, method: str, options: dict[str, float]) -> list[float]:
    """Return the iterates for one sample."""
    value, slope = _one_sample(landscape, n)
    path = [start]

    def keep(z: Array) -> None:
        path.append(z.item())

    # SciPy's line searches give up where a slope of 1e-10 is asked for: the last digits are left to the polish
    optimize.minimize(value, start, jac=slope, method=method, callback=keep, options=options)
    return path


def _finish(landscape: Landscape, z: Array, n_iter: int, trace: Array | None = None) -> Inference:
    """Polish z by two Newton steps on dE/dz = 0, wrap it, and say whether it is stationary."""
    rows = np.arange(len(z))
    slope, curvature = landscape.slope(rows, z[:, None])[:, 0], landscape.curvature(rows, z[:, None])[:, 0]
    for _ in range(2):
        step = np.divide(slope, curvature, out=np.zeros_like(slope), where=curvature > 0)
        # the step is meant to mend what sqrt(eps) left open, not to search
        polished = z - np.where(np.abs(step) < 1e-3, step, 0)
        new_slope = landscape.slope(rows, polished[:, None])[:, 0]
        better = np.abs(new_slope) < np.abs(slope)
        z, slope = np.where(better, polished, z), np.where(better, new_slope, slope)
        curvature = landscape.curvature(rows, z[:, None])[:, 0]
    tolerance = np.sqrt(np.finfo(z.dtype).eps) * (np.abs(curvature) + 1)
    z = wrap(z)
    return Inference(
        z=z,
        energy=landscape.value(rows, z[:, None])[:, 0],
        n_iter=n_iter,
        converged=(np.abs(slope) <= tolerance) & (curvature >= -tolerance),
        trace=np.empty((0, len(z)), z.dtype) if trace is None else trace,
    )


def _lowest(landscape: Landscape, rows: Array, z: Array, n: int) -> Array:
    """Return for each of n samples the well of least energy; where two tie, the one of smaller angle."""
    z = wrap(z)
    energy = landscape.value(rows, z[:, None])[:, 0]
    least = np.full(n, np.inf)
    np.minimum.at(least, rows, energy)
    rounding = 16 * np.finfo(energy.dtype).eps * (1 + np.abs(least[rows]))
    tied = energy <= least[rows] + rounding
    best = np.full(n, np.inf, z.dtype)
    np.minimum.at(best, rows[tied], z[tied])
    return best
