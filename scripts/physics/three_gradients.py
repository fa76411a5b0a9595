"""Contrastive divergence, persistent chains and the exact gradient, where all three can be computed.

A machine of 9 visible and 8 hidden units learns bars and stripes; its 512 x 256 states are enumerated at will. All
start alike and go down their own gradient at the same rate, 192 chains where there are chains. Left: how far the exact
log-likelihood is from the best possible (the mean of three seeds, and their range). CD-1 stays half a nat away and then
turns back: it digs where one step from the data leads and never looks elsewhere, so that states far from all data keep
their probability. Persistent chains look elsewhere and follow the exact gradient, until couplings have grown so large
that they stick: then they chase one mode after another. Tempered chains, which walk further, do not stick, and ten
steps from the data are enough here. Right: why. The *mean* of the gradient that CD-k takes, exactly, by powers of the
matrix of a Gibbs step, and its angle to the true gradient, on machines that the exact gradient has trained so far.
While couplings are weak a step or two will do; later it takes hundreds. An angle of 40 degrees still leads uphill.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from ebm_np.data import bars
from ebm_np.foundations import training
from ebm_np.foundations.arrays import Array
from ebm_np.foundations.optimizers import gradient_descent
from ebm_np.foundations.parameters import flatten, tree_map
from ebm_np.physics import boltzmann, contrastive_divergence, partition
from ebm_np.physics.boltzmann import Params
from scripts import make_figures, style

ORDER = 424
NOTE = "004, Restricted Boltzmann Machine (RBM): CD-1, PCD and the exact gradient"
EQUATION = "d log p(v) / dtheta = -dF(v)/dtheta + <dF/dtheta>_model"
FUNCTION = "ebm_np.physics.contrastive_divergence.fit"
TEST = (
    "tests/physics/test_contrastive_divergence.py::"
    "test_in_the_mean_cd_is_the_gradient_after_that_many_steps_from_the_data"
)
TOLERANCE = 0.05
HIDDEN, RATE, CHAINS = 8, 0.1, 192
METHODS: dict[str, tuple[dict[str, Any], str]] = {
    "exact": ({}, style.BLACK),
    "CD-1": ({"method": "cd"}, style.RED),
    "CD-10": ({"method": "cd", "n_steps": 10}, style.ORANGE),
    "persistent chains": ({"method": "pcd"}, style.SKY),
    "tempered chains": ({"method": "tempering", "n_temperatures": 5}, style.BLUE),
}
STEPS = np.unique(np.geomspace(1, 3_000, 25).round().astype(int))
STAGES = (0, 300, 1_000, 3_000, 6_000)
"""Updates after which the gradients are compared."""


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return log-likelihoods while training, (seeds, methods, looks), and angles, (stages, steps)."""
    n_seeds, n_epochs, every = (1, 300, 30) if quick else (3, 6_000, 50)
    v = bars.bars_and_stripes(3)
    values, kept = np.zeros((n_seeds, len(METHODS), n_epochs // every + 1)), {}
    for seed in range(n_seeds):
        start = boltzmann.init(rng, 9, HIDDEN, mean=v.mean(axis=0), std=0.1)
        for k, (options, _) in enumerate(METHODS.values()):

            def watch(epoch: int, params: Params, out: Array = values[seed, k], exact: bool = k == 0) -> None:
                if epoch % every == 0:
                    out[epoch // every] = partition.log_likelihood(params, v).mean()
                if exact and epoch in STAGES:
                    kept[epoch] = params

            _trained(start, v, rng, options, n_epochs, watch)
    stages = [epoch for epoch in STAGES if epoch in kept]
    return {
        "epochs": every * np.arange(values.shape[2]),
        "values": values,
        "best": bars.log_likelihood_bound(v),
        "stages": np.array(stages),
        "angles": np.array([_angles(kept[epoch], v) for epoch in stages]),
        "source": "all pictures of full rows and of full columns, 3 x 3",
    }


def _trained(start: Params, v: Array, rng: np.random.Generator, options: Any, n_epochs: int, watch: Any) -> None:
    """Train by the exact gradient if there are no options, else by chains; those of cd start at the data."""
    optimizer = gradient_descent(RATE)
    if options:
        data = np.tile(v, (CHAINS // len(v), 1))
        options = {"n_chains": CHAINS, "batch_size": CHAINS} | options
        contrastive_divergence.fit(start, data, rng, optimizer=optimizer, n_epochs=n_epochs, watch=watch, **options)
        return

    def exact(params: Params, batch: Array) -> tuple[float, Params]:
        return -partition.log_likelihood(params, v[batch]).mean(), _exact(params, v[batch])

    training.minimize(exact, start, len(v), optimizer=optimizer, n_epochs=n_epochs, watch=watch)


def _exact(params: Params, v: Array) -> Params:
    """Return the gradient of -mean log p(v)."""
    return tree_map(np.add, boltzmann.free_energy_grad_params(params, v), partition.log_partition_grad(params))


def _angles(params: Params, v: Array) -> Array:
    """Return the angle in degrees between the mean gradient of CD-k and the true one, for k in STEPS."""
    states, h = (((np.arange(1 << n)[:, None] >> np.arange(n)) & 1).astype(float) for n in (9, HIDDEN))
    step = _chance(boltzmann.hidden(params, states), h) @ _chance(boltzmann.visible(params, h), states)
    there = (states[:, None] == v).all(axis=2).mean(axis=1)
    positive, exact = boltzmann.free_energy_grad_params(params, v), flatten(_exact(params, v))
    found, p = [], there
    for k in np.diff(STEPS, prepend=0):
        for _ in range(k):
            p = p @ step
        negative = boltzmann.free_energy_grad_params(params, states, p)
        cd = flatten(tree_map(np.subtract, positive, negative))
        found.append(np.arccos(min(1.0, cd @ exact / np.linalg.norm(cd) / np.linalg.norm(exact))))
    return np.degrees(found)


def _chance(p: Array, states: Array) -> Array:
    """Return the probability of each state (column) of independent units that are on with probability p (row)."""
    return np.exp(np.log(p) @ states.T + np.log1p(-p) @ (1 - states.T))


def draw(data: dict[str, Any]) -> Figure:
    """Draw likelihoods while training, and angles against k."""
    figure, (left, right) = style.new(11, 4.4, data["source"], ncols=2, width_ratios=(1.25, 1))
    for k, (name, (_, colour)) in enumerate(METHODS.items()):
        some = data["best"] - data["values"][:, k]
        dashes = "--" if name == "exact" else "-"
        left.plot(data["epochs"], some.mean(axis=0), dashes, color=colour, label=name, zorder=3 if k == 0 else 2)
        left.fill_between(data["epochs"], some.min(axis=0), some.max(axis=0), color=colour, alpha=0.2, linewidth=0)
    left.set(xlabel="update", ylabel="nats below the best possible", yscale="log", ylim=(0.05, 5))
    left.set_title("mean log-likelihood of bars and stripes, 3 x 3, exact", loc="left")
    left.legend(loc="lower left")
    shades = np.linspace(0.15, 0.85, len(data["stages"]))
    for shade, stage, angles in zip(shades, data["stages"], data["angles"], strict=True):
        colour = mpl.colormaps["cividis_r"](shade)
        right.plot(STEPS, angles, "o-", color=colour, markersize=3, label=f"after {int(stage):,} updates")
    right.set(xscale="log", xlabel="steps $k$ from the data", ylabel="angle to the true gradient (degrees)")
    right.set_title("the mean gradient of CD-$k$", loc="left")
    right.legend(loc="upper right")
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
