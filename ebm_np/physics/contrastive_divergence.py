r"""Training a Boltzmann machine: lower F on data, raise it on what the machine dreams.

    loss = mean_n F(v_n) - mean_m F(v^_m)                                                                          (1)
    cd          v^ = K steps of block Gibbs from the batch itself
    pcd         v^ = K steps from where the chains were after the last batch ("persistent")
    tempering   as pcd, with more chains at inverse temperatures t_1 < ... < t_T = 1 ("parallel tempering"), of which
                neighbours swap with probability min(1, exp((t_a - t_b) (E_a - E_b)))                              (2)

The mean over the data is the positive phase, the mean over the v^, what the machine dreams, the negative phase. Each is
divided by its own number of samples, so a short last batch does not upset their balance. The means over h are exact in
both phases, p(h|v), but v^ are bits: with means in their place (1) would no longer estimate <F>_model. What is kept of
a chain is its h: the next step begins there, and p(h|v^) serves both the gradient and the draw of that h.

Derivation
----------
1. The gradient of (1) at fixed v^ is on average that of -log p if v^ are draws of the model (`boltzmann`, equation 5).
2. cd: its v^ stay near the data, so F is not raised at modes far from all of them. pcd: parameters change slowly, the
   chains keep up. tempering: hot chains cross barriers that cold ones cannot, and (2) leaves the joint distribution of
   all chains, proportional to prod_a p(v_a, h_a)^t_a, invariant.
3. centred: `boltzmann`, derivation 5, with mu the mean of the data and lam a running mean of p(h|v) over the batches.

Source: Hinton 2002; Tieleman 2008; Desjardins et al. 2010, tempering; Melchior, Fischer & Wiskott 2016, centred.
"""

from typing import Any

import numpy as np

from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.numerics import sigmoid
from ebm_np.foundations.optimizers import Optimizer, gradient_descent
from ebm_np.foundations.parameters import in_one_precision
from ebm_np.foundations.results import Fit
from ebm_np.foundations.training import check_options, minimize
from ebm_np.physics.boltzmann import Params, checked, fields, free_energy_of, grad_params, hidden, sample

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
    batch_size: int | None = 100,
    **options: Any,
) -> Fit[Params]:
    """Return parameters that make the data, (N, d) in [0, 1], likely; `history` has the mean loss (1) of each epoch.

    Parameters
    ----------
    method, n_steps : where v^ come from, and after how many steps (K)
    n_chains : M, for "pcd" and "tempering" (there at each temperature)
    n_temperatures : T, for "tempering"
    centred : the centred gradient, derivation 3
    decay : adds (decay / 2) ||W||^2 to the loss
    optimizer : gradient descent with a rate of 0.01 if None
    batch_size : None means all samples at once
    options : callback and watch, as in `training.minimize`

    Raises
    ------
    TypeError, ValueError
        for an argument of the wrong kind, shape or value; the message names it.
    FloatingPointError
        if the loss or a parameter is no longer finite.
    """
    validation.generator("rng", rng)
    params, v = in_one_precision(*checked(params, v, analytic=False))
    decay, centred = validation.non_negative("decay", decay), validation.flag("centred", centred)
    n_steps, n_chains = validation.count("n_steps", n_steps), validation.count("n_chains", n_chains)
    check_options(n_epochs, batch_size)
    mu, lam = v.mean(axis=0), hidden(params, v[:batch_size]).mean(axis=0)
    t = _inverse_temperatures(method, n_temperatures, v.dtype)
    h = sample(sigmoid(t[:, None, None] * fields(params, sample(np.tile(mu, (len(t), n_chains, 1)), rng))), rng)

    def loss_and_grad(params: Params, batch: Array) -> tuple[float, Params]:
        nonlocal h, lam
        data = v[batch]
        felt = fields(params, data)
        start = sample(sigmoid(felt), rng)[None] if method == "cd" else h
        chains, felt_there, h = _steps(params, start, t, n_steps, rng)
        loss, both, p, weights = _contrast(params, (data, chains[-1]), (felt, felt_there[-1]))
        if centred:
            lam = lam + 0.01 * (p[: len(data)].mean(axis=0) - lam)
        grads = _centred(both, p, weights, mu, lam) if centred else grad_params(both, p, weights)
        return loss, grads._replace(W=grads.W + decay * params.W) if decay else grads

    optimizer = gradient_descent(0.01) if optimizer is None else optimizer
    options |= {"n_epochs": n_epochs, "batch_size": batch_size, "rng": rng}
    return minimize(loss_and_grad, params, len(v), optimizer=optimizer, **options)


def _inverse_temperatures(method: str, n: int, dtype: Any) -> Array:
    """Return t from 1 / n to 1; for methods other than tempering only the last."""
    validation.choice("method", method, METHODS)
    t = np.linspace(0, 1, validation.count("n_temperatures", n) + 1, dtype=dtype)[1:]
    return t if method == "tempering" else t[-1:]


def _contrast(params: Params, v: tuple[Array, Array], felt: tuple[Array, Array]) -> tuple[float, Array, Array, Array]:
    """Return the loss (1), v, p(h|v) and the weights in (1) of data and dreams, from v and the hidden units' fields."""
    n_data, n_dreams = map(len, v)
    weights = np.repeat(np.array([1 / n_data, -1 / n_dreams], v[0].dtype), (n_data, n_dreams))
    both, a = np.concatenate(v), np.concatenate(felt)
    return float(weights @ free_energy_of(params, both, a)), both, sigmoid(a), weights


def _centred(v: Array, p: Array, weights: Array, mu: Array, lam: Array) -> Params:
    """Return the gradient of derivation 3, uphill, from v and p(h|v) of data and dreams; the weights' sum must be 0."""
    W, b, c = grad_params(v - mu, p - lam, weights)  # b, c: those of v, p, as weights that sum to 0 see no offset
    return Params(W, b - W @ lam, c - mu @ W)


def _steps(params: Params, h: Array, t: Array, n_steps: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return v, c + v W and h of chains, (T, M, ...), after n_steps from h at their inverse temperatures t (T,)."""
    scale = t[:, None, None]
    for _ in range(n_steps):
        v = sample(sigmoid(scale * (params.b + h @ params.W.T)), rng)
        felt = fields(params, v)
        h = sample(sigmoid(scale * felt), rng)
        if len(t) > 1:
            places = _changed_places(-(v @ params.b) - (felt * h).sum(axis=2), t, rng)[:, :, None]
            v, felt, h = (np.take_along_axis(part, places, axis=0) for part in (v, felt, h))
    return v, felt, h


def _changed_places(energy: Array, t: Array, rng: np.random.Generator) -> Array:
    """Return which chain each temperature has once neighbours changed places, from hot to cold: (T, M) -> (T, M).

    They do so with the probability (2), which needs the energies of the chains only, not their v and h.
    """
    places = np.tile(np.arange(len(t))[:, None], energy.shape[1])
    for low in range(len(t) - 1):
        here, there = np.take_along_axis(energy, places[low : low + 2], axis=0)
        go = np.log(1 - rng.random(len(here))) < (t[low] - t[low + 1]) * (here - there)
        places[low : low + 2, go] = places[[low + 1, low]][:, go]
    return places
