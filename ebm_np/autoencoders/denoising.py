r"""The denoising auto-encoder: spoil the input, ask for the original back. A contrastive method.

    y^ ~ q(y^ | y)                          `corrupt`: gaussian, masking, salt_and_pepper, dropout                 (1)
    E(y, y^) = C(y, r(y^)) + lam R,         r = Dec(Enc(.)), the reconstruction of `autoencoder`                   (2)
    L = mean over samples and corruptions of E                                                                     (3)
    r(y^) - y^                              `vector_field`: where the model would move y^                          (4)

    symbol   name    shape     meaning
    y, y^    y       (N, d)    observation (cold: low energy), and as corrupted (hot: high energy)
    sigma    level             gaussian: standard deviation; else: the share of numbers that are hit

A usual contrastive loss pushes F(y) down and F(y^) up. Here one term does both: a network that takes y^ back to
y has the energy F(y^) = ||y^ - r(y^)||^2 = ||y^ - y||^2, the squared distance by which y was moved, and F(y) = 0. (Less
what no r can undo: for the best r, mean F(y^) = mean ||y^ - y||^2 - mean C.) So the energy rises around the data and
cannot collapse, however many units the code has. (The note says that y~ is encoded again; it is the corrupted y^ that
goes in, and y~ that comes out.)

Derivation
----------
1. For a fixed y^ the best r minimises E[||y - r||^2 | y^], quadratic in r: r*(y^) = E[y | y^], the posterior mean.
2. Gaussian noise: p_sigma(y^) = mean over y of N(y^; y, sigma^2 I), and grad N = N (y - y^) / sigma^2. Hence
   grad log p_sigma(y^) = mean_y [N (y - y^)] / mean_y [N] / sigma^2 = (E[y | y^] - y^) / sigma^2.
3. So r*(y^) - y^ = sigma^2 grad log p_sigma(y^) (Tweedie): the field (4) is sigma^2 times the score of the smoothed
   density, it points uphill, to the data. A denoiser has learned an energy, -sigma^2 log p_sigma, by its gradient.
4. y among samples c_1 .. c_M: E[y | y^] = sum_m p_m c_m, p = softmax(-||y^ - c_m||^2 / 2 sigma^2): `posterior_mean`. If
   all c_m are of one length, that is softmax(<c_m, y^> / sigma^2): attention, a modern Hopfield step, beta = 1/sigma^2.
5. Linear r(y^) = A y^, data of mean 0 and covariance Sigma, noise independent of them: E||y - A y^||^2 =
   tr[(I-A) Sigma (I-A)^T] + sigma^2 tr A A^T. Its gradient -2 (I-A) Sigma + 2 sigma^2 A is 0 at
   A = Sigma (Sigma + sigma^2 I)^-1: a network with a narrower code keeps the leading directions of that.
6. r(y + n) = r(y) + (dr/dy) n + ...: where r is linear or r(y) = y, noise adds sigma^2 ||dr/dy||_F^2 to the mean of C
   to first order in sigma^2. A denoiser contracts r, `contractive` contracts Enc.

Source: notes 08-3, "Denoising Autoencoder", figure 3; Vincent, Larochelle, Bengio & Manzagol 2008; 3: Robbins 1956,
Vincent 2011, Alain & Bengio 2014; 4: Ramsauer et al. 2020.
"""

from typing import Any, NamedTuple

import numpy as np

from ebm_np.autoencoders import autoencoder
from ebm_np.autoencoders.autoencoder import Model
from ebm_np.autoencoders.network import Network
from ebm_np.foundations import validation
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.results import Fit
from ebm_np.latent.free_energy import gibbs

KINDS = ("gaussian", "masking", "salt_and_pepper", "dropout")


class Corruption(NamedTuple):
    """How y becomes y^: the kind, how much of it, and the two values of salt and pepper."""

    kind: str
    level: float  # gaussian: standard deviation >= 0, in units of y; else: probability that a number is hit, in [0, 1]
    pepper: float = 0.0
    salt: float = 1.0


