r"""Where the idea comes from: a thrown apple, whose path is the one on which the action is stationary.

    T = (m/2) |dq/dt|^2,   L = T - V(q),   S[q] = integral_0^tau L dt                                              (1)
    S(q) = sum_{i<n} h [(m/2) |(q_{i+1} - q_i) / h|^2 - (V(q_i) + V(q_{i+1})) / 2],   h = tau / n                  (2)
    q* : dS/dq_i = 0 for 0 < i < n, q_0 and q_n fixed                                                              (3)

    symbol     name                shape          unit     meaning
    q          q                   (N, n + 1, d)  m, rad   N paths of n equal steps; the two ends are given
    tau, h     duration            number         s        time from end to end; of one step
    m          System.m            number         kg       mass (of an angle: moment of inertia, kg m^2)
    V          System.value        (...)          J        potential energy
    S          action              (N,)           J s

What is known, x, are the two ends; the path, y, is inferred by making S stationary: inference with an energy, and the
first one that anybody wrote down. The blog says that nature "chooses the curve that minimises total mechanical energy".
It does not. T + V is *conserved* along the true path, and the path that makes the integral of T + V least is its mirror
image: an apple that falls up (derivation 4). Nor is "minimises" more than half of the story (derivation 3).

Derivation
----------
1. In (2) q_i stands in two steps and in two halves of V:  dS/dq_i = m (2 q_i - q_{i-1} - q_{i+1}) / h - h V'(q_i).
   It is 0 where m (q_{i+1} - 2 q_i + q_{i-1}) / h^2 = -V'(q_i): Newton's law, as Stoermer and Verlet step it.
2. In uniform gravity V' is constant, and so is the second difference of a parabola: (3) is the parabola at any h.
   Elsewhere the path, and T + V along it with velocities (q_{i+1} - q_{i-1}) / 2h, is right to order h^2.
3. The Hessian H of S, times u:  (H u)_i = m (2 u_i - u_{i-1} - u_{i+1}) / h - h V''(q_i) u_i.   With V'' = c the
   eigenvectors are sines, the eigenvalues (4 m / h) sin^2(k pi / 2n) - h c, k = 1 ... n - 1. The lowest is negative
   as soon as tau > pi sqrt(m / c), half a period: past that *conjugate point* the true path is a saddle of S.
4. T + V is T - (-V): the same problem with the world turned upside down.

Source: blog 004, "Energy based model"; Hamilton 1834; discrete: Marsden & West 2001; 3: Morse 1934.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import optimize

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.results import Inference


class System(NamedTuple):
    """A body, and the potential in which it moves."""

    m: float
    value: Callable[[Array], Array]  # V: (..., d) -> (...)
    slope: Callable[[Array], Array]  # V': (..., d) -> (..., d)
    curvature: Callable[[Array, Array], Array]  # V''(q) u: (..., d), (..., d) -> (..., d)
    stiffest: float  # an upper bound of |V''|


def apple(m: float = 0.1, g: float = 9.81) -> System:
    """Return a body of m kg in uniform gravity, g m/s^2, V = m g q_d: the last coordinate is the height."""
    m, g = validation.positive("m", m), validation.non_negative("g", g)

    def slope(q: Array) -> Array:
        gradient = np.zeros_like(q)
        gradient[..., -1] = m * g
        return gradient

    return System(m, lambda q: m * g * q[..., -1], slope, lambda q, u: np.zeros_like(u), 0.0)


def oscillator(m: float = 1.0, k: float = 1.0) -> System:
    """Return a body of m kg on a spring of k N/m: V = (k/2) |q|^2, of period 2 pi sqrt(m / k)."""
    m, k = validation.positive("m", m), validation.positive("k", k)
    return System(m, lambda q: 0.5 * k * np.square(q).sum(axis=-1), lambda q: k * q, lambda q, u: k * u, k)


def pendulum(m: float = 1.0, length: float = 1.0, g: float = 9.81) -> System:
    """Return m kg on a rod of `length` m; q is the angle from rest, (..., 1): V = m g length (1 - cos q)."""
    m, length, g = (validation.positive(*named) for named in (("m", m), ("length", length), ("g", g)))
    inertia, c = m * length * length, m * g * length
    validation.squarable("length", np.array([inertia, c]), ("n",))
    return System(
        inertia,
        lambda q: c * (1 - np.cos(q)).sum(axis=-1),
        lambda q: c * np.sin(q),
        lambda q, u: c * np.cos(q) * u,
        c,
    )


def upside_down(system: System) -> System:
    """Return the system with -V for V: its action is the integral of T + V, derivation 4.

    >>> upside_down(oscillator(k=2.0)).value(np.array([3.0])).item()
    -9.0
    """
    m, value, slope, curvature, stiffest = _checked_system(system)
    return System(m, lambda q: -value(q), lambda q: -slope(q), lambda q, u: -curvature(q, u), stiffest)


def straight(start: Array, end: Array, n: int) -> Array:
    """Return the paths of n equal steps straight from the starts, (N, d), to the ends: (N, n + 1, d).

    >>> straight(np.array([[0.0]]), np.array([[4.0]]), 2).ravel().tolist()
    [0.0, 2.0, 4.0]
    """
    start = validation.array("start", start, ("N", "d"))
    end = validation.array("end", end, start.shape)
    t = np.linspace(0, 1, validation.count("n", n, 2) + 1, dtype=start.dtype)[:, None]
    return (1 - t) * start[:, None] + t * end[:, None]


def parabola(start: Array, end: Array, duration: float, n: int, g: float = 9.81) -> Array:
    """Return the exact path of the thrown apple at n + 1 times: (N, d), (N, d) -> (N, n + 1, d).

    q(t) = straight line + (g/2) t (tau - t) upwards: the height that gravity takes back in the time that is left.

    >>> parabola(np.array([[0.0]]), np.array([[0.0]]), duration=2.0, n=2, g=10.0).ravel().tolist()
    [0.0, 5.0, 0.0]
    """
    duration, g = validation.positive("duration", duration, moderate=True), validation.non_negative("g", g)
    q = straight(start, end, n)
    t = np.linspace(0, duration, n + 1, dtype=q.dtype)
    q[..., -1] += 0.5 * g * t * (duration - t)
    return q


def action(system: System, q: Array, duration: float) -> Array:
    """Return S of each path, equation (2), in J s: (N, n + 1, d) -> (N,).

    >>> path = np.array([[[0.0], [1.0], [2.0]]])
    >>> action(apple(m=2.0, g=0.0), path, duration=2.0).tolist()  # T = 1 for two seconds
    [2.0]
    """
    q, h = _checked(system, q, duration)
    return _action(system, q, h)


def action_grad(system: System, q: Array, duration: float) -> Array:
    """Return dS/dq_i of the points between the ends, derivation 1: (N, n + 1, d) -> (N, n - 1, d)."""
    q, h = _checked(system, q, duration)
    return _grad(system, q, h)


def action_hess_vec(system: System, q: Array, duration: float, u: Array) -> Array:
    """Return H u, derivation 3, for a change u of the points between the ends: (N, n - 1, d) -> (N, n - 1, d)."""
    q, h = _checked(system, q, duration)
    u = validation.squarable("u", u, (len(q), q.shape[1] - 2, q.shape[2]), analytic=True)
    return _hess_vec(system, q, h, u)


def hessian(system: System, q: Array, duration: float) -> Array:
    """Return H of each path as a matrix: (N, n + 1, d) -> (N, (n - 1) d, (n - 1) d)."""
    q, h = _checked(system, q, duration)
    return _hessian(system, q, h)


def morse_index(system: System, q: Array, duration: float) -> Array:
    """Return how many eigenvalues of H are < 0: 0 at a minimum, else conjugate points passed, derivation 3: (N,)."""
    q, h = _checked(system, q, duration, analytic=False)
    return (np.linalg.eigvalsh(_hessian(system, q, h)) < 0).sum(axis=1)


def energies(system: System, q: Array, duration: float) -> tuple[Array, Array]:
    """Return T and V at the points between the ends, in J, derivation 2: (N, n + 1, d) -> (N, n - 1), (N, n - 1)."""
    q, h = _checked(system, q, duration)
    velocity = (q[:, 2:] - q[:, :-2]) / (2 * h)
    return 0.5 * system.m * np.square(velocity).sum(axis=-1), system.value(q[:, 1:-1])


def relax(
    system: System,
    q: Array,
    duration: float,
    method: str = "gradient descent",
    *,
    max_iter: int = 100_000,
    n_trace: int = 0,
) -> Inference:
    """Return the paths on which S is stationary, from where they are, with their ends held: `z` is (N, n + 1, d).

    "gradient descent"   q <- q - dS/dq / L,  L = 4 m / h + h max |V''|: to a minimum; off to infinity if there is none
    "newton"             q <- q - H^-1 dS/dq: to any stationary path, saddles too; from nearby in a few steps
    "scipy"              SciPy's trust region with H u, its last digits left to Newton; `converged` at a minimum only

    It stops where a step of gradient descent would move no point by more than the path's rounding error, 8 eps max |q|.
    Gradient descent takes about 12 n^2 steps for that, and twice as many for a path that comes to rest at 0: the start
    has to shrink to eps of itself. Paths that have not got there in `max_iter` steps are not `converged`. `trace` has
    the first `n_trace` iterates, the start first.

    Raises
    ------
    TypeError, ValueError
        for an argument of the wrong kind, shape or value, NaN or infinity; the message names it.
    FloatingPointError
        if the squares of a path are no longer finite, or Newton meets a conjugate point, where H has no inverse.
    """
    q, h = _checked(system, q, duration, analytic=False)
    max_iter, n_trace = validation.count("max_iter", max_iter), validation.count("n_trace", n_trace, 0)
    step, *later = METHODS[validation.choice("method", method, METHODS)]
    rate = 1 / (4 * system.m / h + h * system.stiffest)
    eps, largest = np.finfo(q.dtype).eps, validation.largest_squarable(q.dtype)
    rest = eps * np.abs(q).max(axis=(1, 2))  # so near to 0 nothing is left of the start
    trace = [q]
    with np.errstate(over="ignore", invalid="ignore"):  # no warning besides the error
        for n_iter in range(max_iter + 1):
            grad = _grad(system, q, h)
            converged = np.abs(rate * grad).max(axis=(1, 2)) <= 8 * eps * np.maximum(np.abs(q).max(axis=(1, 2)), rest)
            if converged.all() or n_iter == max_iter:
                break
            q = q.copy()
            q[:, 1:-1] += step(system, q, h, grad, rate)
            if not np.abs(q).max() <= largest:  # NaN too; S is a sum of squares
                raise FloatingPointError(f"relaxation diverged in step {n_iter + 1}: no minimum of S is near the start")
            step = later[0] if later else step
            if len(trace) < n_trace:
                trace.append(q)
    if method == "scipy":
        converged &= np.linalg.eigvalsh(_hessian(system, q, h))[:, 0] > 0  # Newton's last steps go to saddles too
    kept = np.array(trace[:n_trace]).reshape(-1, *q.shape).astype(q.dtype)
    return Inference(z=q, energy=_action(system, q, h), n_iter=n_iter, converged=converged, trace=kept)


def _descend(system: System, q: Array, h: float, grad: Array, rate: float) -> Array:
    return -rate * grad


def _newton(system: System, q: Array, h: float, grad: Array, rate: float) -> Array:
    try:
        return np.linalg.solve(_hessian(system, q, h), -grad.reshape(len(q), -1, 1)).reshape(grad.shape)
    except np.linalg.LinAlgError:
        raise FloatingPointError("Newton's method met a conjugate point, where the Hessian has no inverse") from None


def _trust_region(system: System, q: Array, h: float, grad: Array, rate: float) -> Array:
    """Return the displacement from q to what SciPy finds, path by path."""

    def way(path: Array) -> Array:
        def whole(x: Array) -> Array:
            return np.concatenate([path[:1], x.reshape(path[1:-1].shape), path[-1:]])[None]

        found = optimize.minimize(
            lambda x: _action(system, whole(x), h).item(),
            path[1:-1].ravel(),
            jac=lambda x: _grad(system, whole(x), h).ravel(),
            hessp=lambda x, u: _hess_vec(system, whole(x), h, u.reshape(1, *path[1:-1].shape)).ravel(),
            method="trust-krylov",
            options={"gtol": 1e-8 / rate},
        )
        return (whole(found.x)[0] - path)[1:-1]

    return np.array([way(path) for path in q])


METHODS = {"gradient descent": (_descend,), "newton": (_newton,), "scipy": (_trust_region, _newton)}


def _action(system: System, q: Array, h: float) -> Array:
    kinetic = 0.5 * system.m / h * np.square(np.diff(q, axis=1)).sum(axis=(1, 2))
    v = system.value(q)
    return kinetic - h * (v.sum(axis=1) - 0.5 * (v[:, 0] + v[:, -1]))


def _grad(system: System, q: Array, h: float) -> Array:
    return -system.m / h * np.diff(q, 2, axis=1) - h * system.slope(q[:, 1:-1])


def _hess_vec(system: System, q: Array, h: float, u: Array) -> Array:
    held = np.pad(u, ((0, 0), (1, 1), (0, 0)))  # the ends do not move
    return -system.m / h * np.diff(held, 2, axis=1) - h * system.curvature(q[:, 1:-1], u)


def _hessian(system: System, q: Array, h: float) -> Array:
    size = q[0, 1:-1].size
    units = np.eye(size, dtype=q.dtype).reshape(size, *q[0, 1:-1].shape)
    return np.array([_hess_vec(system, path[None], h, units).reshape(size, size) for path in q])


def _checked(system: System, q: Array, duration: float, analytic: bool = True) -> tuple[Array, float]:
    """Return paths and time step."""
    _checked_system(system)
    q = validation.squarable("q", q, ("N", "n + 1", "d"), analytic=analytic)
    if q.shape[1] < 3:
        raise ValueError(f"q: expected paths of at least two steps, three points, got {q.shape[1]}")
    h, largest = validation.positive("duration", duration) / (q.shape[1] - 1), validation.largest_squarable(q.dtype)
    if not system.m / largest < h < largest:
        raise ValueError(f"duration: expected steps h with h and m / h below {largest:.3g}, got h = {h:.3g}")
    return q, h


def _checked_system(system: System) -> System:
    validation.instance("system", system, System, ("value", "slope", "curvature"))
    validation.positive("system.m", system.m)
    validation.non_negative("system.stiffest", system.stiffest)
    return system
