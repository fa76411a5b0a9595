"""Boltzmann machines of digits in black and white: 784 visible bits, float32, batches and chains of 100."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ebm_np.foundations.arrays import Array
from ebm_np.foundations.optimizers import gradient_descent
from ebm_np.physics import boltzmann, contrastive_divergence
from ebm_np.physics.boltzmann import Params
from scripts import digit_networks


def bits(split: str, n: int | None = None) -> tuple[Array, Array, str]:
    """Return n digits (all if None) of 0 and 1, their labels, and a source."""
    y, labels, source = digit_networks.gray(split, n)
    return (y > 0.5).astype(np.float32), labels, f"{source}, black where above 1/2"


def untrained(rng: np.random.Generator, v: Array, k: int) -> Params:
    """Return a machine with k hidden units whose pixels have the data's means and hardly know of one another."""
    return boltzmann.init(rng, v.shape[1], k, mean=v.mean(axis=0), dtype=np.float32)


def train(
    params: Params, v: Array, rng: np.random.Generator, schedule: Iterable[tuple[int, float]], **options: Any
) -> Params:
    """Return the machine after so many epochs at each rate, by persistent contrastive divergence."""
    for n_epochs, rate in schedule:
        optimizer = gradient_descent(rate)
        params = contrastive_divergence.fit(params, v, rng, optimizer=optimizer, n_epochs=n_epochs, **options).params
    return params
