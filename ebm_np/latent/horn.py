r"""The horn: the ellipse conditioned on an input x; and a decoder that is a network, for any closed curve.

    E(x, y, z) = sum_i [y_i - f_i(x) g_i(z)]^2                                                                     (1)
    f(x) = MLP with ReLU, 1 -> 8 -> 8 -> 2                   the radii as a function of the input                  (2)
    g(z) = MLP with tanh of the ring (cos z, sin z)          a closed curve                                        (3)

An MLP without layers is the identity, hence with `Params.g = ()` the curve is the ring itself, and at each x the model
is the ellipse of radii w = f(x). With layers in g the curve can take any closed shape (question 2 of the notes: "we may
have a few layers of neural networks").

    symbol   name       shape            meaning
    x        x          (N, 1)           inputs
    y        y          (N, 2)           observations
    z        z          (K,) or (N, K)   latent angles, radians
    f, g     Params     layers           two MLPs; a gradient has the same structure
    E        energy     (N, K)
    F        free_energy (N,)

Derivation
----------
With the residual r = y - f(x) * g(z), componentwise, and weights c_nk on the table of energies:

1. d/df of sum c E = -2 sum_k c r g,   d/dg = -2 c r f                        product rule
2. from there on it is backpropagation: `layers.mlp_vjp` gives the gradients of the parameters of f and g
3. dE/dz = -2 <r, f * g'>,   d2E/dz2 = 2 ||f * g'||^2 - 2 <r, f * g''>         with g', g'' from `layers.mlp_taylor`
4. grad F_beta = sum_k p_k grad E_k, and grad F_inf = grad E at z-check        as in `ellipse`, derivations 3 and 4

Source: notes 15-1 (data, question 2), lecture 15-2 (the network and zero-temperature training).
"""

from typing import Any, NamedTuple

import numpy as np

from ebm_np.foundations import layers, validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.layers import Affine, Layers
from ebm_np.foundations.optimizers import Optimizer, adam
from ebm_np.foundations.results import Fit, Inference
from ebm_np.foundations.training import Callback, minimize
from ebm_np.latent import inference, losses
from ebm_np.latent.ellipse import N_LATENTS
from ebm_np.latent.free_energy import posterior, softmin
from ebm_np.latent.nearest_point import nearest_angle


class Params(NamedTuple):
    """The networks f (equation 2) and g (equation 3); an empty g is the identity."""

    f: Layers
    g: Layers


def init(
    rng: np.random.Generator,
    hidden: tuple[int, ...] = (8, 8),
    g_hidden: tuple[int, ...] | None = None,
    dtype: Any = np.float64,
) -> Params:
    """Return random networks f of widths (1, *hidden, 2) and g of widths (2, *g_hidden, 2), g the identity if None.

    The input is one number in [0, 1], and a ReLU that is dead on all of [0, 1] never learns. So the units of the first
    layer of f are hinges of slope sqrt(2): [0, 1] is divided into equal parts, one for each unit, and in it the unit's
    kink x = -b / W is drawn. The hidden layers behind start with a bias of 1/2. With normal weights and biases one
    start in three ends with more than five times the loss.
    """
    validation.generator("rng", rng)
    dtype = validation.floating("dtype", dtype)
    for name, widths in {"hidden": hidden, "g_hidden": () if g_hidden is None else g_hidden}.items():
        for width in validation.instance(name, widths, tuple):
            validation.count(name, width)
    first, *rest = layers.init_mlp(rng, (1, *hidden, 2), dtype)
    n = len(first.b)
    kinks = (np.arange(n) + rng.uniform(size=n)) / n
    hinges = Affine(np.full((n, 1), np.sqrt(2), dtype), (-np.sqrt(2) * kinks).astype(dtype))
    middle = [Affine(layer.W, np.full_like(layer.b, 0.5)) for layer in rest[:-1]]
    return Params(
        f=(hinges, *middle, *rest[-1:]),
        g=() if g_hidden is None else layers.init_mlp(rng, (2, *g_hidden, 2), dtype, power=1.0),
    )


