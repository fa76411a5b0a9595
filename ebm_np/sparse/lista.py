r"""LISTA: the iterations of ISTA as the layers of a network, trained to find the code in a few of them.

    z(1) = sh_theta[W_e^T y],    z(t+1) = sh_theta[W_e^T y + S z(t)],    t = 1, ..., K - 1                         (1)
    W_e = (2/L) W,   S = I - (2/L) W^T W,   theta = lam / L,   L = 2 sigma_max(W)^2      the analytic weights      (2)
    l(W_e, S, theta) = (1/N) sum_n ||z_n(K) - z*_n||^2,    z*_n = argmin_z E(y_n, z)     the code error            (3)
    l(W_e, S, theta) = (1/N) sum_n E(y_n, z_n(K)),    E(y, z) = ||y - W z||^2 + lam ||z||_1       the energy       (4)

    symbol   name           shape                     meaning
    y        y              (N, d)                    observations, rows are samples
    z(t)     z              (N, k)                    codes after t shrinkages
    W_e      Params.W_e     (d, k) or (K, d, k)       encoder; one for all steps, or one each ("untied")
    S        Params.S       (k, k) or (K - 1, k, k)   how a code pulls on the others; S[t-1] takes z(t) to z(t+1)
    theta    Params.theta   (k,) or (K, k)            thresholds, >= 0, one a code

With (2), (1) is ISTA from z = 0, iterate by iterate: z - (2/L) W^T (W z - y) = W_e^T y + S z. The note writes - S z(t),
which undoes at each step what the last one found, and leaves out the factor 2 (`sparse_coding` has the derivation).
(3) needs the solver's codes, computed once; (4) needs none: an error in z counts by how much it raises E.

Derivation (backpropagation through time)
----------
Let u(t) be the bracket in (1), delta(t) = dl/du(t) and g(t) = dl/dz(t), for one sample; l depends on z(K) alone.
"p receives v" means that v is one term of dl/dp, which is the sum of all that p receives.

1. sh_theta(u) = u - theta sign(u) where |u| > theta, else 0. So dz_i = du_i - sign(z_i) dtheta_i where z_i(t) != 0, and
   0 elsewhere: z(t) is all that need be kept. At the kink, |u| = theta, this is the derivative from |u| < theta.
2. delta(t) = 1[z(t) != 0] g(t),  and theta receives  - delta(t) sign(z(t)).
3. du(t+1) = dW_e^T y + dS z(t) + S dz(t):  <delta(t+1), dS z(t)> = <delta(t+1) z(t)^T, dS>, so S receives
   delta(t+1) z(t)^T;  g(t) = S^T delta(t+1);  W_e receives y delta(t+1)^T;  y receives W_e delta(t+1).
4. From the end, g(K) = dl/dz(K) = (2/N) (z(K) - z*) for (3), and (1/N) (2 W^T (W z(K) - y) + lam sign(z(K))) for (4),
   down to t = 1. Shared weights receive a term from every step, and the sum is their gradient:

       dl/dS = sum_t delta(t+1) z(t)^T,   dl/dW_e = y (sum_t delta(t))^T,   dl/dtheta = - sum_t delta(t) sign(z(t)).

Memory: the backward pass needs z(1), ..., z(K) and some six work arrays of that size, so (K + 6) n k numbers for n
samples: it grows linearly with K. Samples are taken in blocks of n = 500, so that it does not grow with N.

Source: notes 08-2, "LISTA" and figure 4; Gregor & LeCun 2010.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.optimizers import adam, projected
from ebm_np.foundations.parameters import in_one_precision, tree_map
from ebm_np.foundations.proximal import shrink
from ebm_np.foundations.results import Fit
from ebm_np.foundations.training import Callback, minimize
from ebm_np.sparse import sparse_coding
from ebm_np.sparse.textbook import lipschitz

BLOCK = 500
"""Samples of which z(1), ..., z(K) are kept at a time: few enough to stay in a processor's cache."""


class Params(NamedTuple):
    """The network of equation (1)."""

    W_e: Array  # (d, k); untied (K, d, k)
    S: Array  # (k, k); untied (K - 1, k, k)
    theta: Array  # (k,); untied (K, k)


