"""What the Boltzmann machine is timed against: an epoch of persistent contrastive divergence on binary digits, float32.

60,000 digits, batches of 100 and as many chains, one step, the same start; scikit-learn draws h from the chains it
keeps, we keep v.
"""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ebm_np.foundations.arrays import Array
from ebm_np.foundations.optimizers import gradient_descent
from ebm_np.physics import boltzmann, contrastive_divergence
from ebm_np.physics.boltzmann import Params
from scripts import digit_machines

BATCH, RATE = 100, 0.01
EPOCHS = {f"an epoch of RBM 784-{k}, batch {BATCH}, PCD-1": k for k in (256, 500)}


class Epoch(NamedTuple):
    """Binary digits and where to start."""

    v: Array
    start: Params


def task(k: int) -> Epoch:
    """Return the digits, black or white, and a machine of k hidden units that has their means."""
    v = digit_machines.bits("train")[0]
    return Epoch(v, digit_machines.untrained(np.random.default_rng(0), v, k))


def ours(given: Epoch) -> Callable[[], Params]:
    """Prepare our own."""
    options: dict[str, Any] = {"optimizer": gradient_descent(RATE), "n_epochs": 1, "batch_size": BATCH}
    return lambda: contrastive_divergence.fit(given.start, given.v, np.random.default_rng(1), **options).params


def scikit(given: Epoch) -> Callable[[], Params]:
    """Prepare scikit-learn's `BernoulliRBM`, by its own loop over batches; without its likelihood after each epoch."""
    machine = importlib.import_module("sklearn.neural_network").BernoulliRBM
    v, (W, b, c) = given.v, given.start

    def run() -> Params:
        model = machine(len(c), learning_rate=RATE, batch_size=BATCH, random_state=1, n_iter=1)
        model.partial_fit(v[:BATCH])  # makes its fields
        model.components_, model.intercept_visible_, model.intercept_hidden_ = W.T.copy(order="F"), b.copy(), c.copy()
        order = np.random.default_rng(1).permutation(len(v))
        for first in range(0, len(v), BATCH):
            model._fit(v[order[first : first + BATCH]], model.random_state_)
        return Params(model.components_.T, model.intercept_visible_, model.intercept_hidden_)

    return run


TRAINERS: dict[str, Callable[[Epoch], Callable[[], Params]]] = {"our fit": ours, "scikit-learn BernoulliRBM": scikit}


def trainer(name: str, peer: str) -> tuple[Callable[[], Any], str]:
    """Return an epoch of training, and how much lower F is on digits than on what their pixels alone would draw."""
    given = task(EPOCHS[name])
    run = TRAINERS[peer](given)
    params, some = run(), given.v[:2_000]
    alone = boltzmann.sample(np.broadcast_to(given.v.mean(axis=0), some.shape), np.random.default_rng(2))
    gap = boltzmann.free_energy(params, alone).mean() - boltzmann.free_energy(params, some).mean()
    return run, f"F of noise - F of digits {gap:.1f} nats"
