"""The one array type that signatures speak of.

Shapes stand in the docstrings; the element type is float64 or float32 (results follow the arguments), and complex128
where a gradient is being checked by the complex step.
"""

from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
