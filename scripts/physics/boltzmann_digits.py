"""What a Boltzmann machine of 500 hidden units knows about digits.

Trained on black-and-white digits for 20 epochs (persistent chains, centred gradient, rate .05 falling to .002). Top
left, filters: the 60 columns of W that are largest; a hidden unit is on where there is ink in red and none in blue: an
end of a stroke, a bend, a piece of paper. Below, test digits: upper halves are given and held fast, lower halves drawn
by 500 steps, three times each. What the half decides comes out the same each time; what it leaves open is open. Right,
fantasy: a chain in each row starts with pixels drawn alone, each by its mean, and takes steps of block Gibbs. After 100
or some more there is a digit; from then on a chain wanders from digit to digit, and may stay for long. Shown is p(v|h);
the chain itself are bits. log Z has 2^500 terms: annealing from below and from above brackets it, to about a nat, and
with it the likelihood of the test digits.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ebm_np.foundations.arrays import Array
from ebm_np.physics import boltzmann, partition
from ebm_np.physics.boltzmann import Params
from scripts import digit_machines, make_figures, style

ORDER = 420
NOTE = "004, Restricted Boltzmann Machine (RBM): filters, samples from long chains, half a digit completed"
EQUATION = "p(h_j = 1 | v) = sigmoid(c_j + (v W)_j), p(v_i = 1 | h) = sigmoid(b_i + (W h)_i)"
FUNCTION = "ebm_np.physics.boltzmann.block_gibbs"
TEST = "tests/physics/test_boltzmann.py::test_clamped_units_stay_and_the_others_become_draws_given_them"
TOLERANCE = 0.1
CHANCE = ("filters", "chains", "halves")
HIDDEN = 500
SCHEDULE = ((8, 0.05), (6, 0.02), (3, 0.005), (3, 0.002))
"""Epochs, and rate."""
FILTERS, CHAINS, DRAWS = 60, 11, 3
TIMES = np.array([0, 1, 10, 100, 1_000, 2_000, 3_000, 4_000, 5_000])


def compute(rng: np.random.Generator, quick: bool = False) -> dict[str, Any]:
    """Return filters, states of chains, completed halves, and what is known of log Z."""
    v, _, source = digit_machines.bits("train", 2_000 if quick else None)
    test, labels, _ = digit_machines.bits("test", 500 if quick else None)
    schedule = ((5, 0.05),) if quick else SCHEDULE
    params = digit_machines.train(digit_machines.untrained(rng, v, HIDDEN), v, rng, schedule, centred=True)
    strongest = np.argsort(-np.square(params.W).sum(axis=0), kind="stable")[:FILTERS]
    chosen = [int(np.flatnonzero(labels == digit)[1]) for digit in range(10)]
    return {
        "filters": params.W[:, strongest].T,
        "chains": _chains(params, v.mean(axis=0), rng, TIMES // 50 if quick else TIMES),
        "halves": _completed(params, test[chosen], rng, 20 if quick else 500),
        **_bracket(params, v, test, rng, quick),
        "source": source,
    }


def _chains(params: Params, mean: Array, rng: np.random.Generator, times: Array) -> Array:
    """Return p(v|h) of chains after so many steps, from pixels drawn alone: (chains, times, 784)."""
    v = boltzmann.sample(np.tile(mean, (CHAINS, 1)), rng)
    shown = [v]
    for steps in np.diff(times):
        v = boltzmann.block_gibbs(params, v, rng, int(max(steps, 1)))
        shown.append(_mean(params, v, rng))
    return np.stack(shown, axis=1)


def _completed(params: Params, v: Array, rng: np.random.Generator, n_steps: int) -> Array:
    """Return digits, their upper halves, and p(v|h) of lower halves drawn from the machine: (2 + DRAWS, n, 784)."""
    known = np.arange(v.shape[1]) < v.shape[1] // 2
    rows = [v, np.where(known, v, 0.35)]
    for _ in range(DRAWS):
        drawn = boltzmann.block_gibbs(params, np.where(known, v, v.mean(axis=0)), rng, n_steps, known)
        rows.append(np.where(known, v, _mean(params, drawn, rng)))
    return np.stack(rows)


def _mean(params: Params, v: Array, rng: np.random.Generator) -> Array:
    return boltzmann.visible(params, boltzmann.sample(boltzmann.hidden(params, v), rng))


def _bracket(params: Params, v: Array, test: Array, rng: np.random.Generator, quick: bool) -> dict[str, Any]:
    """Return (estimate, error) of log Z by annealing there and back, and <-F> of test digits."""
    n_runs, n_steps = (20, 200) if quick else (100, 2_000)
    mean = v.mean(axis=0)
    there = partition.anneal(params, rng, mean, n_runs=n_runs, n_steps=n_steps)
    draws = boltzmann.block_gibbs(params, v[:n_runs], rng, n_steps)
    back = partition.anneal_back(params, draws, rng, mean, n_steps=n_steps)
    test_value = -boltzmann.free_energy(params, test).mean(dtype=np.float64)
    return {"log_z": np.array([there, back]), "test": float(test_value)}


def draw(data: dict[str, Any]) -> Figure:
    """Draw filters and halves at the left, chains at the right."""
    figure, panels = style.new(13, 8.6, data["source"], nrows=2, ncols=2, width_ratios=(1, 1.04), height_ratios=(6, 5))
    (filters, chains), (halves, below) = panels
    grid = chains.get_gridspec()
    for axes in (chains, below):
        axes.remove()
    images = data["filters"].reshape(-1, 28, 28)
    limit = np.quantile(np.abs(images), 0.998)
    filters.imshow(style.mosaic(images, 10, pad=2, fill=np.nan), cmap="RdBu_r", vmin=-limit, vmax=limit)
    filters.set_axis_off()
    filters.set_title(f"filters: {FILTERS} of {HIDDEN} columns of $W$ (red: ink, blue: paper)", loc="left")
    names = ["test digit", "given", *(f"draw {n + 1}" for n in range(DRAWS))]
    _digits(halves, data["halves"], names)
    halves.set_title("lower halves drawn, upper halves held fast", loc="left")
    chains = figure.add_subplot(grid[:, 1])
    _digits(chains, data["chains"], [str(n + 1) for n in range(CHAINS)])
    chains.set_xticks(14 + 30 * np.arange(len(TIMES)), [f"{t:,}" for t in TIMES])
    chains.set(xlabel="steps of block Gibbs", ylabel="chain")
    low, high = np.sort(data["log_z"][:, 0])
    log_p = " to ".join(f"{data['test'] - log_z:.1f}" for log_z in (high, low))
    annealed = f"log Z {low:.1f} to {high:.1f}, so log p of test digits {log_p} nats"
    chains.set_title(f"fantasy: chains from pixels drawn alone. By annealing:\n{annealed}", loc="left")
    return figure


def _digits(axes: Any, images: Array, names: list[str]) -> None:
    """Draw rows of digits, (rows, columns, 784), each with its name."""
    sheet = style.mosaic(images.reshape(-1, 28, 28), images.shape[1], pad=2, fill=0.15)
    axes.imshow(sheet, cmap="gray_r", vmin=0, vmax=1)
    style.name_rows(axes, 14 + 30 * np.arange(len(names)), names)


if __name__ == "__main__":
    make_figures.run_alone(__file__)
