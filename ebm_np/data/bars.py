"""Bars and stripes: all pictures of full rows, and all of full columns. So few that everything about them is known.

    n x n pixels: 2^n pictures of rows and 2^n of columns; the empty and the full one are in both sets, so they count
    twice.

Source: MacKay 2003, Information Theory, Inference, and Learning Algorithms, chapter 43.
"""

from itertools import product

import numpy as np
from numpy.typing import DTypeLike

from ebm_np.foundations import validation as check
from ebm_np.foundations.arrays import Array

LARGEST = 12
"""Pixels of a side; 8,192 pictures."""


def bars_and_stripes(n: int, *, dtype: DTypeLike = np.float64) -> Array:
    """Return all n x n pictures as rows of 0 and 1, (2^(n+1), n^2); those of rows first.

    >>> bars_and_stripes(2)[1:3].astype(int).tolist()
    [[0, 0, 1, 1], [1, 1, 0, 0]]

    Raises
    ------
    TypeError, ValueError
        if `n` is no whole number from 1 to 12, `dtype` neither float64 nor float32.
    """
    n, kind = check.count("n", n), check.floating("dtype", dtype)
    if n > LARGEST:
        raise ValueError(f"n: expected at most {LARGEST}, got {n}")
    on = np.array(list(product([0, 1], repeat=n)), kind)
    rows = np.repeat(on, n, axis=1)
    return np.concatenate([rows, rows.reshape(-1, n, n).swapaxes(1, 2).reshape(-1, n * n)])


def log_likelihood_bound(y: Array) -> float:
    """Return minus the entropy of these pictures' empirical distribution, (N, d): no model has a larger mean log p."""
    y = check.array("y", y, ("N", "d"))
    p = np.unique(y, axis=0, return_counts=True)[1] / len(y)
    return float((p * np.log(p)).sum())
