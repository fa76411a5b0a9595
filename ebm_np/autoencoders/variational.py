r"""The variational auto-encoder: each sample's code is a fuzzy ball, and the balls are held together by springs.

    (mu, a) = Enc(y),   log v = B tanh(a / B)                  centre and variance of the ball, number by number   (1)
    z = mu + eps sqrt(v),   eps ~ N(0, I)                      a point of it                                       (2)
    F~(y) = C(y, Dec(z)) + beta KL(mu, v)                                                                          (3)
    KL = D_KL(N(mu, v) || N(0, I)) = U(mu) + V(v),   U = (1/2) sum_i mu_i^2,   V = (1/2) sum_i (v_i - log v_i - 1) (4)
    C = -log p(y | z), in nats:
        "bernoulli"   binary cross-entropy of y with y~ = sigmoid(Dec(z)), Dec's output being logits. For gray y,  (5)
                      in (0, 1), it is the mean of -log p over random bits of mean y, not -log of a density of y
        "gaussian"    ||y - Dec(z)||^2 / (2 s) + (d / 2) log(2 pi s), observation variance s                       (6)

    symbol     name                  shape     meaning
    y, y~      y                     (N, d)    observations, rows are samples; the mean of p(y | z)
    mu, v      mu, v                 (N, k)    mean and *variance* of q(z | y)
    eps, z     eps, z                (N, k)    standard normal numbers; code
    Enc, Dec   encoder, decoder      MLPs      activation f after each layer but the last; Enc ends in 2 k numbers
    s          exp(log_s)            (1,)      learned if Model.learn_s, else as it is
    beta       Model.beta                      weight of KL, >= 0; 1 is the bound (derivation 3)

Without KL the balls fly apart, or shrink to points, until none overlaps: then C is least, nothing is known of what lies
between, and this is a plain auto-encoder. U is a spring from each centre to 0, and V holds each radius near 1: V = 0 at
v = 1 alone. (Three slips of the notes: they want mean "and variance close to zero", but V draws the variance to 1; they
write z with "the square root of the standard deviation v", but v is the variance; and their (4) has no brackets, so
that -1 and mu^2 stand outside of the sum.)

B = 20: log v is nearly a for |a| well below B, and v between 2e-9 and 5e8; in float32 exp(a) would overflow at 89.

Derivation
----------
1. log N(z; mu, v) - log N(z; 0, 1) = (1/2) [z^2 - (z - mu)^2 / v - log v], and its mean over z ~ N(mu, v), where
   E z^2 = mu^2 + v, is (1/2) [mu^2 + v - 1 - log v]: (4). As x - 1 >= log x, it is positive but for mu = 0, v = 1.
2. (2) has mean mu, variance v, and a derivative (the reparametrisation trick): dz = dmu + (1/2) eps sqrt(v) dlog v.
   With g = dC/dz:  dF~/dmu = g + beta mu,   dF~/dlog v = (1/2) [g eps sqrt(v) + beta (v - 1)],   dlog v/da = 1 -
   tanh(a / B)^2.
3. log p(y) = log E_q [p(y | z) p(z) / q(z | y)] >= E_q log [...] = -E_q C - KL (Jensen): the mean of -F~ over eps, with
   beta = 1, is a lower bound, the ELBO (for gray y under "bernoulli": on the mean of log p over the bits). The gap is
   D_KL(q(z | y) || p(z | y)): none if q is the posterior.
4. (6): dC/dy~ = (y~ - y) / s,   dC/dlog s = (1/2) (d - ||y - y~||^2 / s): at its best, s is the mean squared error.

Source: notes 08-2, "Variational autoencoder", figures 8 to 10; 08-3, "VAE", figures 5 to 8; Kingma & Welling 2014.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ebm_np.autoencoders import network
from ebm_np.foundations import costs, layers, validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.layers import ACTIVATIONS, Affine, Layers, init_mlp, mlp, mlp_backward, mlp_forward, mlp_grad
from ebm_np.foundations.numerics import sigmoid
from ebm_np.foundations.optimizers import adam
from ebm_np.foundations.parameters import in_one_precision
from ebm_np.foundations.results import Fit
from ebm_np.foundations.training import Callback, minimize

B = 20.0
"""Bound of |log v|, equation (1)."""
COSTS = ("bernoulli", "gaussian")


class Params(NamedTuple):
    """What is learned."""

    encoder: Layers  # the last layer gives mu and a, one after the other
    decoder: Layers
    log_s: Array  # (1,); log of the gaussian cost's observation variance


class Model(NamedTuple):
    """What is chosen, not learned."""

    f: str = "relu"  # of all layers but the last: a name in `layers.ACTIVATIONS`
    cost: str = "bernoulli"  # or "gaussian"
    beta: float = 1.0  # weight of KL, >= 0
    v: float | None = None  # > 0: of every ball, whatever the encoder says; None: the encoder's
    learn_s: bool = False  # the observation variance


def init(
    rng: np.random.Generator,
    widths: tuple[int, ...] = (784, 400, 20),
    f: str = "relu",
    *,
    s: float = 1.0,
    power: float | None = None,
    last: float = 1.0,
    dtype: Any = np.float64,
) -> Params:
    """Return a random encoder from the observation to the code, widths (d, ..., k), and a decoder the same way back.

    W ~ N(0, power / inputs) and offsets 0, the two last layers' W multiplied by `last`: with 0 every ball starts as the
    prior, and all of them decode to the same. On digits power 1/3 and last 0 are worth 1.5 nats after ten epochs. Power
    None and the errors are those of `network.init`; s is the observation variance of the gaussian cost.
    """
    widths, dtype, usual = network.checked_start(rng, widths, f, dtype)
    power = usual if power is None else validation.positive("power", power)
    last, s = validation.non_negative("last", last), validation.positive("s", s)
    *encoder, mu = init_mlp(rng, widths, dtype, power)
    *decoder, out = init_mlp(rng, widths[::-1], dtype, power)
    (a,) = init_mlp(rng, widths[-2:], dtype, power)
    ball = Affine(last * np.concatenate([mu.W, a.W]), np.concatenate([mu.b, a.b]))
    return Params((*encoder, ball), (*decoder, Affine(last * out.W, out.b)), np.log(np.array([s], dtype)))


def encode(params: Params, y: Array, model: Model) -> tuple[Array, Array]:
    """Return centre mu and variance v of each sample's ball, equation (1): (N, d) -> (N, k), (N, k)."""
    params, y, model = checked(params, y, model)
    mu, log_v = _ball(mlp(params.encoder, y, model.f), model)
    return mu, np.exp(log_v)


