r"""Costs C(y, y~) between an observation and what was decoded, each beside its gradient.

    squared error           C(y, y~) = ||y - y~||^2          (no half: all the notes write it so)
    binary cross-entropy    C(y, y~) = -sum_i [y_i log y~_i + (1 - y_i) log(1 - y~_i)],   y~ = sigmoid(a)
    Gaussian KL             D_KL(N(mu, v) || N(0, I)) = (1/2) sum_i (mu_i^2 + v_i - log v_i - 1)

The note calls the cross-entropy categorical, and forgets the brackets: it is a sum of binary ones, and without brackets
its second half would stand outside of the sum and of the minus sign.

Derivation
----------
log(1 - y~) of a sigmoid that has rounded to 1 is minus infinity. So the decoder hands over its logits a, not y~:

1. -log y~ = softplus(-a) and -log(1 - y~) = softplus(a), with softplus(a) = log(1 + e^a) = max(a, 0) + log(1 + e^-|a|)
2. C_i = y_i softplus(-a_i) + (1 - y_i) softplus(a_i) = y_i max(-a_i, 0) + (1 - y_i) max(a_i, 0) + log(1 + e^-|a_i|)
       = ([a_i > 0] - y_i) a_i + log(1 + e^-|a_i|),   [true] = 1, [false] = 0
3. no term is negative, so nothing cancels: softplus(a) - y a, the same number, loses half its digits at a = 18, y = 1
4. softplus' = sigmoid:  dC/da = -y (1 - y~) + (1 - y) y~ = y~ - y;   and dC/dy = softplus(-a) - softplus(a) = -a.

Rows are samples: y and y~ (or a) broadcast against each other, (..., d) -> (...).

Source: notes 08-3, "Reconstruction costs" and "VAE".
"""

import numpy as np

from ebm_np.foundations.arrays import Array
from ebm_np.foundations.numerics import sigmoid


def squared_error(y: Array, y_tilde: Array) -> Array:
    """Return ||y - y~||^2 over the last axis: (..., d), (..., d) -> (...).

    >>> squared_error(np.array([1.0, 2.0]), np.array([1.0, 0.0])).item()
    4.0
    """
    return np.square(y - y_tilde).sum(axis=-1)


def squared_error_grad(y: Array, y_tilde: Array) -> Array:
    """Return dC/dy~ = 2 (y~ - y), the negative of dC/dy: (..., d).

    >>> squared_error_grad(np.array([1.0, 2.0]), np.array([1.0, 0.0])).tolist()
    [0.0, -4.0]
    """
    return 2 * (y_tilde - y)


def binary_cross_entropy(y: Array, a: Array) -> Array:
    """Return C(y, sigmoid(a)) over the last axis, in nats, for y in [0, 1]: (..., d), (..., d) -> (...).

    >>> binary_cross_entropy(np.array([1.0, 0.0, 0.25]), np.array([1000.0, 1000.0, 0.0])).round(6).item()
    1000.693147
    """
    return ((np.greater(a, 0) - y) * a + np.log1p(np.exp(np.minimum(a, -a)))).sum(axis=-1)


def binary_cross_entropy_grad(y: Array, a: Array) -> Array:
    """Return dC/da = sigmoid(a) - y: (..., d).

    >>> binary_cross_entropy_grad(np.array([1.0, 0.0]), np.array([0.0, 0.0])).tolist()
    [-0.5, 0.5]
    """
    return sigmoid(a) - y


def gaussian_kl(mu: Array, log_v: Array) -> Array:
    """Return D_KL(N(mu, v) || N(0, I)) over the last axis, in nats: (..., k), (..., k) -> (...).

    The note forgets the brackets round the summand: as it is written, the sum runs over v_i alone.

    >>> gaussian_kl(np.array([0.0, 2.0]), np.array([0.0, 0.0])).item()
    2.0
    """
    return 0.5 * (np.square(mu) + np.expm1(log_v) - log_v).sum(axis=-1)


def gaussian_kl_grad(mu: Array, log_v: Array) -> tuple[Array, Array]:
    """Return dKL/dmu = mu and dKL/dlog v = (v - 1) / 2.

    >>> grad_mu, grad_log_v = gaussian_kl_grad(np.array([2.0]), np.array([0.0]))
    >>> grad_mu.item(), grad_log_v.item()
    (2.0, 0.0)
    """
    return mu, 0.5 * np.expm1(log_v)
