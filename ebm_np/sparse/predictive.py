r"""Predictive sparse decomposition: an encoder that guesses the code, and an energy that pulls the two together.

    E(y, z) = C + alpha D + lam R,   C = ||y - W z||^2,   D = ||z - Enc(y)||^2,   R = ||z||_1                      (1)
    z-check = argmin_z E(y, z)                                                                                     (2)
    F(y) = min_z E(y, z)                                                                                           (3)
    Enc(y) = sh_theta(A y + b)                                                        AffineShrink                 (4)
    Enc(y) = g * tanh(A y + b)                                                        AffineTanh, the paper's      (5)
    Enc(y) = z(K),   z(1) = sh_theta(1)[W_e(1)^T y],                                  `lista.Params`, untied       (6)
             z(t+1) = sh_theta(t+1)[W_e(t+1)^T y + S(t) z(t)]

    symbol    name             shape             meaning
    y         y                (N, d)            observations, rows are samples
    z, z~     z, z_tilde       (N, k)            codes; the encoder's guess Enc(y)
    W         Params.W         (d, k)            decoder, columns are atoms
    A, b      A, b             (k, d), (k,)      (4), (5): filters, one a code, and their offsets
    theta, g  theta, g         (k,)              (4): thresholds >= 0; (5): gains. (6) has theta (K, k), K its steps
    alpha     alpha                              weight of the pull, >= 0
    lam       lam                                weight of the L1 norm, > 0

Inference by (2) is exact and slow, Enc(y) quick and rough. Trained together, the encoder learns what is optimal and the
decoder atoms whose codes can be guessed; then z~ alone may suffice. tanh is 0 at a single point, so (5) gives no sparse
code; shrinkage does. An encoder of your own is a NamedTuple of arrays, a case in `run` and one in `_encoder`.

Derivation
----------
1. C + alpha D = ||y' - W' z||^2 with W' = [W; sqrt(alpha) I], y' = [y; sqrt(alpha) z~], blocks one below the other: (1)
   is sparse coding's energy, of W' and y'. So (2) is convex, and its solvers and certificates serve; if alpha > 0, W'
   has rank k and z-check is unique. W^T W = I: z-check = sh_{lam / (2 (1 + alpha))}[(W^T y + alpha z~) / (1 + alpha)].
2. Let alpha < alpha' have codes z and z'. E_alpha(z) <= E_alpha(z') and E_alpha'(z') <= E_alpha'(z); their sum is
   (alpha' - alpha) (D' - D) <= 0: more pull never makes D larger. And alpha D <= F <= E(y, z~) = C + lam R, the same
   for all alpha: D -> 0 as alpha grows. So z-check goes from sparse coding's (alpha = 0) to Enc(y) (alpha -> infinity).
3. d(C + alpha D)/dz = 2 W^T (W z - y) + 2 alpha (z - z~), the smooth part. With q = dE/dz~ = 2 alpha (z~ - z), chain
   rule: dE/dy = 2 (y - W z) + (dEnc/dy)^T q,  dE/dW = 2 (W z - y) z^T,  dE/d(encoder) = (dEnc/d(encoder))^T q.
4. Backpropagation of q = dl/dz~ through Enc. (4): z~ = sh_theta(u), u = A y + b, so dz~_i = du_i - sign(z~_i) dtheta_i
   where z~_i != 0, else 0. Hence dl/du = p = q 1[z~ != 0], dl/dtheta = -q sign(z~), and dl/db = p, dl/dA = p y^T,
   dl/dy = A^T p. (5): with z~ = g * h, h = tanh(u): dl/du = p = q g (1 - h^2), dl/dg = q h, the rest is the same.
   (6): `lista`, backpropagation through time.
5. Envelope theorem: where z-check can move, 0 is in dE/dz, so dF is dE at a fixed z-check: 3, at z-check. F is
   differentiable in y wherever Enc is; (4) and (6) have kinks where |u_i| = theta_i.
6. Training descends the mean F. By 3 the gradient in W is that of C alone, in the encoder that of alpha D alone: the
   decoder learns to map z-check to y, the encoder to map y to z-check, and they are coupled through z-check only.
7. W must be constrained. W / s for W, s z for z and s Enc(y) for Enc(y) leave C as it is, and as s -> 0 they take D and
   R to 0: F would fall for ever and mean nothing. With ||w_j|| = 1 for every atom, codes have the scale of y.

Source: notes 08-2, "LISTA", figure 3 (without x); Kavukcuoglu, Ranzato & LeCun 2008.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.costs import squared_error, squared_error_grad
from ebm_np.foundations.optimizers import adam, projected, tangent
from ebm_np.foundations.parameters import in_one_precision
from ebm_np.foundations.proximal import shrink
from ebm_np.foundations.results import Fit, Inference
from ebm_np.foundations.training import Callback, minimize
from ebm_np.sparse import lista, sparse_coding


class AffineShrink(NamedTuple):
    """Equation (4)."""

    A: Array  # (k, d)
    b: Array  # (k,)
    theta: Array  # (k,)


class AffineTanh(NamedTuple):
    """Equation (5)."""

    A: Array  # (k, d)
    b: Array  # (k,)
    g: Array  # (k,)


Encoder = AffineShrink | AffineTanh | lista.Params


class Vjp(NamedTuple):
    """q = dl/dEnc(y), (N, k) -> dl/d(encoder), summed over samples, and -> dl/dy, (N, d)."""

    encoder: Callable[[Array], Encoder]
    y: Callable[[Array], Array]


class Params(NamedTuple):
    """Decoder and encoder."""

    W: Array  # (d, k)
    encoder: Encoder


def init(
    rng: np.random.Generator, d: int, k: int, encoder: str, lam: float, n_steps: int = 3, dtype: Any = np.float64
) -> Params:
    """Return k random atoms of unit norm with an encoder made `from_dictionary`."""
    return from_dictionary(sparse_coding.init(rng, d, k, dtype).W, encoder, lam, n_steps)


def from_dictionary(W: Array, encoder: str, lam: float, n_steps: int = 3) -> Params:
    """Return a dictionary (d, k) with an encoder to be trained: "shrink", "tanh" or "lista".

    "shrink" is one step of ISTA, "lista" n_steps of them; "tanh" has at 0 the slope of ISTA's gradient step, and
    saturates at lam.
    """
    validation.choice("encoder", encoder, ("shrink", "tanh", "lista"))
    validation.count("n_steps", n_steps)
    net = lista.from_dictionary(W, validation.positive("lam", lam, moderate=True))
    W, A, zero, gain = np.asarray(W, net.S.dtype), net.W_e.T, np.zeros_like(net.theta), np.full_like(net.theta, lam)
    if encoder == "lista":
        return Params(W, lista.untie(net, n_steps))
    return Params(W, AffineShrink(A, zero, net.theta) if encoder == "shrink" else AffineTanh(A / lam, zero, gain))


def run(encoder: Encoder, y: Array) -> tuple[Array, Vjp]:
    """Return Enc(y), equations (4) to (6), and its vector-Jacobian products, derivation 4."""
    match encoder:
        case AffineShrink(A, b, theta):
            z_tilde = shrink(y @ A.T + b, theta)
            sign = np.sign(z_tilde)
            return z_tilde, _vjp(encoder, y, sign**2, -sign)
        case AffineTanh(A, b, g):
            h = np.tanh(y @ A.T + b)
            return g * h, _vjp(encoder, y, g * (1 - h**2), h)
        case lista.Params():
            z = lista.unroll(encoder, y, len(encoder.theta))
            return z[-1], Vjp(partial(lista.vjp_params, encoder, y, z), partial(lista.vjp_y, encoder, z))


def encode(params: Params, y: Array) -> Array:
    """Return z~ = Enc(y): (N, d) -> (N, k)."""
    return run(params.encoder, y)[0]


def decode(params: Params, z: Array) -> Array:
    """Return y~ = W z: (N, k) -> (N, d)."""
    return sparse_coding.decode(_dictionary(params), z)


def distance(params: Params, y: Array, z: Array) -> Array:
    """Return D = ||z_n - Enc(y_n)||^2: (N,)."""
    return squared_error(z, encode(params, y))


def energy(params: Params, y: Array, z: Array, alpha: float, lam: float) -> Array:
    """Return E(y_n, z_n), equation (1): (N,)."""
    return sparse_coding.energy(_dictionary(params), y, z, lam) + alpha * distance(params, y, z)


def smooth_grad_z(params: Params, y: Array, z: Array, alpha: float) -> Array:
    """Return the gradient of the smooth part, d(C + alpha D)/dz, derivation 3: (N, k)."""
    return sparse_coding.cost_grad_z(_dictionary(params), y, z) + alpha * squared_error_grad(encode(params, y), z)


def energy_grad_y(params: Params, y: Array, z: Array, alpha: float) -> Array:
    """Return dE/dy, on which the encoder's guess depends too, derivation 3: (N, d)."""
    z_tilde, vjp = run(params.encoder, y)
    return sparse_coding.energy_grad_y(_dictionary(params), y, z) + vjp.y(alpha * squared_error_grad(z, z_tilde))