class Energy(NamedTuple):
    """What to train for where there are no targets: equation (4)."""

    W: Array  # (d, k)
    lam: float  # > 0


Goal = Array | Energy
"""The targets z* (N, k) of equation (3), or the energy of equation (4)."""


def from_dictionary(W: Array, lam: float) -> Params:
    """Return the analytic weights (2) of a dictionary (d, k): ISTA, waiting to be improved; see `ista_step`."""
    W = validation.squarable("W", W, ("d", "k"))
    step, theta = ista_step(W, lam)
    return Params(step * W, np.eye(W.shape[1], dtype=W.dtype) - step * (W.T @ W), np.full(W.shape[1], theta))


def ista_step(W: Array, lam: float) -> tuple[np.floating[Any], np.floating[Any]]:
    """Return 2 / L and lam / L, equation (2), in the precision of W (d, k).

    Raises
    ------
    TypeError, ValueError
        for a wrong argument; atoms so small, or a lam so large, that one of the two would overflow.
    """
    W, lam = validation.squarable("W", W, ("d", "k")), validation.positive("lam", lam)
    L, largest = lipschitz(W), 1e-3 * float(np.finfo(W.dtype).max)
    if max(2.0, lam) > L * largest:
        raise ValueError(f"W: expected atoms for which 2 / L and lam / L are finite, got L = {L:.3g}, lam = {lam:.3g}")
    return W.dtype.type(2 / L), W.dtype.type(lam / L)


def untie(params: Params, n_steps: int) -> Params:
    """Return the same network for n_steps steps, with weights that may now differ from step to step."""
    W_e, S, theta = _checked(params, validation.count("n_steps", n_steps))
    if theta.ndim == 2:
        raise ValueError(f"params: expected weights shared by all steps, got those of {len(theta)} steps")
    return Params(*(np.repeat(p[None], n, axis=0) for p, n in ((W_e, n_steps), (S, n_steps - 1), (theta, n_steps))))


def forward(params: Params, y: Array, n_steps: int) -> Array:
    """Return z(K), equation (1), for K = n_steps: (N, d) -> (N, k); raises an error that names a wrong argument."""
    params, y, n_steps = _door(params, y, n_steps)
    return np.concatenate([unroll(params, y[rows], n_steps)[-1].copy() for rows in _slices(len(y))])


def loss(params: Params, y: Array, z_target: Goal, n_steps: int) -> float:
    """Return the mean squared code error (3) for targets (N, k), or the mean energy (4) if z_target is an `Energy`."""
    params, y, n_steps = _door(params, y, n_steps)
    blocks = _blocks(y, _goal(z_target, params, y))
    return np.concatenate([_cost(unroll(params, y, n_steps)[-1], y, goal)[0] for y, goal in blocks]).mean()


def loss_grad_params(params: Params, y: Array, z_target: Goal, n_steps: int) -> Params:
    """Return d/dparams of `loss`, derivation 1 to 4."""
    params, y, n_steps = _door(params, y, n_steps)
    return _loss_and_grad(params, y, _goal(z_target, params, y), n_steps)[1]


def loss_grad_y(params: Params, y: Array, z_target: Goal, n_steps: int) -> Array:
    """Return d/dy of `loss`, derivation 3: (N, d); with an `Energy` the loss depends on y directly, too."""
    params, y, n_steps = _door(params, y, n_steps)
    blocks = _blocks(y, _goal(z_target, params, y))
    return np.concatenate([_sum_grad_y(params, *block, n_steps) for block in blocks]) / len(y)


