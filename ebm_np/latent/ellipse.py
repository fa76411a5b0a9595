r"""The ellipse: the smallest latent-variable energy-based model, and the whole idea on one page.

    g(z)       = (w1 cos z, w2 sin z)                              the decoder                                 (1)
    E(y, z)    = [y1 - g1(z)]^2 + [y2 - g2(z)]^2                   the energy                                  (2)
    z-check(y) = argmin_z E(y, z)                                  inference                                   (3)
    F_inf(y)   = min_z E(y, z) = E(y, z-check)                     free energy, zero temperature               (4)
    F_beta(y)  = softmin_z E(y, z)                                 free energy, inverse temperature beta       (5)
    L(w)       = (1/N) sum_n l(F(y_n))                             what `fit` minimises                        (6)

    symbol      name                 shape            meaning
    y           y                    (N, 2)           observations, rows are samples
    z           z                    (K,) or (N, K)   latent angles, in radians: a grid for all, or K for each sample
    w           Params.w             (2,)             radii; w1 < 0 puts z = 0 on the left, and if one of the two is
                                                      negative and the other positive, z runs clockwise
    E           energy               (N, K)           squared distance; its unit is that of y squared
    F           free_energy          (N,)             depends on y alone

Derivation
----------
1. dE/dz  = 2 (y1 - g1) w1 sin z - 2 (y2 - g2) w2 cos z                         as g' = (-w1 sin z, w2 cos z)
2. dE/dw_i = -2 (y_i - g_i) c_i,   c = (cos z, sin z);    dE/dy = 2 (y - g)     chain rule
3. grad F_beta = sum_k p_k grad E(y, z_k)    with p_k = dF/dE_k the Gibbs weights (`free_energy`, equation 3)
4. grad F_inf  = grad E(y, z)|_{z = z-check}    the envelope theorem: dE/dz vanishes at z-check, so that the motion of
   z-check adds nothing. Hence grad_y F_inf = 2 (y - g(z-check)) and ||grad_y F_inf||^2 = 4 F_inf. (Where two minima
   tie F_inf has a kink, and the gradient returned is that of one side.)
   So step 3 holds at every temperature: at zero all the weight is on z-check. `free_energy.posterior` is that one idea.

Source: notes 15-1 and lecture 15-2 (Canziani, NYU Deep Learning), whence the 24 samples and the untrained w. The note
calls F "the Euclidean distance" to the manifold; it is the squared one (its own Q&A: "quadratic Euclidean"). It says
that z = 0 is the leftmost point and that z runs clockwise: so it is while w1 < 0 < w2, as in the untrained model.
"""

from typing import Any, NamedTuple

import numpy as np

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.costs import squared_error_grad
from ebm_np.foundations.optimizers import Optimizer, gradient_descent
from ebm_np.foundations.results import Fit, Inference
from ebm_np.foundations.training import Callback, minimize
from ebm_np.latent import inference, losses
from ebm_np.latent.free_energy import posterior, softmin
from ebm_np.latent.nearest_point import nearest_angle


class Params(NamedTuple):
    """The radii (w1, w2)."""

    w: Array  # (2,)


def _constant(rows: Any) -> Array:
    constant = np.array(rows, dtype=float)
    constant.flags.writeable = False
    return constant


UNTRAINED = Params(w=_constant([-1.45265, 0.35856]))
"""The lecture's decoder before training."""

LECTURE_SAMPLE = _constant(
    [
        (1.1423, -1.2388), (-1.9013, 0.6197), (-1.0177, 1.3124), (1.2070, -1.2264), (0.8722, -1.3860), (1.7900, 0.7276),
        (1.3880, -1.1120), (-0.937, 1.246), (-1.808, -0.640), (0.185, 1.505), (0.605, 1.452), (-1.750, 0.799),
        (-1.995, -0.321), (-1.575, 0.921), (-1.478, -1.021), (1.875, -0.308), (-1.969, 0.282), (0.772, -1.356),
        (-1.940, 0.379), (1.969, 0.564), (1.467, 1.018), (-1.812, -0.660), (1.969, 0.087), (-1.797, 0.713),
    ]
)  # fmt: skip
"""The lecture's 24 samples of an ellipse of radii (2, 1.5); numbered from 1 there: y(23) is ``LECTURE_SAMPLE[22]``."""

N_LATENTS = 96
"""Latents on the grid, twice the lecture's 48. For radii (2, 1.5) and y in [-3, 3] x [-2, 2], F_beta is then exact to
rounding at beta = 10, to 5e-10 at 20 and to 4e-4 at 100; with 48 latents to 1e-5, 8e-4 and 1e-2."""


