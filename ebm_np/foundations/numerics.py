r"""Functions that overflow or cancel when they are written as in a textbook, written so that they do not.

All take complex arguments too, so that gradients can be checked through them by the complex step (`gradient_check`).
"""

import numpy as np

from ebm_np.foundations.arrays import Array


def softplus(a: Array) -> Array:
    r"""Return log(1 + exp(a)), elementwise, without overflow; its derivative is `sigmoid`.

    For a > 0 the large part is taken out, log(1 + e^a) = a + log(1 + e^-a), so that only e^-|a| is ever computed; and
    -|a| is written min(a, -a), which serves complex arguments too.

    >>> softplus(np.array([-1000.0, 0.0, 1000.0])).round(6).tolist()
    [0.0, 0.693147, 1000.0]
    """
    return np.maximum(a, 0) + np.log1p(np.exp(np.minimum(a, -a)))


def sigmoid(a: Array) -> Array:
    """Return 1 / (1 + exp(-a)), elementwise, without overflow and right to the last digit in both tails.

    With e = e^-|a|, never above 1, it is 1 / (1 + e) for a >= 0 and e / (1 + e) else.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    tail = np.exp(np.minimum(a, -a))
    return np.maximum(tail, np.greater_equal(a, 0)) / (1 + tail)  # tail <= 1: the maximum is 1 where a >= 0, else tail
