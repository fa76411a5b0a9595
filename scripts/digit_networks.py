"""Auto-encoders of digits as the lecture's notebook has them: 784 - k - 784, tanh, pixels from -1 to 1, Adam 1e-3.

And the variational one, 784 - 400 - 20 - 400 - 784, of gray levels. Two of these trainings are kept for the next figure
of the same process; see SHARES in `pipeline`.
"""

from functools import cache

import numpy as np

from ebm_np.autoencoders import autoencoder, denoising, network, variational
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.results import Fit
from scripts import materials

MODEL = autoencoder.Model(f="tanh", g="tanh")
DROPOUT = denoising.Corruption("dropout", 0.5)
"""The notebook's noise: each pixel times 0 or 2."""
PAPER = -1.0
"""What a pixel without ink is."""
VARIATIONAL, WIDTHS, RATE = variational.Model(), (784, 400, 20), 1e-3
"""The variational one, and Adam's rate."""


def digits(split: str, n: int | None = None) -> tuple[Array, Array, str]:
    """Return n digits (all if None), float32, from -1 (paper) to 1 (ink), their labels, and a source."""
    y, labels, source = gray(split, n)
    return 2 * y - 1, labels, source


def gray(split: str, n: int | None = None) -> tuple[Array, Array, str]:
    """Return n digits (all if None), float32, from 0 (paper) to 1 (ink), their labels, and a source."""
    found = materials.digits(split)
    y = found.images[:n]
    return y, found.labels[:n], found.source if n is None else f"{len(y):,} of {found.source}"


def untrained(rng: np.random.Generator, k: int) -> network.Network:
    """Return a random network with k hidden units, float32."""
    return network.init(rng, (784, k), dtype=np.float32)


def train(
    start: network.Network,
    y: Array,
    rng: np.random.Generator,
    corruption: denoising.Corruption | None = None,
    n_epochs: int = 20,
) -> Fit[network.Network]:
    """Return an auto-encoder, or with a corruption a denoising one, trained."""
    if corruption is None:
        return autoencoder.fit(start, y, rng, MODEL, n_epochs=n_epochs)
    return denoising.fit(start, y, rng, MODEL, corruption, n_epochs=n_epochs)


def error(params: network.Network, y: Array) -> float:
    """Return the mean squared error of a pixel, F / 784."""
    return float(autoencoder.free_energy(params, y, MODEL).mean() / y.shape[1])


@cache
def denoiser(quick: bool) -> tuple[network.Network, network.Network]:
    """Return a denoising auto-encoder with 500 units, untrained and after ten epochs of dropout."""
    rng, (y, _, _) = np.random.default_rng(0), digits("train", 2_000 if quick else None)
    start = untrained(rng, 500)
    return start, train(start, y, rng, DROPOUT, 2 if quick else 10).params


@cache
def variational_by_epoch(quick: bool) -> tuple[list[variational.Params], str]:
    """Return the variational one, untrained and after each of its first ten epochs (two if quick), and a source."""
    rng, (y, _, source) = np.random.default_rng(0), gray("train", 2_000 if quick else None)
    start = variational.init(rng, WIDTHS, power=1 / 3, last=0, dtype=np.float32)
    seen: list[variational.Params] = []

    def watch(_: int, params: variational.Params) -> None:
        seen.append(params)

    variational.fit(start, y, rng, VARIATIONAL, n_epochs=2 if quick else 10, rate=RATE, watch=watch)
    return seen, source
