r"""Convolutional sparse auto-encoder: kernels that build an image, and an encoder that guesses where they lie.

    E(y, z) = C + alpha D + lam R,   C = ||y - K * z||^2,   D = ||z - Enc(y)||^2,   R = ||z||_1                    (1)
    z-check = argmin_z E(y, z)                                                                                     (2)
    F(y) = min_z E(y, z)                                                                                           (3)
    Enc(y) = g . sh_theta(A star y)                                                   ShrinkEncoder                (4)
    Enc(y) = g . tanh(A star y + b)                                                   TanhEncoder, the paper's     (5)

    symbol       name           shape           meaning
    y            y              (N, C, H, W)    images
    z, z~        z, z_tilde     (N, M, h, w)    maps; the encoder's guess Enc(y)
    K            Params.K       (M, C, p, q)    kernels of the decoder K * z, which is (1) of `convolutional`
    A            A              (M, C, p, q)    kernels of the encoder; A star y is `correlate(y, A)`, maps like z
    g            g              (M,)            gains, one a map: the diagonal layer
    theta, b     theta, b       (M,)            (4): thresholds >= 0, one a map; (5): offsets, one a map
    alpha        alpha                          weight of the pull, >= 0
    lam          lam                            weight of the L1 norm, > 0

Note 08-2: "simply a convolution followed by some non-linearity and then a diagonal layer to change the scale." It is
`predictive` with weights shared by all places, and if maps have one pixel, it is `predictive`. `boundary` says where
kernels of both kinds may lie (`convolutional`). An encoder of your own is a NamedTuple of arrays and a case in `run`.

Derivation
----------
1. (2) is the problem of `convolutional` with its `Pull`. As alpha goes from 0 to infinity, z-check goes from its codes
   to Enc(y), and D never grows: 2 of `predictive`. Smooth part: d(C + alpha D)/dz = dC/dz + 2 alpha (z - z~).
2. `correlate` is the adjoint of z -> z * A, `kernel_grad` that of A -> z * A. So <v, A star y> = <v * A, y> =
   <kernel_grad(v, y), A>: with u = A star y and v = dl/du, dl/dy = v * A and dl/dA = kernel_grad(v, y).
3. With q = dl/dz~ and z~ = g . h: dl/dg = q h, dl/dh = q g. (4): h = sh_theta(u), dh = du - sign(h) dtheta where
   h != 0: v = q g 1[h != 0], dl/dtheta = -v sign(h). (5): h = tanh(u + b): v = q g (1 - h^2), dl/db = v. The gradients
   in g, theta and b, one number a map, are summed over all places and images.
4. With q = dE/dz~ = 2 alpha (z~ - z): dE/dy = 2 (y - K * z) + v * A, v of 3; dE/dK = dC/dK is that of `convolutional`.
5. Envelope theorem: dF is dE at a fixed z-check. And at any z, E(y, z) >= F(y), with equality at z-check: so `fit`,
   whose codes are a few steps of FISTA from Enc(y), lowers an upper bound of F, the tighter the better the encoder.
6. ||K_m|| = 1, else K / s, s z, s g, s -> 0 would leave C as it is and take D and R to 0: 7 of `predictive`.
7. What the diagonal layer is for: if an image is one K_m, u = A star y with A = K is 1 at its place, but also r = <K_m,
   K_n shifted> for every K_n that overlaps it. If codes are white, of any distribution, and y = K * z, the gain of
   least mean square error, E[(z_m - g_m u_m) u_m] = 0, is g_m = 1 / sum r^2 over all n and shifts: about C / M for
   random kernels. Training starts there: (4) with A = K, theta = lam / 2 is ISTA's first step, (2 / L) sh_{lam/2}(K
   star y), except for the gain; 2 / L is that for the worst of all images. (5) starts with the same slope at 0 and with
   g = lam: as tanh is never above 1, it needs a gain most.

Source: notes 08-2, "Convolutional sparse coding"; Kavukcuoglu et al. 2010.
"""

import math
from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from ebm_np.foundations import validation as check
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.convolution import convolve, correlate, kernel_grad
from ebm_np.foundations.costs import squared_error_grad
from ebm_np.foundations.optimizers import adam, projected, tangent
from ebm_np.foundations.parameters import in_one_precision
from ebm_np.foundations.proximal import shrink
from ebm_np.foundations.results import Fit, Inference
from ebm_np.foundations.training import Callback, minimize
from ebm_np.sparse import convolutional