def radii(params: Params, x: Array) -> Array:
    """Return f(x), equation (2): (N, 1) -> (N, 2)."""
    return layers.mlp(params.f, x, "relu")


def curve(params: Params, z: Array) -> Array:
    """Return g(z), equation (3): (...) -> (..., 2)."""
    return layers.mlp(params.g, _ring(z), "tanh")


def decode(params: Params, x: Array, z: Array) -> Array:
    """Return f(x_n) * g(z_k): (N, 1), (K,) or (N, K) -> (N, K, 2)."""
    return radii(params, x)[:, None, :] * curve(params, z)


def energy(params: Params, x: Array, y: Array, z: Array) -> Array:
    """Return E(x_n, y_n, z_k), equation (1): (N, 1), (N, 2), (K,) or (N, K) -> (N, K)."""
    return ((y[:, None, :] - decode(params, x, z)) ** 2).sum(axis=-1)


def energy_grad_y(params: Params, x: Array, y: Array, z: Array) -> Array:
    """Return dE(x_n, y_n, z_n)/dy = 2 (y - f(x) * g(z)), one z for each sample: (N, 1), (N, 2), (N,) -> (N, 2)."""
    return 2 * (y - radii(params, x) * curve(params, z))


def energy_grad_params(params: Params, x: Array, y: Array, z: Array, weights: Array) -> Params:
    """Return d/dparams of sum_{n,k} weights_nk E(x_n, y_n, z_k), derivations 1 and 2."""
    f_layers, g_layers = layers.mlp_forward(params.f, x, "relu"), layers.mlp_forward(params.g, _ring(z), "tanh")
    f, g = f_layers[-1], g_layers[-1]
    weighted = -2 * weights[..., None] * (y[:, None, :] - f[:, None, :] * g)  # (N, K, 2)
    grad_g = weighted * f[:, None, :]
    return Params(
        f=layers.mlp_vjp(params.f, f_layers, (weighted * g).sum(axis=1), "relu")[0],
        g=layers.mlp_vjp(params.g, g_layers, grad_g if z.ndim == 2 else grad_g.sum(axis=0), "tanh")[0],
    )


def infer(params: Params, x: Array, y: Array, *, n_grid: int = 48) -> Inference:
    """Return z-check = argmin_z E(x, y, z) for each sample, in [0, 2 pi).

    Without layers in g this is the exact inference of the ellipse with radii f(x); with them, Newton's method in every
    well that a grid of `n_grid` latents shows (`inference.newton`).

    Raises
    ------
    ValueError, TypeError
        if an argument has the wrong shape or type or holds NaN or infinity.
    """
    params, x, y = _validated(params, x, y)
    validation.count("n_grid", n_grid, minimum=3)
    if params.g:
        return inference.newton(landscape(params, x, y), np.zeros(len(y), y.dtype), n_grid=n_grid)
    z, n_iter, converged = nearest_angle(radii(params, x), y)
    e = energy(params, x, y, z[:, None])[:, 0]
    return Inference(z, e, n_iter, converged, np.empty((0, len(y)), z.dtype))


def landscape(params: Params, x: Array, y: Array) -> inference.Landscape:
    """Return E and its two derivatives in z, derivation 3, as the methods of `inference` want them."""
    f = radii(params, x)

    def parts(rows: Array, z: Array) -> tuple[Array, Array, Array]:
        """Return the residual and the first two derivatives of what is decoded, (n, K, 2) each."""
        ring = _ring(z)
        tangent = np.stack([-ring[..., 1], ring[..., 0]], axis=-1)
        g, dg, ddg = layers.mlp_taylor(params.g, ring, tangent, -ring, "tanh")
        scale = f[rows][:, None, :]
        return y[rows][:, None, :] - scale * g, scale * dg, scale * ddg

    def slope(rows: Array, z: Array) -> Array:
        r, d, _ = parts(rows, z)
        return -2 * (r * d).sum(axis=-1)

    def curvature(rows: Array, z: Array) -> Array:
        r, d, dd = parts(rows, z)
        return 2 * (d**2 - r * dd).sum(axis=-1)

    return inference.Landscape(lambda rows, z: energy(params, x[rows], y[rows], z), slope, curvature)