def fit(
    params: Params,
    y: Array,
    z_target: Goal,
    rng: np.random.Generator,
    *,
    n_steps: int,
    rate: float = 1e-3,
    n_epochs: int = 100,
    batch_size: int | None = 250,
    held_out: float = 0.1,
    patience: int = 5,
    callback: Callback | None = None,
) -> Fit[Params]:
    """Return weights whose z(K), K = n_steps, is nearer to the targets, or has less energy: Adam, with theta >= 0.

    Parameters
    ----------
    params : where to start, with shared or untied weights; never written to
    y : data (N, d)
    z_target : their codes (N, k), say of `sparse_coding.infer`; or instead of codes an `Energy`
    rng : shuffles the samples
    n_steps : K
    rate : of Adam; when training brings nothing more, go on from the result with a smaller one
    n_epochs : passes over the samples, at most
    batch_size : None means all samples at once
    held_out : share of the samples, taken from the end, that is held out to judge the result; at least one sample
    patience : stop after so many epochs in a row without a lower loss of the samples held out
    callback : called after each epoch with its number and its mean loss

    Returned are those parameters, of the start and all epochs, whose loss on the held-out samples is least. `history`
    has the mean loss of each epoch, `held_out` that of these samples, first at the start. float32 if all arrays are.
    Raises an error that names a wrong argument, and `FloatingPointError` if training diverged.
    """
    params, y, n_steps = _door(params, y, n_steps, analytic=False)
    z_target = _goal(z_target, params, y, analytic=False)
    validation.generator("rng", rng)
    if validation.positive("held_out", held_out) >= 1:
        raise ValueError(f"held_out: expected a share between 0 and 1, got {held_out}")
    n = len(y) - max(1, round(held_out * len(y)))
    if n < 1:
        raise ValueError(f"y: expected samples to train with and samples to hold out, got {len(y)} in all")
    params, y = in_one_precision(params, y)

    def loss_and_grad(params: Params, batch: Array) -> tuple[float, Params]:
        return _loss_and_grad(params, y[batch], _rows(z_target, batch), n_steps)

    judges = y[n:], _rows(z_target, slice(n, None)), n_steps
    optimizer = projected(adam(rate), lambda params: params._replace(theta=np.maximum(params.theta, 0)))
    return minimize(
        loss_and_grad, params, n, optimizer=optimizer, n_epochs=n_epochs, batch_size=batch_size, rng=rng,
        callback=callback, held_out=lambda params: float(loss(params, *judges)), patience=patience,
    )  # fmt: skip


def unroll(params: Params, y: Array, n_steps: int) -> Array:
    """Return z(1), ..., z(K), equation (1): (K, N, k)."""
    untied, at = _weights(params)
    z = np.empty((n_steps, len(y), params.S.shape[-1]), np.result_type(y, *params))
    driven, u = np.empty_like(z[0]), np.empty_like(z[0])
    for t in range(n_steps):
        if t == 0 or untied:
            np.matmul(y, params.W_e[at(t)], out=driven)
        if t:
            np.matmul(z[t - 1], params.S[at(t - 1)].T, out=u)
            u += driven
        shrink(u if t else driven, params.theta[at(t)], out=z[t])
    return z


def vjp_params(params: Params, y: Array, z: Array, grad: Array, grads: Params | None = None) -> Params:
    """Return dl/dparams from z(1), ..., z(K) and grad = dl/dz(K), derivation 2 and 3.

    `grads`, if given, is written to: it is returned with dl/dparams added.
    """
    untied, at = _weights(params)
    grads, total = grads or tree_map(np.zeros_like, params), np.zeros_like(z[0])
    ones = np.ones(len(y), z.dtype)
    for t, slope, delta in _backward(params, z, grad):
        grads.theta[at(t)] -= ones @ slope
        if t:
            grads.S[at(t - 1)] += delta.T @ z[t - 1]
        if untied:
            grads.W_e[t] += y.T @ delta
        else:
            total += delta
    if not untied:
        grads.W_e[...] += y.T @ total
    return grads


def vjp_y(params: Params, z: Array, grad: Array) -> Array:
    """Return dl/dy from z(1), ..., z(K) and grad = dl/dz(K): derivation 3."""
    _, at = _weights(params)
    return sum(delta @ params.W_e[at(t)].T for t, _, delta in _backward(params, z, grad))


def _backward(params: Params, z: Array, grad: Array) -> Iterator[tuple[int, Array, Array]]:
    """Yield t - 1, delta(t) sign(z(t)) and delta(t) for t = K, ..., 1; the arrays are used again for the next t."""
    _, at = _weights(params)
    sign, slope, work = (np.empty_like(z[0]) for _ in range(3))
    for t in reversed(range(len(z))):
        np.sign(z[t], out=sign)
        np.multiply(grad, sign, out=slope)
        delta = np.multiply(slope, sign, out=sign)
        yield t, slope, delta
        if t:
            grad = np.matmul(delta, params.S[at(t - 1)], out=work)