class ShrinkEncoder(NamedTuple):
    """Equation (4)."""

    A: Array  # (M, C, p, q)
    theta: Array  # (M,)
    g: Array  # (M,)


class TanhEncoder(NamedTuple):
    """Equation (5)."""

    A: Array  # (M, C, p, q)
    b: Array  # (M,)
    g: Array  # (M,)


Encoder = ShrinkEncoder | TanhEncoder


class Vjp(NamedTuple):
    """q = dl/dEnc(y), (N, M, h, w) -> dl/d(encoder), summed over images, and -> dl/dy, (N, C, H, W)."""

    encoder: Callable[[Array], Encoder]
    y: Callable[[Array], Array]


Guess = tuple[Array, Vjp]


class Params(NamedTuple):
    """Decoder and encoder."""

    K: Array  # (M, C, p, q)
    encoder: Encoder


def init(
    rng: np.random.Generator, M: int, C: int, p: int, q: int, encoder: str, lam: float, dtype: Any = np.float64
) -> Params:
    """Return M random kernels of unit norm for C channels with an encoder made `from_kernels`."""
    return from_kernels(convolutional.init(rng, M, C, p, q, dtype).K, encoder, lam)


def from_kernels(K: Array, encoder: str, lam: float) -> Params:
    """Return kernels (M, C, p, q), at unit norm, with an encoder to be trained, derivation 7: "shrink" or "tanh"."""
    check.choice("encoder", encoder, ("shrink", "tanh"))
    K, lam = check.squarable("K", K, ("M", "C", "p", "q")), check.positive("lam", lam)
    K = convolutional.unit_kernels(convolutional.Params(K)).K
    answers = correlate(K, K, "valid")  # of all K_n, shifted, to the image K_m: (M, M, 2 p - 1, 2 q - 1)
    g = 1 / np.maximum((answers**2).sum(axis=(1, 2, 3)), 1)  # it is at least <K_m, K_m>^2 = 1, but for K_m = 0
    if encoder == "shrink":
        return Params(K, ShrinkEncoder(K, np.full_like(g, lam / 2), g))
    return Params(K, TanhEncoder(K * (g / lam)[:, None, None, None], np.zeros_like(g), np.full_like(g, lam)))


def run(encoder: Encoder, y: Array, boundary: str = "full") -> Guess:
    """Return Enc(y), equations (4) and (5), and its vector-Jacobian products, derivations 2 and 3."""
    u, g = correlate(y, encoder.A, boundary), _spread(encoder.g)
    match encoder:
        case ShrinkEncoder():
            h = shrink(u, _spread(encoder.theta))
            return g * h, _vjp(encoder, y, boundary, h, h != 0, -np.sign(h))
        case TanhEncoder():
            h = np.tanh(u + _spread(encoder.b))
            slope = 1 - h**2
            return g * h, _vjp(encoder, y, boundary, h, slope, slope)


def encode(params: Params, y: Array, boundary: str = "full") -> Array:
    """Return z~ = Enc(y): (N, C, H, W) -> (N, M, h, w)."""
    return run(params.encoder, y, boundary)[0]


def decode(params: Params, z: Array, boundary: str = "full") -> Array:
    """Return y~ = K * z: (N, M, h, w) -> (N, C, H, W)."""
    return convolutional.decode(_kernels(params), z, boundary)


def distance(params: Params, y: Array, z: Array, boundary: str = "full") -> Array:
    """Return D = ||z_n - Enc(y_n)||^2: (N,)."""
    return np.square(z - encode(params, y, boundary)).sum(axis=(1, 2, 3))


def energy(params: Params, y: Array, z: Array, alpha: float, lam: float, boundary: str = "full") -> Array:
    """Return E(y_n, z_n), equation (1): (N,)."""
    return convolutional.energy(_kernels(params), y, z, lam, boundary) + alpha * distance(params, y, z, boundary)


