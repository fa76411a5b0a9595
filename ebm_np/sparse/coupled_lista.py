r"""Coupled LISTA: the network keeps the dictionary, and need learn no more than a step and a threshold per iteration.

    z(0) = 0,   r(t) = y - W z(t-1),   u(t) = z(t-1) + gamma_t V_t^T r(t),   z(t) = sh_t[u(t)],   t = 1, ..., K    (1)
    sh_t(u)_i = u_i   if |u_i| > theta_t and |u_i| is among the n_t largest of its sample,   "support selection"
                sign(u_i) max(|u_i| - theta_t, 0)   otherwise;        n_t = round(min(rise t, most) k)             (2)
    l(V, gamma, theta) = (1/N) sum_n ||z_n(K) - z*_n||^2                                                           (3)
    V = argmin ||V^T W||_F^2  such that  v_i^T w_i = 1 for all i:   v_i = G w_i / (w_i^T G w_i),  G = (W W^T)^-1   (4)

    symbol   name           shape                  meaning
    y        y              (N, d)                 observations, rows are samples
    z(t)     z              (N, k)                 codes after t steps
    z*       z_target       (N, k)                 the codes that y was made from, y = W z*
    W        W              (d, k)                 the dictionary, known and fixed; columns are atoms w_i
    V        Params.V       (d, k) or (K, d, k)    weights, columns v_i; one for all steps, or one each
    gamma    Params.gamma   (K,)                   step lengths
    theta    Params.theta   (K,)                   thresholds, >= 0
    n_t      Selection                             how many codes may pass unshrunk; rise and most are shares of k

LISTA is z(t) = sh[W_e^T y + S z(t-1)] with W_e and S free. If its error is to vanish, S must tend to I - W_e^T W (Chen
et al., theorem 1). (1) has that built in: W_e = gamma V, S = I - gamma V^T W. With V = W, gamma = 2/L, theta = lam/L it
is ISTA (`from_dictionary`). Otherwise its name depends on what is learned. LISTA-CP: gamma, theta and a V for each
step. TiLISTA: gamma, theta and one V for all steps. ALISTA: only gamma and theta, 2 K numbers, with V from (4).

Derivation
----------
1. Why the error falls at a linear rate. Let gamma = 1, y = W z*, e = z(t-1) - z*. Then u - z* = (I - V^T W) e. Since
   v_i^T w_i = 1, this matrix has a zero diagonal: |u_i - z*_i| <= mu sum_{j != i} |e_j|, mu = max_{i != j} |v_i^T w_j|
   (the generalised mutual coherence). Take theta_t = mu B_t with a bound B_t >= ||e||_1: where z* is 0, |u_i| is at
   most theta_t and z(t) is 0, too; on the s codes of the support of z* the error is at most mu sum_{j != i} |e_j| +
   theta_t. These add up to at most B_{t+1} = (2 s - 1) mu B_t, so error and thresholds fall as c^t, c = (2 s - 1) mu.
   That is the worst case; hence the geometric thresholds of `init`.
2. Hence also (4): it fixes the diagonal of V^T W at 1 and makes the rest small. The squared Frobenius norm is the sum
   of all ||W^T v_i||^2, so each v_i is a problem of its own. With a Lagrange multiplier nu_i: 2 W W^T v_i = nu_i w_i,
   so v_i is parallel to G w_i, and the constraint gives its length. The problem is convex, its constraint linear: this
   stationary point is the minimum.
3. Support selection: shrinkage makes a code too small by theta_t (its bias). A large one surely belongs to the support,
   and may pass unshrunk.

Backpropagation through time, for one sample, with g(t) = dl/dz(t), delta(t) = dl/du(t), g(K) = (2/N) (z(K) - z*):

4. dz_i(t) is 0 where z_i(t) = 0, du_i where u_i passed, du_i - sign(z_i) dtheta_t where it was shrunk; a small change
   does not alter which case holds. So delta(t) = 1[z(t) != 0] g(t), dl/dtheta_t = -sum over the shrunk of delta_i
   sign(z_i).
5. du = dz(t-1) + dgamma V^T r + gamma dV^T r + gamma V^T (dy - W dz(t-1)). So with h(t) = V_t delta(t)
       dl/dgamma_t = <h, r>,   dl/dV_t = gamma_t r delta^T,   dl/dy = sum_t gamma_t h(t),
       g(t-1) = delta - gamma_t W^T h;   one V for all steps receives the sum over t.

Memory: the backward pass needs r(t), z(t) and which codes passed, N (k + d) numbers and N k bytes for each step: it is
proportional to K. `forward` keeps the last step only.

Source: notes 08-2, "LISTA"; Chen, Liu, Wang & Yin 2018 (1), (2), theorems 1 and 2; Liu, Chen, Wang & Yin 2019 (4).
"""

