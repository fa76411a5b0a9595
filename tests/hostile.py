"""What nobody should hand to a function, for each kind of argument."""

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np

NOTHING = (None, "nonsense", object())
NUMBERS = (np.nan, np.inf, -np.inf, -1.0, 0.0, 5e-324, 1e308, 1j, True, "1", None, np.ones(2), object())
COUNTS = (-1, 0, 1.5, np.nan, True, "1", None, np.ones(2), object())
TEXTS = ("", "nonsense", b"tanh", 3, None, object())
FLAGS = ("nonsense", None, 2)
OTHERS = (3, *NOTHING)


def instead_of(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield hostile values in the place of a valid one, each with a name."""
    if isinstance(value, np.ndarray):
        yield from _arrays(value)
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        for i, (field, part) in enumerate(zip(value._fields, value, strict=True)):
            for name, bad in instead_of(part):
                yield f"{field}: {name}", type(value)(*value[:i], bad, *value[i + 1 :])
        yield from ((repr(bad), bad) for bad in (*NOTHING, (), 3))
    elif isinstance(value, tuple | list):
        for i, part in enumerate(value):
            for name, bad in instead_of(part):
                yield f"[{i}]: {name}", type(value)([*value[:i], bad, *value[i + 1 :]])
        yield from ((repr(bad), bad) for bad in (*NOTHING, type(value)(), 3))
    else:
        yield from ((repr(bad), bad) for bad in _plain(value))


def _plain(value: Any) -> tuple[Any, ...]:
    if isinstance(value, bool):
        return FLAGS
    if isinstance(value, int):
        return COUNTS
    if isinstance(value, float):
        return NUMBERS
    if isinstance(value, str):
        return TEXTS
    return OTHERS


def _arrays(a: np.ndarray[Any, Any]) -> Iterator[tuple[str, Any]]:
    first = np.arange(a.size).reshape(a.shape) == 0
    if a.dtype.kind == "f":
        for bad in (np.nan, np.inf, -np.inf, 1e308):
            yield f"{bad} in it", np.where(first, bad, a)
        yield "objects", a.astype(object)
        yield "strings", a.astype(str)
        yield "dates", a.astype("datetime64[s]")
    yield "empty", a[:0] if a.ndim else np.zeros(0)
    yield "too long", np.concatenate([a, a], axis=-1) if a.ndim else np.zeros(2)
    yield "one axis more", a[None]
    if a.ndim:
        yield "one axis less", a[0]
    yield from ((repr(bad), bad) for bad in (*NOTHING, 3.0, [[1.0], [1.0, 2.0]], {}))


def contains_nan(value: Any) -> bool:
    """Say whether there is a NaN in a number, an array, or a nest of these."""
    if isinstance(value, tuple | list):
        return any(map(contains_nan, value))
    if isinstance(value, np.ndarray | np.floating | float) and np.asarray(value).dtype.kind in "fc":
        return bool(np.isnan(value).any())
    return False


def defaults(function: Any) -> dict[str, Any]:
    """Return the optional arguments of a function with their defaults."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}