def energy_grad_params(params: Params, y: Array, z: Array, alpha: float, weights: Array) -> Params:
    """Return d/dparams of sum_n weights_n E(y_n, z_n), derivation 3 and 4."""
    z_tilde, vjp = run(params.encoder, y)
    q = weights[:, None] * alpha * squared_error_grad(z, z_tilde)
    return Params(sparse_coding.energy_grad_params(_dictionary(params), y, z, weights).W, vjp.encoder(q))


def augmented(params: Params, y: Array, alpha: float) -> tuple[sparse_coding.Params, Array]:
    """Return W' and y' of derivation 1: (d + k, k) and (N, d + k); just W and y where alpha is 0."""
    if alpha == 0:
        return _dictionary(params), y
    root, W = math.sqrt(alpha), params.W
    longer = np.concatenate([W, root * np.eye(W.shape[1], dtype=W.dtype)])
    return sparse_coding.Params(longer), np.concatenate([y, root * encode(params, y)], axis=1)


def infer(params: Params, y: Array, alpha: float, lam: float, method: str = "active_set", **options: Any) -> Inference:
    """Return z-check = argmin_z E(y, z), equation (2), for all samples at once: sparse coding by derivation 1.

    Parameters
    ----------
    alpha : >= 0; with 0 this is `sparse_coding.infer` itself. Rounding lets no gap be certified below some alpha
        ||z||^2 eps, eps = 1e-16 (1e-7 if `tol` is at least 1e-4 and all arrays are float32): tol E should exceed it
    lam, method, options : those of `sparse_coding.infer`, whose errors and warnings come through; `z0` is the encoder's
        guess if not given
    """
    params, y, alpha = _checked(params, y, alpha)
    with np.errstate(over="ignore", invalid="ignore"):  # no warning besides the error
        z_tilde = encode(params, y)
        validation.squarable("max(1, sqrt(alpha)) Enc(y)", max(1.0, math.sqrt(alpha)) * z_tilde, z_tilde.shape)
    options = {"z0": z_tilde} | options if alpha else options
    found = sparse_coding.infer(*augmented(params, y, alpha), lam, method, **options)
    return found._replace(energy=energy(params, y, found.z, alpha, lam))


