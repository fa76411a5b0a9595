r"""Training a Boltzmann machine: lower F on data, raise it on what the machine dreams.

    loss = mean_n F(v_n) - mean_m F(v^_m)                                                                          (1)
    cd          v^ = K steps of block Gibbs from the batch itself
    pcd         v^ = K steps from where the chains were after the last batch ("persistent")
    tempering   as pcd, with more chains at inverse temperatures t_1 < ... < t_T = 1 that change places with
                probability min(1, exp((t_a - t_b) (E_a - E_b)))                                                   (2)

Data are divided by the number of data and chains by the number of chains: a short last batch changes nothing. The means
over h are exact on both sides, p(h|v), but v^ are bits: with means in their place it is the gradient of nothing.

Derivation
----------
1. The gradient of (1) at fixed v^ is that of -log p if v^ are draws of the model (`boltzmann`, equation 5).
2. cd: its v^ are too near to the data; it forgets what is far from all of them. pcd: parameters change slowly, the
   chains keep up. tempering: hot chains walk where cold ones cannot, and (2) leaves prod_a p(v_a, h_a)^t_a as it is.
3. centred: `boltzmann`, derivation 5, with mu and lam running means of v and p(h|v) over the data.

Source: Hinton 2002; Tieleman 2008; Desjardins et al. 2010, tempering; Melchior, Fischer & Wiskott 2016, centred.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.numerics import sigmoid, softplus
from ebm_np.foundations.optimizers import Optimizer, gradient_descent
from ebm_np.foundations.parameters import in_one_precision, tree_map
from ebm_np.foundations.results import Fit
from ebm_np.foundations.training import minimize
from ebm_np.physics.boltzmann import Params, checked, hidden, sample

METHODS = ("cd", "pcd", "tempering")


def fit(
    params: Params,
    v: Array,
    rng: np.random.Generator,
    *,
    method: str = "pcd",
    n_steps: int = 1,
    n_chains: int = 100,
    n_temperatures: int = 10,
    centred: bool = False,
    decay: float = 0.0,
    optimizer: Optimizer | None = None,
    n_epochs: int = 10,
    batch_size: int = 100,
    **options: Any,
) -> Fit[Params]:
    """Return parameters that make the data, (N, d) in [0, 1], likely; `history` has the mean loss (1) of each epoch.

    Parameters
    ----------
    method, n_steps : where v^ come from, and after how many steps (K)
    n_chains, n_temperatures : of "pcd" and "tempering"; of "tempering"
    centred : the centred gradient, derivation 3
    decay : adds (decay / 2) ||W||^2 to the loss
    optimizer : gradient descent with a rate of 0.01 if None
    options : callback and watch, as in `training.minimize`

    Raises
    ------
    TypeError, ValueError
        for an argument of the wrong kind, shape or value, by its name.
    FloatingPointError
        if a parameter is no longer finite.
    """
    validation.generator("rng", rng)
    params, v = checked(params, v, analytic=False)
    params, v = in_one_precision(params, v)
    validation.choice("method", method, METHODS)
    n_steps, decay = validation.count("n_steps", n_steps), validation.non_negative("decay", decay)
    validation.count("batch_size", batch_size)
    mu, lam = v.mean(axis=0), hidden(params, v[:batch_size]).mean(axis=0)
    n_chains = validation.count("n_chains", n_chains)
    t = np.linspace(0, 1, validation.count("n_temperatures", n_temperatures) + 1, dtype=v.dtype)[1:]
    t = t if method == "tempering" else t[-1:]
    chains = sample(np.broadcast_to(mu, (len(t), n_chains, len(mu))), rng)
    dreams = _dreaming(None if method == "cd" else chains, t, n_steps, rng)

    def loss_and_grad(params: Params, batch: Array) -> tuple[float, Params]:
        nonlocal lam
        data = v[batch]
        dreamt = dreams(params, data)
        (loss, positive), (less, negative) = (_mean_free_energy(params, some) for some in (data, dreamt))
        grads = tree_map(lambda a, b: a - b, positive, negative)
        if centred:
            lam = lam + 0.01 * (-positive.c - lam)
            grads = _centred(grads, mu, lam)
        return loss - less, grads._replace(W=grads.W + decay * params.W) if decay else grads

    optimizer = gradient_descent(0.01) if optimizer is None else optimizer
    return minimize(
        loss_and_grad, params, len(v), optimizer=optimizer, n_epochs=n_epochs, batch_size=batch_size, rng=rng, **options
    )


def _dreaming(
    chains: Array | None, t: Array, n_steps: int, rng: np.random.Generator
) -> Callable[[Params, Array], Array]:
    """Return (params, batch) -> v^: from the batch if there are no chains, else from where they were left last."""

    def dreams(params: Params, batch: Array) -> Array:
        nonlocal chains
        ends = _steps(params, batch[None] if chains is None else chains, t, n_steps, rng)
        chains = None if chains is None else ends
        return ends[-1]

    return dreams


def _mean_free_energy(params: Params, v: Array) -> tuple[float, Params]:
    """Return the mean of F over rows, and its gradient."""
    a = params.c + v @ params.W
    p = sigmoid(a)
    share = v.dtype.type(1 / len(v))
    value = -(v @ params.b) - softplus(a).sum(axis=1)
    return value.mean(dtype=np.float64), Params(-(v.T @ p) * share, -v.mean(axis=0), -p.mean(axis=0))


def _centred(grads: Params, mu: Array, lam: Array) -> Params:
    """Return the gradient of derivation 3 from the plain one; both point uphill."""
    W = grads.W - np.outer(mu, grads.c) - np.outer(grads.b, lam)
    return Params(W, grads.b - W @ lam, grads.c - mu @ W)


def _steps(params: Params, v: Array, t: Array, n_steps: int, rng: np.random.Generator) -> Array:
    """Return chains, (T, M, d), after n_steps at their inverse temperatures (T,), with changes of place between."""
    W, b, c = params
    scale = t[:, None, None]
    for _ in range(n_steps):
        h = sample(sigmoid(scale * (c + v @ W)), rng)
        v = sample(sigmoid(scale * (b + h @ W.T)), rng)
        if len(t) > 1:
            energy = -(v @ b) - h @ c - (v @ W * h).sum(axis=2)
            _change_places(v, energy, t, rng)
    return v


def _change_places(v: Array, energy: Array, t: Array, rng: np.random.Generator) -> None:
    """Let neighbours change places, equation (2), from hot to cold; writes to v (T, M, d) and energy (T, M)."""
    for low in range(len(t) - 1):
        pair = np.array([low, low + 1])
        gain = (t[low] - t[low + 1]) * (energy[low] - energy[low + 1])
        go = np.flatnonzero(np.log(1 - rng.random(energy.shape[1])) < gain)
        for part in (v, energy):
            part[np.ix_(pair, go)] = part[np.ix_(pair[::-1], go)]
