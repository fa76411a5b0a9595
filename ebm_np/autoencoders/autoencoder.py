r"""The auto-encoder: an energy without a latent variable, since the code is computed, not searched for.

    h = Enc(y),   y~ = Dec(h)                                  two networks, see `network`                         (1)
    E(y, y^) = C(y, Dec(Enc(y^))) + lam R(Enc(y^))             the cost of reconstructing y from an input y^       (2)
    F(y) = E(y, y)                                                                                                 (3)
    C = ||y - y~||^2,  or binary cross-entropy of y in [0, 1] with y~ = sigmoid(a), a the logits                   (4)
    R = 0,  ||h||_1 ("l1"),  ||h||^2 ("l2"),  ||dh/dy||_F^2 ("contractive", see there)                             (5)
    L(F, Y) = 1/N sum_n F(y_n)                                                                                     (6)

    symbol      name          shape     meaning
    y, y~       y, y_tilde    (N, d)    observations, rows are samples; what is decoded
    y^          y_hat         (N, d)    the input: y itself, or y spoiled (`denoising`)
    h           h             (N, k)    code
    f, g        Model.f, .g             activation of all layers but the last; of the last one
    C, R, lam   Model.cost, ...         cost, regulariser and its weight, >= 0

With k < d (under-complete) a code cannot hold all of y: F is low only along a surface of k dimensions, which training
lays through the data, though it may extend far beyond them. With k >= d (over-complete) the identity is within reach: F
is 0 everywhere and means nothing, the energy has collapsed. What then helps: R in (5), an input other than y
(`denoising`), or noise on the code (`variational`).

Derivation
----------
Backpropagation from C and R to all parameters, weights c_n on the samples. Deltas are dL/da of each layer.

1. Decoder: dL/dy~ = 2 c (y~ - y), and its last delta is that times g'; with cross-entropy the delta is c (y~ - y)
   itself, as C is a function of the logits (`costs`).
2. Through the layers delta_(l-1) = (delta_l W_l) * f'; dL/dW_l = delta_l^T h_(l-1), dL/db_l = sum_n delta_l (`layers`).
3. At the code the two parts meet: delta_L = (sum from the decoder) * f' + lam c dR/da_L, with dR/dh = sign(h) for "l1",
   2 h for "l2"; "contractive" adds to the delta of every layer, and to dL/dW_l too.
4. dE/dy^ = delta_1 W_1. And dE/dy = 2 (y - y~), or -a with cross-entropy. dF/dy is the sum of the two, as y stands in
   both places.
5. Linear, without R, data of mean 0 and covariance Sigma: y~ = P y, rank P <= k, and E[F] = tr (I-P) Sigma (I-P)^T is
   least where P projects on the k leading eigenvectors (PCA): then it is the sum of the others' eigenvalues. Only P is
   determined; Enc is free up to an invertible matrix. So the network finds the principal subspace, not its axes.

Source: notes 08-3, "Autoencoder", "Reconstruction costs", "Loss functional"; derivation 5: Baldi & Hornik 1989.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ebm_np.autoencoders import contractive
from ebm_np.autoencoders.network import Network, Params, checked, gathered, untied
from ebm_np.foundations import costs, validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.layers import ACTIVATIONS, Affine, mlp, mlp_backward, mlp_forward, mlp_grad
from ebm_np.foundations.optimizers import adam
from ebm_np.foundations.parameters import in_one_precision
from ebm_np.foundations.results import Fit
from ebm_np.foundations.training import Callback, minimize

COSTS = ("squared_error", "binary_cross_entropy")
REGULARIZERS = ("none", "l1", "l2", "contractive")


class Model(NamedTuple):
    """What is chosen, not learned."""

    f: str = "tanh"  # of all layers but the last: a name in `layers.ACTIVATIONS`
    g: str = "identity"  # of the last layer; "sigmoid" with binary cross-entropy
    cost: str = "squared_error"  # or "binary_cross_entropy"
    regularizer: str = "none"  # "l1", "l2" or "contractive"
    lam: float = 0.0  # its weight, >= 0


def encode(params: Network, y: Array, model: Model) -> Array:
    """Return h = Enc(y): (N, d) -> (N, k). It, `decode` and `reconstruct` raise errors that name an argument."""
    params, y, model = _checked_input(params, y, model)
    return mlp(params.encoder, y, model.f, last=model.f)


def decode(params: Network, h: Array, model: Model) -> Array:
    """Return y~ = Dec(h): (N, k) -> (N, d)."""
    params, model = checked(params), _checked_model(model)
    encoder, decoder = untied(params)
    h = validation.squarable("h", h, ("N", len(encoder[-1].b)))
    return mlp(decoder, h, model.f, last=model.g)


def reconstruct(params: Network, y: Array, model: Model) -> Array:
    """Return y~ = Dec(Enc(y)): (N, d) -> (N, d)."""
    return decode(params, encode(params, y, model), model)


def energy(params: Network, y: Array, y_hat: Array, model: Model) -> Array:
    """Return E(y_n, y^_n), equation (2): (N,)."""
    return _energy(params, y, _forward(params, y_hat, model), model)


def energy_grad_y(params: Network, y: Array, y_hat: Array, model: Model) -> Array:
    """Return dE/dy at a fixed input y^, derivation 4: (N, d)."""
    return _cost_grad_y(y, _forward(params, y_hat, model), model)


def energy_grad_y_hat(params: Network, y: Array, y_hat: Array, model: Model) -> Array:
    """Return dE/dy^ at a fixed y, derivation 4: (N, d)."""
    return _grad_y_hat(params, y, _forward(params, y_hat, model), model)


def energy_grad_params(params: Network, y: Array, y_hat: Array, model: Model, weights: Array) -> Network:
    """Return d/dparams of sum_n weights_n E(y_n, y^_n), derivations 1 to 3."""
    return _grad_params(params, y, _forward(params, y_hat, model), model, weights)


def free_energy(params: Network, y: Array, model: Model) -> Array:
    """Return F(y), equation (3): (N,). It and its gradients raise an error that names a wrong argument."""
    params, y, model = _checked(params, y, model)
    with np.errstate(over="ignore", invalid="ignore"):  # no warning besides the error
        return validation.array("F(y)", energy(params, y, y, model), y.shape[:1])


def free_energy_grad_y(params: Network, y: Array, model: Model) -> Array:
    """Return dF/dy, derivation 4: (N, d)."""
    params, y, model = _checked(params, y, model)
    passed = _forward(params, y, model)
    return _cost_grad_y(y, passed, model) + _grad_y_hat(params, y, passed, model)


def free_energy_grad_params(params: Network, y: Array, model: Model, weights: Array | None = None) -> Network:
    """Return d/dparams of sum_n weights_n F(y_n); without weights, of the mean over samples."""
    params, y, model = _checked(params, y, model)
    c = validation.sample_weights(weights, y)
    return energy_grad_params(params, y, y, model, c)


def fit(
    params: Network,
    y: Array,
    rng: np.random.Generator,
    model: Model,
    *,
    corrupt: Callable[[Array], Array] | None = None,
    n_epochs: int = 20,
    batch_size: int | None = 256,
    rate: float = 1e-3,
    callback: Callback | None = None,
) -> Fit[Network]:
    """Return a network that makes F low on the data, by Adam.

    `history` has the mean E of each epoch, (6). float32 stays float32. Raises an error that names a wrong argument, and
    `FloatingPointError` if a parameter is no longer finite.

    Parameters
    ----------
    params : where to start, see `network.init`; never written to
    y : data (N, d), in [0, 1] for binary cross-entropy
    rng : shuffles the samples
    corrupt : function of a batch y that returns its input y^, drawn anew at each call (`denoising.fit`); None: y^ = y
    callback : called after each epoch with its number and its mean E
    """
    params, y, model = _checked(params, y, model)
    validation.generator("rng", rng)
    if corrupt is not None:
        validation.function("corrupt", corrupt)
    params, y = in_one_precision(params, y)

    def loss_and_grad(params: Network, batch: Array) -> tuple[float, Network]:
        some = y[batch]
        y_hat = some if corrupt is None else validation.squarable("corrupt(y)", corrupt(some), some.shape)
        passed = _forward(params, y_hat.astype(y.dtype, copy=False), model)
        mean = np.full(len(batch), 1 / len(batch), y.dtype)
        loss = _energy(params, some, passed, model).mean(dtype=np.float64)
        return loss, _grad_params(params, some, passed, model, mean)

    options: dict[str, Any] = {"n_epochs": n_epochs, "batch_size": batch_size, "rng": rng, "callback": callback}
    return minimize(loss_and_grad, params, len(y), optimizer=adam(rate), **options)


class _Passed(NamedTuple):
    """What a forward pass keeps: the layers' outputs, from y^ to the code and from there to what C sees (y~ or a)."""

    encoder: list[Array]
    decoder: list[Array]