def free_energy(params: Params, y: Array, alpha: float, lam: float, **options: Any) -> Array:
    """Return F(y), equation (3): (N,). The options are those of `infer`."""
    return infer(params, y, alpha, lam, **options).energy


def free_energy_grad_y(params: Params, y: Array, alpha: float, lam: float, **options: Any) -> Array:
    """Return dF/dy, derivation 5: (N, d)."""
    found = infer(params, y, alpha, lam, **options)
    return energy_grad_y(params, np.asarray(y), found.z, float(alpha))


def free_energy_grad_params(
    params: Params, y: Array, alpha: float, lam: float, weights: Array | None = None, **options: Any
) -> Params:
    """Return d/dparams of sum_n weights_n F(y_n), derivation 5; without weights, of the mean over samples."""
    found = infer(params, y, alpha, lam, **options)
    c = validation.sample_weights(weights, found.z)
    return energy_grad_params(params, np.asarray(y), found.z, float(alpha), c)


def fit(
    params: Params,
    y: Array,
    rng: np.random.Generator,
    *,
    alpha: float = 1.0,
    lam: float,
    n_epochs: int = 10,
    batch_size: int | None = 100,
    rate: float = 1e-3,
    tol: float = 1e-3,
    callback: Callback | None = None,
) -> Fit[Params]:
    """Return a decoder and an encoder that make F low on the data: derivation 6 by Adam.

    Atoms move along the unit sphere, thresholds stay at least 0. `history` has the mean F of each epoch. float32 stays
    float32. Raises an error that names a wrong argument, and `FloatingPointError` if the loss or a parameter is no
    longer finite.

    Parameters
    ----------
    params : where to start; never written to
    y : data (N, d)
    rng : shuffles the samples
    alpha : >= 0; with 0 the encoder has no gradient, and stays as it is
    lam : > 0
    rate : of Adam; for "lista", whose steps multiply one another, at most some 3e-3
    tol : of `infer`, for the codes of a batch
    callback : called after each epoch with its number and its mean F
    """
    params, y, alpha = _checked(params, y, alpha)
    lam, rng = validation.positive("lam", lam), validation.generator("rng", rng)
    params, y = in_one_precision(params, y)

    def loss_and_grad(params: Params, batch: Array) -> tuple[float, Params]:
        found = infer(params, y[batch], alpha, lam, tol=tol)
        mean = np.full(len(batch), 1 / len(batch), y.dtype)
        return found.energy.mean(dtype=np.float64), energy_grad_params(params, y[batch], found.z, alpha, mean)

    optimizer = projected(adam(rate), _held, lambda at, grads: grads._replace(W=tangent(at.W, grads.W, 0)))
    options: dict[str, Any] = {"n_epochs": n_epochs, "batch_size": batch_size, "rng": rng, "callback": callback}
    return minimize(loss_and_grad, _held(params), len(y), optimizer=optimizer, **options)