def smooth_grad_z(params: Params, y: Array, z: Array, alpha: float, boundary: str = "full") -> Array:
    """Return the gradient of the smooth part, d(C + alpha D)/dz, derivation 1: (N, M, h, w)."""
    pull = alpha * squared_error_grad(encode(params, y, boundary), z)
    return convolutional.cost_grad_z(_kernels(params), y, z, boundary) + pull


def energy_grad_y(params: Params, y: Array, z: Array, alpha: float, boundary: str = "full") -> Array:
    """Return dE/dy, on which the encoder's guess depends too, derivation 4: (N, C, H, W)."""
    z_tilde, vjp = run(params.encoder, y, boundary)
    return convolutional.energy_grad_y(_kernels(params), y, z, boundary) + vjp.y(alpha * squared_error_grad(z, z_tilde))


def energy_grad_params(
    params: Params, y: Array, z: Array, alpha: float, weights: Array, boundary: str = "full", guess: Guess | None = None
) -> Params:
    """Return d/dparams of sum_n weights_n E(y_n, z_n), derivation 4; `guess`, if given, is what `run` returned."""
    z_tilde, vjp = run(params.encoder, y, boundary) if guess is None else guess
    q = weights[:, None, None, None] * alpha * squared_error_grad(z, z_tilde)
    return Params(convolutional.energy_grad_params(_kernels(params), y, z, weights, boundary).K, vjp.encoder(q))


def infer(params: Params, y: Array, alpha: float, lam: float, *, boundary: str = "full", **options: Any) -> Inference:
    """Return z-check = argmin_z E(y, z), equation (2), for all images at once: `convolutional.infer`, with its `Pull`.

    Parameters
    ----------
    alpha : >= 0; with 0 this is `convolutional.infer` itself, with all its methods, else "fista"
    y, lam, boundary, options : those of `convolutional.infer`, whose errors and warnings come through; `z0` is the
        encoder's guess if not given
    """
    params, y, alpha = _checked(params, y, alpha, boundary)
    pull = None
    if alpha:
        with np.errstate(over="ignore", invalid="ignore"):  # no warning besides the error
            z_tilde = encode(params, y, boundary)
            check.squarable("max(1, sqrt(alpha)) Enc(y)", max(1.0, math.sqrt(alpha)) * z_tilde, z_tilde.shape)
        options, pull = {"z0": z_tilde} | options, convolutional.Pull(alpha, z_tilde)
    return convolutional.infer(_kernels(params), y, lam, boundary=boundary, pull=pull, **options)


def free_energy(params: Params, y: Array, alpha: float, lam: float, **options: Any) -> Array:
    """Return F(y), equation (3): (N,). The options are those of `infer`."""
    return infer(params, y, alpha, lam, **options).energy


def free_energy_grad_y(
    params: Params, y: Array, alpha: float, lam: float, *, boundary: str = "full", **options: Any
) -> Array:
    """Return dF/dy, derivation 5: (N, C, H, W)."""
    found = infer(params, y, alpha, lam, boundary=boundary, **options)
    return energy_grad_y(params, np.asarray(y), found.z, float(alpha), boundary)


def free_energy_grad_params(
    params: Params,
    y: Array,
    alpha: float,
    lam: float,
    weights: Array | None = None,
    *,
    boundary: str = "full",
    **options: Any,
) -> Params:
    """Return d/dparams of sum_n weights_n F(y_n), derivation 5; without weights, of the mean over images."""
    z = infer(params, y, alpha, lam, boundary=boundary, **options).z
    c = check.sample_weights(weights, z)
    return energy_grad_params(params, np.asarray(y), z, float(alpha), c, boundary)