from collections import deque
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.costs import squared_error, squared_error_grad
from ebm_np.foundations.optimizers import Optimizer, adam
from ebm_np.foundations.parameters import tree_map, zeros_like
from ebm_np.foundations.proximal import shrink
from ebm_np.foundations.results import Fit
from ebm_np.foundations.training import Callback, minimize
from ebm_np.sparse.lista import ista_step


class Params(NamedTuple):
    """The network of equation (1)."""

    V: Array  # (d, k) or (K, d, k)
    gamma: Array  # (K,)
    theta: Array  # (K,)


class Selection(NamedTuple):
    """How many codes may pass unshrunk, equation (2)."""

    rise: float  # per step
    most: float


class Step(NamedTuple):
    """What the backward pass needs to know of a step."""

    r: Array  # (N, d)
    z: Array  # (N, k)
    passed: Array  # (N, k) bool


PLAIN, PAPER = Selection(0.0, 0.0), Selection(0.012, 0.13)
"""No selection, so that (2) is shrinkage; and the values of the papers, for signals with one code in ten not zero."""


def analytic_weights(W: Array) -> Array:
    """Return the V of equation (4), derivation 2: (d, k) -> (d, k). Refuses a singular W W^T: k < d, for instance."""
    W = validation.squarable("W", W, ("d", "k"))
    if not W.any(axis=0).all():
        raise ValueError("W: expected no atom of zeros")
    if np.linalg.matrix_rank(W) < len(W):
        raise ValueError(f"W: expected {len(W)} independent rows, for W W^T to have an inverse; it is singular")
    unit = np.abs(W).max()
    atoms = (W / unit).astype(np.float64)
    V = np.linalg.solve(atoms @ atoms.T, atoms)
    return (V / (atoms * V).sum(axis=0)).astype(W.dtype) / unit


def init(V: Array, n_steps: int, *, theta: float = 0.45, decay: float = 0.8) -> Params:
    """Return gamma_t = 1, theta_t = theta decay^(t-1) and V, (d, k) or (K, d, k): a start for `fit`, derivation 1."""
    n_steps = validation.count("n_steps", n_steps)
    V = validation.squarable("V", V, (n_steps, "d", "k") if validation.rank(V) == 3 else ("d", "k"))
    falling = validation.positive("theta", theta) * validation.positive("decay", decay) ** np.arange(n_steps)
    return Params(V, np.ones(n_steps, V.dtype), falling.astype(V.dtype))


def from_dictionary(W: Array, lam: float, n_steps: int) -> Params:
    """Return n_steps of ISTA for ||y - W z||^2 + lam ||z||_1 as a network: V = W, gamma = 2/L, theta = lam/L."""
    W, n_steps = validation.squarable("W", W, ("d", "k")), validation.count("n_steps", n_steps)
    step, theta = ista_step(W, lam)
    return Params(W, np.full(n_steps, step), np.full(n_steps, theta))


def select_and_shrink(u: Array, theta: float, n: int) -> tuple[Array, Array]:
    """Return sh(u), equation (2), and which codes passed unshrunk: (N, k) -> (N, k) twice. Equal |u| pass together."""
    if n == 0:
        return shrink(u, theta), np.zeros(u.shape, bool)
    size = np.abs(u.real)
    passed = (size > np.real(theta)) & (size >= np.partition(size, -n, axis=1)[:, [-n]])
    return np.where(passed, u, shrink(u, theta)), passed