def sample(mu: Array, v: Array, eps: Array) -> Array:
    """Return z = mu + eps sqrt(v), equation (2)."""
    return mu + eps * np.sqrt(v)


def decode(params: Params, z: Array, model: Model) -> Array:
    """Return y~, the mean of p(y | z): (N, k) -> (N, d)."""
    params, model = checked_params(params), _checked_model(model)
    out = mlp(params.decoder, validation.squarable("z", z, ("N", params.decoder[0].W.shape[1])), model.f)
    return sigmoid(out) if model.cost == "bernoulli" else out


def cost(params: Params, y: Array, z: Array, model: Model) -> Array:
    """Return C(y, Dec(z)), equation (5) or (6): (N, d), (N, k) -> (N,)."""
    return _cost(y, mlp(params.decoder, z, model.f), params, model)


def parts(params: Params, y: Array, eps: Array, model: Model) -> tuple[Array, Array]:
    """Return C and KL of each sample, the two terms of (3): (N,), (N,)."""
    passed = _forward(params, y, eps, model)
    return _cost(y, passed.decoder[-1], params, model), costs.gaussian_kl(passed.mu, passed.log_v)


def free_energy(params: Params, y: Array, eps: Array, model: Model) -> Array:
    """Return F~(y), equation (3), with the noise eps (N, k) that is handed in: (N,)."""
    params, y, eps, model = _checked_with_noise(params, y, eps, model)
    with np.errstate(over="ignore", invalid="ignore"):  # no warning besides the error
        c, kl = parts(params, y, eps, model)
        return validation.array("F~(y)", c + model.beta * kl, y.shape[:1])