def fit(
    params: Params,
    y: Array,
    rng: np.random.Generator,
    *,
    alpha: float = 1.0,
    lam: float,
    boundary: str = "full",
    n_epochs: int = 10,
    batch_size: int | None = 8,
    rate: float = 3e-3,
    n_steps: int = 10,
    callback: Callback | None = None,
) -> Fit[Params]:
    """Return a decoder and an encoder that make F low on the images, or rather its bound of derivation 5, by Adam.

    The decoder's kernels move along the unit sphere, thresholds stay at least 0. `history` has the mean E(y, z) of each
    epoch, z after `n_steps` steps. float32 stays float32. Raises an error that names a wrong argument, and
    `FloatingPointError` if the loss or a parameter is no longer finite.

    Parameters
    ----------
    params : where to start; never written to
    y : images (N, C, H, W), best small crops of many
    rng : shuffles the images
    alpha : >= 0; with 0 the encoder has no gradient, and stays as it is
    lam : > 0
    rate : of Adam
    n_steps : steps of FISTA from the encoder's guess (from zero if alpha is 0) for the codes of a batch
    callback : called after each epoch with its number and its mean E
    """
    params, y, alpha = _checked(params, y, alpha, boundary)
    lam, rng, n_steps = check.positive("lam", lam), check.generator("rng", rng), check.count("n_steps", n_steps)
    params, y = in_one_precision(params, y)

    def loss_and_grad(params: Params, batch: Array) -> tuple[float, Params]:
        some, kernels = y[batch], _kernels(params)
        guess = z_tilde, _ = run(params.encoder, some, boundary)
        if not np.isfinite(np.square(z_tilde).sum()):
            return np.inf, params  # `minimize` says what this means
        start, pull = (z_tilde, convolutional.Pull(alpha, z_tilde)) if alpha else (np.zeros_like(z_tilde), None)
        path = convolutional.iterates(kernels, some, start, lam, boundary, pull)
        z, at = next(islice(path, n_steps, None))
        mean = np.full(len(batch), 1 / len(batch), y.dtype)
        grads = energy_grad_params(params, some, z, alpha, mean, boundary, guess)
        return at.cost().energy.mean(dtype=np.float64), grads

    optimizer = projected(adam(rate), _held, lambda at, grads: grads._replace(K=tangent(at.K, grads.K, (1, 2, 3))))
    options: dict[str, Any] = {"n_epochs": n_epochs, "batch_size": batch_size, "rng": rng, "callback": callback}
    return minimize(loss_and_grad, _held(params), len(y), optimizer=optimizer, **options)


def _kernels(params: Params) -> convolutional.Params:
    return convolutional.Params(params.K)


def _spread(a: Array) -> Array:
    """Return numbers (M,), one a map, so that they multiply maps (N, M, h, w)."""
    return a[:, None, None]


def _vjp(encoder: Encoder, y: Array, boundary: str, h: Array, slope: Array, last: Array) -> Vjp:
    """Return the VJPs where h has the derivatives `slope` in u, and `last` in the encoder's thresholds or offsets."""
    g = _spread(encoder.g)

    def in_encoder(q: Array) -> Encoder:
        A = kernel_grad(q * g * slope, y, encoder.A.shape[2:], boundary)
        return type(encoder)(A, (q * g * last).sum(axis=(0, 2, 3)), (q * h).sum(axis=(0, 2, 3)))

    return Vjp(in_encoder, lambda q: convolve(q * g * slope, encoder.A, boundary))


def _held(params: Params) -> Params:
    """Return the parameters projected on the allowed ones: unit kernels in the decoder, thresholds of at least 0."""
    K, encoder = convolutional.unit_kernels(_kernels(params)).K, params.encoder
    if isinstance(encoder, ShrinkEncoder):
        encoder = encoder._replace(theta=np.maximum(encoder.theta, 0))
    return Params(K, encoder)


def _checked(params: Params, y: Array, alpha: float, boundary: str) -> tuple[Params, Array, float]:
    """Return the arguments of `infer`, checked."""
    K, y, _ = convolutional.checked(_kernels(check.instance("params", params, Params)), y, boundary)
    encoder, alpha = params.encoder, check.non_negative("alpha", alpha)
    with np.errstate(over="ignore"):
        check.squarable("alpha", np.asarray(alpha).astype(K.dtype), ())
    if not isinstance(encoder, Encoder):
        raise TypeError(f"params.encoder: expected {Encoder}, got {type(encoder).__name__}")
    named = zip(encoder._fields, encoder, (K.shape, K.shape[:1], K.shape[:1]), strict=True)
    encoder = type(encoder)(*(check.squarable(f"params.encoder.{name}", a, shape) for name, a, shape in named))
    if isinstance(encoder, ShrinkEncoder) and (encoder.theta < 0).any():
        raise ValueError(f"params.encoder.theta: expected thresholds >= 0, got {encoder.theta.min():.3g}")
    return Params(K, encoder), y, alpha
