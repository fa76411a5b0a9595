r"""Target propagation: find a better code near the encoder's guess, then teach each network its half.

    z~ = Enc(y)                                                          the guess                                 (1)
    E(y, z) = C + R + alpha D,   C = ||y - Dec(z)||^2,   R = lam ||z||^2,   D = ||z - z~||^2                       (2)
    z-check = argmin_z E(y, z), started at z~;    F(y) = E(y, z-check)                                             (3)
    theta_Dec <- theta_Dec - eta dC(y, Dec(z-check)) / dtheta_Dec            two separate updates, z-check held    (4)
    theta_Enc <- theta_Enc - eta alpha dD(z-check, Enc(y)) / dtheta_Enc

    symbol        name               shape     meaning
    y             y                  (N, d)    observations, rows are samples
    z, z~         z, z_tilde         (N, k)    codes: free, guessed
    Enc, Dec      params             MLPs      a `network.Params`; activation f after each layer but the last
    alpha, lam    alpha, lam                   weights of D, > 0 (1 in the note), and of R, >= 0

No gradient of C ever enters the encoder. z-check is its *target*: a code that would have been better, and not far off.

Derivation
----------
1. With r = Dec(z) - y, J = dDec/dz, half of the gradient is g = J^T r + lam z + alpha (z - z~). J^T r is r sent back
   through the decoder's layers t_m = f(a_m), a_m = V_m t_(m-1) + c_m; on its way it is g_m = (1/2) dC/dt_m.
2. Half of the Hessian, by one more derivative of 1: layers are affine, so only each f bends. With J_m = da_m/dz,
   J_1 = V_1, J_(m+1) = V_(m+1) diag(f'(a_m)) J_m, and J_M = J as the last layer has no f,
   H = J^T J + sum_(m<M) J_m^T diag(f''(a_m) * g_m) J_m + (lam + alpha) I.
3. Newton's step -H^-1 g leads to saddles as readily as to minima. With H = U diag(e) U^T, the damped saddle-free step
   -U diag(1 / (|e| + mu)) U^T g leads downhill, away from saddles, and is Newton's near a minimum, where e > 0 and mu =
   0. Where E did not fall enough (Armijo's rule: by 1e-4 of what its slope promises) the sample stays and its damping
   mu grows; else mu shrinks. So E never rises, but for rounding.
4. With a linear decoder, Dec(z) = W z + c, E is quadratic in z: one step from anywhere ends at its minimum,
   z-check = (W^T W + (lam + alpha) I)^-1 (W^T (y - c) + alpha z~).        (The note's alpha is 1.)
5. Envelope theorem: dE/dz = 0 at z-check, so dF/dtheta is dE/dtheta at a fixed z-check. The decoder appears in C alone,
   the encoder in D alone: the two updates (4) *are* gradient descent on the mean of F. (The note writes F as min_z E(y,
   z-check): it is E(y, z-check), nothing is left to minimise.)
6. alpha -> infinity: 1 gives z-check - z~ = -(J^T r + lam z~) / alpha + O(1/alpha^2), so alpha dD/dz~ = 2 alpha (z~ -
   z-check) -> d(C + R)/dz~: what backpropagation hands to the encoder. That is the limit of target propagation.

Source: notes 08-3, "Target propagation", figure 1; LeCun 1986, 1987 (virtual targets); 3: Dauphin et al. 2014.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np

from ebm_np.autoencoders.network import Params, checked
from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.costs import squared_error, squared_error_grad
from ebm_np.foundations.layers import ACTIVATIONS, Layers, mlp, mlp_backward, mlp_forward, mlp_grad
from ebm_np.foundations.optimizers import adam
from ebm_np.foundations.parameters import in_one_precision
from ebm_np.foundations.results import ConvergenceWarning, Fit, Inference
from ebm_np.foundations.training import Callback, minimize


def encode(params: Params, y: Array, f: str) -> Array:
    """Return z~ = Enc(y), equation (1): (N, d) -> (N, k). It and `decode` raise errors that name an argument."""
    params = _checked_params(params, analytic=True)
    y = validation.squarable("y", y, ("N", params.encoder[0].W.shape[1]), analytic=True)
    return mlp(params.encoder, y, validation.choice("f", f, ACTIVATIONS))


def decode(params: Params, z: Array, f: str) -> Array:
    """Return y~ = Dec(z): (N, k) -> (N, d)."""
    params = _checked_params(params, analytic=True)
    z = validation.squarable("z", z, ("N", params.decoder[0].W.shape[1]), analytic=True)
    return mlp(params.decoder, z, validation.choice("f", f, ACTIVATIONS))


def energy(params: Params, y: Array, z: Array, f: str, alpha: float = 1.0, lam: float = 0.0) -> Array:
    """Return E(y_n, z_n), equation (2): (N,)."""
    distance = squared_error(z, mlp(params.encoder, y, f))
    return squared_error(y, mlp(params.decoder, z, f)) + lam * np.square(z).sum(axis=-1) + alpha * distance


def energy_grad_z(params: Params, y: Array, z: Array, f: str, alpha: float = 1.0, lam: float = 0.0) -> Array:
    """Return dE/dz, derivation 1: (N, k)."""
    ts = mlp_forward(params.decoder, z, f)
    from_cost = mlp_backward(params.decoder, ts, squared_error_grad(y, ts[-1]), f)[0] @ params.decoder[0].W
    return from_cost + 2 * lam * z + alpha * squared_error_grad(mlp(params.encoder, y, f), z)


def energy_grad_y(params: Params, y: Array, z: Array, f: str, alpha: float = 1.0) -> Array:
    """Return dE/dy, on which the guess depends too: (N, d)."""
    hs = mlp_forward(params.encoder, y, f)
    deltas = mlp_backward(params.encoder, hs, alpha * squared_error_grad(z, hs[-1]), f)
    return deltas[0] @ params.encoder[0].W - squared_error_grad(y, mlp(params.decoder, z, f))


def energy_grad_params(params: Params, y: Array, z: Array, f: str, alpha: float, weights: Array) -> Params:
    """Return d/dparams of sum_n weights_n E(y_n, z_n): C's for the decoder, alpha D's for the encoder, (4)."""

    def one_network(layers: Layers, source: Array, target: Array, weights: Array) -> Layers:
        hs = mlp_forward(layers, source, f)
        return mlp_grad(hs, mlp_backward(layers, hs, weights[:, None] * squared_error_grad(target, hs[-1]), f))

    return Params(one_network(params.encoder, y, z, alpha * weights), one_network(params.decoder, z, y, weights))


def infer(
    params: Params,
    y: Array,
    f: str = "tanh",
    alpha: float = 1.0,
    lam: float = 0.0,
    *,
    tol: float = 1e-6,
    max_iter: int = 100,
    trace: bool = False,
) -> Inference:
    """Return z-check, equation (3), for all samples at once, by derivation 3; one step is enough for a linear decoder.

    What is found is a local minimum: that of the well in which z~ lies, or of one further down. "relu" has kinks, where
    dE/dz jumps and the step may lead no further, at a minimum or not: such samples count as not converged.

    Parameters
    ----------
    f : name of the activation
    alpha : > 0
    lam : >= 0
    tol : a sample has converged when no eigenvalue of H is below -tol times the largest, and ||g|| <= tol times the
        size of the terms that cancel in g, ||J||_F (||y|| + ||y~||) + lam ||z|| + alpha (||z|| + ||z~||). Rounding
        allows some 1e-15, in float32 1e-6
    trace : keep z after each iteration

    Raises
    ------
    ValueError, TypeError
        if an argument has the wrong shape or type, holds NaN or infinity, or is out of range.

    Warns
    -----
    ConvergenceWarning
        with their number, if samples have not converged after `max_iter` iterations.
    """
    params, y, alpha, lam = _checked(params, y, f, alpha, lam)
    tol, max_iter = validation.positive("tol", tol), validation.count("max_iter", max_iter)
    trace = validation.flag("trace", trace)
    with np.errstate(over="ignore", invalid="ignore"):  # no warning besides the error
        z_tilde = mlp(params.encoder, y, f)
        validation.squarable("Enc(y)", z_tilde, z_tilde.shape)
        start = _look(params, y, z_tilde, z_tilde, f, alpha, lam)
        for name, part in zip(("energy", "gradient", "Hessian"), start, strict=False):
            validation.squarable(f"{name} at Enc(y)", part, part.shape)
        z, converged, path = _settle(params, y, z_tilde, f, alpha, lam, tol, max_iter)
    if not converged.all():
        left = np.count_nonzero(~converged)
        message = f"{left} of {len(y)} samples have not converged after {len(path)} iterations, tol = {tol:g}"
        warnings.warn(message, ConvergenceWarning, stacklevel=2)
    kept = np.array(path if trace else [], z.dtype).reshape(-1, *z.shape)
    return Inference(z, energy(params, y, z, f, alpha, lam), len(path), converged, kept)


def free_energy(
    params: Params, y: Array, f: str = "tanh", alpha: float = 1.0, lam: float = 0.0, **options: Any
) -> Array:
    """Return F(y), equation (3): (N,). The options are those of `infer`."""
    return infer(params, y, f, alpha, lam, **options).energy


def free_energy_grad_y(
    params: Params, y: Array, f: str = "tanh", alpha: float = 1.0, lam: float = 0.0, **options: Any
) -> Array:
    """Return dF/dy, derivation 5: (N, d)."""
    params, y, alpha, lam = _checked(params, y, f, alpha, lam)
    return energy_grad_y(params, y, infer(params, y, f, alpha, lam, **options).z, f, alpha)


def free_energy_grad_params(
    params: Params,
    y: Array,
    f: str = "tanh",
    alpha: float = 1.0,
    lam: float = 0.0,
    weights: Array | None = None,
    **options: Any,
) -> Params:
    """Return d/dparams of sum_n weights_n F(y_n), derivation 5; without weights, of the mean over samples."""
    params, y, alpha, lam = _checked(params, y, f, alpha, lam)
    c = validation.sample_weights(weights, y)
    return energy_grad_params(params, y, infer(params, y, f, alpha, lam, **options).z, f, alpha, c)


def fit(
    params: Params,
    y: Array,
    rng: np.random.Generator,
    *,
    f: str = "tanh",
    alpha: float = 1.0,
    lam: float = 0.0,
    n_epochs: int = 20,
    batch_size: int | None = 256,
    rate: float = 1e-3,
    tol: float = 1e-3,
    callback: Callback | None = None,
) -> Fit[Params]:
    """Return an encoder and a decoder that make F low on the data: the two updates (4), by Adam.

    Adam scales every parameter by itself, so one Adam for both networks is the same as one for each. `history` has the
    mean F of each epoch. float32 stays float32. Raises an error that names a wrong argument, and `FloatingPointError`
    if the loss or a parameter is no longer finite.

    Parameters
    ----------
    params : where to start, see `network.init`; never written to
    y : data (N, d)
    rng : shuffles the samples
    f, alpha, lam, tol : as in `infer`, which here takes 10 iterations at most: targets need not be exact
    callback : called after each epoch with its number and its mean F
    """
    params, y, alpha, lam = _checked(params, y, f, alpha, lam)
    rng, tol = validation.generator("rng", rng), validation.positive("tol", tol)
    params, y = in_one_precision(params, y)

    def loss_and_grad(params: Params, batch: Array) -> tuple[float, Params]:
        some = y[batch]
        z = _settle(params, some, mlp(params.encoder, some, f), f, alpha, lam, tol, 10)[0]
        mean = np.full(len(batch), 1 / len(batch), y.dtype)
        loss = energy(params, some, z, f, alpha, lam).mean(dtype=np.float64)
        return loss, energy_grad_params(params, some, z, f, alpha, mean)

    options: dict[str, Any] = {"n_epochs": n_epochs, "batch_size": batch_size, "rng": rng, "callback": callback}
    return minimize(loss_and_grad, params, len(y), optimizer=adam(rate), **options)


class _Look(NamedTuple):
    """Energy and derivatives at codes z."""

    energy: Array  # (N,)
    g: Array  # (N, k): half of the gradient
    H: Array  # (N, k, k): half of the Hessian
    scale: Array  # (N,): the size of the terms that cancel in g


def _settle(
    params: Params, y: Array, z_tilde: Array, f: str, alpha: float, lam: float, tol: float, max_iter: int
) -> tuple[Array, Array, list[Array]]:
    """Return z-check, which samples have converged, and z after each iteration: derivation 3."""
    eps = np.finfo(y.dtype).eps
    z, mu, path = z_tilde, np.zeros(len(y), y.dtype), list[Array]()
    at = _look(params, y, z, z_tilde, f, alpha, lam)
    if not (np.isfinite(at.g).all() and np.isfinite(at.H).all()):
        return z, np.zeros(len(y), bool), path  # `fit` says what this means
    while True:
        e, U = np.linalg.eigh(at.H)
        steepest = np.abs(e).max(axis=1)
        is_convex = e[:, 0] >= -tol * e[:, -1]
        converged = is_convex & (_norm(at.g) <= tol * at.scale)
        if len(path) == max_iter or converged.all():
            return z, converged, path
        along = (at.g[:, None, :] @ U)[:, 0]
        step = -along / (np.maximum(np.abs(e), eps * steepest[:, None]) + mu[:, None])
        tried = z + (U @ step[:, :, None])[:, :, 0]
        there = _look(params, y, tried, z_tilde, f, alpha, lam)
        slope = 2 * (along * step).sum(axis=1)  # dE along the step; g is half of the gradient
        enough = at.energy * (1 + 8 * eps) + 1e-4 * slope  # 8 eps for rounding
        taken = (there.energy <= enough) & np.isfinite(there.H).all(axis=(1, 2)) & ~converged
        z = np.where(taken[:, None], tried, z)
        at = _Look(*(np.where(taken.reshape(-1, *[1] * (a.ndim - 1)), b, a) for a, b in zip(at, there, strict=True)))
        less, more = np.where(mu < 1e-3 * (alpha + lam), 0, mu / 5), np.maximum(5 * mu, alpha + lam)
        mu = np.where(taken, less, np.minimum(more, steepest / eps))  # a step that short moves nothing
        path.append(z)


def _look(params: Params, y: Array, z: Array, z_tilde: Array, f: str, alpha: float, lam: float) -> _Look:
    """Return energy, gradient and Hessian, derivations 1 and 2."""
    decoder, (_, slope, curvature) = params.decoder, ACTIVATIONS[f]
    ts = mlp_forward(decoder, z, f)
    r, pull = ts[-1] - y, z - z_tilde
    deltas = mlp_backward(decoder, ts, r, f)
    J, H = decoder[0].W[None], (lam + alpha) * np.eye(z.shape[1], dtype=z.dtype)
    for t, delta, layer in zip(ts[1:-1], deltas[1:], decoder[1:], strict=True):
        H = H + _transposed(J) @ ((curvature(t) * (delta @ layer.W))[:, :, None] * J)
        J = layer.W @ (slope(t)[:, :, None] * J)
    size_of_J = np.sqrt(np.square(J).sum(axis=(1, 2)))
    return _Look(
        energy=_norm(r) ** 2 + lam * _norm(z) ** 2 + alpha * _norm(pull) ** 2,
        g=deltas[0] @ decoder[0].W + lam * z + alpha * pull,
        H=np.broadcast_to(H + _transposed(J) @ J, (len(z), *H.shape[-2:])),
        scale=size_of_J * (_norm(y) + _norm(ts[-1])) + lam * _norm(z) + alpha * (_norm(z) + _norm(z_tilde)),
    )


def _transposed(J: Array) -> Array:
    return J.swapaxes(1, 2)


def _norm(a: Array) -> Array:
    return np.sqrt(np.square(a).sum(axis=1))


def _checked_params(params: Params, analytic: bool = False) -> Params:
    if not isinstance(params, Params):
        raise TypeError(f"params: expected network.Params, got {type(params).__name__}: each network learns by itself")
    return Params(*checked(params, analytic=analytic))


def _checked(params: Params, y: Array, f: str, alpha: float, lam: float) -> tuple[Params, Array, float, float]:
    params = _checked_params(params)
    y = validation.squarable("y", y, ("N", params.encoder[0].W.shape[1]))
    validation.choice("f", f, ACTIVATIONS)
    alpha, lam = validation.positive("alpha", alpha), validation.non_negative("lam", lam)
    with np.errstate(over="ignore"):  # no warning besides the error
        for name, weight in (("alpha", alpha), ("lam", lam)):
            validation.squarable(name, np.asarray(weight).astype(y.dtype), ())
    return params, y, alpha, lam
