r"""Layers of networks: each forward function beside its vector-Jacobian product (VJP), derived by hand.

    affine          a = W x + b           rows are samples, hence A = X W^T + b
    activation      h = sigma(a)          elementwise: identity, relu, sigmoid, softplus, tanh
    MLP             one affine map per layer, an activation after each but the last, and another (or none) after that

A VJP takes the gradient of some scalar with respect to the output and returns it with respect to parameters and input.
Convolution, the affine map of images, stands beside its two VJPs in `convolution`.

Derivation
----------
Let L be a scalar, G = dL/dA (N, k), A = X W^T + b.

1. dA = dX W^T + X dW^T + 1 db^T                           (product rule)
2. dL = <G, dA> = <G W, dX> + <G^T X, dW> + <1^T G, db>    (move factors across the inner product <P, Q> = tr P^T Q)
3. dL/dX = G W,   dL/dW = G^T X,   dL/db = sum_n G_n       (read off)
4. h = sigma(a) elementwise:  dL/da = dL/dh * sigma'(a).

Each of these sigma' and sigma'' is a function of h alone, so a forward pass need store nothing but the outputs of the
layers:

    sigma       sigma'(a)          sigma''(a)
    tanh        1 - h^2            -2 h (1 - h^2)
    sigmoid     h (1 - h)          h (1 - h) (1 - 2 h)
    softplus    s = 1 - exp(-h)    s (1 - s)                  as h = log(1 + e^a), exp(-h) = 1 / (1 + e^a)
    relu        1 if h > 0 else 0  0                          at its kink, a = 0, the slope of its dead side
    identity    1                  0

For a latent z that is one number, `mlp_taylor` carries (h, h', h'') = (h, dh/dz, d2h/dz2) forward through the layers:

5. affine:      a = W h + b,   a' = W h',   a'' = W h''
6. activation:  h = sigma(a),  h' = sigma'(a) a',  h'' = sigma''(a) a'^2 + sigma'(a) a''     (chain rule, twice)

Shapes: W (k, d), b (k,), x (..., d), a and h (..., k).
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ebm_np.foundations.arrays import Array
from ebm_np.foundations.numerics import sigmoid, softplus
from ebm_np.foundations.validation import squarable


class Affine(NamedTuple):
    """Parameters of a = W x + b."""

    W: Array  # (k, d)
    b: Array  # (k,)


Layers = tuple[Affine, ...]
"""An MLP; the empty one is the identity."""


def affine(layer: Affine, x: Array) -> Array:
    """Return W x + b for each row: (..., d) -> (..., k).

    >>> affine(Affine(W=np.array([[1.0, 2.0]]), b=np.array([3.0])), np.array([[1.0, 1.0]])).tolist()
    [[6.0]]
    """
    return x @ layer.W.T + layer.b


def affine_grad(x: Array, grad: Array) -> Affine:
    """Return dL/d(W, b), summed over samples, from grad = dL/da: equation 3.

    >>> affine_grad(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0], [10.0]]))
    Affine(W=array([[31., 42.]]), b=array([11.]))
    """
    rows, g = x.reshape(-1, x.shape[-1]), grad.reshape(-1, grad.shape[-1])
    return Affine(W=g.T @ rows, b=g.sum(axis=0))


def affine_vjp(layer: Affine, x: Array, grad: Array) -> tuple[Affine, Array]:
    """Return dL/d(W, b), summed over samples, and dL/dx, from grad = dL/da: equation 3.

    >>> affine_vjp(Affine(np.array([[1.0, 2.0]]), np.array([3.0])), np.array([[1.0, 1.0]]), np.array([[10.0]]))[1]
    array([[10., 20.]])
    """
    return affine_grad(x, grad), grad @ layer.W


class Activation(NamedTuple):
    """An elementwise function h = sigma(a), and its first two derivatives as functions of h."""

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    curvature: Callable[[Array], Array]


def _softplus_slope(h: Array) -> Array:
    return -np.expm1(-h)  # right to the last digit where h, and with it the slope, is tiny


ACTIVATIONS = {
    "identity": Activation(lambda a: a, np.ones_like, np.zeros_like),
    "relu": Activation(lambda a: np.maximum(a, 0), lambda h: (h > 0).astype(h.dtype), np.zeros_like),
    "sigmoid": Activation(sigmoid, lambda h: h * (1 - h), lambda h: h * (1 - h) * (1 - 2 * h)),
    "softplus": Activation(softplus, _softplus_slope, lambda h: _softplus_slope(h) * np.exp(-h)),
    "tanh": Activation(np.tanh, lambda h: 1 - h**2, lambda h: -2 * h * (1 - h**2)),
}


def init_mlp(rng: np.random.Generator, widths: tuple[int, ...], dtype: Any = np.float64, power: float = 2.0) -> Layers:
    """Return random layers for the given widths, e.g. (1, 8, 8, 2): W ~ N(0, power / d) and b = 0.

    ReLU halves the mean square of what passes through it, hence 2 (He et al. 2015); take 1 for an activation of slope 1
    at 0, which keeps it, such as tanh (LeCun et al. 1998).

    >>> [layer.W.shape for layer in init_mlp(np.random.default_rng(0), (1, 8, 2))]
    [(8, 1), (2, 8)]
    """
    return tuple(
        Affine(W=rng.normal(0, np.sqrt(power / d), (k, d)).astype(dtype), b=np.zeros(k, dtype))
        for d, k in pairwise(widths)
    )


def mlp(layers: Layers, x: Array, activation: str, last: str = "identity") -> Array:
    """Return the output of the network: (..., d) -> (..., k).

    >>> double, negate = (Affine(np.array([[c]]), np.zeros(1)) for c in (2.0, -1.0))
    >>> mlp((double, negate), np.array([[3.0], [-3.0]]), "relu").tolist()
    [[-6.0], [0.0]]
    """
    return mlp_forward(layers, x, activation, last)[-1]


def mlp_forward(layers: Layers, x: Array, activation: str, last: str = "identity") -> list[Array]:
    """Return x and what each layer makes of it, [x, h_1, ..., output], for the backward pass.

    >>> double = Affine(np.array([[2.0]]), np.zeros(1))
    >>> [h.item() for h in mlp_forward((double, double), np.array([[1.0]]), "relu")]
    [1.0, 2.0, 4.0]
    """
    hs = [x]
    for layer, name in zip(layers, _names(layers, activation, last), strict=True):
        hs.append(ACTIVATIONS[name].value(affine(layer, hs[-1])))
    return hs


def mlp_backward(
    layers: Layers,
    hs: list[Array],
    grad: Array,
    activation: str,
    last: str = "identity",
    also: Sequence[Array | float] | None = None,
) -> list[Array]:
    """Return dL/da of each layer, [dL/da_1, ...], from grad = dL/d(output): equations 4 and 3, from the end back.

    `also`, if given, holds for each layer a further dL/da, for an L that depends on a directly, not only through the
    output.

    >>> double = Affine(np.array([[2.0]]), np.zeros(1))
    >>> hs = mlp_forward((double, double), np.array([[1.0]]), "relu")
    >>> [delta.item() for delta in mlp_backward((double, double), hs, np.array([[1.0]]), "relu")]
    [2.0, 1.0]
    """
    deltas: list[Array] = []
    for i, name in reversed(list(enumerate(_names(layers, activation, last)))):
        delta = grad if name == "identity" else grad * ACTIVATIONS[name].slope(hs[i + 1])
        deltas.append(delta if also is None else delta + also[i])
        if i:
            grad = deltas[-1] @ layers[i].W
    return deltas[::-1]


def mlp_grad(hs: list[Array], deltas: list[Array]) -> Layers:
    """Return dL/dlayers from the two passes, equation 3."""
    return tuple(affine_grad(x, delta) for x, delta in zip(hs, deltas, strict=False))  # no layer follows the output


def mlp_vjp(
    layers: Layers, hs: list[Array], grad: Array, activation: str, last: str = "identity"
) -> tuple[Layers, Array]:
    """Return dL/dlayers and dL/dx from grad = dL/d(output)."""
    deltas = mlp_backward(layers, hs, grad, activation, last)
    return mlp_grad(hs, deltas), deltas[0] @ layers[0].W if layers else grad


def mlp_taylor(layers: Layers, x: Array, dx: Array, ddx: Array, activation: str) -> tuple[Array, Array, Array]:
    """Return the output with its first two derivatives along a curve x(z) of derivatives dx, ddx: equations 5 and 6.

    >>> square = Affine(np.array([[3.0]]), np.zeros(1))  # one layer is affine: 3 x, of derivatives 3 x', 3 x''
    >>> [part.item() for part in mlp_taylor((square,), np.ones((1, 1)), np.ones((1, 1)), np.zeros((1, 1)), "tanh")]
    [3.0, 3.0, 0.0]
    """
    value, slope, curvature = ACTIVATIONS[activation]
    for i, layer in enumerate(layers):
        if i:
            x = value(x)
            s = slope(x)
            dx, ddx = s * dx, curvature(x) * dx**2 + s * ddx
        x, dx, ddx = affine(layer, x), dx @ layer.W.T, ddx @ layer.W.T
    return x, dx, ddx


def checked_layers(
    name: str, layers: Layers, first: int | str = "d", last: int | str = "k", *, analytic: bool = False
) -> Layers:
    """Return the layers, which map `first` numbers to `last`, if they are finite and each fits the next."""
    if not isinstance(layers, tuple) or not layers or not all(isinstance(layer, Affine) for layer in layers):
        got = "an empty one" if layers == () else type(layers).__name__
        raise TypeError(f"{name}: expected a tuple of Affine layers, got {got}")
    found: list[Affine] = []
    for i, (W, b) in enumerate(layers):
        inputs = len(found[-1].b) if found else first
        outputs = last if i == len(layers) - 1 else "k"
        W = squarable(f"{name}[{i}].W", W, (outputs, inputs), analytic=analytic)
        found.append(Affine(W, squarable(f"{name}[{i}].b", b, (len(W),), analytic=analytic)))
    return tuple(found)


def _names(layers: Layers, activation: str, last: str) -> list[str]:
    return [activation] * (len(layers) - 1) + [last] * bool(layers)
