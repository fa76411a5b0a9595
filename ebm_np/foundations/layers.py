r"""Layers of networks: each forward function beside its vector-Jacobian product (VJP), derived by hand.

    affine          a = W x + b           rows are samples, hence A = X W^T + b
    activation      h = sigma(a)          elementwise: relu, tanh, identity
    MLP             an affine map a layer, an activation after each but the last

A VJP takes the gradient of some scalar with respect to the output and returns it with respect to parameters and input.
Convolution, the affine map of images, stands beside its two VJPs in `convolution`.

Derivation
----------
Let L be a scalar, G = dL/dA (N, k), A = X W^T + b.

1. dA = dX W^T + X dW^T + 1 db^T                           (product rule)
2. dL = <G, dA> = <G W, dX> + <G^T X, dW> + <1^T G, db>    (move factors across the inner product <P, Q> = tr P^T Q)
3. dL/dX = G W,   dL/dW = G^T X,   dL/db = sum_n G_n       (read off)
4. h = sigma(a) elementwise:  dL/da = dL/dh * sigma'(a).

For a latent z that is one number, `mlp_taylor` carries (h, h', h'') = (h, dh/dz, d2h/dz2) forward through the layers:

5. affine:      a = W h + b,   a' = W h',   a'' = W h''
6. activation:  h = sigma(a),  h' = sigma'(a) a',  h'' = sigma''(a) a'^2 + sigma'(a) a''     (chain rule, twice)

Shapes: W (k, d), b (k,), x (..., d), a and h (..., k).
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ebm_np.foundations.arrays import Array


class Affine(NamedTuple):
    """Parameters of a = W x + b."""

    W: Array  # (k, d)
    b: Array  # (k,)


Layers = tuple[Affine, ...]
"""An MLP; the empty one is the identity."""


def affine(layer: Affine, x: Array) -> Array:
    """Return W x + b for each row: (..., d) -> (..., k)."""
    return x @ layer.W.T + layer.b


def affine_vjp(layer: Affine, x: Array, grad: Array) -> tuple[Affine, Array]:
    """Return dL/d(W, b), summed over samples, and dL/dx, from grad = dL/da: equation 3."""
    rows, g = x.reshape(-1, x.shape[-1]), grad.reshape(-1, grad.shape[-1])
    return Affine(W=g.T @ rows, b=g.sum(axis=0)), grad @ layer.W


class Activation(NamedTuple):
    """An elementwise function with its first two derivatives, all as functions of a."""

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    curvature: Callable[[Array], Array]


def _tanh_slope(a: Array) -> Array:
    return 1 - np.tanh(a) ** 2


def _tanh_curvature(a: Array) -> Array:
    h = np.tanh(a)
    return -2 * h * (1 - h**2)


ACTIVATIONS = {
    "identity": Activation(lambda a: a, np.ones_like, np.zeros_like),
    "relu": Activation(lambda a: np.maximum(a, 0), lambda a: (a > 0).astype(a.dtype), np.zeros_like),
    "tanh": Activation(np.tanh, _tanh_slope, _tanh_curvature),
}


def init_mlp(rng: np.random.Generator, widths: tuple[int, ...], dtype: Any = np.float64) -> Layers:
    """Return random layers for the given widths, e.g. (1, 8, 8, 2): W ~ N(0, 2/d) (He et al. 2015) and b = 0."""
    return tuple(
        Affine(W=rng.normal(0, np.sqrt(2 / d), (k, d)).astype(dtype), b=np.zeros(k, dtype)) for d, k in pairwise(widths)
    )


def mlp(layers: Layers, x: Array, activation: str) -> Array:
    """Return the output of the network: (..., d) -> (..., k)."""
    return mlp_forward(layers, x, activation)[0]


def mlp_forward(layers: Layers, x: Array, activation: str) -> tuple[Array, list[Array]]:
    """Return the output and, for the backward pass, what came in: [x, a_1, a_2, ...] of all layers but the last."""
    sigma = ACTIVATIONS[activation].value
    inputs, a = [x], x
    for i, layer in enumerate(layers):
        a = affine(layer, sigma(a) if i else a)
        inputs.append(a)
    return a, inputs[:-1]


def mlp_vjp(layers: Layers, inputs: list[Array], grad: Array, activation: str) -> tuple[Layers, Array]:
    """Return dL/dlayers and dL/dx from grad = dL/d(output): equations 3 and 4, from the last layer to the first."""
    value, slope, _ = ACTIVATIONS[activation]
    grads: list[Affine] = []
    for i in reversed(range(len(layers))):
        a = inputs[i]
        layer_grad, grad = affine_vjp(layers[i], value(a) if i else a, grad)
        grads.append(layer_grad)
        grad = grad * slope(a) if i else grad
    return tuple(reversed(grads)), grad


def mlp_taylor(layers: Layers, x: Array, dx: Array, ddx: Array, activation: str) -> tuple[Array, Array, Array]:
    """Return the output with its first two derivatives along a curve x(z) of derivatives dx, ddx: equations 5 and 6."""
    value, slope, curvature = ACTIVATIONS[activation]
    for i, layer in enumerate(layers):
        if i:
            s = slope(x)
            x, dx, ddx = value(x), s * dx, curvature(x) * dx**2 + s * ddx
        x, dx, ddx = affine(layer, x), dx @ layer.W.T, ddx @ layer.W.T
    return x, dx, ddx