def elbo(params: Params, y: Array, eps: Array, model: Model) -> Array:
    """Return the ELBO with one eps: its mean over eps is a lower bound of log p(y), derivation 3, in nats: (N,)."""
    return -free_energy(params, y, eps, _checked_model(model)._replace(beta=1.0))


def free_energy_grad_y(params: Params, y: Array, eps: Array, model: Model) -> Array:
    """Return dF~/dy at the same noise: through C, and through the ball: (N, d)."""
    params, y, eps, model = _checked_with_noise(params, y, eps, model)
    passed = _forward(params, y, eps, model)
    deltas = _backward(params, y, passed, model, np.ones(len(y), y.dtype))
    out = passed.decoder[-1]
    direct = -out if model.cost == "bernoulli" else (y - out) * np.exp(-params.log_s)
    return direct + deltas.encoder[0] @ params.encoder[0].W


def free_energy_grad_params(params: Params, y: Array, eps: Array, model: Model, weights: Array | None = None) -> Params:
    """Return d/dparams of sum_n weights_n F~(y_n), derivations 2 and 4; without weights, of the mean over samples.

    The part of log_s is 0 unless `model.learn_s`.
    """
    params, y, eps, model = _checked_with_noise(params, y, eps, model)
    return _grad_params(params, y, _forward(params, y, eps, model), model, validation.sample_weights(weights, y))


def fit(
    params: Params,
    y: Array,
    rng: np.random.Generator,
    model: Model,
    *,
    n_epochs: int = 10,
    batch_size: int | None = 128,
    rate: float = 1e-3,
    callback: Callback | None = None,
    watch: Callable[[int, Params], None] | None = None,
) -> Fit[Params]:
    """Return parameters that make F~ low on the data, by Adam, with new noise for each batch.

    `history` has the mean F~ of each epoch. float32 stays float32. Raises an error that names a wrong argument, and
    `FloatingPointError` if the loss or a parameter is no longer finite.

    Parameters
    ----------
    params : where to start, see `init`; never written to
    y : data (N, d), in [0, 1] for the bernoulli cost
    rng : shuffles the samples and draws the noise
    callback : called after each epoch with its number and its mean F~
    watch : called before the first epoch and after each with its number, from 0, and the parameters
    """
    validation.generator("rng", rng)
    params, y, model = checked(params, y, model)
    (params, y), k = in_one_precision(params, y), params.decoder[0].W.shape[1]

    def loss_and_grad(params: Params, batch: Array) -> tuple[float, Params]:
        some = y[batch]
        passed = _forward(params, some, rng.standard_normal((len(batch), k), y.dtype), model)
        loss = _cost(some, passed.decoder[-1], params, model) + model.beta * costs.gaussian_kl(passed.mu, passed.log_v)
        weights = np.full(len(batch), 1 / len(batch), y.dtype)
        return loss.mean(dtype=np.float64), _grad_params(params, some, passed, model, weights)

    options: dict[str, Any] = {"n_epochs": n_epochs, "batch_size": batch_size, "rng": rng, "callback": callback}
    return minimize(loss_and_grad, params, len(y), optimizer=adam(rate), watch=watch, **options)


class _Passed(NamedTuple):
    """What a forward pass keeps."""

    encoder: list[Array]
    decoder: list[Array]
    mu: Array
    log_v: Array
    root_v: Array
    eps: Array


class _Deltas(NamedTuple):
    """What a backward pass finds: dL/da of each layer, and dL/dlog s."""

    encoder: list[Array]
    decoder: list[Array]
    log_s: Array


def _ball(out: Array, model: Model) -> tuple[Array, Array]:
    """Return mu and log v from the encoder's last layer, equation (1)."""
    k = out.shape[1] // 2
    if model.v is None:
        return out[:, :k], B * np.tanh(out[:, k:] / B)
    return out[:, :k], np.full_like(out[:, :k], np.log(model.v))


def _forward(params: Params, y: Array, eps: Array, model: Model) -> _Passed:
    hs = mlp_forward(params.encoder, y, model.f)
    mu, log_v = _ball(hs[-1], model)
    root_v = np.exp(log_v / 2)
    return _Passed(hs, mlp_forward(params.decoder, mu + eps * root_v, model.f), mu, log_v, root_v, eps)


