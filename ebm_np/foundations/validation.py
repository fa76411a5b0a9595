"""The checks of arguments, and the wording of their errors, unless one module alone needs them.

Each function takes the argument's name and its value, returns the value in the form in which the mathematics wants it,
or raises one error that says which argument, what was expected and what came: `TypeError` where the kind of thing is
wrong, `ValueError` where its value is. They stand at the public doors (`init`, `infer`, `free_energy`, `fit`, loaders);
energies, their gradients and inner loops are left to their equations (`tests/trusted.py` lists what trusts its caller).
"""

from collections.abc import Collection
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from ebm_np.foundations.arrays import Array

T = TypeVar("T")

Shape = tuple[int | str, ...]
"""An expected shape: a number is a length, a string is the name of a free one, e.g. ``("N", 2)``."""


def array(
    name: str, value: Any, shape: Shape | None, *, finite: bool = True, empty: bool = False, analytic: bool = False
) -> Array:
    """Return `value` as a real floating array of the expected shape: float32 stays, everything else becomes float64.

    If `shape` is None, any shape will do.

    With `analytic` complex numbers pass too, so that gradients can be checked through this door by the complex step.

    Raises
    ------
    TypeError
        if it is not an array of real numbers (`None`, strings, objects, complex numbers).
    ValueError
        if the shape is another, if it is empty (unless `empty`), or if it holds NaN or infinity (if `finite`).

    Examples
    --------
    >>> array("y", [[1, 2]], ("N", 2)).dtype.name
    'float64'
    >>> array("y", [1, 2], ("N", 2))
    Traceback (most recent call last):
    ValueError: y: expected shape (N, 2), got shape (2,)
    """
    try:
        numbers = np.asarray(value)
    except ValueError as error:  # rows of unequal length
        raise ValueError(f"{name}: expected {_words(shape)}, got rows of unequal length") from error
    if numbers.dtype.kind not in ("fiubc" if analytic else "fiub"):
        got = type(value).__name__ if numbers.ndim == 0 else f"an array of {numbers.dtype}"
        raise TypeError(f"{name}: expected real numbers, got {got}")
    if shape is not None and (
        numbers.ndim != len(shape)
        or any(isinstance(want, int) and want != numbers.shape[i] for i, want in enumerate(shape))
    ):
        raise ValueError(f"{name}: expected {_words(shape)}, got shape {numbers.shape}")
    if numbers.size == 0 and not empty:
        raise ValueError(f"{name}: expected at least one number, got an empty array of shape {numbers.shape}")
    if numbers.dtype != np.float32 and numbers.dtype.kind != "c":
        numbers = numbers.astype(np.float64, copy=False)
    if finite and not np.isfinite(numbers).all():
        raise _infinite(name)
    return numbers


def rank(value: Any) -> int:
    """Return how many axes `value` has, array or nested lists, to choose the shape that `array` is to ask for.

    >>> rank([[1, 2]])
    2
    """
    try:
        return np.ndim(value)
    except ValueError:  # rows of unequal length: `array` says so
        return 0


def squarable(name: str, value: Any, shape: Shape | None, *, empty: bool = False, analytic: bool = False) -> Array:
    """Return `value` as `array` does, if sums of its squares stay finite: energies are squares.

    Raises
    ------
    TypeError, ValueError
        as `array` does, and `ValueError` beyond a thousandth of the square root of the type's largest number.
    """
    numbers = array(name, value, shape, analytic=analytic, empty=empty, finite=False)
    if not numbers.size:
        return numbers
    # max and min make no temporary array, as np.isfinite would: doors should cost little beside what is behind them
    largest = np.abs(numbers).max() if numbers.dtype.kind == "c" else max(numbers.max(), -numbers.min())
    bound = largest_squarable(numbers.dtype)
    if not np.isfinite(largest):
        raise _infinite(name)
    if largest > bound:
        raise ValueError(f"{name}: expected numbers up to {bound:.3g}, whose squares are finite, got {largest:.3g}")
    return numbers


def largest_squarable(dtype: np.dtype[Any]) -> float:
    """Return the largest number of which a million squares have a finite sum."""
    return float(1e-3 * np.sqrt(np.finfo(dtype).max))


def log_variance(name: str, value: Any, shape: Shape) -> Array:
    """Return the log of a variance, if the variance and its inverse can be squared."""
    numbers = array(name, value, shape)
    with np.errstate(over="ignore"):  # no warning besides the error
        for sign in ("", "-"):
            squarable(f"exp({sign}{name})", np.exp(-numbers if sign else numbers), shape)
    return numbers