def init(rng: np.random.Generator, dtype: Any = np.float64) -> Params:
    """Return w ~ N(0, I)."""
    validation.generator("rng", rng)
    return Params(w=rng.normal(size=2).astype(validation.floating("dtype", dtype)))


def decode(params: Params, z: Array) -> Array:
    """Return g(z), equation (1): (...) -> (..., 2).

    >>> decode(Params(np.array([2.0, 1.5])), np.array([0.0])).tolist()
    [[2.0, 0.0]]
    """
    w1, w2 = params.w
    return np.stack([w1 * np.cos(z), w2 * np.sin(z)], axis=-1)


def energy(params: Params, y: Array, z: Array) -> Array:
    """Return E(y_n, z_k), equation (2): (N, 2), (K,) or (N, K) -> (N, K).

    >>> energy(Params(np.array([2.0, 1.5])), np.array([[3.0, 0.0]]), np.array([0.0])).tolist()
    [[1.0]]
    """
    r1, r2 = _residuals(params, y, z)
    return r1**2 + r2**2


def energy_grad_z(params: Params, y: Array, z: Array) -> Array:
    """Return dE/dz, derivation 1: (N, K)."""
    w1, w2 = params.w
    r1, r2 = _residuals(params, y, z)
    return 2 * r1 * w1 * np.sin(z) - 2 * r2 * w2 * np.cos(z)


def energy_curvature_z(params: Params, y: Array, z: Array) -> Array:
    """Return d2E/dz2 = 2 ||g'||^2 + 2 <y - g, g>, since g'' = -g: (N, K)."""
    w1, w2 = params.w
    g1, g2 = w1 * np.cos(z), w2 * np.sin(z)
    r1, r2 = _residuals(params, y, z)
    return 2 * ((w1 * np.sin(z)) ** 2 + (w2 * np.cos(z)) ** 2 + r1 * g1 + r2 * g2)


def energy_grad_y(params: Params, y: Array, z: Array) -> Array:
    """Return dE(y_n, z_n)/dy = 2 (y - g(z)), with one z for each sample: (N, 2), (N,) -> (N, 2).

    >>> energy_grad_y(Params(np.array([2.0, 1.5])), np.array([[3.0, 1.0]]), np.array([0.0])).tolist()
    [[2.0, 2.0]]
    """
    return -squared_error_grad(y, decode(params, z))


def energy_grad_params(params: Params, y: Array, z: Array, weights: Array) -> Params:
    """Return d/dw of sum_{n,k} weights_nk E(y_n, z_k), derivation 2; z (K,) or (N, K), weights (N, K)."""
    r1, r2 = _residuals(params, y, z)
    return Params(w=-2 * np.stack([(weights * r1 * np.cos(z)).sum(), (weights * r2 * np.sin(z)).sum()]))


def infer(params: Params, y: Array, *, method: str = "secular", z0: float | Array = 0.5) -> Inference:
    """Return z-check = argmin_z E(y, z) for each sample, in [0, 2 pi).

    Parameters
    ----------
    params : radii w (2,)
    y : observations (N, 2)
    method : "secular" (`nearest_point`): exact, global, all samples at once; or one of `inference.METHODS`, which
        serve any decoder; those that start from z0 may land in the wrong minimum
    z0 : start(s) z~, a number or (N,), of the methods that descend; the lecture takes 0.5

    Raises
    ------
    ValueError, TypeError
        if an argument has the wrong shape or type, holds NaN or infinity, or if the method is unknown.
    """
    params, y = _validated(params, y)
    validation.choice("method", method, METHODS)
    if method == "secular":
        z, n_iter, converged = nearest_angle(params.w, y)
        e = energy(params, y, z[:, None])[:, 0]
        return Inference(z, e, n_iter, converged, np.empty((0, len(y)), z.dtype))
    starts = validation.array("z0", np.full(len(y), z0) if np.ndim(z0) == 0 else z0, (len(y),))
    return inference.METHODS[method](landscape(params, y), starts.astype(np.result_type(params.w, y)))


METHODS = ("secular", *inference.METHODS)


def landscape(params: Params, y: Array) -> inference.Landscape:
    """Return E and its two derivatives in z as the general methods of `inference` want them."""
    return inference.Landscape(
        value=lambda rows, z: energy(params, y[rows], z),
        slope=lambda rows, z: energy_grad_z(params, y[rows], z),
        curvature=lambda rows, z: energy_curvature_z(params, y[rows], z),
    )


