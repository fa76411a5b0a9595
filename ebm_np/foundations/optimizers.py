r"""Optimizers as pairs of pure functions: `init(params) -> state`, `step(params, grads, state) -> (params, state)`.

    gradient descent   theta <- theta - eta g
    momentum           m <- mu m + g;              theta <- theta - eta m           (Polyak 1964)
    Adam               m <- b1 m + (1 - b1) g,     v <- b2 v + (1 - b2) g^2,
                       theta <- theta - eta m^ / (sqrt(v^) + eps),   m^ = m / (1 - b1^t),  v^ = v / (1 - b2^t)
                                                                                    (Kingma & Ba 2015)

Parameters and gradients are the same NamedTuples of arrays; a state is what the next step has to know of the steps
before. None of the three is ever written to.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ebm_np.foundations.arrays import Array
from ebm_np.foundations.parameters import tree_map, zeros_like
from ebm_np.foundations.validation import function, instance, non_negative, positive


class Optimizer(NamedTuple):
    """The two functions; `step` returns new parameters and the new state."""

    init: Callable[[Any], Any]
    step: Callable[[Any, Any, Any], tuple[Any, Any]]


def gradient_descent(rate: float) -> Optimizer:
    """Return theta <- theta - rate g; it has no state.

    >>> optimizer = gradient_descent(0.1)
    >>> optimizer.step(np.array([1.0]), np.array([2.0]), optimizer.init(np.array([1.0])))[0].tolist()
    [0.8]
    """
    rate = positive("rate", rate)
    return Optimizer(lambda params: (), lambda params, grads, state: (_descend(params, grads, rate), state))


def momentum(rate: float, mu: float = 0.9) -> Optimizer:
    """Return gradient descent with a velocity that remembers 1 / (1 - mu) steps.

    >>> optimizer, theta = momentum(0.1, mu=0.5), np.array([1.0])
    >>> theta, velocity = optimizer.step(theta, np.array([2.0]), optimizer.init(theta))
    >>> optimizer.step(theta, np.array([2.0]), velocity)[0].round(6).tolist()  # 0.8 - 0.1 (0.5 * 2 + 2)
    [0.5]
    """
    rate = positive("rate", rate)
    mu = _fraction("mu", mu)

    def step(params: Any, grads: Any, velocity: Any) -> tuple[Any, Any]:
        velocity = tree_map(lambda m, g: mu * m + g, velocity, grads)
        return _descend(params, velocity, rate), velocity

    return Optimizer(zeros_like, step)


class AdamState(NamedTuple):
    """Step count, and discounted sums of the gradients and of their squares."""

    t: int
    M: Any
    V: Any


def adam(rate: float = 1e-3, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Optimizer:
    """Return Adam: steps of about `rate` in every coordinate, whatever the gradient's scale.

    The state holds the discounted sums M = m / (1 - b1) and V = v / (1 - b2). With r = sqrt((1 - b2^t) / (1 - b2)),

        m^ / (sqrt(v^) + eps) = r (1 - b1) / (1 - b1^t) M / (sqrt(V) + r eps):

    so the bias corrections are two scalars, and cost no pass over the arrays.

    >>> optimizer, theta = adam(0.1), np.array([1.0, 1.0])
    >>> optimizer.step(theta, np.array([1e-3, -1e3]), optimizer.init(theta))[0].round(4).tolist()
    [0.9, 1.1]
    """
    rate = positive("rate", rate)
    b1, b2, eps = _fraction("b1", b1), _fraction("b2", b2), positive("eps", eps)

    def step(params: Any, grads: Any, state: AdamState) -> tuple[Any, AdamState]:
        t = state.t + 1
        M = tree_map(lambda M, g: _discounted(b1, M, g), state.M, grads)
        V = tree_map(lambda V, g: _discounted(b2, V, np.square(g)), state.V, grads)
        r = math.sqrt((1 - b2**t) / (1 - b2))
        length = rate * r * (1 - b1) / (1 - b1**t)

        def moved(p: Array, M: Array, V: Array) -> Array:
            change = np.sqrt(V, out=np.empty_like(V))
            change += r * eps
            np.divide(M, change, out=change)
            change *= length
            return np.subtract(p, change, out=change)

        return tree_map(moved, params, M, V), AdamState(t, M, V)

    return Optimizer(lambda params: AdamState(0, zeros_like(params), zeros_like(params)), step)


def projected(
    optimizer: Optimizer, onto: Callable[[Any], Any], along: Callable[[Any, Any], Any] | None = None
) -> Optimizer:
    """Return `optimizer` with each step followed by `onto`, the projection on the parameters that are allowed.

    `along`, (params, grads) -> grads, removes from the gradient its part normal to the allowed set, before the step is
    made. Gradient descent can do without: to first order `onto` undoes that part. Adam cannot, as it rescales each
    coordinate by itself. On the sphere the gradient at the optimum is a multiple of theta; Adam would turn each of its
    coordinates into +-rate, and drift to where all are of the same size. For unit columns W, for instance, `along` is
    `lambda at, grads: grads._replace(W=tangent(at.W, grads.W, 0))`.

    >>> optimizer = projected(gradient_descent(0.1), lambda theta: np.maximum(theta, 0))
    >>> optimizer.step(np.array([0.1]), np.array([2.0]), ())[0].tolist()
    [0.0]
    """
    instance("optimizer", optimizer, Optimizer, Optimizer._fields)
    function("onto", onto)
    if along is not None:
        function("along", along)

    def step(params: Any, grads: Any, state: Any) -> tuple[Any, Any]:
        params, state = optimizer.step(params, grads if along is None else along(params, grads), state)
        return onto(params), state

    return Optimizer(optimizer.init, step)


def tangent(unit: Array, grad: Array, axis: int | tuple[int, ...]) -> Array:
    """Return the tangential part of the gradient at unit vectors u, whose coordinates run over `axis`: g - u <u, g>.

    >>> tangent(np.array([0.0, 1.0]), np.array([3.0, 4.0]), 0).tolist()
    [3.0, 0.0]
    """
    return np.asarray(grad - unit * (unit * grad).sum(axis=axis, keepdims=True))


def _discounted(b: float, old: Array, new: Array) -> Array:
    total = b * old
    total += new
    return total


def _descend(params: Any, direction: Any, rate: float) -> Any:
    return tree_map(lambda p, d: p - rate * d, params, direction)


def _fraction(name: str, value: float) -> float:
    number = non_negative(name, value)
    if not number < 1:
        raise ValueError(f"{name}: expected a number in [0, 1), got {value!r}")
    return number