def corrupt(y: Array, rng: np.random.Generator, corruption: Corruption) -> Array:
    """Return y^ ~ q(y^ | y), equation (1), each number on its own: (N, d) -> (N, d). Errors name a wrong argument.

    gaussian          y + level * N(0, 1)
    masking           0 with probability `level`, else y
    salt_and_pepper   `salt` or `pepper`, with probability level/2 each, else y
    dropout           0 with probability `level` < 1, else y / (1 - level): the mean is y. The lecture's notebook takes
                      level 1/2, that is y times 0 or 2. (In pixels from -1 to 1 what is dropped is gray.)

    >>> corrupt(np.array([[1.0, 2.0]]), np.random.default_rng(0), Corruption("masking", 1.0)).tolist()
    [[0.0, 0.0]]
    """
    y = validation.squarable("y", y, ("N", "d"))
    return _corrupt(y, validation.generator("rng", rng), _checked(corruption, y.dtype))


def fit(
    params: Network,
    y: Array,
    rng: np.random.Generator,
    model: Model,
    corruption: Corruption,
    **options: Any,
) -> Fit[Network]:
    """Return a network that makes (3) low, y spoiled anew each time it is seen.

    The other arguments, the options (`n_epochs`, `batch_size`, `rate`, `callback`) and the errors are those of
    `autoencoder.fit`.
    """
    y = validation.squarable("y", y, ("N", "d"))
    corruption, rng = _checked(corruption, y.dtype), validation.generator("rng", rng)
    return autoencoder.fit(params, y, rng, model, corrupt=lambda some: _corrupt(some, rng, corruption), **options)


def vector_field(params: Network, y: Array, model: Model) -> Array:
    """Return r(y) - y, equation (4): (N, d) -> (N, d)."""
    return autoencoder.reconstruct(params, y, model) - np.asarray(y)


def posterior_mean(y_hat: Array, samples: Array, sigma: float) -> Array:
    """Return E[y | y^] where y is one of the samples (M, d), all equally likely, derivation 4: (N, d) -> (N, d).

    No network makes (3) smaller on these samples: it is what an ideal denoiser would learn by heart.

    >>> posterior_mean(np.array([[0.0], [9.0]]), np.array([[-1.0], [1.0]]), sigma=0.5).round(6).tolist()
    [[0.0], [1.0]]
    """
    samples = validation.squarable("samples", samples, ("M", "d"))
    y_hat = validation.squarable("y_hat", y_hat, ("N", samples.shape[1]))
    sigma, centre = validation.positive("sigma", sigma), samples.mean(axis=0)
    near = samples - centre  # centred: squares are small, and little cancels
    distances = np.square(near).sum(axis=1) - 2 * (y_hat - centre) @ near.T  # without ||y^||^2, the same for all
    return gibbs(distances, max(0.5 / sigma / sigma, np.finfo(float).tiny)) @ near + centre


def _corrupt(y: Array, rng: np.random.Generator, corruption: Corruption) -> Array:
    kind, level, *values = corruption
    number: Any = y.dtype.type  # float32 stays
    drawn = rng.standard_normal(y.shape, y.dtype) if kind == "gaussian" else rng.random(y.shape, y.dtype)
    match kind:
        case "gaussian":
            return y + number(level) * drawn
        case "masking":
            return y * (drawn >= level)
        case "dropout":
            return y * (drawn >= level) / number(1 - level)
    pepper, salt = map(number, values)
    return np.where(drawn < level / 2, salt, np.where(drawn < level, pepper, y))


def _checked(corruption: Corruption, dtype: Any) -> Corruption:
    if not isinstance(corruption, Corruption):
        raise TypeError(f"corruption: expected a denoising.Corruption, got {type(corruption).__name__}")
    kind = validation.choice("corruption.kind", corruption.kind, KINDS)
    level = validation.non_negative("corruption.level", corruption.level)
    if (kind != "gaussian" and level > 1) or (kind == "dropout" and level == 1):
        bounds = "[0, 1)" if kind == "dropout" else "[0, 1]"
        raise ValueError(f"corruption.level: expected a probability in {bounds}, got {level:.3g}")
    numbers = {}
    for name in ("level", "pepper", "salt"):
        number = validation.array(f"corruption.{name}", getattr(corruption, name), ())
        with np.errstate(over="ignore"):  # no warning besides the error
            validation.squarable(f"corruption.{name}", number.astype(dtype), ())
        numbers[name] = float(number)
    return Corruption(kind, **numbers)