def free_energy(params: Params, y: Array, beta: float = np.inf, n_latents: int = N_LATENTS) -> Array:
    """Return F_beta(y): (N, 2) -> (N,).

    At infinite beta it is the exact minimum, equation (4), as `infer` finds it; at finite beta the softmin (5) over a
    uniform grid of `n_latents` angles, which converges faster than any power of 1 / n_latents once
    n_latents >> sqrt(beta) max(|w|, |y|).

    Raises
    ------
    ValueError, TypeError
        as `infer` does; and for a beta that is not in (0, inf].

    Examples
    --------
    >>> free_energy(Params(np.array([2.0, 1.5])), np.array([[3.0, 0.0], [0.0, 0.0]])).round(12).tolist()
    [1.0, 2.25]
    """
    validation.count("n_latents", n_latents)
    if np.isinf(validation.positive("beta", beta, infinite=True)):
        return infer(params, y).energy
    params, y = _validated(params, y, analytic=True)
    return softmin(energy(params, y, inference.latents(n_latents, y)), beta)


def free_energy_grad_y(params: Params, y: Array, beta: float = np.inf, n_latents: int = N_LATENTS) -> Array:
    """Return grad_y F_beta = 2 (y - E_{p(z|y)} g(z)), derivations 3 and 4: (N, 2) -> (N, 2)."""
    params, y = _validated(params, y)
    z, p = _posterior(params, y, beta, n_latents)
    return 2 * (y - (p[..., None] * decode(params, z)).sum(axis=1))


def free_energy_grad_params(
    params: Params, y: Array, beta: float = np.inf, weights: Array | None = None, n_latents: int = N_LATENTS
) -> Params:
    """Return d/dw of sum_n weights_n F_beta(y_n); without weights, of the mean over samples."""
    params, y = _validated(params, y)
    z, p = _posterior(params, y, beta, n_latents)
    c = validation.sample_weights(weights, p)
    return energy_grad_params(params, y, z, c[:, None] * p)


def fit(
    params: Params,
    y: Array,
    rng: np.random.Generator | None = None,
    *,
    beta: float = np.inf,
    loss: losses.Loss | None = None,
    contrast: losses.Contrast | None = None,
    optimizer: Optimizer | None = None,
    n_epochs: int = 1,
    batch_size: int | None = 1,
    n_latents: int = N_LATENTS,
    callback: Callback | None = None,
) -> Fit[Params]:
    """Return parameters that make F low on the data, equation (6).

    Zero temperature, the energy loss and one epoch are the lecture's. Its optimizer, rate and batch size are not known:
    one gradient step for each sample in the listed order, at a rate of 0.3, ends near the lecture's radii.

    Parameters
    ----------
    params : where to start; never written to
    y : data (N, 2)
    rng : shuffles the samples and draws y-hat; None keeps the listed order
    beta : inverse temperature in (0, inf]
    loss : one of `losses`; the energy loss if None
    contrast : (rng, y) -> y-hat, the contrastive points of a hinge or log loss; needs rng
    optimizer : gradient descent of rate 0.3 if None
    batch_size : None means all samples at once

    Raises
    ------
    ValueError, TypeError
        for a wrong argument; in particular if a contrastive loss comes without `contrast` or `rng`.
    FloatingPointError
        if training diverges.
    """
    params, y = _validated(params, y)
    validation.positive("beta", beta, infinite=True)
    validation.count("n_latents", n_latents)
    objective = losses.objective(
        loss,
        contrast,
        rng,
        y,
        lambda params, rows, y: free_energy(params, y, beta, n_latents),
        lambda params, rows, y, c: free_energy_grad_params(params, y, beta, c, n_latents),
    )
    return minimize(
        objective,
        params,
        len(y),
        optimizer=gradient_descent(0.3) if optimizer is None else optimizer,
        n_epochs=n_epochs,
        batch_size=batch_size,
        rng=rng,
        callback=callback,
    )


def _residuals(params: Params, y: Array, z: Array) -> tuple[Array, Array]:
    """Return y1 - g1(z) and y2 - g2(z), each (N, K)."""
    w1, w2 = params.w
    return y[:, :1] - w1 * np.cos(z), y[:, 1:] - w2 * np.sin(z)


def _validated(params: Params, y: Array, analytic: bool = False) -> tuple[Params, Array]:
    params = validation.instance("params", params, Params)
    w = validation.squarable("params.w", params.w, (2,), analytic=analytic)
    return Params(w), validation.squarable("y", y, ("N", 2), analytic=analytic)


def _posterior(params: Params, y: Array, beta: float, n_latents: int) -> tuple[Array, Array]:
    return posterior(lambda z: energy(params, y, z), lambda: infer(params, y).z, beta, inference.latents(n_latents, y))