class _Deltas(NamedTuple):
    """What a backward pass finds: dL/da of each layer, and the part of dL/dW that comes from R directly, if any."""

    encoder: list[Array]
    decoder: list[Array]
    in_matrices: list[Array]  # of the encoder; empty if R sees the code alone


def _last(model: Model) -> str:
    """Return the last activation as C wants it: cross-entropy takes logits."""
    return model.g if model.cost == "squared_error" else "identity"


def _forward(params: Network, y_hat: Array, model: Model) -> _Passed:
    hs = mlp_forward(params.encoder, y_hat, model.f, last=model.f)
    return _Passed(hs, mlp_forward(untied(params).decoder, hs[-1], model.f, last=_last(model)))


def _energy(params: Network, y: Array, passed: _Passed, model: Model) -> Array:
    squared = model.cost == "squared_error"
    cost = (costs.squared_error if squared else costs.binary_cross_entropy)(y, passed.decoder[-1])
    h = passed.encoder[-1]
    match model.regularizer:
        case "l1":
            return cost + model.lam * np.maximum(h, -h).sum(axis=-1)  # |h|, for the complex step
        case "l2":
            return cost + model.lam * np.square(h).sum(axis=-1)
        case "contractive":
            return cost + model.lam * contractive.penalty(params.encoder, passed.encoder, model.f)
    return cost