def iterates(params: Params, W: Array, y: Array, selection: Selection = PLAIN) -> Iterator[Array]:
    """Yield z(1), ..., z(K), equation (1): each (N, k).

    Raises
    ------
    ValueError, TypeError
        for shapes that disagree, NaN or infinity, a negative threshold, or a share that is not between 0 and 1.
    """
    return (step.z for step in _steps(*_door(params, W, y, selection)))


def forward(params: Params, W: Array, y: Array, selection: Selection = PLAIN) -> Array:
    """Return z(K), equation (1): (N, d) -> (N, k); raises as `iterates` does."""
    return deque(iterates(params, W, y, selection), maxlen=1).pop()


def loss(params: Params, W: Array, y: Array, z_target: Array, selection: Selection = PLAIN) -> float:
    """Return the mean squared error of the codes, equation (3), as a number; z_target (N, k)."""
    return squared_error(forward(params, W, y, selection), _target(W, y, z_target)).mean()


def loss_grad_params(params: Params, W: Array, y: Array, z_target: Array, selection: Selection = PLAIN) -> Params:
    """Return d/dparams of `loss`, derivation 4 and 5."""
    params, W, y, selection = _door(params, W, y, selection)
    return _loss_and_grads(params, W, y, _target(W, y, z_target), selection, Params._fields)[1]


def loss_grad_y(params: Params, W: Array, y: Array, z_target: Array, selection: Selection = PLAIN) -> Array:
    """Return d/dy of `loss`, derivation 5, with z_target as it is: (N, d)."""
    params, W, y, selection = _door(params, W, y, selection)
    steps, z_target = list(_steps(params, W, y, selection)), _target(W, y, z_target)
    return sum(params.gamma[t] * h for t, _, h in _backward(params, W, steps, z_target))


