r"""Check a gradient that you derived by hand, to the last digit.

Three witnesses, from the best to the most general:

1. **Complex step** (Squire & Trapp 1998). For f analytic near a real x and a tiny h,

       f(x + i h d) = f(x) + i h <grad f, d> - O(h^2)    hence    <grad f, d> = Im f(x + i h d) / h.

   No difference of nearly equal numbers is ever taken, so h can be 1e-30 and the answer is right to rounding. It wants
   code that treats complex numbers as an analytic function does: `abs`, `.conj()`, `.real`, `np.linalg.norm` and
   comparisons of magnitudes do not (write `np.sqrt((x**2).sum())`), and `np.logaddexp`, `scipy.special.expit` raise.
2. **Central difference**, (f(x + h d) - f(x - h d)) / 2h = <grad f, d> + O(h^2): two thirds of the digits, for any
   smooth f. Here it only guards the first one: where f is not analytic, the two disagree.
3. **One random direction** checks a whole gradient at the price of one evaluation of f: `directions=1`.

Example: the gradient of the energy E = ||y - W z||^2 with respect to z is 2 W^T (W z - y).

>>> rng = np.random.default_rng(0)
>>> W, y, z = rng.normal(size=(3, 2)), rng.normal(size=3), rng.normal(size=2)
>>> energy = lambda z: np.sum((y - W @ z) ** 2)
>>> gradient_check(energy, 2 * W.T @ (W @ z - y), z).passed
True
>>> gradient_check(energy, W.T @ (W @ z - y), z).passed  # the factor 2 forgotten
False
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ebm_np.foundations.arrays import Array
from ebm_np.foundations.parameters import flatten, leaves, tree_map, unflatten
from ebm_np.foundations.validation import array, count, function, generator, positive

STEP = 1e-30
"""Imaginary step: its square is far below rounding, itself far above underflow."""


class GradientCheck(NamedTuple):
    """The verdict of `gradient_check`.

    `error` is max |claimed - numeric| over max |numeric|; `worst` is the index of the largest difference in the
    flattened parameters (among the directions, if any were drawn); `claimed` and `numeric` are the vectors compared.
    """

    passed: bool
    error: float
    worst: int
    claimed: Array
    numeric: Array

    def __str__(self) -> str:
        """Say in one line what was found."""
        verdict = "passed" if self.passed else "FAILED"
        return (
            f"gradient check {verdict}: relative error {self.error:.1e}; at number {self.worst} "
            f"claimed {self.claimed[self.worst]:.15g}, complex step {self.numeric[self.worst]:.15g}"
        )


def complex_step(f: Callable[[Any], Any], x: Any, direction: Any) -> Array:
    """Return the derivative of f at x along `direction`, Im f(x + i h d) / h; f may return an array.

    `x` and `direction` are arrays or (nested) NamedTuples of arrays of the same structure.

    >>> complex_step(lambda x: (x**3).sum(), np.array([2.0]), np.array([1.0])).item()
    12.0
    """
    x, direction = _point("x", x), _point("direction", direction, x)
    shifted = tree_map(lambda a, d: a + 1j * STEP * d, x, direction)
    return np.imag(function("f", f)(shifted)) / STEP


def central_difference(f: Callable[[Any], Any], x: Any, direction: Any, step: float = 6e-6) -> Array:
    """Return (f(x + h d) - f(x - h d)) / 2h; the default h, near eps^(1/3), balances truncation against rounding.

    >>> round(central_difference(lambda x: (x**3).sum(), np.array([2.0]), np.array([1.0])).item(), 6)
    12.0
    """
    x, direction, step = _point("x", x), _point("direction", direction, x), positive("step", step)
    function("f", f)
    ahead, behind = (tree_map(lambda a, d, s=s: a + s * d, x, direction) for s in (step, -step))
    return (np.asarray(f(ahead)) - np.asarray(f(behind))) / (2 * step)


def complex_step_gradient(f: Callable[[Any], Any], x: Any) -> Any:
    """Return the whole gradient of a scalar f at x, in the structure of x, by one evaluation of f per number in x.

    >>> complex_step_gradient(lambda x: x[0] * x[1] ** 2, np.array([3.0, 2.0])).tolist()
    [4.0, 12.0]
    """
    x = _point("x", x)
    return unflatten(np.array([complex_step(f, x, unit) for unit in _units(x)]), x)


def gradient_check(
    f: Callable[[Any], Any],
    gradient: Any,
    x: Any,
    *,
    rtol: float = 1e-12,
    directions: int = 0,
    rng: np.random.Generator | None = None,
) -> GradientCheck:
    """Compare the claimed `gradient` of the scalar function f at x with its complex step.

    Parameters
    ----------
    f : takes x and returns one number; must be analytic code, see the module's page
    gradient : same structure and shapes as x
    x : array, or a NamedTuple of arrays as all models' `Params` are; float64
    rtol : largest difference allowed, relative to the largest component of the gradient (of those along `directions`).
        So do not check at a point where the gradient is 0: a relative error compares nothing but rounding there
    directions : 0 checks every component; n > 0 checks n random directions instead, where components are too many
    rng : draws those directions

    Raises
    ------
    ValueError
        if the shapes of gradient and x differ, or if complex step and central difference disagree, that is, if f is
        not analytic code (or has a kink at x): then there is nothing to compare the claimed gradient with.
    """
    positive("rtol", rtol)
    count("directions", directions, minimum=0)
    x = _point("x", x)
    claimed_vector, point = flatten(_point("gradient", gradient, x, finite=False)), flatten(x)
    if directions:
        drawn_by = np.random.default_rng(0) if rng is None else generator("rng", rng)
        draw = drawn_by.normal(size=(directions, point.size))
        along = [unflatten(d, x) for d in draw]
        claimed = draw @ claimed_vector
    else:
        along, claimed = _units(x), claimed_vector
    numeric = np.array([complex_step(f, x, d) for d in along])
    _refuse_non_analytic(f, x, along, numeric)
    difference = np.abs(claimed - numeric)
    scale = max(np.abs(numeric).max(), np.finfo(float).tiny)
    with np.errstate(over="ignore"):
        error = float(difference.max() / scale)
    # `error <= rtol` is False for NaN, as it must be
    return GradientCheck(bool(error <= rtol), error, int(np.argmax(difference)), claimed, numeric)


def _point(name: str, tree: Any, like: Any = None, *, finite: bool = True) -> Any:
    """Return a tree of real numbers (or complex ones, for nested steps), of the shapes of `like` if that is given."""
    checked = tree_map(lambda leaf: array(name, leaf, None, finite=finite, analytic=True), tree)
    if like is not None:
        shapes, expected = ([leaf.shape for leaf in leaves(part)] for part in (checked, like))
        if shapes != expected:
            raise ValueError(f"{name}: expected the shapes of x, {expected}, got {shapes}")
    return checked


def _units(x: Any) -> list[Any]:
    return [unflatten(unit, x) for unit in np.eye(flatten(x).size)]


def _refuse_non_analytic(f: Callable[[Any], Any], x: Any, along: list[Any], numeric: Array) -> None:
    if not np.isfinite(numeric).all():
        return  # fails the comparison with the claimed gradient, whatever that is
    size = np.abs(f(x))
    for step in (6e-6, 1e-8, 1e-4):  # f may curve sharply, be undefined nearby, or be large: one step will do
        with np.errstate(all="ignore"):
            difference = np.array([central_difference(f, x, d, step) for d in along])
        rounding = 100 * np.finfo(float).eps * size / step
        if np.abs(difference - numeric).max() <= 1e-4 * np.abs(difference).max() + rounding:
            return
    raise ValueError(
        "f: complex step and central difference disagree; is there an abs, a norm, a .real or a comparison in f, "
        "or a kink at x?"
    )
