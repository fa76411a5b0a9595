"""Small Boltzmann machines, all of whose states can be gone through; and were states drawn as they should be?"""

from itertools import product

import numpy as np
from hypothesis import strategies as st
from strategies import generators

from ebm_np.physics.boltzmann import Params, hidden, visible


def states(n):
    """All states of n units."""
    return np.array(list(product([0.0, 1.0], repeat=n)))


def draw_machine(rng, d, k, scale=1.0):
    return Params(*(scale * rng.normal(size=shape) for shape in ((d, k), d, k)))


@st.composite
def small_machines(draw, largest, scales):
    """A machine of at most so many units in each layer, and a generator."""
    rng = draw(generators())
    d, k = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    return draw_machine(rng, d, k, draw(st.sampled_from(scales))), rng


def slack(params):
    return 1e-13 * (1 + sum(np.abs(part).sum() for part in params))


def transitions(params):
    """The probability with which a step of block Gibbs leads from one state (row) to another (column)."""
    v, h = states(len(params.b)), states(len(params.c))
    up = np.array([[np.prod(np.where(s == 1, p, 1 - p)) for s in h] for p in hidden(params, v)])
    down = np.array([[np.prod(np.where(s == 1, p, 1 - p)) for s in v] for p in visible(params, h)])
    return up @ down


def frequencies(v):
    """How often each state is among the rows."""
    numbers = v.astype(int) @ (1 << np.arange(v.shape[1])[::-1])
    return np.bincount(numbers, minlength=1 << v.shape[1]) / len(v)


def assert_drawn_from(p, v):
    """Each state is met as often as p says, to five standard errors."""
    error = np.sqrt(p * (1 - p) / len(v))
    assert (np.abs(frequencies(v) - p) <= 5 * error + 3 / len(v)).all()