def fit(
    params: Params,
    W: Array,
    y: Array,
    z_target: Array,
    rng: np.random.Generator,
    *,
    learned: Collection[str] = ("gamma", "theta"),
    selection: Selection = PLAIN,
    rate: float = 1e-2,
    n_epochs: int = 5,
    batch_size: int | None = 100,
    patience: int = 10,
    callback: Callback | None = None,
) -> Fit[Params]:
    """Return parameters with a low loss (3), by Adam: of all epochs those that are best on the last tenth of samples.

    These samples are held out, and on them the result is never worse than the start. So call it again from the result
    with a lower rate: once the loss is low, most of what remains is due to steps of Adam that are too long.

    Parameters
    ----------
    params : where to start; never written to
    W : dictionary (d, k)
    y, z_target : at least two observations (N, d), and their codes (N, k)
    rng : shuffles the samples of each epoch
    learned : which of "V", "gamma", "theta" are learned; the others stay as they are
    selection : how many codes pass unshrunk, equation (2)
    rate : of Adam: the step in gamma, in log theta (thresholds are orders of magnitude apart), and in V / rms(V)
    batch_size : None means all samples at once
    patience : stop when so many epochs in a row were no better

    Raises
    ------
    ValueError, TypeError
        for a wrong argument.
    FloatingPointError
        if training diverges.
    """
    params, W, y, selection = _door(params, W, y, selection)
    z_target, n = _target(W, y, z_target), len(y) - max(1, len(y) // 10)
    validation.generator("rng", rng)
    if not n:
        raise ValueError("y: expected at least 2 samples, of which one is held out, got 1")
    if not isinstance(learned, Collection) or not 0 < len(set(learned)) == len(set(learned) & set(Params._fields)):
        raise ValueError(f"learned: expected some of {', '.join(map(repr, Params._fields))}, got {learned!r}")
    dtype = np.result_type(W, y, z_target, *params)
    return minimize(
        lambda params, rows: _loss_and_grads(params, W, y[rows], z_target[rows], selection, learned),
        tree_map(lambda part: part.astype(dtype, copy=False), params),
        n,
        optimizer=_in_units(adam(rate, b2=0.99, eps=1e-12)),  # gradients fall to 1e-6 and below as steps become exact
        n_epochs=n_epochs,
        batch_size=batch_size,
        rng=rng,
        callback=callback,
        held_out=lambda params: loss(params, W, y[n:], z_target[n:], selection),
        patience=patience,
    )


def _steps(params: Params, W: Array, y: Array, selection: Selection) -> Iterator[Step]:
    """Yield r(t), z(t) and which codes passed, for t = 1, ..., K: equations (1) and (2)."""
    z = np.zeros((len(y), W.shape[1]), y.dtype)
    for t, (gamma, theta) in enumerate(zip(params.gamma, params.theta, strict=True)):
        n = round(min(selection.rise * (t + 1), selection.most) * W.shape[1])
        r = y - z @ W.T
        z, passed = select_and_shrink(z + gamma * (r @ _at(t, params.V)), theta, n)
        yield Step(r, z, passed)


def _backward(params: Params, W: Array, steps: list[Step], z_target: Array) -> Iterator[tuple[int, Array, Array]]:
    """Yield t - 1, delta(t) and h(t) for t = K, ..., 1: derivation 4 and 5."""
    g = squared_error_grad(z_target, steps[-1].z) / len(z_target)
    for t in reversed(range(len(steps))):
        delta = np.where(steps[t].z == 0, 0, g)
        h = delta @ _at(t, params.V).T
        yield t, delta, h
        g = delta - params.gamma[t] * (h @ W)


def _loss_and_grads(
    params: Params, W: Array, y: Array, z_target: Array, selection: Selection, learned: Collection[str]
) -> tuple[float, Params]:
    """Return the loss and its gradient; zeros for what is not learned."""
    steps, grads = list(_steps(params, W, y, selection)), zeros_like(params)
    for t, delta, h in _backward(params, W, steps, z_target):
        r, z, passed = steps[t]
        if "theta" in learned:
            grads.theta[t] = -np.where(passed, 0, delta * np.sign(z)).sum()
        if "gamma" in learned:
            grads.gamma[t] = (h * r).sum()
        if "V" in learned:
            _at(t, grads.V)[...] += params.gamma[t] * (r.T @ delta)
    return squared_error(steps[-1].z, z_target).mean(), grads


def _at(t: int, V: Array) -> Array:
    """Return the weights of a step, a view: (d, k)."""
    return V if V.ndim == 2 else V[t]


def _in_units(optimizer: Optimizer) -> Optimizer:
    """Return the optimizer with its steps in the units of `fit`; theta becomes theta exp(step), never negative."""

    def step(params: Params, grads: Params, state: Any) -> tuple[Params, Any]:
        V, gamma, theta = params
        rms = np.sqrt(np.square(V).mean())
        by, state = optimizer.step(zeros_like(params), Params(rms * grads.V, grads.gamma, theta * grads.theta), state)
        return Params(V + rms * by.V, gamma + by.gamma, theta * np.exp(by.theta)), state

    return Optimizer(optimizer.init, step)


def _door(params: Params, W: Array, y: Array, selection: Selection) -> tuple[Params, Array, Array, Selection]:
    """Return the arguments of `iterates`, checked; complex numbers may pass, for the complex step."""
    W = validation.squarable("W", W, ("d", "k"))
    V, gamma, theta = validation.instance("params", params, Params)
    gamma = validation.squarable("params.gamma", gamma, ("K",), analytic=True)
    theta = validation.squarable("params.theta", theta, gamma.shape, analytic=True)
    if (theta.real < 0).any():
        raise ValueError(f"params.theta: expected thresholds >= 0, got {theta.real.min():.3g}")
    steps = gamma.shape if validation.rank(V) == 3 else ()
    V = validation.squarable("params.V", V, (*steps, *W.shape), analytic=True)
    shares = zip(Selection._fields, validation.instance("selection", selection, Selection), strict=True)
    rise, most = (validation.non_negative(f"selection.{name}", share) for name, share in shares)
    if most > 1:
        raise ValueError(f"selection.most: expected a share of at most 1, got {most}")
    y = validation.squarable("y", y, ("N", len(W)), analytic=True)
    return Params(V, gamma, theta), W, y, Selection(rise, most)


def _target(W: Array, y: Array, z_target: Array) -> Array:
    return validation.squarable("z_target", z_target, (len(y), W.shape[1]), analytic=True)
