r"""What a trained variational auto-encoder is good for: to reconstruct, sample, interpolate, and say how likely y is.

    reconstruction   y~ = Dec(mu)                                                (mu, v) = Enc(y)                    (1)
    sample           y~ = Dec(z),   z ~ N(0, I)                                                                      (2)
    interpolation    y~ = Dec((1 - t) mu + t mu'),   t from 0 to 1                                                   (3)
    likelihood       log p(y) ~ log (1/K) sum_j exp(-w_j) = -softmin_j w_j, beta = 1                                 (4)
                     w_j = C(y, Dec(z_j)) + (1/2) sum_i [z_ij^2 - eps_ij^2 - log v_i],   z_j = mu + eps_j sqrt(v)

Shapes and symbols are those of `variational`. What is returned is the mean y~ of p(y | z), not a draw from it.

Derivation
----------
1. exp(-w) = p(y | z) p(z) / q(z | y): with z ~ q its mean is the integral of p(y | z) p(z), which is p(y). That is
   importance sampling with q, and (4) the log of a mean over K samples of it.
2. The mean of the log is below the log of the mean (Jensen): for any K, (4) is in expectation a lower bound of log
   p(y). K = 1 is the ELBO. A mean over K + 1 samples is the mean of its K + 1 means over K of them, each leaving one
   out: by Jensen once more, the bound for K + 1 is no looser. It tends to log p(y) as K grows.

Source: notes 08-2 and 08-3, "Variational autoencoder"; (4): Burda, Grosse & Salakhutdinov 2016.
"""

import numpy as np

from ebm_np.autoencoders.variational import Model, Params, checked, checked_params, cost, decode, encode, sample
from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.latent.free_energy import softmin


def reconstruct(params: Params, y: Array, model: Model) -> Array:
    """Return what is decoded from the centres, equation (1): (N, d) -> (N, d)."""
    return decode(params, encode(params, y, model)[0], model)


def generate(params: Params, rng: np.random.Generator, n: int, model: Model) -> Array:
    """Return n new observations, equation (2): (n, d)."""
    W = checked_params(params).decoder[0].W
    shape = validation.count("n", n), W.shape[1]
    return decode(params, validation.generator("rng", rng).standard_normal(shape, W.dtype), model)


def interpolate(params: Params, start: Array, end: Array, n: int, model: Model) -> Array:
    """Return n observations interpolated between one and another, (d,) and (d,), equation (3): (n, d)."""
    d = (checked_params(params).encoder[0].W.shape[1],)
    ends = np.stack([validation.squarable("start", start, d), validation.squarable("end", end, d)])
    mu, _ = encode(params, ends, model)
    t = np.linspace(0, 1, validation.count("n", n), dtype=mu.dtype)[:, None]
    return decode(params, (1 - t) * mu[0] + t * mu[1], model)


def log_likelihood(params: Params, y: Array, rng: np.random.Generator, n_samples: int, model: Model) -> Array:
    """Return an estimate of log p(y) from `n_samples` codes of each sample, equation (4), in nats: (N,).

    In expectation it is a lower bound, the tighter the more codes; beta plays no part in it.
    """
    validation.generator("rng", rng)
    n_samples = validation.count("n_samples", n_samples)
    params, y, model = checked(params, y, model)
    mu, v = encode(params, y, model)
    w = np.empty((n_samples, len(y)), y.dtype)
    for row in w:
        eps = rng.standard_normal(mu.shape, y.dtype)
        z = sample(mu, v, eps)
        row[:] = cost(params, y, z, model) + 0.5 * (z**2 - eps**2 - np.log(v)).sum(axis=1)
    return -softmin(w, 1.0, axis=0)