def _cost_grad_y(y: Array, passed: _Passed, model: Model) -> Array:
    seen = passed.decoder[-1]
    return -costs.squared_error_grad(y, seen) if model.cost == "squared_error" else -seen


def _backward(params: Network, y: Array, passed: _Passed, model: Model, weights: Array) -> _Deltas:
    """Return the deltas of sum_n weights_n E_n, derivations 1 to 3."""
    encoder, decoder = untied(params)
    squared = model.cost == "squared_error"
    cost_grad = (costs.squared_error_grad if squared else costs.binary_cross_entropy_grad)(y, passed.decoder[-1])
    from_cost = mlp_backward(decoder, passed.decoder, weights[:, None] * cost_grad, model.f, last=_last(model))
    in_matrices, also = _regularizer_grad(params, passed.encoder, model, model.lam * weights)
    at_code = from_cost[0] @ decoder[0].W
    return _Deltas(mlp_backward(encoder, passed.encoder, at_code, model.f, model.f, also), from_cost, in_matrices)


def _regularizer_grad(
    params: Network, hs: list[Array], model: Model, q: Array
) -> tuple[list[Array], Sequence[Array | float] | None]:
    """Return the direct derivatives of sum_n q_n R_n in each matrix and in each a of the encoder."""
    h = hs[-1]
    match model.regularizer:
        case "contractive":
            return contractive.penalty_grad(params.encoder, hs, model.f, q)
        case "l1" | "l2":
            in_code = q[:, None] * (np.sign(h) if model.regularizer == "l1" else 2 * h)
            return [], [0.0] * (len(hs) - 2) + [in_code * ACTIVATIONS[model.f].slope(h)]
    return [], None


def _grad_y_hat(params: Network, y: Array, passed: _Passed, model: Model) -> Array:
    each = np.ones(len(y), y.dtype)
    return _backward(params, y, passed, model, each).encoder[0] @ params.encoder[0].W


def _grad_params(params: Network, y: Array, passed: _Passed, model: Model, weights: Array) -> Network:
    deltas = _backward(params, y, passed, model, weights)
    encoder, decoder = mlp_grad(passed.encoder, deltas.encoder), mlp_grad(passed.decoder, deltas.decoder)
    if deltas.in_matrices:
        encoder = tuple(Affine(W + more, b) for (W, b), more in zip(encoder, deltas.in_matrices, strict=True))
    return gathered(params, Params(encoder, decoder))


def _checked(params: Network, y: Array, model: Model) -> tuple[Network, Array, Model]:
    params, y, model = _checked_input(params, y, model)
    with np.errstate(over="ignore"):
        validation.squarable("model.lam", np.asarray(model.lam).astype(y.dtype), ())
    if model.cost == "binary_cross_entropy" and (y.min() < 0 or y.max() > 1):
        raise ValueError(f"y: expected numbers in [0, 1] for binary cross-entropy, got {y.min():.3g} to {y.max():.3g}")
    return params, y, model


def _checked_input(params: Network, y: Array, model: Model) -> tuple[Network, Array, Model]:
    """Return all three, checked; y may be a y^, of which nothing is asked but that it can be squared."""
    params = checked(params)
    return params, validation.squarable("y", y, ("N", params.encoder[0].W.shape[1])), _checked_model(model)


def _checked_model(model: Model) -> Model:
    if not isinstance(model, Model):
        raise TypeError(f"model: expected an autoencoder.Model, got {type(model).__name__}")
    validation.choice("model.f", model.f, ACTIVATIONS)
    validation.choice("model.g", model.g, ACTIVATIONS)
    validation.choice("model.cost", model.cost, COSTS)
    validation.choice("model.regularizer", model.regularizer, REGULARIZERS)
    if model.cost == "binary_cross_entropy":
        validation.choice("model.g, with binary cross-entropy", model.g, ("sigmoid",))
    return model._replace(lam=validation.non_negative("model.lam", model.lam))  # a float lets float32 stay