def _cost(z: Array, y: Array, z_target: Goal) -> tuple[Array, Array]:
    """Return what each z(K) costs (n,), and the gradient of that (n, k): derivation 4."""
    if not isinstance(z_target, Energy):
        difference = z - z_target
        return np.einsum("nk,nk->n", difference, difference), 2 * difference
    params, lam = sparse_coding.Params(z_target.W), z_target.lam
    grad = sparse_coding.cost_grad_z(params, y, z) + lam * np.sign(z)
    return sparse_coding.energy(params, y, z, lam), grad


def _rows(z_target: Goal, which: Array | slice) -> Goal:
    return z_target if isinstance(z_target, Energy) else z_target[which]


def _slices(n: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, n, BLOCK))


def _blocks(y: Array, z_target: Goal) -> Iterator[tuple[Array, Goal]]:
    return ((y[rows], _rows(z_target, rows)) for rows in _slices(len(y)))


def _loss_and_grad(params: Params, y: Array, z_target: Goal, n_steps: int) -> tuple[float, Params]:
    """Return the mean cost of z(K) and its gradient."""
    grads = tree_map(np.zeros_like, params)
    return sum(_add_grad(grads, params, *block, n_steps, len(y)) for block in _blocks(y, z_target)), grads


def _add_grad(grads: Params, params: Params, y: Array, z_target: Goal, n_steps: int, n: int) -> float:
    """Return what a block adds to the mean cost of all n samples, and add the gradient of that to `grads`."""
    z = unroll(params, y, n_steps)
    costs, grad = _cost(z[-1], y, z_target)
    vjp_params(params, y, z, grad / n, grads)
    return float(costs.sum()) / n


def _sum_grad_y(params: Params, y: Array, z_target: Goal, n_steps: int) -> Array:
    """Return the gradient of the costs, summed over a block, with respect to y."""
    z = unroll(params, y, n_steps)
    grad = vjp_y(params, z, _cost(z[-1], y, z_target)[1])
    if isinstance(z_target, Energy):
        grad += sparse_coding.energy_grad_y(sparse_coding.Params(z_target.W), y, z[-1])
    return grad


def _weights(params: Params) -> tuple[bool, Callable[[int], Any]]:
    """Return whether each step has weights of its own, and what picks those of step t from an array: t, or all."""
    untied = params.theta.ndim == 2
    return untied, (lambda t: t) if untied else (lambda t: ...)


def _door(params: Params, y: Array, n_steps: int, analytic: bool = True) -> tuple[Params, Array, int]:
    """Return the arguments of `forward`, checked; analytic: complex numbers may pass, for the complex step."""
    params = _checked(params, validation.count("n_steps", n_steps), analytic)
    return params, validation.squarable("y", y, ("N", params.W_e.shape[-2]), analytic=analytic), n_steps


def _checked(params: Params, n_steps: int, analytic: bool = False) -> Params:
    """Return the weights, checked; those of untied steps have to be n_steps."""
    validation.instance("params", params, Params)
    K: tuple[int, ...] = (n_steps,) if validation.rank(params.theta) == 2 else ()
    between: tuple[int, ...] = (n_steps - 1,) if K else ()
    theta = validation.squarable("params.theta", params.theta, (*K, "k"), analytic=analytic)
    if (theta.real < 0).any():
        raise ValueError(f"params.theta: expected thresholds >= 0, got {theta.real.min():.3g}")
    k = theta.shape[-1]
    W_e = validation.squarable("params.W_e", params.W_e, (*K, "d", k), analytic=analytic)
    S = validation.squarable("params.S", params.S, (*between, k, k), empty=True, analytic=analytic)
    return Params(W_e, S, theta)


def _goal(z_target: Goal, params: Params, y: Array, analytic: bool = True) -> Goal:
    d, k = params.W_e.shape[-2:]
    if isinstance(z_target, Energy):
        W = validation.squarable("z_target.W", z_target.W, (d, k))
        return Energy(W, validation.positive("z_target.lam", z_target.lam))
    return validation.squarable("z_target", z_target, (len(y), k), analytic=analytic)
