"""The network of an auto-encoder: an encoder and a decoder, each an MLP; their weights free or tied.

    encoder   h_0 = y,     h_l = f(W_l h_(l-1) + b_l),   l = 1 .. L,   h = h_L                                     (1)
    decoder   t_0 = h,     t_m = f(V_m t_(m-1) + c_m),   m = 1 .. M,   y~ = t_M, where the last f is another, g    (2)
    tied      M = L and V_m = W_(L+1-m)^T: the decoder goes the way of the encoder back, with offsets of its own   (3)

    symbol    name                     shape
    W_l, b_l  encoder[l - 1].W, .b     (k_l, k_(l-1)), (k_l,)      k_0 = d, k_L = k
    V_m, c_m  decoder[m - 1].W, .b     (j_m, j_(m-1)), (j_m,)      j_0 = k, j_M = d

Tied, a matrix appears twice in the network, and so its gradient is a sum: with dL/dW and dL/dV as if they were free,
dL = <dL/dW, dW> + <dL/dV, dW^T> = <dL/dW + (dL/dV)^T, dW>.

Source: notes 08-3, "Autoencoder", which writes the decoder as g(W_y y + b_y): its input is the code, g(W_y h + b_y).
"""

from typing import Any, NamedTuple

import numpy as np

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.layers import ACTIVATIONS, Affine, Layers, checked_layers, init_mlp


class Params(NamedTuple):
    """Encoder and decoder, each with weights of its own."""

    encoder: Layers
    decoder: Layers


class Tied(NamedTuple):
    """An encoder, and the offsets of a decoder whose matrices are the encoder's, transposed: equation (3)."""

    encoder: Layers
    offsets: tuple[Array, ...]  # c_1 (k_(L-1),), ..., c_L (d,)


Network = Params | Tied


def init(
    rng: np.random.Generator,
    widths: tuple[int, ...],
    f: str = "tanh",
    *,
    tied: bool = False,
    dtype: Any = np.float64,
) -> Network:
    """Return a random network from the observation to the code, e.g. widths (784, 30), and the same way back.

    Weights are normal with variance 1/inputs (LeCun et al. 1998), twice that for f = "relu" (He et al. 2015); offsets
    are 0. Raises an error that names a wrong argument.
    """
    widths, dtype, power = checked_start(rng, widths, f, dtype)
    encoder = init_mlp(rng, widths, dtype, power)
    if validation.flag("tied", tied):
        return Tied(encoder, tuple(np.zeros(width, dtype) for width in widths[-2::-1]))
    return Params(encoder, init_mlp(rng, widths[::-1], dtype, power))


def checked_start(
    rng: np.random.Generator, widths: tuple[int, ...], f: str, dtype: Any
) -> tuple[tuple[int, ...], np.dtype[Any], float]:
    """Return widths, dtype and the product of the variance of W and its number of inputs, if no argument is wrong."""
    validation.generator("rng", rng)
    validation.choice("f", f, ACTIVATIONS)
    if not isinstance(widths, tuple) or len(widths) < 2:
        raise ValueError(f"widths: expected a tuple of at least two, (d, ..., k), got {widths!r}")
    widths = tuple(validation.count("widths", width) for width in widths)
    return widths, validation.floating("dtype", dtype), 2.0 if f == "relu" else 1.0


def untied(network: Network) -> Params:
    """Return the two networks one by one; the matrices of a tied decoder are views of the encoder's.

    >>> tied = Tied((Affine(np.array([[1.0, 2.0]]), np.zeros(1)),), (np.zeros(2),))
    >>> untied(tied).decoder[0].W.tolist()
    [[1.0], [2.0]]
    """
    if isinstance(network, Params):
        return network
    back = zip(reversed(network.encoder), network.offsets, strict=True)
    return Params(network.encoder, tuple(Affine(layer.W.T, c) for layer, c in back))


def gathered(network: Network, grad: Params) -> Network:
    """Return the gradient for `network` from that for `untied(network)`: those of a tied matrix add up."""
    if isinstance(network, Params):
        return grad
    pairs = zip(grad.encoder, reversed(grad.decoder), strict=True)
    return Tied(tuple(Affine(w.W + v.W.T, w.b) for w, v in pairs), tuple(layer.b for layer in grad.decoder))


def checked(params: Network, *, analytic: bool = False) -> Network:
    """Return the network if its arrays are finite and each fits to the next; else raise an error that names one."""
    if not isinstance(params, Params | Tied):
        raise TypeError(f"params: expected Params or Tied, got {type(params).__name__}")
    encoder = checked_layers("params.encoder", params.encoder, analytic=analytic)
    d, k = encoder[0].W.shape[1], len(encoder[-1].W)
    if isinstance(params, Params):
        return Params(encoder, checked_layers("params.decoder", params.decoder, k, d, analytic=analytic))
    widths = [layer.W.shape[1] for layer in reversed(encoder)]
    if not isinstance(params.offsets, tuple) or len(params.offsets) != len(widths):
        got = f"{len(params.offsets)}" if isinstance(params.offsets, tuple) else type(params.offsets).__name__
        raise ValueError(f"params.offsets: expected a tuple of {len(widths)}, one for each layer, got {got}")
    named = enumerate(zip(params.offsets, widths, strict=True))
    return Tied(
        encoder,
        tuple(validation.squarable(f"params.offsets[{i}]", c, (width,), analytic=analytic) for i, (c, width) in named),
    )
