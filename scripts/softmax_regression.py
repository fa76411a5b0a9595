r"""Softmax regression (multinomial logistic regression): what a linear reader makes of codes whose labels are known.

The scores a = x W + b of a sample become probabilities, p_j = exp(a_j) / sum_i exp(a_i); with t the one-hot label,

    L(W, b) = 1/N sum_n [log sum_j exp(a_nj) - sum_j t_nj a_nj] + decay ||W||^2                                (1)

is the mean of -log p of the true class, with L2 weight decay (||.|| is Frobenius; b is free). Its gradient:

    dL/dW = 1/N x^T (p - t) + 2 decay W,      dL/db = 1/N sum_n (p_n - t_n)                                    (2)

| symbol | in code | meaning, shape |
|---|---|---|
| x | `x` | features, a row a sample: (N, k) |
| t | `labels` | as whole numbers 0 ... classes - 1: (N,) |
| W, b | `W`, `b` | (k, classes), (classes,) |
| a, p | `scores`, `p` | (N, classes) |

Derivation
----------
3. d/da_j log sum_i exp(a_i) = exp(a_j) / sum_i exp(a_i) = p_j                     (chain rule)
4. Hence the term of sample n has the derivative d_nj = (p_nj - t_nj) / N in a_nj.
5. a_nj = sum_i x_ni W_ij + b_j, so dL/dW_ij = sum_n x_ni d_nj (+ 2 decay W_ij), and dL/db_j = sum_n d_nj.
6. L is convex: log-sum-exp is, a is linear in (W, b), and so is ||W||^2 with decay > 0, strictly. The minimising W is
   thus unique. b is but for one number added to all classes, which leaves p as it is; L-BFGS starts from zero (or from
   another fit), and as sum_j (p_j - t_j) = 0 its steps keep sum_j b_j = 0. decay > 0 is needed: where the classes can
   be separated, as few samples of many features can, (1) without it falls for ever as W grows.
7. `fit` searches in the coordinates (W, e), e = b + W^T m, with m the mean of the features: a = (x - m) W + e. The
   minimum is the same, but the features are centred: where they are never negative, as many codes are, that takes the
   greatest eigenvalue out of the Hessian and spares L-BFGS two thirds of its steps. With e held, b = e - W^T m changes
   with W: dL/dW |_e = dL/dW - m (dL/db)^T. The sum of e over the classes stays 0, as that of b does in 6.

Source: Bishop (2006), "Pattern Recognition and Machine Learning", section 4.3.4.
"""

import logging
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from ebm_np.foundations import validation as check
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.parameters import flatten, tree_map, unflatten

logger = logging.getLogger(__name__)


class Params(NamedTuple):
    """W (k, classes) and b (classes,)."""

    W: Array
    b: Array


def loss(params: Params, x: Array, labels: Array, decay: float) -> Any:
    """Return equation (1), one number."""
    return _loss(params, _log_p(params, x), labels, decay)


def loss_grad(params: Params, x: Array, labels: Array, decay: float) -> Params:
    """Return equation (2), of the type of the parameters."""
    return _loss_grad(params, x, _log_p(params, x), labels, decay)


def error(params: Params, x: Array, labels: Array) -> float:
    """Return the share of samples, 0 to 1, whose greatest score is not that of their label."""
    return float((_scores(params, x).argmax(axis=1) != labels).mean())


def fit(
    x: Array, labels: Array, n_classes: int, decay: float, *,
    start: Params | None = None, tol: float = 1e-6, max_iterations: int = 2_000,
) -> Params:  # fmt: skip
    """Minimise equation (1) by L-BFGS, from `start` or from zero; parameters of the type of x, float32 or float64.

    The search ends where no component of the gradient (in the coordinates of 7) exceeds `tol`, or where rounding lets
    the loss fall no further, which for float32 comes first; if neither comes in time, a warning in the log says so.

    Raises
    ------
    TypeError, ValueError
        naming the argument: x that is no finite array (N, k), labels that are not N whole numbers below n_classes,
        n_classes below 2, decay or tol that is not positive, max_iterations below 1, a start of another shape.
    """
    x = check.squarable("x", x, ("N", "k"))
    n_classes = check.count("n_classes", n_classes, minimum=2)
    labels = _labels(labels, len(x), n_classes)
    decay, tol = check.positive("decay", decay), check.positive("tol", tol)
    max_iterations = check.count("max_iterations", max_iterations)
    start = Params(np.zeros((x.shape[1], n_classes)), np.zeros(n_classes)) if start is None else start
    W = check.squarable("start.W", start.W, (x.shape[1], n_classes)).astype(np.float64)
    b = check.squarable("start.b", start.b, (n_classes,)).astype(np.float64)

    mean = x.mean(axis=0, dtype=np.float64)
    centred = Params(W, b + mean @ W)

    def at(vector: Array) -> Params:
        W, e = unflatten(vector, centred)
        return tree_map(lambda a: a.astype(x.dtype, copy=False), Params(W, e - mean @ W))

    def objective(vector: Array) -> tuple[float, Array]:
        params = at(vector)
        log_p = _log_p(params, x)
        W, b = _loss_grad(params, x, log_p, labels, decay)
        return float(_loss(params, log_p, labels, decay)), flatten((W - np.outer(mean, b), b))

    options = {"maxiter": max_iterations, "maxfun": 2 * max_iterations, "gtol": tol, "ftol": np.finfo(x.dtype).eps}
    found = minimize(objective, flatten(centred), jac=True, method="L-BFGS-B", options=options)
    if found.status == 1:
        logger.warning("softmax regression: no minimum within %d iterations", max_iterations)
    return at(found.x)


def _scores(params: Params, x: Array) -> Array:
    """Return a (N, classes); products in the type of x, all that follows in double precision."""
    scores = x @ params.W + params.b
    return scores.astype(np.result_type(scores, np.float64), copy=False)


def _log_p(params: Params, x: Array) -> Array:
    return log_softmax(_scores(params, x), axis=1)


def _loss(params: Params, log_p: Array, labels: Array, decay: float) -> Any:
    return -log_p[np.arange(len(log_p)), labels].mean() + decay * np.sum(params.W**2)


def _loss_grad(params: Params, x: Array, log_p: Array, labels: Array, decay: float) -> Params:
    d = np.exp(log_p)
    d[np.arange(len(d)), labels] -= 1
    d /= len(d)
    grad_W = (d.T.astype(x.dtype, copy=False) @ x).T + 2 * decay * params.W
    return Params(grad_W, d.sum(axis=0).astype(params.b.dtype, copy=False))


def _labels(labels: Array, n: int, n_classes: int) -> Array:
    numbers = np.asarray(labels)
    if numbers.dtype.kind not in "iu":
        raise TypeError(f"labels: expected whole numbers, got an array of {numbers.dtype}")
    if numbers.shape != (n,):
        raise ValueError(f"labels: expected shape ({n},), a label a row of x, got {numbers.shape}")
    if numbers.min() < 0 or numbers.max() >= n_classes:
        raise ValueError(f"labels: expected 0 to {n_classes - 1}, got {numbers.min()} to {numbers.max()}")
    return numbers
