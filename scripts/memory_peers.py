"""What Hopfield's memory is timed against: the same capacity sweep, pattern for pattern, by other means.

1,000 units, 12 loads, 20 trials each: a network started in one of its patterns settles, one unit at a time, until
nothing changes. Either each trial has a network of its own, or all of a load are patterns of one network. All get the
same patterns, each as floating numbers of the kind it likes, and store them by Hebb's rule.
"""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from ebm_np.foundations.arrays import Array
from ebm_np.physics import capacity

N_UNITS, N_TRIALS = 1_000, 20
LOADS = np.arange(1, 13) / 50
SWEEPS = {
    f"capacity sweep, N = {N_UNITS:,}, {len(LOADS)} loads, {N_TRIALS} networks each": (N_TRIALS, 1),
    f"capacity sweep, N = {N_UNITS:,}, {len(LOADS)} loads, {N_TRIALS} patterns of one network each": (1, N_TRIALS),
}
"""Networks for each load, and starts in each."""


def ours(sets: list[Array], n_starts: int) -> Callable[[], Array]:
    """Prepare our own: all trials of a load together, W never formed."""
    sets = [patterns.astype(np.float32) for patterns in sets]

    def load(xi: Array) -> Array:
        return (capacity.retrieve(xi, xi[:, :n_starts]).state * xi[:, :n_starts]).mean(axis=2).ravel()

    return lambda: np.array([load(xi) for xi in sets])


def per_unit(sets: list[Array], n_starts: int) -> Callable[[], Array]:
    """Prepare what one writes with NumPy from the definition: W, and a loop over units."""
    sets, rng = [patterns.astype(np.float64) for patterns in sets], np.random.default_rng(1)

    def settled(W: Array, s: Array) -> Array:
        changed = True
        while changed:
            changed = False
            for i in rng.permutation(N_UNITS):
                h = W[i] @ s
                new = 1.0 if h > 0 else -1.0 if h < 0 else s[i]
                if new != s[i]:
                    s[i], changed = new, True
        return s

    def network(xi: Array) -> list[Any]:
        W = xi.T @ xi / N_UNITS
        np.fill_diagonal(W, 0)
        return [(settled(W, x.copy()) * x).mean() for x in xi[:n_starts]]

    return lambda: np.array([np.concatenate([network(xi) for xi in load]) for load in sets])


def package(sets: list[Array], n_starts: int) -> Callable[[], Array]:
    """Prepare the package `hopfieldnetwork`, which has the same loop; it takes a tie for +1."""
    make = importlib.import_module("hopfieldnetwork").HopfieldNetwork
    # not int8, as in its own examples, whose sums overflow from 128 patterns on
    sets = [patterns.astype(np.float64) for patterns in sets]

    def network(xi: Array) -> list[Any]:
        memory = make(N=N_UNITS)
        memory.train_pattern(xi.T)
        return [(settled(memory, x.copy()) * x).mean() for x in xi[:n_starts]]

    def settled(memory: Any, s: Array) -> Array:
        memory.set_initial_neurons_state(s)
        memory.update_neurons(iterations=0, mode="async", run_max=True)
        return s

    return lambda: np.array([np.concatenate([network(xi) for xi in load]) for load in sets])


SWEEPERS: dict[str, Callable[[list[Array], int], Callable[[], Array]]] = {
    "our retrieve": ours,
    "per-unit NumPy loop": per_unit,
    "hopfieldnetwork": package,
}


def sweeper(task: str, peer: str) -> tuple[Callable[[], Any], str]:
    """Return the sweep, and what it found: mean overlaps below, near and above the capacity."""
    n_networks, n_starts = SWEEPS[task]
    rng = np.random.default_rng(0)
    sets = [2 * rng.integers(0, 2, (n_networks, round(a * N_UNITS), N_UNITS), np.int8) - 1 for a in LOADS]
    run = SWEEPERS[peer](sets, n_starts)
    found = run()
    low, near, high = (found[part].mean() for part in (LOADS < 0.13, np.abs(LOADS - 0.15) < 0.011, LOADS > 0.17))
    return run, f"m {low:.3f}, {near:.3f}, {high:.3f}"