def signs(name: str, value: Any, shape: Shape) -> Array:
    """Return `value` as `array` does, if all of its numbers are +1 or -1."""
    numbers = array(name, value, shape, finite=False)
    right = (numbers == 1) | (numbers == -1)
    if not right.all():
        raise ValueError(f"{name}: expected +1 and -1 only, got {numbers[~right][0]:.3g}")
    return numbers


def positive(name: str, value: Any, *, infinite: bool = False, moderate: bool = False) -> float:
    """Return `value` as a float > 0; infinity only if `infinite`; if `moderate`, it and its inverse are `squarable`.

    >>> positive("beta", 0)
    Traceback (most recent call last):
    ValueError: beta: expected a positive finite number, got 0
    """
    number = _real(name, value)
    if moderate and number > 0:
        squarable(name, np.array([number, 1 / number]), ("n",))
    if not number > 0 or (np.isinf(number) and not infinite):
        kind = "a positive number or infinity" if infinite else "a positive finite number"
        raise ValueError(f"{name}: expected {kind}, got {value!r}")
    return number


def non_negative(name: str, value: Any) -> float:
    """Return `value` as a finite float >= 0."""
    number = _real(name, value)
    if not 0 <= number < np.inf:
        raise ValueError(f"{name}: expected a finite number that is not negative, got {value!r}")
    return number


def count(name: str, value: Any, minimum: int = 1) -> int:
    """Return `value` as an int >= `minimum`.

    >>> count("n_steps", 1.5)
    Traceback (most recent call last):
    TypeError: n_steps: expected a whole number, got float
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name}: expected a whole number, got {type(value).__name__}")
    if value < minimum:
        raise ValueError(f"{name}: expected a whole number of at least {minimum}, got {value}")
    return int(value)


def flag(name: str, value: Any) -> bool:
    """Return `value` if it is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}: expected True or False, got {type(value).__name__}")
    return bool(value)


def choice(name: str, value: Any, options: Collection[str]) -> str:
    """Return `value` if it is one of `options`.

    >>> choice("method", "cgd", ("cd", "pcd"))
    Traceback (most recent call last):
    ValueError: method: expected one of 'cd', 'pcd', got 'cgd'
    """
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, sorted(options)))}, got {value!r}")
    return value


def floating(name: str, value: DTypeLike) -> np.dtype[Any]:
    """Return `value` as a native dtype, float32 or float64 (half the memory, or twice the digits).

    Raises
    ------
    TypeError
        if it names no dtype, or another than these two.
    """
    try:
        dtype = np.dtype(value)
    except TypeError as error:
        raise TypeError(f"{name}: expected float32 or float64, got {value!r}") from error
    if value is None or dtype.newbyteorder("=") not in (np.float32, np.float64):
        raise TypeError(f"{name}: expected float32 or float64, got {value!r}")
    return dtype.newbyteorder("=")


def sample_weights(value: Any, like: Array) -> Array:
    """Return the argument `weights`, a number for each row of `like`; if it is None, those of the mean over rows.

    >>> sample_weights(None, np.zeros((4, 2))).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    n = len(like)
    if value is None:
        return np.full(n, 1 / n, like.dtype)
    # weights alone do not turn float32 into float64
    return squarable("weights", value, (n,)).astype(like.dtype, copy=False)


def generator(name: str, value: Any) -> np.random.Generator:
    """Return `value` if it is a `numpy.random.Generator`: no function here touches the global random state."""
    if not isinstance(value, np.random.Generator):
        raise TypeError(f"{name}: expected a numpy.random.Generator, got {type(value).__name__}")
    return value


def instance(name: str, value: Any, kind: type[T], functions: Collection[str] = ()) -> T:
    """Return `value` if it is of this type, a model's `Params` for instance, and these fields of it are functions."""
    if not isinstance(value, kind):
        module = kind.__module__.removeprefix("builtins").rpartition(".")[2]
        expected = f"{module}.{kind.__name__}" if module else f"a {kind.__name__}"
        raise TypeError(f"{name}: expected {expected}, got {type(value).__name__}")
    for field in functions:
        function(f"{name}.{field}", getattr(value, field))
    return value


def function(name: str, value: T) -> T:
    """Return `value` if it can be called."""
    if not callable(value):
        raise TypeError(f"{name}: expected a function, got {type(value).__name__}")
    return value


def _infinite(name: str) -> ValueError:
    return ValueError(f"{name}: expected finite numbers, got NaN or infinity")


def _real(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: expected a real number, got {type(value).__name__}")
    return float(value)


def _words(shape: Shape | None) -> str:
    if shape is None:
        return "rows of equal length"
    return f"shape ({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