def free_energy(params: Params, x: Array, y: Array, beta: float = np.inf, n_latents: int = N_LATENTS) -> Array:
    """Return F_beta(x, y): (N, 1), (N, 2) -> (N,); at infinite beta the minimum that `infer` finds, else a softmin."""
    validation.count("n_latents", n_latents)
    if np.isinf(validation.positive("beta", beta, infinite=True)):
        return infer(params, x, y).energy
    params, x, y = _validated(params, x, y, analytic=True)
    return softmin(energy(params, x, y, inference.latents(n_latents, y)), beta)


def free_energy_grad_y(params: Params, x: Array, y: Array, beta: float = np.inf, n_latents: int = N_LATENTS) -> Array:
    """Return grad_y F_beta = 2 (y - E_{p(z|x, y)} f(x) * g(z)): (N, 2)."""
    params, x, y = _validated(params, x, y)
    z, p = _posterior(params, x, y, beta, n_latents)
    return 2 * (y - (p[..., None] * decode(params, x, z)).sum(axis=1))


def free_energy_grad_params(
    params: Params,
    x: Array,
    y: Array,
    beta: float = np.inf,
    weights: Array | None = None,
    n_latents: int = N_LATENTS,
) -> Params:
    """Return d/dparams of sum_n weights_n F_beta(x_n, y_n), derivation 4; without weights, of the mean over samples."""
    params, x, y = _validated(params, x, y)
    z, p = _posterior(params, x, y, beta, n_latents)
    c = validation.sample_weights(weights, p)
    return energy_grad_params(params, x, y, z, c[:, None] * p)


def fit(
    params: Params,
    data: tuple[Array, Array],
    rng: np.random.Generator,
    *,
    beta: float = np.inf,
    loss: losses.Loss | None = None,
    contrast: losses.Contrast | None = None,
    optimizer: Optimizer | None = None,
    n_epochs: int = 200,
    batch_size: int | None = 32,
    n_latents: int = N_LATENTS,
    callback: Callback | None = None,
) -> Fit[Params]:
    """Return parameters that make F(x, y) low on the data (x (N, 1), y (N, 2)).

    Options and errors are those of `ellipse.fit`, with other defaults: 200 epochs, batches of 32, and Adam of rate 1e-2
    if `optimizer` is None. `rng` is required, and shuffles the samples.
    """
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise TypeError(f"data: expected inputs and observations (x, y), got {type(data).__name__}")
    params, x, y = _validated(params, *data)
    validation.generator("rng", rng)
    validation.positive("beta", beta, infinite=True)
    validation.count("n_latents", n_latents)
    objective = losses.objective(
        loss,
        contrast,
        rng,
        y,
        lambda params, rows, y: free_energy(params, x[rows], y, beta, n_latents),
        lambda params, rows, y, c: free_energy_grad_params(params, x[rows], y, beta, c, n_latents),
    )
    return minimize(
        objective,
        params,
        len(y),
        optimizer=adam(1e-2) if optimizer is None else optimizer,
        n_epochs=n_epochs,
        batch_size=batch_size,
        rng=rng,
        callback=callback,
    )


def _ring(z: Array) -> Array:
    return np.stack([np.cos(z), np.sin(z)], axis=-1)


def _validated(params: Params, x: Array, y: Array, analytic: bool = False) -> tuple[Params, Array, Array]:
    validation.instance("params", params, Params)
    f = layers.checked_layers("params.f", params.f, "d", 2, analytic=analytic)
    g = params.g if params.g == () else layers.checked_layers("params.g", params.g, 2, 2, analytic=analytic)
    x = validation.squarable("x", x, ("N", f[0].W.shape[1]), analytic=analytic)
    return Params(f, g), x, validation.squarable("y", y, (len(x), 2), analytic=analytic)


def _posterior(params: Params, x: Array, y: Array, beta: float, n_latents: int) -> tuple[Array, Array]:
    return posterior(
        lambda z: energy(params, x, y, z), lambda: infer(params, x, y).z, beta, inference.latents(n_latents, y)
    )
