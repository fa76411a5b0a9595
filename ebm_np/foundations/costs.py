r"""Costs C(y, y~) between an observation and what was decoded, each beside its gradient.

    squared error   C(y, y~) = ||y - y~||^2          (no half: all the notes write it so)

Rows are samples: y and y~ broadcast against each other, (..., d) -> (...).
"""

import numpy as np

from ebm_np.foundations.arrays import Array


def squared_error(y: Array, y_tilde: Array) -> Array:
    """Return ||y - y~||^2 over the last axis: (..., d), (..., d) -> (...)."""
    return np.square(y - y_tilde).sum(axis=-1)


def squared_error_grad(y: Array, y_tilde: Array) -> Array:
    """Return dC/dy~ = 2 (y~ - y), the negative of dC/dy: (..., d)."""
    return 2 * (y_tilde - y)
