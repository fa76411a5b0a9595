"""The floating type a loader is asked for: float64, or float32 to halve the memory."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike


def floating(name: str, value: DTypeLike) -> np.dtype[Any]:
    """Return `value` as a native dtype, float32 or float64.

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
