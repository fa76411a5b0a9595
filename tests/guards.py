"""What tests watch over: memory, and arguments that nobody may write to."""

import tracemalloc

import numpy as np

from ebm_np.foundations.parameters import tree_map


def peak(function, *arguments):
    """The most memory that a call holds at any time, in bytes, beside its arguments."""
    tracemalloc.start()
    try:
        function(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def read_only(tree):
    """Copies of arrays, nested as in `tree`, that cannot be written to."""

    def freeze(a):
        a = np.array(a)
        a.flags.writeable = False
        return a

    return tree_map(freeze, tree)