def _dictionary(params: Params) -> sparse_coding.Params:
    return sparse_coding.Params(params.W)


def _vjp(encoder: AffineShrink | AffineTanh, y: Array, slope: Array, last: Array) -> Vjp:
    """Return the VJPs where Enc(y) has the derivatives `slope` in A y + b, and `last` in the encoder's last field."""

    def in_encoder(q: Array) -> Encoder:
        p = q * slope
        return type(encoder)(p.T @ y, p.sum(axis=0), (q * last).sum(axis=0))

    return Vjp(in_encoder, lambda q: (q * slope) @ encoder.A)


def _held(params: Params) -> Params:
    """Return the parameters projected on the allowed ones: unit columns, thresholds of at least 0."""
    W, encoder = sparse_coding.unit_columns(_dictionary(params)).W, params.encoder
    if isinstance(encoder, AffineShrink | lista.Params):
        encoder = encoder._replace(theta=np.maximum(encoder.theta, 0))
    return Params(W, encoder)


def _checked(params: Params, y: Array, alpha: float) -> tuple[Params, Array, float]:
    """Return the arguments of `infer`, checked."""
    W = validation.squarable("params.W", validation.instance("params", params, Params).W, ("d", "k"))
    params = Params(W, _encoder(params.encoder, *W.shape))
    y, alpha = validation.squarable("y", y, ("N", len(W))), validation.non_negative("alpha", alpha)
    with np.errstate(over="ignore"):  # no warning besides the error
        validation.squarable("alpha", np.asarray(alpha).astype(W.dtype), ())
    return params, y, alpha


def _encoder(encoder: Encoder, d: int, k: int) -> Encoder:
    """Return the encoder with its arrays checked; only S may be empty, which it is for a single step."""
    match encoder:
        case AffineShrink() | AffineTanh():
            shapes: tuple[tuple[int, ...], ...] = (k, d), (k,), (k,)
        case lista.Params():
            K = len(validation.array("params.encoder.theta", encoder.theta, ("K", k)))
            shapes = (K, d, k), (K - 1, k, k), (K, k)
        case _:
            raise TypeError(f"params.encoder: expected {Encoder}, got {type(encoder).__name__}")
    named = zip(encoder._fields, encoder, shapes, strict=True)
    encoder = type(encoder)(*(validation.array(f"params.encoder.{n}", a, s, empty=True) for n, a, s in named))
    if isinstance(encoder, AffineShrink | lista.Params) and (encoder.theta < 0).any():
        raise ValueError(f"params.encoder.theta: expected thresholds >= 0, got {encoder.theta.min():.3g}")
    return encoder