def _cost(y: Array, out: Array, params: Params, model: Model) -> Array:
    """Return C from what the decoder ends in, equation (5) or (6): (N,)."""
    if model.cost == "bernoulli":
        return costs.binary_cross_entropy(y, out)
    (log_s,) = params.log_s
    return 0.5 * (costs.squared_error(y, out) * np.exp(-log_s) + y.shape[1] * (math.log(2 * math.pi) + log_s))


def _backward(params: Params, y: Array, passed: _Passed, model: Model, weights: Array) -> _Deltas:
    """Return the deltas of L = sum_n weights_n F~_n, derivations 2 and 4; in_q stands for dL/dq."""
    out, c = passed.decoder[-1], weights[:, None]
    if model.cost == "bernoulli":
        in_out, in_log_s = costs.binary_cross_entropy_grad(y, out), np.zeros_like(params.log_s)
    else:
        precision = np.exp(-params.log_s)
        in_out = (out - y) * precision
        in_log_s = 0.5 * (weights * (y.shape[1] - costs.squared_error(y, out) * precision)).sum(keepdims=True)
    from_cost = mlp_backward(params.decoder, passed.decoder, c * in_out, model.f)
    g = from_cost[0] @ params.decoder[0].W
    kl_mu, kl_log_v = costs.gaussian_kl_grad(passed.mu, passed.log_v)
    in_mu = g + model.beta * c * kl_mu
    bend = 1 - np.square(passed.log_v / B) if model.v is None else 0.0
    in_a = (0.5 * g * passed.eps * passed.root_v + model.beta * c * kl_log_v) * bend
    from_ball = mlp_backward(params.encoder, passed.encoder, np.concatenate([in_mu, in_a], axis=1), model.f)
    return _Deltas(from_ball, from_cost, in_log_s if model.learn_s else np.zeros_like(in_log_s))


def _grad_params(params: Params, y: Array, passed: _Passed, model: Model, weights: Array) -> Params:
    deltas = _backward(params, y, passed, model, weights)
    return Params(mlp_grad(passed.encoder, deltas.encoder), mlp_grad(passed.decoder, deltas.decoder), deltas.log_s)


def checked(params: Params, y: Array, model: Model) -> tuple[Params, Array, Model]:
    """Return all three as the functions above want them, or raise an error that names the argument."""
    params, model = checked_params(params), _checked_model(model)
    y = validation.squarable("y", y, ("N", params.encoder[0].W.shape[1]))
    if model.cost == "bernoulli" and (y.min() < 0 or y.max() > 1):
        raise ValueError(f"y: expected numbers in [0, 1] for the bernoulli cost, got {y.min():.3g} to {y.max():.3g}")
    return params, y, model


def checked_params(params: Params) -> Params:
    """Return the parameters if their arrays are finite and fit to each other."""
    validation.instance("params", params, Params)
    encoder = layers.checked_layers("params.encoder", params.encoder)
    d, both = encoder[0].W.shape[1], len(encoder[-1].W)
    if both % 2:
        raise ValueError(f"params.encoder: expected an even number at the end, mu and a, got {both}")
    decoder = layers.checked_layers("params.decoder", params.decoder, both // 2, d)
    return Params(encoder, decoder, validation.log_variance("params.log_s", params.log_s, (1,)))


def _checked_with_noise(params: Params, y: Array, eps: Array, model: Model) -> tuple[Params, Array, Array, Model]:
    params, y, model = checked(params, y, model)
    return params, y, validation.squarable("eps", eps, (len(y), params.decoder[0].W.shape[1])), model


def _checked_model(model: Model) -> Model:
    validation.instance("model", model, Model)
    validation.choice("model.f", model.f, ACTIVATIONS)
    validation.choice("model.cost", model.cost, COSTS)
    validation.flag("model.learn_s", model.learn_s)
    v = None if model.v is None else validation.positive("model.v", model.v)
    beta = validation.squarable("model.beta", validation.non_negative("model.beta", model.beta), ())
    return model._replace(beta=float(beta), v=v)
