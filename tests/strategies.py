"""What Hypothesis draws: arrays over the whole range that a function accepts."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

SIZES = st.integers(1, 6)


def numbers(largest: float = 1e3, smallest: float = 0.0):
    """Numbers of either sign and of every order of magnitude up to `largest`; none but 0 below `smallest` in size."""
    positive = st.floats(max(smallest, 1e-12), largest)
    return st.one_of(st.just(0.0), positive, positive.map(lambda x: -x))


def arrays(shape, largest: float = 1e3, smallest: float = 0.0):
    return hnp.arrays(np.float64, shape, elements=numbers(largest, smallest))


def generators():
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


def betas(low: float = 1e-6, high: float = 1e6):
    """Inverse temperatures, evenly over the orders of magnitude."""
    return st.floats(np.log10(low), np.log10(high)).map(lambda x: 10.0**x)
