"""A likelihood one can trust.

A machine of 784 visible and 16 hidden units, trained on black-and-white digits for 50 epochs by persistent contrastive
divergence, chains and batches of 100. Its 65,536 hidden states are summed over: log p of the test digits is exact.
Left: plain and centred gradient at a rate of .01 (a published NumPy implementation reports -149.05 and -142.56 for such
machines), and centred with a rate that falls from .03 to .001. At a constant rate a machine dances about its optimum,
by a nat or two. Squares are estimates by annealing (100 runs, 1,000 steps, bars of three errors). Middle: the
log-pseudo-likelihood. It needs no Z, tells better machines from worse, and does not notice when log p falls, as the
best does between epochs 20 and 30. Right, for that one: annealing there, from the machine without couplings, and back,
from exact draws. With ten steps each is wrong on its own side; from 300 on they agree with each other and with the
exact value. No error knows of a mode that no run has found, and a machine with such modes may fool the way there alone;
the way back starts in all of them. Where log Z cannot be summed, the two together tell what one of them hides.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.foundations.arrays import Array
from ebm_np.physics import boltzmann, partition
from ebm_np.physics.boltzmann import Params
from scripts import digit_machines, make_figures, style

ORDER = 421
NOTE = "004, Restricted Boltzmann Machine (RBM): the likelihood while training, exact and by annealing"
EQUATION = "log p(v) = -F(v) - log Z"
FUNCTION = "ebm_np.physics.partition.anneal"
TEST = (
    "tests/physics/test_partition.py::"
    "test_in_the_mean_the_way_there_is_too_low_the_way_back_too_high_and_more_steps_bring_them_together"
)
TOLERANCE = 0.03
HIDDEN = 16
RUNS = {
    "plain, rate .01": (((50, 0.01),), False, style.GREY),
    "centred, rate .01": (((50, 0.01),), True, style.SKY),
    "centred, rate .03 to .001": (((15, 0.03), (20, 0.01), (10, 0.003), (5, 0.001)), True, style.BLUE),
}
LOOKS = (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50)
"""Epochs after which likelihoods are taken."""
STEPS = np.array([10, 30, 100, 300, 1_000, 3_000])


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return log-likelihoods and pseudo-likelihoods while training, and both ways of annealing against their steps."""
    v, _, source = digit_machines.bits("train", 1_000 if quick else None)
    test, _, _ = digit_machines.bits("test", 100 if quick else None)
    start, seen = digit_machines.untrained(rng, v, 6 if quick else HIDDEN), []
    for schedule, centred, _ in RUNS.values():
        schedule = tuple((1, rate) for _, rate in schedule) if quick else schedule
        params, looks = _trained(start, v, test, rng, schedule, centred, 100 if quick else 1_000)
        seen.append(looks)
    mean = v.mean(axis=0)
    return {
        "epochs": np.arange(len(seen[-1])) if quick else np.array(LOOKS),
        **{name: np.array(look) for name, look in zip(RUNS, seen, strict=True)},
        "bracket": _bracket(params, mean, rng, STEPS[:3] if quick else STEPS),
        "exact": partition.log_partition(params),
        "source": source,
    }


def _trained(
    params: Params, v: Array, test: Array, rng: np.random.Generator, schedule: Any, centred: bool, n_steps: int
) -> tuple[Params, list[list[float]]]:
    """Return the machine, and log p, log PL, annealed log p and its error of test digits at each look."""
    looks: list[list[float]] = []
    done = 0

    def watch(epoch: int, params: Params) -> None:
        if done + epoch in LOOKS and (epoch or not done):
            looks.append(_look(params, test, v.mean(axis=0), rng, n_steps))

    for n_epochs, rate in schedule:
        params = digit_machines.train(params, v, rng, [(n_epochs, rate)], centred=centred, watch=watch)
        done += n_epochs
    return params, looks


def _look(params: Params, test: Array, mean: Array, rng: np.random.Generator, n_steps: int) -> list[float]:
    exact = partition.log_likelihood(params, test).mean(dtype=np.float64)
    pseudo = boltzmann.log_pseudo_likelihood(params, test[:1_000]).mean(dtype=np.float64)
    found = partition.anneal(params, rng, mean, n_steps=n_steps)
    estimate = -boltzmann.free_energy(params, test).mean(dtype=np.float64) - found.log_z
    return [float(number) for number in (exact, pseudo, estimate, found.error)]


def _bracket(params: Params, mean: Array, rng: np.random.Generator, steps: Array) -> Array:
    """Return log Z and its error by annealing there and back, for each number of steps: (2, steps, 2)."""
    draws = partition.exact_samples(params, rng, 100)
    there = [partition.anneal(params, rng, mean, n_steps=int(n)) for n in steps]
    return np.array([there, [partition.anneal_back(params, draws, rng, mean, n_steps=int(n)) for n in steps]])


def draw(data: dict[str, Any]) -> Figure:
    """Draw likelihoods, pseudo-likelihoods and the two ways of annealing."""
    figure, (left, middle, right) = style.new(12.5, 4.2, data["source"], ncols=3)
    epochs = data["epochs"]
    for name, (_, _, colour) in RUNS.items():
        exact, pseudo, estimate, error = data[name].T
        n = len(exact)
        left.plot(epochs[:n], exact, color=colour, label=f"{name}: {exact[-1]:.1f}")
        left.errorbar(epochs[:n], estimate, 3 * error, fmt="s", color=colour, markersize=3, elinewidth=1)
        middle.plot(epochs[:n], pseudo, "o-", color=colour, markersize=3, label=f"{name}: {pseudo[-1]:.1f}")
    left.set(xlabel="epoch", ylabel=r"$\log p(v)$ (nats)", ylim=(-185, -136))
    left.set_title("test digits: exact (lines), annealed (squares)", loc="left")
    middle.set(xlabel="epoch", ylabel=r"$\log \mathrm{PL}(v)$ (nats)", ylim=(-170, -130))
    middle.set_title("the pseudo-likelihood of 1,000 of them", loc="left")
    steps = STEPS[: data["bracket"].shape[1]]
    for name, colour, way in zip(("there", "back"), (style.ORANGE, style.GREEN), data["bracket"], strict=True):
        log_z, error = way.T
        right.errorbar(steps, log_z, 3 * error, fmt="o-", color=colour, markersize=4, elinewidth=1, label=name)
    right.axhline(data["exact"], color=style.BLACK, linewidth=1, linestyle="--", label="exact")
    right.set(xscale="log", xlabel="steps of annealing", ylabel=r"$\log Z$ (nats)")
    right.set_title("from below and from above", loc="left")
    for axes in (left, middle, right):
        axes.legend(loc="lower right")
    return figure


if __name__ == "__main__":
    make_figures.run_alone(__file__)
